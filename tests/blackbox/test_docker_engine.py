"""A Docker Engine pushes and pulls: what comes back is the image that went out."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.blackbox.clients.docker_engine import DockerEngine
    from tests.blackbox.conftest import Material
    from tests.blackbox.http_client import RegistryClient
    from tests.running.entrepot import RunningEntrepot


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

    listed = json.loads(http.get_manifest("multi").content)["manifests"]
    assert [entry["platform"]["architecture"] for entry in listed] == ["amd64", "arm64"]
    for image in material.small:
        docker_engine.docker.run("pull", "--platform", f"linux/{image.architecture}", f"{name}:multi")
        assert docker_engine.inspect(f"{name}:multi")["Id"] == image.config_digest
        docker_engine.remove(f"{name}:multi")


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
