"""containerd pulls and pushes with all platforms of an index."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.blackbox.material.images import build_index, digest_of

if TYPE_CHECKING:
    from tests.blackbox.clients.program import Program
    from tests.blackbox.conftest import Material
    from tests.blackbox.http_client import RegistryClient
    from tests.running.entrepot import RunningEntrepot


def test_containerd_pulls_an_index_and_pushes_it_elsewhere(
    ctr: Program, skopeo: Program, material: Material, registry: RunningEntrepot, http: RegistryClient
) -> None:
    """The index arrives in the second repository under the same digest, with every blob."""
    source = f"{registry.host}/{http.repository}-source:multi"
    target = f"{registry.host}/{http.repository}:multi"
    skopeo.run(
        "copy", "--all", "--dest-tls-verify=false", f"oci:{material.small_layout}:multi", f"docker://{source}"
    )

    ctr.run("images", "pull", "--plain-http", "--snapshotter", "native", "--all-platforms", source)
    ctr.run("images", "tag", source, target)
    ctr.run("images", "push", "--plain-http", target)

    index = build_index(material.small)
    assert http.get_manifest("multi").content == index
    assert http.get_manifest("multi").headers["docker-content-digest"] == digest_of(index)
    for image in material.small:
        assert [http.get_blob(digest_of(blob)).content for blob in image.blobs] == list(image.blobs)
    ctr.run("images", "rm", "--sync", source, target)
