"""umoci works on layouts; skopeo carries them to the registry and back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.blackbox.material.layouts import read_layout

if TYPE_CHECKING:
    from pathlib import Path

    from tests.blackbox.clients.program import Program
    from tests.blackbox.conftest import Material
    from tests.blackbox.http_client import RegistryClient
    from tests.running.entrepot import RunningEntrepot

pytestmark = pytest.mark.real_client


def test_umoci_unpacks_what_came_back_from_the_registry(
    umoci: Program, skopeo: Program, registry: RunningEntrepot, http: RegistryClient, tmp_path: Path
) -> None:
    """An image made from nothing: the layout that comes back is the one sent, down to the file in it."""
    layout, bundle, back = (str(tmp_path / name) for name in ("layout", "bundle", "back"))
    umoci.run("init", "--layout", layout)
    umoci.run("new", "--image", f"{layout}:1")
    umoci.run("unpack", "--image", f"{layout}:1", bundle)
    (tmp_path / "bundle" / "rootfs" / "greeting").write_text(http.repository)
    umoci.run("repack", "--image", f"{layout}:1", bundle)
    umoci.run("gc", "--layout", layout)
    remote = f"docker://{registry.host}/{http.repository}:1"

    skopeo.run("copy", "--preserve-digests", "--dest-tls-verify=false", f"oci:{layout}:1", remote)
    skopeo.run("copy", "--preserve-digests", "--src-tls-verify=false", remote, f"oci:{back}:1")
    umoci.run("unpack", "--image", f"{back}:1", f"{bundle}-back")

    assert read_layout(tmp_path / "back") == read_layout(tmp_path / "layout")
    assert (tmp_path / "bundle-back" / "rootfs" / "greeting").read_text() == http.repository


def test_umoci_adds_a_layer_to_an_image_of_the_registry(
    umoci: Program,
    skopeo: Program,
    material: Material,
    registry: RunningEntrepot,
    http: RegistryClient,
    tmp_path: Path,
) -> None:
    """Pulled, changed and pushed under a second tag: the old layers below, the new configuration in it."""
    image = material.small[0]
    http.push_blobs(image)
    assert http.put_manifest("1", image.manifest).status_code == 201
    remote = f"docker://{registry.host}/{http.repository}"
    local = f"{tmp_path}/layout:1"
    skopeo.run("copy", "--preserve-digests", "--src-tls-verify=false", f"{remote}:1", f"oci:{local}")

    umoci.run("unpack", "--image", local, f"{tmp_path}/bundle")
    (tmp_path / "bundle" / "rootfs" / "added").write_text("by umoci")
    umoci.run("repack", "--image", local, f"{tmp_path}/bundle")
    umoci.run("config", "--image", local, "--config.user", "nobody")
    skopeo.run("copy", "--preserve-digests", "--dest-tls-verify=false", f"oci:{local}", f"{remote}:2")

    layers = [
        [layer["digest"] for layer in json.loads(http.get_manifest(tag).content)["layers"]] for tag in "12"
    ]
    assert layers[1][:-1] == layers[0]
    config = json.loads(http.get_manifest("2").content)["config"]["digest"]
    assert http.get_blob(config).json()["config"]["User"] == "nobody"
