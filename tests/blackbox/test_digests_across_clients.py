"""Every client names a tag by the same digest, and that digest is the one of the bytes."""

from __future__ import annotations

import contextlib
import importlib
import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.blackbox.material.images import digest_of

if TYPE_CHECKING:
    from tests.blackbox.clients.containerd import Containerd
    from tests.blackbox.clients.cosign import Cosign
    from tests.blackbox.clients.docker_engine import DockerEngine
    from tests.blackbox.clients.program import Program
    from tests.blackbox.conftest import Material
    from tests.blackbox.http_client import RegistryClient
    from tests.running.entrepot import RunningEntrepot
    from tests.running.visitors import Visitor

pytestmark = pytest.mark.real_client


@pytest.fixture
def pushed(material: Material, registry: RunningEntrepot, http: RegistryClient) -> str:
    """Push an image over plain HTTP and return its reference by tag."""
    image = material.small[0]
    http.push_blobs(image)
    assert http.put_manifest("1", image.manifest).status_code == 201
    return f"{registry.host}/{http.repository}:1"


def test_clients_that_ask_are_told_one_digest(
    skopeo: Program,
    oras: Program,
    cosign: Cosign,
    docker_engine: DockerEngine,
    material: Material,
    registry: RunningEntrepot,
    visitor: Visitor,
    pushed: str,
) -> None:
    """Each asks the registry what the tag is, in its own way."""
    signature_tag = cosign.run("triangulate", pushed).strip().rpartition(":")[2]
    listed = docker_engine.docker.run("manifest", "inspect", "--insecure", "--verbose", pushed)
    said = {
        "skopeo": json.loads(skopeo.run("inspect", "--tls-verify=false", f"docker://{pushed}"))["Digest"],
        "oras": oras.run("resolve", "--plain-http", pushed).strip(),
        "cosign": signature_tag.removesuffix(".sig").replace("-", ":"),
        "docker manifest": json.loads(listed)["Descriptor"]["digest"],
        "python oras": _ask_python_oras(registry, visitor, pushed),
    }

    assert said == dict.fromkeys(said, digest_of(material.small[0].manifest))


def test_clients_that_pull_keep_one_digest(
    podman: Program,
    buildah: Program,
    containerd: Containerd,
    docker_engine: DockerEngine,
    material: Material,
    pushed: str,
) -> None:
    """Each says of what it holds by which digest it came."""
    for program in (podman, buildah):
        program.run("pull", "--quiet", "--tls-verify=false", pushed)
    containerd.pull(pushed)
    docker_engine.docker.run("pull", "--quiet", pushed)
    said = {
        "podman": json.loads(podman.run("image", "inspect", pushed))[0]["Digest"],
        "buildah": buildah.run("images", "--format", "{{.Digest}}", pushed).strip(),
        "ctr": containerd.program.run("images", "ls", f"name=={pushed}").splitlines()[1].split()[2],
        "docker": docker_engine.inspect(pushed)["RepoDigests"][0].partition("@")[2],
    }

    assert said == dict.fromkeys(said, digest_of(material.small[0].manifest))
    for program in (podman, buildah):
        program.run("rmi", "--force", pushed)
    containerd.remove(pushed)
    docker_engine.remove(pushed)


def _ask_python_oras(registry: RunningEntrepot, visitor: Visitor, reference: str) -> str:
    library: Any = importlib.import_module("oras.provider")
    client = library.Registry(hostname=registry.host, insecure=True)
    if visitor.account is not None:
        client.auth.set_basic_auth(visitor.account.name, visitor.account.secret)
    container = client.get_container(reference)
    with contextlib.closing(client.session):
        answer = client.do_request(f"{client.prefix}://{container.manifest_url()}", headers={"Accept": "*/*"})
        return str(answer.headers["docker-content-digest"])
