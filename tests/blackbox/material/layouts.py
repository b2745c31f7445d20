"""Writes images where client programs can read them, and reads back what they wrote."""

from __future__ import annotations

import io
import json
import tarfile
from typing import TYPE_CHECKING, Any

from tests.blackbox.material.images import IMAGE_MANIFEST, INDEX, Image, build_index, digest_of, to_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

__all__ = ["read_layout", "write_docker_archive", "write_index_layout", "write_layout"]


def write_layout(directory: Path, tag: str, image: Image) -> None:
    """Write one image as an OCI layout (image-spec, image-layout.md)."""
    _write_layout(directory, tag, IMAGE_MANIFEST, image.manifest, image.blobs)


def write_index_layout(directory: Path, tag: str, images: Sequence[Image]) -> None:
    """Write several images and the index that lists them as an OCI layout."""
    blobs = [blob for image in images for blob in (image.manifest, *image.blobs)]
    _write_layout(directory, tag, INDEX, build_index(images), blobs)


def _write_layout(directory: Path, tag: str, media_type: str, root: bytes, blobs: Iterable[bytes]) -> None:
    blob_directory = directory / "blobs" / "sha256"
    blob_directory.mkdir(parents=True)
    for blob in (root, *blobs):
        (blob_directory / digest_of(blob).removeprefix("sha256:")).write_bytes(blob)
    entry = {
        "annotations": {"org.opencontainers.image.ref.name": tag},
        "digest": digest_of(root),
        "mediaType": media_type,
        "size": len(root),
    }
    (directory / "oci-layout").write_bytes(to_json({"imageLayoutVersion": "1.0.0"}))
    (directory / "index.json").write_bytes(to_json({"manifests": [entry], "schemaVersion": 2}))


def read_layout(directory: Path) -> tuple[str, dict[str, bytes]]:
    """Return the digest that an OCI layout of one tag points at, and every blob in it by digest."""
    entries: list[dict[str, Any]] = json.loads((directory / "index.json").read_bytes())["manifests"]
    assert len(entries) == 1
    blobs = {f"sha256:{file.name}": file.read_bytes() for file in (directory / "blobs" / "sha256").iterdir()}
    return str(entries[0]["digest"]), blobs


def write_docker_archive(file: Path, name: str, image: Image) -> None:
    """Write one image as `docker load` reads it, under the reference `name`."""
    config_name = f"{image.config_digest.removeprefix('sha256:')}.json"
    layer_names = [f"layer{number}.tar" for number in range(len(image.layers))]
    contents = [{"Config": config_name, "Layers": layer_names, "RepoTags": [name]}]
    members = [
        ("manifest.json", to_json(contents)),
        (config_name, image.config),
        *((layer_name, layer.tar) for layer_name, layer in zip(layer_names, image.layers, strict=True)),
    ]
    with tarfile.open(file, "w", format=tarfile.USTAR_FORMAT) as archive:
        for member_name, content in members:
            entry = tarfile.TarInfo(member_name)
            entry.size, entry.mode = len(content), 0o644
            archive.addfile(entry, io.BytesIO(content))
