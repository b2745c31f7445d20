"""oras stores artifacts that are no images."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from tests.blackbox.clients.program import Program
    from tests.blackbox.http_client import RegistryClient
    from tests.running.entrepot import RunningEntrepot


def test_oras_gets_back_the_artifact_it_pushed(
    oras: Program, registry: RunningEntrepot, http: RegistryClient, tmp_path: Path
) -> None:
    """A file, its media type and the artifact type survive; the manifest is an OCI image manifest."""
    (tmp_path / "report.txt").write_bytes(b"all is well\n")
    reference = f"{registry.host}/{http.repository}:1"

    oras.run("push", "--plain-http", "--disable-path-validation", "--artifact-type", "application/vnd.tests.report",
             reference, f"{tmp_path}/report.txt:text/plain", "--annotation", "made.by=a test")  # fmt: skip
    oras.run("pull", "--plain-http", "--allow-path-traversal", "--output", str(tmp_path / "out"), reference)

    manifest = json.loads(http.get_manifest("1").content)
    assert manifest["artifactType"] == "application/vnd.tests.report"
    assert manifest["annotations"]["made.by"] == "a test"
    assert [layer["mediaType"] for layer in manifest["layers"]] == ["text/plain"]
    assert http.get_blob(manifest["layers"][0]["digest"]).content == b"all is well\n"


def test_oras_pushes_resolves_and_lists(
    oras: Program, registry: RunningEntrepot, http: RegistryClient, tmp_path: Path
) -> None:
    """A second tag of the artifact, its digest, and the list of tags."""
    (tmp_path / "note").write_bytes(b"a note")
    reference = f"{registry.host}/{http.repository}"
    oras.run("push", "--plain-http", "--disable-path-validation", f"{reference}:1", f"{tmp_path}/note")

    oras.run("tag", "--plain-http", f"{reference}:1", "2")

    resolved = oras.run("resolve", "--plain-http", f"{reference}:2").strip()
    assert resolved == http.get_manifest("1").headers["docker-content-digest"]
    assert oras.run("repo", "tags", "--plain-http", reference).split() == ["1", "2"]
