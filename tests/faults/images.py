"""Images of several shapes, small and deterministic: one layer, two layers, and an index of two images.

An image here is what has to be pushed, in order: blobs, then manifests, of which the last one is tagged.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from entrepot.oci.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["SHAPES", "TAG", "Image", "Manifest", "index_of_two_images", "one_layer_image", "two_layer_image"]

TAG: Final = "latest"
_MANIFEST_TYPE: Final = "application/vnd.oci.image.manifest.v1+json"
_INDEX_TYPE: Final = "application/vnd.oci.image.index.v1+json"
_CONFIG_TYPE: Final = "application/vnd.oci.image.config.v1+json"
_LAYER_TYPE: Final = "application/vnd.oci.image.layer.v1.tar+gzip"
_LAYER_BYTES: Final = 80_000
"""More than what is sent from memory and hashed at each GET, so that a pull reads the file."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """An image manifest or an index, and the references under which it is pushed: a tag, or none for its digest."""

    content: bytes
    media_type: str
    tag: str = ""

    @property
    def digest(self) -> str:
        """Its sha256 digest."""
        return str(Digest.of_bytes(self.content))

    @property
    def reference(self) -> str:
        """What its PUT names."""
        return self.tag or self.digest


@dataclass(frozen=True, slots=True)
class Image:
    """What a push of one tag stores, in the order in which clients send it."""

    repository: str
    blobs: tuple[bytes, ...]
    manifests: tuple[Manifest, ...]


def one_layer_image(seed: int, repository: str) -> Image:
    """Return a config, one layer and a tagged manifest."""
    return _image(seed, repository, layers=1)


def two_layer_image(seed: int, repository: str) -> Image:
    """Return a config, two layers and a tagged manifest."""
    return _image(seed, repository, layers=2)


def index_of_two_images(seed: int, repository: str) -> Image:
    """Return two images of one layer each, pushed by digest, and a tagged index of both."""
    children = [_image(2 * seed + number, repository, layers=1, tag="") for number in (0, 1)]
    manifests = [child.manifests[0] for child in children]
    listed = [_descriptor(one.content, one.media_type) for one in manifests]
    index = {"schemaVersion": 2, "mediaType": _INDEX_TYPE, "manifests": listed}
    blobs = tuple(blob for child in children for blob in child.blobs)
    return Image(repository, blobs, (*manifests, Manifest(json.dumps(index).encode(), _INDEX_TYPE, TAG)))


SHAPES: Final[Mapping[str, Callable[[int, str], Image]]] = {
    "one-layer": one_layer_image,
    "two-layer": two_layer_image,
    "index": index_of_two_images,
}
"""Every shape by its name: called with a seed and a repository."""


def _image(seed: int, repository: str, *, layers: int, tag: str = TAG) -> Image:
    contents = [
        hashlib.shake_256(b"layer %d of image %d" % (number, seed)).digest(_LAYER_BYTES)
        for number in range(layers)
    ]
    config = json.dumps({"architecture": "amd64", "os": "linux", "seed": seed}).encode()
    manifest = {
        "schemaVersion": 2,
        "mediaType": _MANIFEST_TYPE,
        "config": _descriptor(config, _CONFIG_TYPE),
        "layers": [_descriptor(layer, _LAYER_TYPE) for layer in contents],
    }
    body = Manifest(json.dumps(manifest).encode(), _MANIFEST_TYPE, tag)
    return Image(repository, (*contents, config), (body,))


def _descriptor(content: bytes, media_type: str) -> dict[str, object]:
    return {"mediaType": media_type, "digest": str(Digest.of_bytes(content)), "size": len(content)}
