"""What all servers are loaded with: the same manifests and blobs, made from a seed, so that every run has the same."""

from __future__ import annotations

import hashlib
import json
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.scale import Scale

__all__ = [
    "BLOB_REPOSITORY",
    "IMAGE_REPOSITORY",
    "MANIFEST_REPOSITORY",
    "MANIFEST_TYPE",
    "PROJECT",
    "Material",
    "digest_of",
    "tag_of",
]

PROJECT: Final = "bench"
MANIFEST_REPOSITORY: Final = "bench/manifests"
BLOB_REPOSITORY: Final = "bench/blobs"
IMAGE_REPOSITORY: Final = "bench/image"
MANIFEST_TYPE: Final = "application/vnd.oci.image.manifest.v1+json"

_CONFIG_TYPE: Final = "application/vnd.oci.image.config.v1+json"
_LAYER_TYPE: Final = "application/vnd.oci.image.layer.v1.tar+gzip"
_LAYERS_PER_MANIFEST: Final = 10
_PIECE_BYTES: Final = 16 * 1024 * 1024
_SEED: Final = 20_261_123


def digest_of(content: bytes) -> str:
    """Return the SHA-256 digest as registries write it."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def tag_of(number: int) -> str:
    """Return the tag of manifest `number`."""
    return f"tag-{number:05d}"


@dataclass(frozen=True)
class Material:
    """The content of one run. Small things are made anew on demand rather than kept."""

    scale: Scale

    def manifest_blobs(self) -> list[bytes]:
        """Return what the manifests refer to: a configuration, then the layers."""
        config = json.dumps(
            {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}}
        )
        return [config.encode(), *(f"layer {number}".encode() for number in range(_LAYERS_PER_MANIFEST))]

    def manifests(self) -> Iterator[tuple[str, bytes]]:
        """Yield tag and body of every manifest: ten layers, about 2 KB, no two alike."""
        config, *layers = self.manifest_blobs()
        for number in range(self.scale.tag_count):
            body = {
                "schemaVersion": 2,
                "mediaType": MANIFEST_TYPE,
                "config": _descriptor(_CONFIG_TYPE, config),
                "layers": [_descriptor(_LAYER_TYPE, layer) for layer in layers],
                "annotations": {"org.opencontainers.image.version": str(number)},
            }
            yield tag_of(number), json.dumps(body, indent=1).encode()

    def small_blobs(self) -> Iterator[bytes]:
        """Yield the blobs of 16 KiB."""
        chance = random.Random(_SEED)  # noqa: S311 - not secret
        for _ in range(self.scale.small_blob_count):
            yield chance.randbytes(self.scale.small_blob_bytes)

    def large_blob(self) -> bytes:
        """Return the large blob, made in pieces: `randbytes` overflows at 256 MiB."""
        chance = random.Random(_SEED + 1)  # noqa: S311 - not secret
        whole, rest = divmod(self.scale.large_blob_bytes, _PIECE_BYTES)
        return b"".join([*(chance.randbytes(_PIECE_BYTES) for _ in range(whole)), chance.randbytes(rest)])

    def absent_digests(self) -> list[str]:
        """Return digests that no server has."""
        return [digest_of(f"absent {number}".encode()) for number in range(1000)]


def _descriptor(media_type: str, content: bytes) -> dict[str, object]:
    return {"mediaType": media_type, "digest": digest_of(content), "size": len(content)}
