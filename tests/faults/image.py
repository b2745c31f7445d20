"""A one-layer image, small and deterministic, and the requests that push it the way Docker does."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

from entrepot.oci.digest import Digest

__all__ = ["REPOSITORY", "TAG", "OneLayerImage", "one_layer_image"]

REPOSITORY = "faults/image"
TAG = "latest"
_LAYER_BYTES = 300_000
"""More than what is sent from memory, so that a pull reads the file."""


@dataclass(frozen=True, slots=True)
class OneLayerImage:
    """The three things that a push of this image stores."""

    repository: str
    layer: bytes
    config: bytes
    manifest: bytes

    @property
    def blobs(self) -> tuple[bytes, bytes]:
        """What is pushed before the manifest."""
        return self.layer, self.config


def one_layer_image(seed: int, repository: str = REPOSITORY) -> OneLayerImage:
    """Return an image of `repository` whose bytes depend on `seed` only."""
    layer = hashlib.shake_256(b"layer %d" % seed).digest(_LAYER_BYTES)
    config = json.dumps({"architecture": "amd64", "os": "linux", "seed": seed}).encode()
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": _descriptor(config, "application/vnd.oci.image.config.v1+json"),
        "layers": [_descriptor(layer, "application/vnd.oci.image.layer.v1.tar+gzip")],
    }
    return OneLayerImage(repository, layer, config, json.dumps(manifest).encode())


def _descriptor(content: bytes, media_type: str) -> dict[str, object]:
    return {"mediaType": media_type, "digest": str(Digest.of_bytes(content)), "size": len(content)}
