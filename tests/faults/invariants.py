"""Looks at a registry after a fault, the way clients and an operator would, and names each broken promise."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from entrepot.oci.digest import Digest
from tests.faults.image import REPOSITORY, TAG, OneLayerImage

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.asgi.client import AsgiClient
    from tests.faults.pushing import Acknowledgement

__all__ = ["check_acknowledged", "check_stored_bytes", "check_visible"]


async def check_acknowledged(
    client: AsgiClient, image: OneLayerImage, acknowledged: Sequence[Acknowledgement]
) -> None:
    """I1: whatever was answered with 2xx is still there."""
    finished = {one.name for one in acknowledged if one.what == "blob"}
    contents = {str(Digest.of_bytes(blob)): blob for blob in image.blobs}
    for one in acknowledged:
        if one.what == "blob":
            reply = await client.request("GET", f"/v2/{REPOSITORY}/blobs/{one.name}")
            assert (reply.status, reply.body) == (200, contents[one.name]), f"I1: blob {one.name}"
        elif one.what == "manifest":
            for reference in (TAG, one.name):
                reply = await client.request("GET", f"/v2/{REPOSITORY}/manifests/{reference}")
                assert (reply.status, reply.body) == (200, image.manifest), f"I1: manifest {reference}"
    await _check_last_session(client, image, acknowledged, finished)


async def _check_last_session(
    client: AsgiClient, image: OneLayerImage, acknowledged: Sequence[Acknowledgement], finished: set[str]
) -> None:
    """An upload that was not finished can go on where it was acknowledged, or its PUT took effect unseen."""
    sessions = [one for one in acknowledged if one.what in {"session", "chunk"}]
    if not sessions or len(finished) == len(image.blobs) or acknowledged[-1].what not in {"session", "chunk"}:
        return
    last = sessions[-1]
    reply = await client.request("GET", last.name)
    if reply.status == 204:
        received = reply.headers["range"].removeprefix("0-")
        assert int(received) + 1 >= last.offset or last.offset == 0, f"I1: session {last} has {received}"
        return
    unseen = [
        await client.request("HEAD", f"/v2/{REPOSITORY}/blobs/{Digest.of_bytes(blob)}")
        for blob in image.blobs
        if str(Digest.of_bytes(blob)) not in finished
    ]
    lost_after_rename = reply.status == 404 and acknowledged[-1].what == "chunk"
    assert lost_after_rename or any(one.status == 200 for one in unseen), f"I1: session {last} is gone"


async def check_visible(client: AsgiClient, image: OneLayerImage) -> bool:
    """I2, I3 and I7: a readable manifest has all its blobs, with the right bytes; return whether it is readable."""
    reply = await client.request("GET", f"/v2/{REPOSITORY}/manifests/{TAG}")
    by_digest = await client.request("GET", f"/v2/{REPOSITORY}/manifests/{Digest.of_bytes(image.manifest)}")
    assert reply.status == by_digest.status, "I7: a manifest PUT took effect by half"
    if reply.status != 200:
        assert reply.status == 404, f"I2: {reply.status} {reply.body!r}"
        return False
    assert reply.body == image.manifest, "I3: manifest"
    for blob in image.blobs:
        pulled = await client.request("GET", f"/v2/{REPOSITORY}/blobs/{Digest.of_bytes(blob)}")
        assert (pulled.status, pulled.body) == (200, blob), "I2: a readable manifest lacks a blob"
    return True


def check_stored_bytes(root: Path) -> None:
    """I3: each file that is published under a digest hashes to it, whether a row mentions it or not."""
    for kind in ("blobs", "manifests"):
        for path in (root / kind).rglob("*"):
            if path.is_file():
                algorithm, _, value, _ = path.relative_to(root / kind).parts
                assert hashlib.new(algorithm, path.read_bytes()).hexdigest() == value, f"I3: {path}"
