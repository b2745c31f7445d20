"""podman and buildah push and pull what they hold in their own storage."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.blackbox.material.images import INDEX, build_image, build_layer, build_random_layer, digest_of
from tests.blackbox.material.layouts import write_docker_archive

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from tests.blackbox.clients.program import Program
    from tests.blackbox.clients.request_log import RequestLog
    from tests.blackbox.conftest import Material
    from tests.blackbox.http_client import RegistryClient
    from tests.running.entrepot import RunningEntrepot

pytestmark = pytest.mark.real_client

_DOCKERFILE: Final = """\
FROM {base}
COPY greeting /greeting
RUN ["/bin/busybox", "cp", "/greeting", "/made"]
"""
# The build would raise these limits to what the machine allows, which a container that runs the tests may not.
_LIMITS: Final = ("--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024")


def test_podman_pulls_each_platform_of_an_index(
    podman: Program, skopeo: Program, material: Material, registry: RunningEntrepot, repository: str
) -> None:
    """--platform picks the image from the index, whoever pushed it."""
    reference = f"{registry.host}/{repository}:multi"
    skopeo.run(
        "copy",
        "--all",
        "--dest-tls-verify=false",
        f"oci:{material.small_layout}:multi",
        f"docker://{reference}",
    )

    for image in material.small:
        podman.run(
            "pull", "--quiet", "--tls-verify=false", "--platform", f"linux/{image.architecture}", reference
        )
        assert _image_id(podman, reference) == image.config_digest
        podman.run("image", "rm", "--force", reference)


def test_podman_gets_back_an_image_of_100_mb(
    podman: Program, material: Material, registry: RunningEntrepot, http: RegistryClient
) -> None:
    """Pull from a layout, push, remove, pull: same image id, and every layer in the registry."""
    reference = f"{registry.host}/{http.repository}:large"
    local = podman.run("pull", "--quiet", f"oci:{material.large_layout}:large").strip()
    podman.run("tag", local, reference)

    podman.run("push", "--quiet", "--tls-verify=false", "--compression-level", "1", reference)
    podman.run("image", "rm", "--force", local)
    podman.run("pull", "--quiet", "--tls-verify=false", reference)

    assert _image_id(podman, reference) == material.large.config_digest
    assert len(json.loads(http.get_manifest("large").content)["layers"]) == len(material.large.layers)
    podman.run("image", "rm", "--force", reference)


def test_buildah_pushes_docker_and_oci_manifests_that_podman_pulls(
    buildah: Program, podman: Program, material: Material, registry: RunningEntrepot, http: RegistryClient
) -> None:
    """Both formats of the same image arrive under the media type they were pushed with."""
    local = buildah.run("pull", "--quiet", f"docker-archive:{material.small_archive('amd64')}").strip()
    expected = {
        "oci": "application/vnd.oci.image.manifest.v1+json",
        "v2s2": "application/vnd.docker.distribution.manifest.v2+json",
    }
    for tag, media_type in expected.items():
        reference = f"{registry.host}/{http.repository}:{tag}"
        buildah.run("push", "--quiet", "--tls-verify=false", "--format", tag, local, f"docker://{reference}")
        assert http.get_manifest(tag).headers["content-type"] == media_type
        podman.run("pull", "--quiet", "--tls-verify=false", reference)
        podman.run("image", "rm", "--force", reference)
    buildah.run("rmi", "--force", local)


@pytest.mark.parametrize("client", ["podman", "buildah"])
def test_a_second_push_sends_no_byte_and_has_the_same_digest(
    request: pytest.FixtureRequest,
    client: str,
    material: Material,
    registry: RunningEntrepot,
    http: RegistryClient,
    watch: Callable[[], AbstractContextManager[RequestLog]],
    tmp_path: Path,
) -> None:
    """Every blob is found by HEAD; the digest the client writes down is the registry's, both times."""
    program: Program = request.getfixturevalue(client)
    local = program.run("pull", "--quiet", f"docker-archive:{material.small_archive('amd64')}").strip()
    push = ("push", "--quiet", "--tls-verify=false", "--digestfile")
    program.run(*push, f"{tmp_path}/1", local, f"{registry.host}/{http.repository}:1")

    with watch() as seen:
        program.run(*push, f"{tmp_path}/2", local, f"{registry.host}/{http.repository}:2")

    assert (seen.begun_uploads, seen.sent_bodies) == ([], [])
    written = [(tmp_path / tag).read_text() for tag in ("1", "2")]
    assert written == [http.get_manifest(tag).headers["docker-content-digest"] for tag in ("1", "2")]
    assert written[0] == written[1]
    program.run("rmi", "--force", local)


def test_podman_mounts_layers_of_another_repository(
    podman: Program,
    material: Material,
    registry: RunningEntrepot,
    http: RegistryClient,
    watch: Callable[[], AbstractContextManager[RequestLog]],
) -> None:
    """It remembers where it pushed each layer; under a second name only the configuration is sent."""
    local = podman.run("pull", "--quiet", f"docker-archive:{material.small_archive('amd64')}").strip()
    name = f"{registry.host}/{http.repository}"
    podman.run("push", "--quiet", "--tls-verify=false", local, f"{name}-source:1")

    with watch() as seen:
        podman.run("push", "--quiet", "--tls-verify=false", local, f"{name}:1")

    assert sorted(seen.begun_uploads) == [201] * len(material.small[0].layers) + [202]
    source = http.client.get(f"/v2/{http.repository}-source/manifests/1")
    assert http.get_manifest("1").headers["docker-content-digest"] == source.headers["docker-content-digest"]
    podman.run("image", "rm", "--force", local)


@pytest.mark.parametrize("compression", ["zstd", "zstd:chunked"])
def test_buildah_pushes_zstd_layers_that_podman_pulls(
    buildah: Program,
    podman: Program,
    material: Material,
    registry: RunningEntrepot,
    http: RegistryClient,
    compression: str,
) -> None:
    """The media type says zstd, chunked layers carry their table of contents, the image inside is the same."""
    reference = f"{registry.host}/{http.repository}:1"
    local = buildah.run("pull", "--quiet", f"docker-archive:{material.small_archive('amd64')}").strip()
    buildah.run("push", "--quiet", "--tls-verify=false", "--format", "oci",
                "--compression-format", compression, "--force-compression",
                local, f"docker://{reference}")  # fmt: skip

    podman.run("pull", "--quiet", "--tls-verify=false", reference)

    layers = json.loads(http.get_manifest("1").content)["layers"]
    assert {layer["mediaType"] for layer in layers} == {"application/vnd.oci.image.layer.v1.tar+zstd"}
    tables = [key for layer in layers for key in layer.get("annotations", {}) if "zstd-chunked" in key]
    assert bool(tables) == (compression == "zstd:chunked")
    assert _diff_ids(podman, reference) == json.loads(material.small[0].config)["rootfs"]["diff_ids"]
    podman.run("image", "rm", "--force", reference)
    buildah.run("rmi", "--force", local)


def test_podman_pulls_a_chunked_layer_by_ranges(
    buildah: Program,
    overlay_podman: Program,
    registry: RunningEntrepot,
    http: RegistryClient,
    watch: Callable[[], AbstractContextManager[RequestLog]],
    tmp_path: Path,
) -> None:
    """With partial pulls on it reads the table of contents from the layer's end, and the files come out right."""
    reference = f"{registry.host}/{http.repository}:1"
    content = build_random_layer("inner", 500_000, seed=1).tar
    image = build_image([build_layer({"part": content, "whose": http.repository.encode()})])
    write_docker_archive(tmp_path / "image.tar", "tests/chunked:1", image)
    local = buildah.run("pull", "--quiet", f"docker-archive:{tmp_path}/image.tar").strip()
    buildah.run("push", "--quiet", "--tls-verify=false", "--format", "oci",
                "--compression-format", "zstd:chunked", "--force-compression",
                local, f"docker://{reference}")  # fmt: skip
    buildah.run("rmi", "--force", local)

    with watch() as seen:
        overlay_podman.run("pull", "--quiet", "--tls-verify=false", reference)

    layer = json.loads(http.get_manifest("1").content)["layers"][0]
    # 206 for the one range of the table, 200 for the many ranges of the files: the registry sends the whole then (S40).
    assert set(seen.statuses("GET", f"blobs/{layer['digest']}")) == {200, 206}
    mounted = Path(overlay_podman.run("image", "mount", reference).strip())
    assert (mounted / "part").read_bytes() == content
    overlay_podman.run("image", "unmount", reference)
    overlay_podman.run("image", "rm", "--force", reference)


def test_podman_pushes_and_pulls_an_artifact(
    podman: Program, registry: RunningEntrepot, http: RegistryClient, tmp_path: Path
) -> None:
    """A manifest without an image in it: empty configuration, one file."""
    (tmp_path / "report.json").write_text(http.repository)
    reference = f"{registry.host}/{http.repository}:1"
    podman.run("artifact", "add", "--type", "application/vnd.tests.report", reference,
               f"{tmp_path}/report.json")  # fmt: skip

    podman.run("artifact", "push", "--quiet", "--tls-verify=false", reference)
    podman.run("artifact", "rm", reference)
    podman.run("artifact", "pull", "--quiet", "--tls-verify=false", reference)

    manifest = json.loads(http.get_manifest("1").content)
    assert manifest["artifactType"] == "application/vnd.tests.report"
    assert http.get_blob(manifest["layers"][0]["digest"]).content == http.repository.encode()
    held = json.loads(podman.run("artifact", "inspect", reference))
    assert held["Manifest"]["layers"][0]["digest"] == manifest["layers"][0]["digest"]
    podman.run("artifact", "rm", reference)


@pytest.mark.parametrize("client", ["podman", "buildah"])
def test_a_build_starts_from_an_image_of_the_registry(
    request: pytest.FixtureRequest,
    client: str,
    skopeo: Program,
    material: Material,
    registry: RunningEntrepot,
    http: RegistryClient,
    tmp_path: Path,
) -> None:
    """FROM pulls the base; what is pushed has the base's layers below those the build made."""
    program: Program = request.getfixturevalue(client)
    base, built = (f"{registry.host}/{http.repository}:{tag}" for tag in ("base", "built"))
    skopeo.run("copy", "--all", "--preserve-digests", "--dest-tls-verify=false",
               f"oci:{material.small_layout}:multi", f"docker://{base}")  # fmt: skip
    (tmp_path / "Dockerfile").write_text(_DOCKERFILE.format(base=base))
    (tmp_path / "greeting").write_text("built from the registry\n")

    program.run("build", "--quiet", "--tls-verify=false", "--isolation", "chroot", "--layers", *_LIMITS,
                "--tag", built, str(tmp_path))  # fmt: skip
    program.run("push", "--quiet", "--tls-verify=false", built)

    manifest = json.loads(http.get_manifest("built").content)
    config = http.get_blob(manifest["config"]["digest"]).json()
    base_layers = json.loads(material.small[0].config)["rootfs"]["diff_ids"]
    assert config["rootfs"]["diff_ids"][: len(base_layers)] == base_layers
    assert len(manifest["layers"]) == len(base_layers) + 2
    program.run("rmi", "--force", built, base)


def test_buildah_pushes_an_index_that_podman_inspects(
    buildah: Program, podman: Program, material: Material, registry: RunningEntrepot, http: RegistryClient
) -> None:
    """`manifest add` twice and `manifest push --all`: both platforms, with all they refer to."""
    name = f"{http.repository.partition('/')[0]}-list"
    buildah.run("manifest", "create", name)
    locals_ = [
        buildah.run("pull", "--quiet", f"docker-archive:{material.small_archive(image.architecture)}").strip()
        for image in material.small
    ]
    for local in locals_:
        buildah.run("manifest", "add", name, local)

    reference = f"{registry.host}/{http.repository}:multi"
    buildah.run("manifest", "push", "--quiet", "--all", "--format", "oci", "--tls-verify=false",
                name, f"docker://{reference}")  # fmt: skip

    stored = http.get_manifest("multi")
    inspected = json.loads(podman.run("manifest", "inspect", "--tls-verify=false", reference))
    assert stored.headers["content-type"] == INDEX
    assert inspected["manifests"] == json.loads(stored.content)["manifests"]
    platforms = [entry["platform"]["architecture"] for entry in inspected["manifests"]]
    assert platforms == [image.architecture for image in material.small]
    for entry in inspected["manifests"]:
        child = http.get_manifest(entry["digest"])
        assert digest_of(child.content) == entry["digest"]
        assert all(http.has_blob(layer["digest"]) for layer in json.loads(child.content)["layers"])
    buildah.run("manifest", "rm", name)
    buildah.run("rmi", "--force", *locals_)


def test_podman_searches_the_catalog_and_lists_tags(
    podman: Program, skopeo: Program, material: Material, registry: RunningEntrepot, repository: str
) -> None:
    """`podman search` reads `_catalog` and the tag list."""
    reference = f"{registry.host}/{repository}"
    for tag in ("1", "2"):
        skopeo.run("copy", "--dest-tls-verify=false", f"docker-archive:{material.small_archive('amd64')}",
                   f"docker://{reference}:{tag}")  # fmt: skip

    found = podman.run("search", "--tls-verify=false", "--limit", "1000", "--format", "{{.Name}}", reference)
    tags = podman.run("search", "--tls-verify=false", "--list-tags", "--format", "{{.Tag}}", reference)

    assert found.split() == [reference]
    assert tags.split() == ["1", "2"]


def _diff_ids(podman: Program, reference: str) -> list[str]:
    documents: list[dict[str, Any]] = json.loads(podman.run("image", "inspect", reference))
    layers: list[str] = documents[0]["RootFS"]["Layers"]
    return layers


def _image_id(podman: Program, reference: str) -> str:
    documents: list[dict[str, Any]] = json.loads(podman.run("image", "inspect", reference))
    return f"sha256:{documents[0]['Id']}"
