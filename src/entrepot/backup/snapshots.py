"""The snapshots of a repository: those that are finished, and those that were begun only."""

from __future__ import annotations

from contextlib import aclosing, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from entrepot.backup.dates import part_by_date, part_doubtful
from entrepot.backup.errors import (
    BackupDamagedError,
    RepositoryFormatError,
    SnapshotMissingError,
    SnapshotsDatedAheadError,
)
from entrepot.backup.format import SnapshotManifest, SnapshotPlace
from entrepot.blobstore.errors import ObjectNotFoundError
from entrepot.blobstore.keys import AFTER_ALL_KEYS, SNAPSHOTS, snapshot_manifest_key, snapshot_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence

    from entrepot.backup.dates import DatedSnapshots
    from entrepot.backup.repository import BackupRepository
    from entrepot.blobstore.driver import BlobStore

__all__ = [
    "find_snapshot",
    "fuller_ones",
    "ids_by_date",
    "is_finished",
    "list_ids",
    "newest_complete",
    "newest_finished",
    "read_manifest",
    "read_places",
    "remove_snapshot",
]


async def list_ids(store: BlobStore) -> list[str]:
    """Return the ids of all snapshots, finished or not, oldest first.

    Raises:
        BlobStoreError: the store can't be listed.
    """
    found: list[str] = []
    after = ""
    while key := await _first_key(store, after):
        snapshot = snapshot_of(key)
        found.append(snapshot)
        after = f"{SNAPSHOTS}{snapshot}/{AFTER_ALL_KEYS}"
    return found


async def is_finished(store: BlobStore, snapshot: str) -> bool:
    """Tell whether the snapshot has its manifest, which is written last."""
    try:
        await store.stat(snapshot_manifest_key(snapshot))
    except ObjectNotFoundError:
        return False
    return True


async def read_manifest(repository: BackupRepository, snapshot: str) -> SnapshotManifest:
    """Return what a snapshot consists of.

    Raises:
        SnapshotMissingError: it is not there, or not finished.
        BackupDamagedError, RepositoryFormatError: it can't be understood.
    """
    if not await is_finished(repository.store, snapshot):
        raise SnapshotMissingError(snapshot)
    return await repository.get_document(snapshot_manifest_key(snapshot), SnapshotManifest)


async def read_places(repository: BackupRepository, ids: Sequence[str]) -> list[SnapshotPlace]:
    """Return what tells which of these snapshots is newer; those that are not finished, or can't be read, say nothing.

    Raises:
        BlobStoreError: the store failed.
    """
    places: list[SnapshotPlace] = []
    for snapshot in ids:
        with suppress(BackupDamagedError, RepositoryFormatError):
            places.append(await repository.get_document(snapshot_manifest_key(snapshot), SnapshotPlace))
    return places


async def ids_by_date(store: BlobStore) -> DatedSnapshots:
    """Return the ids of all snapshots, and apart from them of those finished ones that are dated ahead of this host.

    Raises:
        BlobStoreError: the store can't be listed.
    """
    dated = part_by_date(await list_ids(store))
    return replace(dated, ahead=tuple([one for one in dated.ahead if await is_finished(store, one)]))


async def newest_finished(store: BlobStore, ids: Sequence[str]) -> str | None:
    """Return the last finished one of these snapshots, `None` if there is none; older ones are not asked about.

    Raises:
        BlobStoreError: the store failed.
    """
    for snapshot in reversed(ids):
        if await is_finished(store, snapshot):
            return snapshot
    return None


async def newest_complete(repository: BackupRepository, ids: Sequence[str]) -> SnapshotManifest | None:
    """Return the last of these snapshots that is finished and complete, `None` if there is none.

    Raises:
        BackupDamagedError, RepositoryFormatError: one that is newer can't be understood.
    """
    for snapshot in reversed(ids):
        if await is_finished(repository.store, snapshot):
            manifest = await read_manifest(repository, snapshot)
            if manifest.complete:
                return manifest
    return None


async def find_snapshot(
    repository: BackupRepository, snapshot: str, warn: Callable[[str], object]
) -> SnapshotManifest:
    """Return the named snapshot, or the newest complete one when `snapshot` is empty.

    The newest is never one that is dated ahead of this host's clock, or after a newer one that is complete (F27);
    `warn` is told of those.

    Raises:
        SnapshotMissingError: there is none.
        SnapshotsDatedAheadError: all that there are, are dated ahead.
    """
    if snapshot:
        return await read_manifest(repository, snapshot)
    dated = await ids_by_date(repository.store)
    places = await read_places(repository, dated.past)
    dated = part_doubtful(dated, [place for place in places if place.complete])
    found = await newest_complete(repository, dated.past)
    if found is None and dated.ahead:
        raise SnapshotsDatedAheadError(dated.explain(), "Or name a snapshot: --snapshot ID.")
    if found is None:
        raise SnapshotMissingError("")
    if dated.set_aside:
        warn(f"{dated.explain()}. Snapshot {found.id} is taken for the newest; --snapshot ID takes another")
    return found


async def fuller_ones(
    repository: BackupRepository, dated: DatedSnapshots, manifest: SnapshotManifest
) -> tuple[str, ...]:
    """Return which snapshots before this one hold more of the same database, oldest first: it was set back since.

    They are gone through back to the last one that holds no more: what came before that one was told when it was made.
    Those that are dated after a newer one do not lie where their ids are, and count for nothing; to know them, all are
    read. Where this one is dated ahead, it is not the newest, and there is nothing to tell.

    Raises:
        BlobStoreError: the store failed.
    """
    if manifest.id in dated.ahead:
        return ()
    places = await read_places(repository, dated.past)
    in_place = set(part_doubtful(dated, places).past)
    fuller: list[str] = []
    for place in sorted(places, key=lambda one: one.id, reverse=True):
        is_compared = place.id in in_place and place.id < manifest.id
        if not is_compared or place.incarnation != manifest.incarnation:
            continue
        if place.last_fact <= manifest.last_fact:
            break
        fuller.append(place.id)
    return tuple(reversed(fuller))


async def remove_snapshot(store: BlobStore, snapshot: str) -> int:
    """Remove the objects of a snapshot, its manifest first, and return how many there were; blobs stay.

    Raises:
        BlobStoreError: some may be left; what is left is no snapshot any more.
    """
    await store.delete(snapshot_manifest_key(snapshot))
    keys: Sequence[str] = [found.key async for found in store.list_objects(f"{SNAPSHOTS}{snapshot}/")]
    for key in keys:
        await store.delete(key)
    return len(keys) + 1


async def _first_key(store: BlobStore, after: str) -> str:
    async with aclosing(_listed(store, after)) as keys:
        async for key in keys:
            return key
    return ""


async def _listed(store: BlobStore, after: str) -> AsyncGenerator[str, Any]:
    async for found in store.list_objects(SNAPSHOTS, after):
        yield found.key
