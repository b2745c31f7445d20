"""Looks at a registry after a fault, as clients and its keeper would, and names each broken promise."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from entrepot.blobstore.keys import BLOBS, MANIFESTS, UPLOADS
from entrepot.bootstrap import open_stores
from entrepot.oci.digest import Digest
from entrepot.registry.sweeps.orphans import OrphanSweep, SweepOptions
from entrepot.settings import metadata_url
from tests.drivers.metadata.raw_database import RawDatabase
from tests.faults.invariants import check_stored_bytes
from tests.faults.machine.content import MOUNTED_SUFFIX
from tests.running.moved_clocks import steady_clock

if TYPE_CHECKING:
    from collections.abc import Sequence

    from entrepot.bootstrap import Stores
    from entrepot.settings import Settings
    from tests.asgi.client import AsgiClient
    from tests.faults.machine.content import Content
    from tests.faults.pushing import Acknowledgement

__all__ = ["check_complete", "check_deleted", "check_kept", "check_mounted", "check_store"]

_AT_ONCE: Final = SweepOptions(grace_seconds=0, period_seconds=0, page_pause_seconds=0)
_SWEPT_WITHIN_SECONDS: Final = 60


async def check_kept(client: AsgiClient, content: Content, acknowledged: Sequence[Acknowledgement]) -> None:
    """I1, I2 and I3 of a push that may have ended anywhere."""
    base = f"/v2/{content.repository}"
    blobs = {str(Digest.of_bytes(blob)): blob for blob in content.blobs}
    found_blobs = await _readable(client, f"{base}/blobs/", blobs)
    by_reference = {reference: one.body for one in content.manifests for reference in one.references}
    found_manifests = await _readable(client, f"{base}/manifests/", by_reference)
    for one in acknowledged:
        if one.what == "blob":
            assert one.name in found_blobs, f"I1: blob {one.name}"
        if one.what == "manifest":
            assert one.name in found_manifests, f"I1: manifest {one.name}"
    for manifest in content.manifests:
        states = {reference in found_manifests for reference in manifest.references}
        assert len(states) == 1, f"I7: {manifest.reference} took effect by half"
        if manifest.digest in found_manifests:
            assert set(manifest.needs_blobs) <= found_blobs, f"I2: {manifest.reference} lacks blobs"
            assert set(manifest.needs_manifests) <= found_manifests, (
                f"I2: {manifest.reference} lacks manifests"
            )
    await _check_last_session(client, acknowledged, found_blobs)


async def _readable(client: AsgiClient, base: str, expected: dict[str, bytes]) -> set[str]:
    """I3: return the names that can be read, each with exactly its bytes; all others are 404."""
    found: set[str] = set()
    for name, body in expected.items():
        reply = await client.request("GET", f"{base}{name}")
        assert reply.status in {200, 404}, f"{base}{name}: {reply.status} {reply.body!r}"
        if reply.status == 200:
            assert reply.body == body, f"I3: {base}{name}"
            found.add(name)
    return found


async def _check_last_session(
    client: AsgiClient, acknowledged: Sequence[Acknowledgement], found: set[str]
) -> None:
    """I1: an upload that was not finished goes on where it was acknowledged, or its PUT took effect unseen."""
    if not acknowledged or acknowledged[-1].what not in {"session", "chunk"}:
        return
    last, seen = acknowledged[-1], {one.name for one in acknowledged if one.what == "blob"}
    reply = await client.request("GET", last.name)
    if reply.status == 204:
        received = int(reply.headers["range"].removeprefix("0-")) + 1
        assert received >= last.offset or last.offset == 0, f"I1: session {last} has {received}"
        return
    assert found - seen, f"I1: session {last} is gone"


async def check_complete(client: AsgiClient, content: Content) -> None:
    """Everything can be pulled, with its bytes."""
    base = f"/v2/{content.repository}"
    blobs = {str(Digest.of_bytes(blob)): blob for blob in content.blobs}
    manifests = {reference: one.body for one in content.manifests for reference in one.references}
    assert await _readable(client, f"{base}/blobs/", blobs) == set(blobs), "I7: blobs are missing"
    assert await _readable(client, f"{base}/manifests/", manifests) == set(manifests), (
        "I7: manifests are missing"
    )


async def check_mounted(
    client: AsgiClient, content: Content, acknowledged: Sequence[Acknowledgement]
) -> None:
    """I1 and I3 of mounts: what was answered with 201 is there."""
    blobs = {str(Digest.of_bytes(blob)): blob for blob in content.blobs}
    found = await _readable(client, f"/v2/{content.repository}{MOUNTED_SUFFIX}/blobs/", blobs)
    assert {one.name for one in acknowledged if one.what == "mounted"} <= found, "I1: a mount is gone"
    await check_complete(client, content)


async def check_deleted(
    client: AsgiClient, content: Content, acknowledged: Sequence[Acknowledgement]
) -> None:
    """I5 and I2 of a delete that may have ended anywhere: in the order in which it is done nothing is left half."""
    statuses = [(path, (await client.request("GET", path)).status) for path in content.deletion_paths()]
    deleted = {one.name for one in acknowledged if one.what == "deleted"}
    assert {status for path, status in statuses if path in deleted} <= {404}, "I5: a delete was undone"
    gone = [status == 404 for _, status in statuses]
    assert gone == sorted(gone, reverse=True), f"I2: {statuses}"


async def check_store(settings: Settings) -> int:
    """I3 and I8: whatever lies in the store has its bytes, and what no row mentions goes; return how much that was.

    Nobody may push meanwhile: orphans are removed without a grace period.
    """
    async with open_stores(settings) as stores:
        await check_stored_bytes(stores.blobs)
        return await _sweep(stores, RawDatabase(metadata_url(settings)))


async def _sweep(stores: Stores, database: RawDatabase) -> int:
    """Sweep until nothing is left, although a registry that runs meanwhile may hold the sweep or write a journal."""
    removed = 0
    clock = await steady_clock(stores.metadata)
    give_up_at = time.monotonic() + _SWEPT_WITHIN_SECONDS
    while True:
        await database.fetch("UPDATE sweeps SET due_at = 0, lease_until = NULL")
        report = await OrphanSweep(stores.metadata, stores.blobs, _AT_ONCE, clock).run()
        assert report.refused == "", report.refused
        removed += report.removed
        left = await _unmentioned(stores)
        if report.finished and report.found == report.removed == 0 and not left:
            return removed
        assert time.monotonic() < give_up_at, f"I8: {left}, {report}"


async def _unmentioned(stores: Stores) -> list[str]:
    keys = [
        one.key for prefix in (BLOBS, MANIFESTS, UPLOADS) async for one in stores.blobs.list_objects(prefix)
    ]
    owners = await stores.metadata.orphans.owners([key.rpartition("/")[2] for key in keys], keys)
    return [key for key in keys if key not in owners.keys and key.rpartition("/")[2] not in owners.uploads]
