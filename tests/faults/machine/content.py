"""What is pushed, mounted and deleted here: a few blobs and the manifests over them, small and deterministic."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from entrepot.oci.digest import Digest
from tests.faults.pushing import Acknowledgement

if TYPE_CHECKING:
    from tests.asgi.client import AsgiClient, AsgiReply
    from tests.faults.pushing import AcknowledgementLog

__all__ = [
    "SHAPES",
    "Content",
    "Manifest",
    "RefusedError",
    "content_of",
    "delete_content",
    "mount_content",
    "push_blob",
    "push_content",
]

_IMAGE: Final = "application/vnd.oci.image.manifest.v1+json"
_INDEX: Final = "application/vnd.oci.image.index.v1+json"
_LAYER_BYTES: Final = 100_000
"""More than what is sent from memory, so that a pull reads the file."""
_LARGE_BYTES: Final = 18 * 1024 * 1024
"""More than what a file has before room is taken ahead for it."""
_IMAGES: Final = {
    "one layer": (1, _LAYER_BYTES),
    "two layers": (2, _LAYER_BYTES),
    "large layer": (1, _LARGE_BYTES),
}
"""How many layers of how many bytes."""
SHAPES: Final = (*_IMAGES, "index")
MOUNTED_SUFFIX: Final = "-mounted"


class RefusedError(AssertionError):
    """A step was answered with another status than that of success; the registry lives."""

    def __init__(self, step: str, reply: AsgiReply) -> None:
        super().__init__(f"{step}: {reply.status} {reply.body!r}")
        self.step = step
        self.reply = reply


@dataclass(frozen=True, slots=True)
class Manifest:
    """An image manifest or an index: where it is put, its bytes, and the digests of what it needs."""

    reference: str
    media_type: str
    body: bytes
    needs_blobs: tuple[str, ...]
    needs_manifests: tuple[str, ...]

    @property
    def digest(self) -> str:
        """Its digest."""
        return str(Digest.of_bytes(self.body))

    @property
    def references(self) -> tuple[str, ...]:
        """What it can be asked for by."""
        return tuple(dict.fromkeys((self.reference, self.digest)))


@dataclass(frozen=True, slots=True)
class Content:
    """Blobs and manifests of one repository in the order in which they are pushed."""

    repository: str
    blobs: tuple[bytes, ...]
    manifests: tuple[Manifest, ...]

    def deletion_paths(self) -> tuple[str, ...]:
        """What a delete of everything asks for, in the order in which nothing is refused."""
        base = f"/v2/{self.repository}"
        tags = [one.reference for one in self.manifests if one.reference != one.digest]
        digests = [one.digest for one in reversed(self.manifests)]
        manifests = tuple(f"{base}/manifests/{reference}" for reference in (*tags, *digests))
        return (*manifests, *(f"{base}/blobs/{Digest.of_bytes(blob)}" for blob in self.blobs))


def content_of(shape: str, seed: int, repository: str) -> Content:
    """Return one of the `SHAPES` for `repository`, its bytes depending on `seed` only."""
    if shape in _IMAGES:
        blobs, manifest = _image(f"{seed}", "latest", *_IMAGES[shape])
        return Content(repository, blobs, (manifest,))
    children = [_image(f"{seed} {number}", "", 1, _LAYER_BYTES) for number in range(2)]
    manifests = tuple(manifest for _, manifest in children)
    entries = [_descriptor(one.body, one.media_type) for one in manifests]
    body = _json({"schemaVersion": 2, "mediaType": _INDEX, "manifests": entries})
    index = Manifest("latest", _INDEX, body, (), tuple(one.digest for one in manifests))
    return Content(repository, tuple(blob for blobs, _ in children for blob in blobs), (*manifests, index))


async def push_content(client: AsgiClient, content: Content, log: AcknowledgementLog) -> None:
    """Push all of it as Docker does, each blob by POST, PATCH and an empty PUT; note each 2xx.

    Raises:
        RefusedError: a step was answered with something else.
    """
    for blob in content.blobs:
        await push_blob(client, content.repository, blob, log)
    for manifest in content.manifests:
        path = f"/v2/{content.repository}/manifests/{manifest.reference}"
        reply = await client.request("PUT", path, {"Content-Type": manifest.media_type}, [manifest.body])
        _require(path, reply, 201)
        log.add(Acknowledgement("manifest", manifest.digest))


async def push_blob(client: AsgiClient, repository: str, blob: bytes, log: AcknowledgementLog) -> None:
    """Push one blob.

    Raises:
        RefusedError: a step was answered with something else than 2xx.
    """
    reply = await client.request("POST", f"/v2/{repository}/blobs/uploads/")
    session = _require("POST", reply, 202).headers["location"]
    log.add(Acknowledgement("session", session))
    reply = await client.request("PATCH", session, {}, [blob])
    session = _require("PATCH", reply, 202).headers["location"]
    log.add(Acknowledgement("chunk", session, len(blob)))
    digest = str(Digest.of_bytes(blob))
    _require("PUT", await client.request("PUT", f"{session}?digest={digest}", {"Content-Length": "0"}), 201)
    log.add(Acknowledgement("blob", digest))


async def mount_content(client: AsgiClient, content: Content, log: AcknowledgementLog) -> None:
    """Mount all blobs into a second repository; note each 201."""
    for blob in content.blobs:
        digest = Digest.of_bytes(blob)
        target = f"/v2/{content.repository}{MOUNTED_SUFFIX}/blobs/uploads/?mount={digest}&from={content.repository}"
        _require("mount", await client.request("POST", target), 201)
        log.add(Acknowledgement("mounted", str(digest)))


async def delete_content(client: AsgiClient, content: Content, log: AcknowledgementLog) -> None:
    """Delete tags, manifests and blobs; note each 202."""
    for path in content.deletion_paths():
        _require(path, await client.request("DELETE", path), 202)
        log.add(Acknowledgement("deleted", path))


def _image(seed: str, tag: str, layer_count: int, layer_bytes: int) -> tuple[tuple[bytes, ...], Manifest]:
    layers = [
        hashlib.shake_256(f"layer {seed} {number}".encode()).digest(layer_bytes + number)
        for number in range(layer_count)
    ]
    config = _json({"architecture": "amd64", "os": "linux", "seed": seed})
    body = _json(
        {
            "schemaVersion": 2,
            "mediaType": _IMAGE,
            "config": _descriptor(config, "application/vnd.oci.image.config.v1+json"),
            "layers": [_descriptor(layer, "application/vnd.oci.image.layer.v1.tar+gzip") for layer in layers],
        }
    )
    blobs = (*layers, config)
    needed = tuple(str(Digest.of_bytes(blob)) for blob in blobs)
    return blobs, Manifest(tag or str(Digest.of_bytes(body)), _IMAGE, body, needed, ())


def _descriptor(content: bytes, media_type: str) -> dict[str, object]:
    return {"mediaType": media_type, "digest": str(Digest.of_bytes(content)), "size": len(content)}


def _json(document: dict[str, object]) -> bytes:
    return json.dumps(document).encode()


def _require(step: str, reply: AsgiReply, status: int) -> AsgiReply:
    if reply.status != status:
        raise RefusedError(step, reply)
    return reply
