"""A layer of 800 MiB goes in and comes out whole, with real clients."""

from __future__ import annotations

import dataclasses
import hashlib
import shutil
from typing import TYPE_CHECKING, Final

import pytest

from tests.blackbox.material.large_layer import LargeImage, write_large_layout

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.blackbox.clients.docker_engine import DockerEngine
    from tests.blackbox.clients.program import Program
    from tests.blackbox.http_client import RegistryClient
    from tests.running.entrepot import RunningEntrepot

pytestmark = [pytest.mark.real_client, pytest.mark.slow, pytest.mark.timeout(600)]

_LAYER_BYTES: Final = 800 * 1024 * 1024
_PATIENCE_SECONDS: Final = 250.0


@pytest.fixture(scope="module")
def large_image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LargeImage]:
    """Write the image once."""
    directory = tmp_path_factory.mktemp("large")
    yield write_large_layout(directory / "layout", _LAYER_BYTES)
    shutil.rmtree(directory)


def test_skopeo_pushes_a_layer_of_800_mib_that_oras_fetches(
    skopeo: Program,
    oras: Program,
    large_image: LargeImage,
    registry: RunningEntrepot,
    http: RegistryClient,
    tmp_path: Path,
) -> None:
    """Each program hashes the layer itself; the file that comes out is hashed once more."""
    name = f"{registry.host}/{http.repository}"

    _patient(skopeo).run("copy", "--preserve-digests", "--dest-tls-verify=false",
                         f"oci:{large_image.layout}:large", f"docker://{name}:large")  # fmt: skip
    fetched = tmp_path / "layer"
    _patient(oras).run("blob", "fetch", "--plain-http", "--output", str(fetched),
                       f"{name}@{large_image.layer_digest}")  # fmt: skip

    assert http.get_manifest("large").content == large_image.manifest
    assert fetched.stat().st_size == large_image.layer_bytes
    with fetched.open("rb") as file:
        assert f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}" == large_image.layer_digest
    fetched.unlink()


@pytest.mark.long
def test_docker_pushes_and_pulls_a_layer_of_800_mib(
    skopeo: Program,
    docker_engine: DockerEngine,
    large_image: LargeImage,
    registry: RunningEntrepot,
    http: RegistryClient,
) -> None:
    """The engine unpacks it, compresses it for its own push and gets the same image back."""
    first, second = (f"{registry.host}/{http.repository}:{tag}" for tag in ("large", "again"))
    docker = _patient(docker_engine.docker)
    _patient(skopeo).run("copy", "--preserve-digests", "--dest-tls-verify=false",
                         f"oci:{large_image.layout}:large", f"docker://{first}")  # fmt: skip
    docker.run("pull", "--quiet", first)
    docker.run("tag", first, second)
    docker.run("push", "--quiet", second)
    docker_engine.remove(first, second)

    docker.run("pull", "--quiet", second)

    assert docker_engine.inspect(second)["RootFS"]["Layers"] == [large_image.layer_digest]
    docker_engine.remove(second)


def _patient(program: Program) -> Program:
    return dataclasses.replace(program, timeout_seconds=_PATIENCE_SECONDS)
