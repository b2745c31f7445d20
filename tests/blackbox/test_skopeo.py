"""skopeo copies images in and out without changing a byte."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.blackbox.material.images import build_image, build_index, build_layer, digest_of
from tests.blackbox.material.layouts import read_layout, write_docker_archive

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


def test_skopeo_copies_again_without_sending_a_byte(
    skopeo: Program,
    material: Material,
    registry: RunningEntrepot,
    http: RegistryClient,
    watch: Callable[[], AbstractContextManager[RequestLog]],
) -> None:
    """The second time every blob is found by HEAD: nothing is begun and nothing is sent but manifests."""
    remote = f"docker://{registry.host}/{http.repository}"
    source = f"oci:{material.small_layout}:multi"
    skopeo.run("copy", "--all", "--preserve-digests", "--dest-tls-verify=false", source, f"{remote}:1")

    with watch() as seen:
        skopeo.run("copy", "--all", "--preserve-digests", "--dest-tls-verify=false", source, f"{remote}:2")

    assert (seen.begun_uploads, seen.sent_bodies) == ([], [])
    assert set(seen.statuses("HEAD", "blobs/")) == {200}
    assert http.get_manifest("2").content == http.get_manifest("1").content == build_index(material.small)


def test_skopeo_mounts_blobs_of_another_repository(
    skopeo: Program,
    material: Material,
    registry: RunningEntrepot,
    http: RegistryClient,
    watch: Callable[[], AbstractContextManager[RequestLog]],
) -> None:
    """Copied within the registry, no layer passes through the client; configurations do, which skopeo reads anyway."""
    first, second = (
        f"docker://{registry.host}/{http.repository}{suffix}:multi" for suffix in ("-source", "")
    )
    skopeo.run("copy", "--all", "--dest-tls-verify=false", f"oci:{material.small_layout}:multi", first)

    with watch() as seen:
        skopeo.run("copy", "--all", "--src-tls-verify=false", "--dest-tls-verify=false", first, second)

    layers = {digest_of(layer.compressed) for image in material.small for layer in image.layers}
    assert sorted(seen.begun_uploads) == [201] * len(layers) + [202] * len(material.small)
    assert http.get_manifest("multi").content == build_index(material.small)


@pytest.mark.parametrize(("form", "compression"), [("v2s2", "gzip"), ("oci", "gzip"), ("oci", "zstd")])
def test_skopeo_gets_back_each_form_of_an_image(
    skopeo: Program,
    registry: RunningEntrepot,
    http: RegistryClient,
    tmp_path: Path,
    form: str,
    compression: str,
) -> None:
    """Whatever the manifest and the compression: the digest reported, stored and copied out is one."""
    remote = f"docker://{registry.host}/{http.repository}:1"
    # Content of its own: skopeo remembers in which compressions a registry has a layer and would take one of those.
    image = build_image([build_layer({name: http.repository.encode()}) for name in ("a", "b")])
    write_docker_archive(tmp_path / "image.tar", "tests/own:1", image)

    skopeo.run("copy", "--dest-tls-verify=false", "--format", form, "--dest-compress-format", compression,
               "--digestfile", f"{tmp_path}/digest", f"docker-archive:{tmp_path}/image.tar", remote)  # fmt: skip
    skopeo.run("copy", "--preserve-digests", "--src-tls-verify=false", remote, f"dir:{tmp_path}/out")

    stored = http.get_manifest("1")
    assert (tmp_path / "digest").read_text() == stored.headers["docker-content-digest"]
    assert (tmp_path / "out" / "manifest.json").read_bytes() == stored.content
    media_types = {layer["mediaType"] for layer in json.loads(stored.content)["layers"]}
    assert all(media_type.endswith(compression) for media_type in media_types), media_types
    for layer in json.loads(stored.content)["layers"]:
        copied = tmp_path / "out" / str(layer["digest"]).removeprefix("sha256:")
        assert digest_of(copied.read_bytes()) == layer["digest"]


def test_skopeo_deletes_an_image_and_lists_what_is_left(
    skopeo: Program, material: Material, registry: RunningEntrepot, http: RegistryClient
) -> None:
    """Delete resolves the tag and deletes the manifest: every tag of it is gone, other images stay."""
    remote = f"docker://{registry.host}/{http.repository}"
    for image in material.small:
        skopeo.run("copy", "--dest-tls-verify=false",
                   f"docker-archive:{material.small_archive(image.architecture)}",
                   f"{remote}:{image.architecture}")  # fmt: skip
    skopeo.run("copy", "--src-tls-verify=false", "--dest-tls-verify=false", f"{remote}:amd64", f"{remote}:x")

    skopeo.run("delete", "--tls-verify=false", f"{remote}:amd64")

    listed = json.loads(skopeo.run("list-tags", "--tls-verify=false", remote))
    assert listed["Tags"] == ["arm64"]
    assert {tag: http.get_manifest(tag).status_code for tag in ("amd64", "x", "arm64")} == {
        "amd64": 404, "x": 404, "arm64": 200,
    }  # fmt: skip
    assert "manifest unknown" in skopeo.run_failing("inspect", "--tls-verify=false", f"{remote}:amd64")
    skopeo.run("inspect", "--tls-verify=false", f"{remote}:arm64")


def test_skopeo_syncs_a_repository_out_and_into_another(
    skopeo: Program, material: Material, registry: RunningEntrepot, http: RegistryClient, tmp_path: Path
) -> None:
    """Every tag of it arrives with the digest it had."""
    name = f"{registry.host}/{http.repository}"
    for tag in ("1", "2"):
        skopeo.run("copy", "--all", "--preserve-digests", "--dest-tls-verify=false",
                   f"oci:{material.small_layout}:multi", f"docker://{name}-source:{tag}")  # fmt: skip

    skopeo.run("sync", "--all", "--preserve-digests", "--src", "docker", "--dest", "dir",
               "--src-tls-verify=false", f"{name}-source", str(tmp_path))  # fmt: skip
    skopeo.run("sync", "--all", "--preserve-digests", "--src", "dir", "--dest", "docker",
               "--dest-tls-verify=false", str(tmp_path), name)  # fmt: skip

    synced = f"{http.repository}/{http.repository.rpartition('/')[2]}-source"
    for tag in ("1", "2"):
        stored = http.client.get(f"/v2/{synced}/manifests/{tag}")
        assert stored.content == build_index(material.small)
