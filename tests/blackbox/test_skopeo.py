"""skopeo copies images in and out without changing a byte."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.blackbox.material.images import build_index, digest_of
from tests.blackbox.material.layouts import read_layout

if TYPE_CHECKING:
    from pathlib import Path

    from tests.blackbox.clients.program import Program
    from tests.blackbox.conftest import Material
    from tests.blackbox.http_client import RegistryClient
    from tests.running.entrepot import RunningEntrepot


def test_skopeo_copies_an_index_in_and_out_byte_for_byte(
    skopeo: Program, material: Material, registry: RunningEntrepot, repository: str, tmp_path: Path
) -> None:
    """Copy --all from a layout and back: same index digest, and each blob of it the same."""
    remote = f"docker://{registry.host}/{repository}:multi"

    skopeo.run("copy", "--all", "--preserve-digests", "--dest-tls-verify=false",
               f"oci:{material.small_layout}:multi", remote)  # fmt: skip
    skopeo.run(
        "copy", "--all", "--preserve-digests", "--src-tls-verify=false", remote, f"oci:{tmp_path}/out:multi"
    )

    assert read_layout(tmp_path / "out") == read_layout(material.small_layout)


def test_skopeo_copies_an_image_of_100_mb_in_and_out(
    skopeo: Program, material: Material, registry: RunningEntrepot, repository: str, tmp_path: Path
) -> None:
    """Same digest and same bytes; the copy that came out is compared blob by blob."""
    remote = f"docker://{registry.host}/{repository}:large"

    skopeo.run(
        "copy", "--preserve-digests", "--dest-tls-verify=false", f"oci:{material.large_layout}:large", remote
    )
    skopeo.run("copy", "--preserve-digests", "--src-tls-verify=false", remote, f"oci:{tmp_path}/out:large")

    assert read_layout(tmp_path / "out") == read_layout(material.large_layout)


def test_skopeo_copies_between_repositories_of_the_registry(
    skopeo: Program, material: Material, registry: RunningEntrepot, http: RegistryClient
) -> None:
    """The second repository holds the same index and serves it by digest."""
    first, second = (
        f"docker://{registry.host}/{http.repository}{suffix}:multi" for suffix in ("-source", "")
    )
    skopeo.run("copy", "--all", "--dest-tls-verify=false", f"oci:{material.small_layout}:multi", first)

    skopeo.run("copy", "--all", "--src-tls-verify=false", "--dest-tls-verify=false", first, second)

    index = build_index(material.small)
    assert http.get_manifest(digest_of(index)).content == index
    for image in material.small:
        assert [http.get_blob(digest_of(blob)).content for blob in image.blobs] == list(image.blobs)


def test_skopeo_inspects_an_index_and_its_images(
    skopeo: Program, material: Material, registry: RunningEntrepot, repository: str
) -> None:
    """--raw gives the exact bytes, --config the configuration of the platform asked for."""
    remote = f"docker://{registry.host}/{repository}:multi"
    skopeo.run("copy", "--all", "--dest-tls-verify=false", f"oci:{material.small_layout}:multi", remote)

    raw = skopeo.run("inspect", "--raw", "--tls-verify=false", remote)
    config = skopeo.run("--override-arch", "arm64", "inspect", "--config", "--tls-verify=false", remote)
    summary = json.loads(skopeo.run("inspect", "--tls-verify=false", remote))

    assert raw.encode() == build_index(material.small)
    assert json.loads(config)["architecture"] == "arm64"
    assert summary["RepoTags"] == ["multi"]
    assert summary["Digest"] == digest_of(build_index(material.small))


def test_skopeo_lists_the_tags_of_a_repository(
    skopeo: Program, registry: RunningEntrepot, http: RegistryClient, material: Material
) -> None:
    """Every tag, in the order of their bytes."""
    http.push_blobs(material.small[0])
    for tag in ("v2", "V1", "v10", "latest"):
        assert http.put_manifest(tag, material.small[0].manifest).status_code == 201

    listed = json.loads(
        skopeo.run("list-tags", "--tls-verify=false", f"docker://{registry.host}/{http.repository}")
    )

    assert listed["Tags"] == ["V1", "latest", "v10", "v2"]


def test_skopeo_is_told_that_an_image_is_unknown(
    skopeo: Program, registry: RunningEntrepot, repository: str
) -> None:
    """The client understands the error reply."""
    errors = skopeo.run_failing(
        "inspect", "--tls-verify=false", f"docker://{registry.host}/{repository}:absent"
    )

    assert "manifest unknown" in errors or "name unknown" in errors
