"""containerd pulls and pushes with all platforms of an index."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.blackbox.material.images import build_index, digest_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from tests.blackbox.clients.containerd import Containerd
    from tests.blackbox.clients.program import Program
    from tests.blackbox.clients.request_log import RequestLog
    from tests.blackbox.conftest import Material
    from tests.blackbox.http_client import RegistryClient
    from tests.running.entrepot import RunningEntrepot

pytestmark = pytest.mark.real_client


def test_containerd_pulls_an_index_and_pushes_it_elsewhere(
    containerd: Containerd,
    skopeo: Program,
    material: Material,
    registry: RunningEntrepot,
    http: RegistryClient,
) -> None:
    """The index arrives in the second repository under the same digest, with every blob."""
    source = f"{registry.host}/{http.repository}-source:multi"
    target = f"{registry.host}/{http.repository}:multi"
    # Its memory of blobs, one for all that root runs, may know the same layers in another compression.
    skopeo.run(
        *("copy", "--all", "--preserve-digests", "--dest-tls-verify=false"),
        *(f"oci:{material.small_layout}:multi", f"docker://{source}"),
    )

    containerd.pull(source, "--all-platforms")
    containerd.program.run("images", "tag", source, target)
    containerd.push(target)

    index = build_index(material.small)
    assert http.get_manifest("multi").content == index
    assert http.get_manifest("multi").headers["docker-content-digest"] == digest_of(index)
    for image in material.small:
        assert [http.get_blob(digest_of(blob)).content for blob in image.blobs] == list(image.blobs)
    containerd.remove(source, target)


def test_containerd_runs_the_image_it_pulled(
    containerd: Containerd, skopeo: Program, material: Material, registry: RunningEntrepot, repository: str
) -> None:
    """Its digest is the registry's, and a container of it says what it was told to."""
    reference = f"{registry.host}/{repository}:multi"
    skopeo.run("copy", "--all", "--preserve-digests", "--dest-tls-verify=false",
               f"oci:{material.small_layout}:multi", f"docker://{reference}")  # fmt: skip

    containerd.pull(reference)
    listed = containerd.program.run("images", "ls", f"name=={reference}")
    said = containerd.program.run("run", "--rm", "--snapshotter", "native", "--runc-binary", "runc",
                   reference, repository.partition("/")[0], "/bin/echo", "it runs")  # fmt: skip

    assert said == "it runs\n"
    assert digest_of(build_index(material.small)) in listed
    containerd.remove(reference)


def test_containerd_pushes_again_without_sending_a_byte(
    containerd: Containerd,
    skopeo: Program,
    material: Material,
    registry: RunningEntrepot,
    http: RegistryClient,
    watch: Callable[[], AbstractContextManager[RequestLog]],
) -> None:
    """It asks for each blob and manifest by HEAD and finds them all."""
    reference = f"{registry.host}/{http.repository}:multi"
    skopeo.run("copy", "--all", "--dest-tls-verify=false",
               f"oci:{material.small_layout}:multi", f"docker://{reference}")  # fmt: skip
    containerd.pull(reference, "--all-platforms")
    containerd.program.run("images", "tag", reference, f"{reference}-again")

    with watch() as seen:
        containerd.push(f"{reference}-again")

    assert (seen.begun_uploads, seen.sent_bodies) == ([], [])
    assert http.get_manifest("multi-again").content == build_index(material.small)
    containerd.remove(reference, f"{reference}-again")


def test_containerd_mounts_blobs_of_the_repository_it_pulled_from(
    containerd: Containerd,
    skopeo: Program,
    material: Material,
    registry: RunningEntrepot,
    http: RegistryClient,
    watch: Callable[[], AbstractContextManager[RequestLog]],
) -> None:
    """It remembers where each blob came from and names it in `from`; no blob is sent."""
    source = f"{registry.host}/{http.repository}-source:multi"
    target = f"{registry.host}/{http.repository}:multi"
    skopeo.run("copy", "--all", "--dest-tls-verify=false",
               f"oci:{material.small_layout}:multi", f"docker://{source}")  # fmt: skip
    containerd.pull(source, "--all-platforms")
    containerd.program.run("images", "tag", source, target)

    with watch() as seen:
        containerd.push(target)

    assert set(seen.begun_uploads) == {201}
    assert seen.sent_bodies == []
    assert http.get_manifest("multi").content == build_index(material.small)
    containerd.remove(source, target)


def test_containerd_pulls_layers_compressed_with_zstd(
    containerd: Containerd,
    buildah: Program,
    material: Material,
    registry: RunningEntrepot,
    http: RegistryClient,
) -> None:
    """It unpacks them, which checks each against the diff id in the configuration."""
    reference = f"{registry.host}/{http.repository}:zstd"
    local = buildah.run("pull", "--quiet", f"docker-archive:{material.small_archive('amd64')}").strip()
    buildah.run("push", "--quiet", "--tls-verify=false", "--format", "oci", "--compression-format", "zstd",
                "--force-compression", local, f"docker://{reference}")  # fmt: skip

    containerd.pull(reference)

    stored = http.get_manifest("zstd")
    assert all(layer["mediaType"].endswith("+zstd") for layer in json.loads(stored.content)["layers"])
    assert stored.headers["docker-content-digest"] in containerd.program.run(
        "images", "ls", f"name=={reference}"
    )
    containerd.remove(reference)
    buildah.run("rmi", "--force", local)
