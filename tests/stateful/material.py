"""The few blobs and manifests that sequences are made of: few, so that they meet again and again."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Final

__all__ = [
    "CONTENTS",
    "IMAGE_TYPE",
    "INDEX_TYPE",
    "digest_of",
    "image_manifest",
    "index_manifest",
]

IMAGE_TYPE: Final = "application/vnd.oci.image.manifest.v1+json"
INDEX_TYPE: Final = "application/vnd.oci.image.index.v1+json"
_CONFIG_TYPE: Final = "application/vnd.oci.image.config.v1+json"
_LAYER_TYPE: Final = "application/vnd.oci.image.layer.v1.tar"
_SIZES: Final = (0, 1, 200, 4096, 70_000, 150_000)
"""Empty, tiny, and on both sides of what is sent from memory (64 KiB)."""


def digest_of(content: bytes, algorithm: str = "sha256") -> str:
    """Return the digest of `content` as a reference spells it."""
    return f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}"


class _Content(bytes):
    """Bytes that a failing example prints in a few characters."""

    def __repr__(self) -> str:
        return f"<{len(self)} bytes>"


CONTENTS: Final = tuple(
    _Content(hashlib.shake_256(b"content %d" % number).digest(size)) for number, size in enumerate(_SIZES)
)


def image_manifest(blobs: tuple[bytes, ...], subject: bytes | None, variant: int) -> bytes:
    """Return an image manifest: the first blob is its config, the others its layers."""
    document: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": IMAGE_TYPE,
        "config": _descriptor(blobs[0], _CONFIG_TYPE),
        "layers": [_descriptor(blob, _LAYER_TYPE) for blob in blobs[1:]],
        "annotations": {"variant": str(variant)},
    }
    if subject is not None:
        document["subject"] = _descriptor(subject, IMAGE_TYPE)
        document["artifactType"] = f"application/vnd.test.{variant}"
    return json.dumps(document).encode()


def index_manifest(children: tuple[tuple[bytes, str], ...], variant: int) -> bytes:
    """Return an index of `children`, each with its media type."""
    document = {
        "schemaVersion": 2,
        "mediaType": INDEX_TYPE,
        "manifests": [_descriptor(child, media_type) for child, media_type in children],
        "annotations": {"variant": str(variant)},
    }
    return json.dumps(document).encode()


def _descriptor(content: bytes, media_type: str) -> dict[str, object]:
    return {"mediaType": media_type, "digest": digest_of(content), "size": len(content)}
