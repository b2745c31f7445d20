"""Pushes or deletes an image through the application in this process, and writes down what was acknowledged."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from entrepot.oci.digest import Digest
from tests.faults.image import TAG, OneLayerImage

if TYPE_CHECKING:
    from pathlib import Path

    from tests.asgi.client import AsgiClient, AsgiReply

__all__ = [
    "Acknowledgement",
    "AcknowledgementLog",
    "delete_image",
    "deletion_paths",
    "push_image",
    "read_acknowledgements",
]

_MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
_CHUNK_BYTES = 100_000


class Acknowledgement(msgspec.Struct, frozen=True):
    """One 2xx answer: what the registry has promised.

    `what` is `session`, `chunk`, `blob`, `manifest` or `deleted`; `name` a session's path, a digest, or the path that
    was deleted; `offset` of a chunk.
    """

    what: str
    name: str
    offset: int = 0


@dataclass(frozen=True, slots=True)
class AcknowledgementLog:
    """A file that outlives the process: written with one system call per answer, so a kill loses nothing."""

    descriptor: int

    @classmethod
    def open(cls, path: Path) -> AcknowledgementLog:
        """Append to `path`."""
        return cls(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600))

    def add(self, acknowledgement: Acknowledgement) -> None:
        """Write one line."""
        os.write(self.descriptor, msgspec.json.encode(acknowledgement) + b"\n")


def read_acknowledgements(path: Path) -> list[Acknowledgement]:
    """Return what was acknowledged before the process ended."""
    if not path.exists():
        return []
    return [msgspec.json.decode(line, type=Acknowledgement) for line in path.read_bytes().splitlines()]


async def push_image(client: AsgiClient, image: OneLayerImage, log: AcknowledgementLog) -> None:
    """Push blobs by POST, PATCH and an empty PUT, then the manifest by tag."""
    for blob in image.blobs:
        await _push_blob(client, image.repository, blob, log)
    reply = await client.request(
        "PUT", f"/v2/{image.repository}/manifests/{TAG}", {"Content-Type": _MANIFEST_TYPE}, [image.manifest]
    )
    _require(reply, 201)
    log.add(Acknowledgement("manifest", reply.headers["docker-content-digest"]))


def deletion_paths(image: OneLayerImage) -> list[str]:
    """Return what a delete of everything asks for, in the order in which nothing is refused."""
    manifests = [f"/v2/{image.repository}/manifests/{one}" for one in (TAG, Digest.of_bytes(image.manifest))]
    return manifests + [f"/v2/{image.repository}/blobs/{Digest.of_bytes(blob)}" for blob in image.blobs]


async def delete_image(client: AsgiClient, image: OneLayerImage, log: AcknowledgementLog) -> None:
    """Delete the tag, the manifest and its blobs."""
    for path in deletion_paths(image):
        _require(await client.request("DELETE", path), 202)
        log.add(Acknowledgement("deleted", path))


async def _push_blob(client: AsgiClient, repository: str, blob: bytes, log: AcknowledgementLog) -> None:
    reply = await client.request("POST", f"/v2/{repository}/blobs/uploads/")
    session = _require(reply, 202).headers["location"]
    log.add(Acknowledgement("session", session))
    chunks = [blob[start : start + _CHUNK_BYTES] for start in range(0, len(blob), _CHUNK_BYTES)]
    reply = await client.request("PATCH", session, {}, chunks)
    session = _require(reply, 202).headers["location"]
    log.add(Acknowledgement("chunk", session, len(blob)))
    digest = str(Digest.of_bytes(blob))
    _require(await client.request("PUT", f"{session}?digest={digest}", {"Content-Length": "0"}), 201)
    log.add(Acknowledgement("blob", digest))


def _require(reply: AsgiReply, status: int) -> AsgiReply:
    if reply.status != status:
        message = f"expected {status}, got {reply.status}: {reply.body!r}"
        raise AssertionError(message)
    return reply
