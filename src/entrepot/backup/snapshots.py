"""The snapshots of a repository: those that are finished, and those that were begun only."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from entrepot.backup.errors import SnapshotMissingError
from entrepot.backup.format import SnapshotManifest
from entrepot.blobstore.errors import ObjectNotFoundError
from entrepot.blobstore.keys import AFTER_ALL_KEYS, SNAPSHOTS, snapshot_manifest_key, snapshot_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from entrepot.backup.repository import BackupRepository
    from entrepot.blobstore.driver import BlobStore

__all__ = ["find_snapshot", "is_finished", "list_ids", "read_manifest", "remove_snapshot"]


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


async def find_snapshot(repository: BackupRepository, snapshot: str) -> SnapshotManifest:
    """Return the named snapshot, or the newest complete one when `snapshot` is empty.

    Raises:
        SnapshotMissingError: there is none.
    """
    if snapshot:
        return await read_manifest(repository, snapshot)
    for candidate in reversed(await list_ids(repository.store)):
        if await is_finished(repository.store, candidate):
            manifest = await read_manifest(repository, candidate)
            if manifest.complete:
                return manifest
    raise SnapshotMissingError("")


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
