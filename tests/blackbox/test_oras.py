"""oras stores artifacts that are no images."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.blackbox.material.images import build_index, digest_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from tests.blackbox.clients.program import Program
    from tests.blackbox.clients.request_log import RequestLog
    from tests.blackbox.conftest import Material
    from tests.blackbox.http_client import RegistryClient
    from tests.running.entrepot import RunningEntrepot

pytestmark = pytest.mark.real_client

_SBOM: Final = "application/vnd.tests.sbom"
_SIGNATURE: Final = "application/vnd.tests.signature"


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


def test_oras_finds_what_it_attached_by_the_referrers_api(
    oras: Program, registry: RunningEntrepot, http: RegistryClient, tmp_path: Path
) -> None:
    """Two kinds of referrers, told apart by type; no tag of the fallback scheme is made."""
    reference = f"{registry.host}/{http.repository}:1"
    _push_file(oras, tmp_path / "image", reference, "the subject")
    for kind in (_SBOM, _SIGNATURE):
        _attach_file(oras, tmp_path / kind.rpartition(".")[2], reference, kind)

    everything, filtered = (
        json.loads(
            oras.run("discover", "--plain-http", "--distribution-spec", "v1.1-referrers-api",
                     "--format", "json", *more, reference)
        )["manifests"]
        for more in ((), ("--artifact-type", _SBOM))
    )  # fmt: skip

    assert sorted(entry["artifactType"] for entry in everything) == [_SBOM, _SIGNATURE]
    assert [entry["artifactType"] for entry in filtered] == [_SBOM]
    subject = http.get_manifest("1").headers["docker-content-digest"]
    for entry in everything:
        manifest = json.loads(http.get_manifest(entry["digest"]).content)
        assert manifest["subject"]["digest"] == subject
    assert oras.run("repo", "tags", "--plain-http", reference.rpartition(":")[0]).split() == ["1"]


def test_oras_copies_an_image_with_all_that_refers_to_it(
    oras: Program, registry: RunningEntrepot, http: RegistryClient, tmp_path: Path
) -> None:
    """`copy -r` follows referrers of referrers, into another repository and into a layout."""
    source, target = (f"{registry.host}/{http.repository}{suffix}:1" for suffix in ("-source", ""))
    _push_file(oras, tmp_path / "image", source, "the subject")
    sbom = _attach_file(oras, tmp_path / "sbom", source, _SBOM)
    signature = _attach_file(oras, tmp_path / "signature", f"{source.rpartition(':')[0]}@{sbom}", _SIGNATURE)

    oras.run("copy", "-r", "--from-plain-http", "--to-plain-http", source, target)
    oras.run("copy", "-r", "--from-plain-http", "--to-oci-layout", source, f"{tmp_path}/layout:1")

    subject = http.get_manifest("1").headers["docker-content-digest"]
    assert _referrers(http, subject) == [sbom]
    assert _referrers(http, sbom) == [signature]
    assert {file.name for file in (tmp_path / "layout" / "blobs" / "sha256").iterdir()} >= {
        digest.removeprefix("sha256:") for digest in (subject, sbom, signature)
    }


def test_oras_copies_an_index_with_its_images(
    oras: Program, material: Material, registry: RunningEntrepot, http: RegistryClient
) -> None:
    """From a layout into the registry; `--platform` then fetches one image of it."""
    reference = f"{registry.host}/{http.repository}:multi"

    oras.run("copy", "--from-oci-layout", "--to-plain-http", f"{material.small_layout}:multi", reference)

    assert http.get_manifest("multi").content == build_index(material.small)
    for image in material.small:
        platform = f"linux/{image.architecture}"
        fetched = oras.run("manifest", "fetch", "--plain-http", "--platform", platform, reference)
        assert fetched.encode() == image.manifest
        config = oras.run("manifest", "fetch-config", "--plain-http", "--platform", platform, reference)
        assert config.encode() == image.config
        assert [http.get_blob(digest_of(blob)).content for blob in image.blobs] == list(image.blobs)


def test_oras_mounts_blobs_of_another_repository(
    oras: Program,
    material: Material,
    registry: RunningEntrepot,
    http: RegistryClient,
    watch: Callable[[], AbstractContextManager[RequestLog]],
) -> None:
    """Copied within the registry: every blob is mounted, none is sent."""
    source, target = (f"{registry.host}/{http.repository}{suffix}:1" for suffix in ("-source", ""))
    oras.run("copy", "--from-oci-layout", "--to-plain-http", f"{material.small_layout}:multi", source)

    with watch() as seen:
        oras.run("copy", "--from-plain-http", "--to-plain-http", source, target)

    blobs = {digest_of(blob) for image in material.small for blob in image.blobs}
    assert seen.begun_uploads == [201] * len(blobs)
    assert seen.sent_bodies == []
    assert http.get_manifest("1").content == build_index(material.small)


def test_oras_pushes_again_without_sending_a_byte(
    oras: Program,
    material: Material,
    registry: RunningEntrepot,
    http: RegistryClient,
    watch: Callable[[], AbstractContextManager[RequestLog]],
) -> None:
    """It asks for the manifest by HEAD and, finding it, only puts the new tag."""
    name = f"{registry.host}/{http.repository}"
    layout = f"{material.small_layout}:multi"
    oras.run("copy", "--from-oci-layout", "--to-plain-http", layout, f"{name}:1")

    with watch() as seen:
        oras.run("copy", "--from-oci-layout", "--to-plain-http", layout, f"{name}:2")

    assert (seen.begun_uploads, seen.sent_bodies) == ([], [])
    assert http.get_manifest("2").content == build_index(material.small)


def test_oras_pushes_fetches_and_deletes_a_blob(
    oras: Program, registry: RunningEntrepot, http: RegistryClient, tmp_path: Path
) -> None:
    """What it deleted is gone, and deleting it again is told as not found."""
    name = f"{registry.host}/{http.repository}"
    (tmp_path / "blob").write_text(http.repository)
    digest = digest_of(http.repository.encode())

    oras.run("blob", "push", "--plain-http", f"{name}@{digest}", str(tmp_path / "blob"))
    fetched = oras.run("blob", "fetch", "--plain-http", "--output", "-", f"{name}@{digest}")
    oras.run("blob", "delete", "--plain-http", "--force", f"{name}@{digest}")

    assert fetched == http.repository
    assert not http.has_blob(digest)
    assert "not found" in oras.run_failing(
        "blob", "fetch", "--plain-http", "--output", "-", f"{name}@{digest}"
    )


def test_oras_pushes_fetches_and_deletes_a_manifest(
    oras: Program, material: Material, registry: RunningEntrepot, http: RegistryClient, tmp_path: Path
) -> None:
    """The bytes given are the bytes stored; deleted by tag's digest, the tag is gone with it."""
    name = f"{registry.host}/{http.repository}"
    image = material.small[0]
    http.push_blobs(image)
    (tmp_path / "manifest.json").write_bytes(image.manifest)

    oras.run("manifest", "push", "--plain-http", f"{name}:1,2", str(tmp_path / "manifest.json"))
    assert oras.run("manifest", "fetch", "--plain-http", f"{name}:2").encode() == image.manifest
    oras.run("manifest", "delete", "--plain-http", "--force", f"{name}@{image.digest}")

    assert [http.get_manifest(reference).status_code for reference in ("1", "2", image.digest)] == [404] * 3
    assert "not found" in oras.run_failing("manifest", "fetch", "--plain-http", f"{name}:1")


def test_oras_finds_a_repository_in_the_catalog(
    oras: Program, registry: RunningEntrepot, repository: str, tmp_path: Path
) -> None:
    """`repo ls` walks the pages of `_catalog`; a namespace narrows it."""
    _push_file(oras, tmp_path / "file", f"{registry.host}/{repository}:1", "content")
    namespace, _, name = repository.partition("/")

    assert repository in oras.run("repo", "ls", "--plain-http", registry.host).split()
    assert oras.run("repo", "ls", "--plain-http", f"{registry.host}/{namespace}/").split() == [name]


def _push_file(oras: Program, file: Path, reference: str, content: str) -> None:
    file.write_text(f"{content} of {reference}")
    oras.run("push", "--plain-http", "--disable-path-validation", reference, f"{file}:text/plain")


def _attach_file(oras: Program, file: Path, reference: str, kind: str) -> str:
    """Attach a file as a referrer of `kind` and return the referrer's digest."""
    file.write_text(f"{kind} of {reference}")
    said: dict[str, Any] = json.loads(
        oras.run("attach", "--plain-http", "--disable-path-validation", "--format", "json",
                 "--artifact-type", kind, reference, f"{file}:application/json")
    )  # fmt: skip
    return str(said["digest"])


def _referrers(http: RegistryClient, digest: str) -> list[str]:
    manifests: list[dict[str, Any]] = http.request("GET", f"referrers/{digest}").json()["manifests"]
    return [entry["digest"] for entry in manifests]
