"""Looks at a registry after a fault, the way clients and an operator would, and names each broken promise."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, cast

from entrepot.blobstore.keys import BLOBS, INDEX, MANIFESTS
from entrepot.oci.digest import Digest, new_hasher
from tests.faults.image import TAG, OneLayerImage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from entrepot.blobstore.driver import BlobStore
    from entrepot.oci.digest import Algorithm
    from tests.asgi.client import AsgiClient
    from tests.faults.pushing import Acknowledgement

__all__ = ["check_acknowledged", "check_stored_bytes", "check_visible"]

_NESTED: Final = r"/(?P<algorithm>sha256|sha512)/[0-9a-f]{2}/(?P<hex>[0-9a-f]+)/[0-9a-f-]+"
_KEYS_WITH_DIGEST: Final = {
    INDEX: re.compile(r"index/(?P<name>[^/]+)\.(?P<algorithm>sha256|sha512)\.(?P<hex>[0-9a-f]+)"),
    BLOBS: re.compile(f"blobs{_NESTED}"),
    MANIFESTS: re.compile(f"manifests{_NESTED}"),
}


async def check_acknowledged(
    client: AsgiClient, image: OneLayerImage, acknowledged: Sequence[Acknowledgement]
) -> None:
    """I1: whatever was answered with 2xx is still there."""
    finished = {one.name for one in acknowledged if one.what == "blob"}
    contents = {str(Digest.of_bytes(blob)): blob for blob in image.blobs}
    for one in acknowledged:
        if one.what == "blob":
            reply = await client.request("GET", f"/v2/{image.repository}/blobs/{one.name}")
            assert (reply.status, reply.body) == (200, contents[one.name]), f"I1: blob {one.name}"
        elif one.what == "manifest":
            for reference in (TAG, one.name):
                reply = await client.request("GET", f"/v2/{image.repository}/manifests/{reference}")
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
        await client.request("HEAD", f"/v2/{image.repository}/blobs/{Digest.of_bytes(blob)}")
        for blob in image.blobs
        if str(Digest.of_bytes(blob)) not in finished
    ]
    assert any(one.status == 200 for one in unseen), f"I1: session {last} is gone"


async def check_visible(client: AsgiClient, image: OneLayerImage) -> bool:
    """I2, I3 and I7: a readable manifest has all its blobs, with the right bytes; return whether it is readable."""
    reply = await client.request("GET", f"/v2/{image.repository}/manifests/{TAG}")
    by_digest = await client.request(
        "GET", f"/v2/{image.repository}/manifests/{Digest.of_bytes(image.manifest)}"
    )
    assert reply.status == by_digest.status, "I7: a manifest PUT took effect by half"
    if reply.status != 200:
        assert reply.status == 404, f"I2: {reply.status} {reply.body!r}"
        return False
    assert reply.body == image.manifest, "I3: manifest"
    for blob in image.blobs:
        pulled = await client.request("GET", f"/v2/{image.repository}/blobs/{Digest.of_bytes(blob)}")
        assert (pulled.status, pulled.body) == (200, blob), "I2: a readable manifest lacks a blob"
    return True


async def check_stored_bytes(blobs: BlobStore) -> None:
    """I3: each object that a listing finds under a digest hashes to it, whether a row mentions it or not."""
    for prefix, pattern in _KEYS_WITH_DIGEST.items():
        async for stored in blobs.list_objects(prefix):
            named = pattern.fullmatch(stored.key)
            if named is None:  # a blob of a store that can't rename: its marker in the index names the digest
                assert prefix == BLOBS, stored.key
                continue
            hasher = new_hasher(cast("Algorithm", named["algorithm"]))
            async for chunk in blobs.read(f"{BLOBS}{named['name']}" if prefix == INDEX else stored.key):
                hasher.update(chunk)
            assert hasher.hexdigest() == named["hex"], f"I3: {stored.key}"
