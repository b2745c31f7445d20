"""Builds images as values: layers, configuration, manifest and index, all bytes decided here."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import random
import tarfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "DOCKER_LIST",
    "DOCKER_MANIFEST",
    "IMAGE_MANIFEST",
    "INDEX",
    "Image",
    "Layer",
    "build_image",
    "build_index",
    "build_layer",
    "build_random_layer",
    "digest_of",
    "to_json",
]

IMAGE_MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
INDEX: Final = "application/vnd.oci.image.index.v1+json"
DOCKER_MANIFEST: Final = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST: Final = "application/vnd.docker.distribution.manifest.list.v2+json"
_CONFIG: Final = "application/vnd.oci.image.config.v1+json"
_GZIP_LAYER: Final = "application/vnd.oci.image.layer.v1.tar+gzip"
_CREATED: Final = "2026-01-01T00:00:00Z"


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer: its tar archive and the gzip form of it that travels (spec: image-spec, layer.md)."""

    tar: bytes = field(repr=False)
    compressed: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Image:
    """One image for one platform."""

    architecture: str
    layers: tuple[Layer, ...]
    config: bytes
    manifest: bytes

    @property
    def digest(self) -> str:
        """The digest of the manifest."""
        return digest_of(self.manifest)

    @property
    def config_digest(self) -> str:
        """The digest of the configuration: what Docker calls the image id."""
        return digest_of(self.config)

    @property
    def blobs(self) -> tuple[bytes, ...]:
        """The configuration and the compressed layers."""
        return (self.config, *(layer.compressed for layer in self.layers))


def digest_of(content: bytes) -> str:
    """Return the sha256 digest of `content` as `sha256:<hex>`."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def to_json(document: Any) -> bytes:
    """Return a document as the one JSON text the tests use for it."""
    return json.dumps(document, separators=(",", ":"), sort_keys=True).encode()


def build_layer(files: Mapping[str, bytes], links: Mapping[str, str] | None = None) -> Layer:
    """Return a layer of executable files by path, and symbolic links by path."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for path, content in files.items():
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(content), 0o755
            archive.addfile(entry, io.BytesIO(content))
        for path, target in (links or {}).items():
            entry = tarfile.TarInfo(path)
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            archive.addfile(entry)
    tar = buffer.getvalue()
    # Level 0 stores: what is tested is the transport of bytes, not this machine's patience with deflate.
    return Layer(tar, gzip.compress(tar, compresslevel=0, mtime=0))


def build_random_layer(path: str, size_bytes: int, seed: int) -> Layer:
    """Return a layer of one file that nothing can compress and that every run makes alike."""
    return build_layer({path: random.Random(seed).randbytes(size_bytes)})


def build_image(layers: Sequence[Layer], architecture: str = "amd64") -> Image:
    """Return an OCI image of these layers, lowest first."""
    config = to_json(
        {
            "architecture": architecture,
            "config": {"Cmd": ["/bin/sh"], "Env": ["PATH=/bin"]},
            "created": _CREATED,
            "history": [
                {"created": _CREATED, "created_by": f"layer {number}"} for number in range(len(layers))
            ],
            "os": "linux",
            "rootfs": {"diff_ids": [digest_of(layer.tar) for layer in layers], "type": "layers"},
        }
    )
    manifest = to_json(
        {
            "config": _describe(_CONFIG, config),
            "layers": [_describe(_GZIP_LAYER, layer.compressed) for layer in layers],
            "mediaType": IMAGE_MANIFEST,
            "schemaVersion": 2,
        }
    )
    return Image(architecture, tuple(layers), config, manifest)


def build_index(images: Sequence[Image]) -> bytes:
    """Return an OCI index of images, one per platform."""
    entries = [
        {
            **_describe(IMAGE_MANIFEST, image.manifest),
            "platform": {"architecture": image.architecture, "os": "linux"},
        }
        for image in images
    ]
    return to_json({"manifests": entries, "mediaType": INDEX, "schemaVersion": 2})


def _describe(media_type: str, content: bytes) -> dict[str, Any]:
    return {"digest": digest_of(content), "mediaType": media_type, "size": len(content)}
