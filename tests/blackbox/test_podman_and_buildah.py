"""podman and buildah push and pull what they hold in their own storage."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.blackbox.clients.program import Program
    from tests.blackbox.conftest import Material
    from tests.blackbox.http_client import RegistryClient
    from tests.running.entrepot import RunningEntrepot


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


def _image_id(podman: Program, reference: str) -> str:
    documents: list[dict[str, Any]] = json.loads(podman.run("image", "inspect", reference))
    return f"sha256:{documents[0]['Id']}"
