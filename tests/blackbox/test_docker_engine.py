"""A Docker Engine pushes and pulls: what comes back is the image that went out."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import pytest

from tests.blackbox.material.images import DOCKER_LIST, DOCKER_MANIFEST

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from tests.blackbox.clients.docker_engine import DockerEngine
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
CMD ["/bin/busybox", "cat", "/made"]
"""


def test_docker_gets_back_the_image_it_pushed(
    docker_engine: DockerEngine, material: Material, registry: RunningEntrepot, http: RegistryClient
) -> None:
    """load, tag, push, remove, pull: same image id, and the digest Docker reports is the manifest's."""
    reference = f"{registry.host}/{http.repository}:1"
    _load(docker_engine, material, "amd64", reference)
    image_id = docker_engine.inspect(reference)["Id"]

    docker_engine.docker.run("push", reference)
    docker_engine.remove(reference)
    assert not docker_engine.holds(image_id)
    docker_engine.docker.run("pull", reference)

    pulled = docker_engine.inspect(reference)
    assert pulled["Id"] == image_id == material.small[0].config_digest
    digest = http.get_manifest("1").headers["docker-content-digest"]
    assert pulled["RepoDigests"] == [f"{registry.host}/{http.repository}@{digest}"]
    docker_engine.remove(reference)


def test_docker_runs_the_image_it_pulled(
    docker_engine: DockerEngine, material: Material, registry: RunningEntrepot, http: RegistryClient
) -> None:
    """A container of the pulled image starts and says what it was told to."""
    reference = f"{registry.host}/{http.repository}:1"
    _load(docker_engine, material, "amd64", reference)
    docker_engine.docker.run("push", reference)
    docker_engine.remove(reference)

    said = docker_engine.docker.run("run", "--rm", "--network=none", reference, "/bin/echo", "it runs")

    assert said == "it runs\n"
    docker_engine.remove(reference)


def test_docker_gets_back_an_image_of_100_mb(
    docker_engine: DockerEngine, material: Material, registry: RunningEntrepot, repository: str
) -> None:
    """Four layers of 25 MiB, sent and fetched several at a time, and each verified by Docker when unpacked."""
    reference = f"{registry.host}/{repository}:large"
    docker_engine.docker.run("load", "--input", str(material.large_archive))
    docker_engine.docker.run("tag", "tests/large:latest", reference)

    docker_engine.docker.run("push", reference)
    docker_engine.remove(reference, "tests/large:latest")
    assert not docker_engine.holds(material.large.config_digest)
    docker_engine.docker.run("pull", reference)

    assert docker_engine.inspect(reference)["Id"] == material.large.config_digest
    docker_engine.remove(reference)


def test_docker_pushes_an_index_and_pulls_each_platform_from_it(
    docker_engine: DockerEngine, material: Material, registry: RunningEntrepot, http: RegistryClient
) -> None:
    """`docker manifest create` and `push` make a list; `--platform` picks from it."""
    name = f"{registry.host}/{http.repository}"
    parts = [f"{name}:{image.architecture}" for image in material.small]
    for image, part in zip(material.small, parts, strict=True):
        _load(docker_engine, material, image.architecture, part)
        docker_engine.docker.run("push", part)
        docker_engine.remove(part)

    docker_engine.docker.run("manifest", "create", "--insecure", f"{name}:multi", *parts)
    docker_engine.docker.run("manifest", "push", "--insecure", "--purge", f"{name}:multi")

    stored = http.get_manifest("multi")
    assert stored.headers["content-type"] == DOCKER_LIST
    listed = json.loads(stored.content)["manifests"]
    inspected = docker_engine.docker.run("manifest", "inspect", "--insecure", f"{name}:multi")
    assert json.loads(inspected)["manifests"] == listed
    assert [entry["platform"]["architecture"] for entry in listed] == ["amd64", "arm64"]
    for image in material.small:
        docker_engine.docker.run("pull", "--platform", f"linux/{image.architecture}", f"{name}:multi")
        assert docker_engine.inspect(f"{name}:multi")["Id"] == image.config_digest
        docker_engine.remove(f"{name}:multi")


def test_docker_pushes_again_without_sending_a_byte(
    docker_engine: DockerEngine,
    material: Material,
    registry: RunningEntrepot,
    http: RegistryClient,
    watch: Callable[[], AbstractContextManager[RequestLog]],
) -> None:
    """Under another tag: each layer is found by HEAD, no upload begins, and the digest is the same."""
    name = f"{registry.host}/{http.repository}"
    _load(docker_engine, material, "amd64", f"{name}:1")
    docker_engine.docker.run("push", f"{name}:1")
    docker_engine.docker.run("tag", f"{name}:1", f"{name}:2")

    with watch() as seen:
        said = docker_engine.docker.run("push", f"{name}:2")

    assert said.count("Layer already exists") == len(material.small[0].layers)
    assert (seen.begun_uploads, seen.sent_bodies) == ([], [])
    assert seen.statuses("PUT", "manifests/") == [201]
    digests = {http.get_manifest(tag).headers["docker-content-digest"] for tag in "12"}
    assert len(digests) == 1
    assert f"digest: {digests.pop()} " in said
    docker_engine.remove(f"{name}:1", f"{name}:2")


def test_docker_mounts_layers_of_another_repository(
    docker_engine: DockerEngine,
    material: Material,
    registry: RunningEntrepot,
    http: RegistryClient,
    watch: Callable[[], AbstractContextManager[RequestLog]],
) -> None:
    """Pushed under a second name, its layers come from the first: only the configuration is sent."""
    source, target = f"{registry.host}/{http.repository}-source:1", f"{registry.host}/{http.repository}:1"
    _load(docker_engine, material, "amd64", source)
    docker_engine.docker.run("push", source)
    docker_engine.docker.run("tag", source, target)

    with watch() as seen:
        said = docker_engine.docker.run("push", target)

    layers = len(material.small[0].layers)
    assert said.count(f"Mounted from {http.repository}-source") == layers
    assert sorted(seen.begun_uploads) == [201] * layers + [202]
    manifest = json.loads(http.get_manifest("1").content)
    assert all(http.has_blob(layer["digest"]) for layer in manifest["layers"])
    docker_engine.remove(source, target)


def test_docker_builds_from_an_image_of_the_registry_and_runs_what_was_built(
    docker_engine: DockerEngine,
    material: Material,
    registry: RunningEntrepot,
    http: RegistryClient,
    tmp_path: Path,
) -> None:
    """FROM pulls the base; the result, pushed, removed and pulled by digest, prints what the build wrote."""
    base, built = (f"{registry.host}/{http.repository}:{tag}" for tag in ("base", "built"))
    _load(docker_engine, material, "amd64", base)
    docker_engine.docker.run("push", base)
    docker_engine.remove(base)
    (tmp_path / "Dockerfile").write_text(_DOCKERFILE.format(base=base))
    (tmp_path / "greeting").write_text("built from the registry\n")

    docker_engine.docker.run("build", "--pull", "--network", "none", "--tag", built, str(tmp_path))
    docker_engine.docker.run("push", built)
    docker_engine.remove(built, base)
    response = http.get_manifest("built")
    by_digest = f"{registry.host}/{http.repository}@{response.headers['docker-content-digest']}"
    said = docker_engine.docker.run("run", "--rm", "--network=none", by_digest)

    assert said == "built from the registry\n"
    assert response.headers["content-type"] == DOCKER_MANIFEST
    assert len(json.loads(response.content)["layers"]) == len(material.small[0].layers) + 2
    docker_engine.remove(by_digest)


def test_docker_pulls_layers_compressed_with_zstd(
    docker_engine: DockerEngine,
    buildah: Program,
    material: Material,
    registry: RunningEntrepot,
    http: RegistryClient,
) -> None:
    """Their digests are others than those of gzip, the image inside is the same."""
    reference = f"{registry.host}/{http.repository}:zstd"
    local = buildah.run("pull", "--quiet", f"docker-archive:{material.small_archive('amd64')}").strip()
    buildah.run("push", "--quiet", "--tls-verify=false", "--format", "oci", "--compression-format", "zstd",
                "--force-compression", local, f"docker://{reference}")  # fmt: skip

    docker_engine.docker.run("pull", reference)

    layers = json.loads(http.get_manifest("zstd").content)["layers"]
    assert {layer["mediaType"] for layer in layers} == {"application/vnd.oci.image.layer.v1.tar+zstd"}
    pulled = docker_engine.inspect(reference)["RootFS"]["Layers"]
    assert pulled == json.loads(material.small[0].config)["rootfs"]["diff_ids"]
    docker_engine.remove(reference)
    buildah.run("rmi", "--force", local)


def test_docker_is_told_that_an_image_is_unknown(
    docker_engine: DockerEngine, registry: RunningEntrepot, repository: str
) -> None:
    """The engine understands the error reply, rather than reporting a broken registry."""
    errors = docker_engine.docker.run_failing("pull", f"{registry.host}/{repository}:absent")

    assert "manifest unknown" in errors or "not found" in errors


def _load(engine: DockerEngine, material: Material, architecture: str, reference: str) -> None:
    loaded = f"tests/small:{architecture}"
    engine.docker.run("load", "--input", str(material.small_archive(architecture)))
    engine.docker.run("tag", loaded, reference)
    engine.remove(loaded)
