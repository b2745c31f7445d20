"""Takes a snapshot of a registry that runs: the database first, then every blob it mentions that is not there yet.

Order, and why: the store is held (nothing that a row mentions is removed until the end) → the database's snapshot → its
rows → the blobs they mention → the manifest, which alone makes it a snapshot → the database is told. Bytes lie in the
store before rows mention them, so all blobs of the snapshot are there; what is pushed meanwhile is in the next one.
Killed anywhere, it leaves an unfinished snapshot, which the next run of the same database clears away, and blobs, which
that run finds and does not copy again.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from entrepot import __version__
from entrepot.backup.blob_index import index_blobs
from entrepot.backup.blob_transfer import copy_into_repository
from entrepot.backup.dates import next_time, part_by_date, stamp_of
from entrepot.backup.errors import (
    BackupDamagedError,
    BackupError,
    BlobDamagedError,
    BlobUnreadableError,
    PruningUnderWayError,
)
from entrepot.backup.format import BegunSnapshot, DamagedBlob, ListedBlob, SnapshotManifest
from entrepot.backup.rows import read_list
from entrepot.backup.rows_dump import RowsDump
from entrepot.backup.snapshots import is_finished, list_ids, newest_finished, remove_snapshot
from entrepot.backup.workers import work_on_all
from entrepot.blobstore.errors import ObjectNotFoundError
from entrepot.blobstore.keys import BACKUP_PRUNING, snapshot_begun_key, snapshot_manifest_key
from entrepot.kernel.failpoints import Failpoint, reach
from entrepot.kernel.pace import Pace
from entrepot.oci.digest import Digest
from entrepot.registry.sweeps.store_hold import StoreHold

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

    from entrepot.backup.blob_index import BlobIndex
    from entrepot.backup.observer import BackupObserver
    from entrepot.backup.repository import BackupRepository
    from entrepot.blobstore.driver import BlobStore
    from entrepot.metadata.dumps import DumpFacts, DumpSource
    from entrepot.metadata.store import Metadata

__all__ = ["BackupCreation", "CreationOptions"]

_MOST_UNREADABLE: Final = 20


@dataclass(frozen=True, slots=True)
class CreationOptions:
    """How a backup goes about it.

    Attributes:
        label: a few words of the operator's, shown in the list.
        parallel: blobs copied at once.
        bytes_per_second: how fast blobs are read, all together; `None` as fast as it goes.
    """

    label: str = ""
    parallel: int = 4
    bytes_per_second: int | None = None


class BackupCreation:
    """One run of a backup."""

    def __init__(
        self,
        metadata: Metadata,
        blobs: BlobStore,
        repository: BackupRepository,
        open_dump: Callable[[], AbstractAsyncContextManager[DumpSource]],
        options: CreationOptions,
        observer: BackupObserver,
    ) -> None:
        self._metadata = metadata
        self._blobs = blobs
        self._repository = repository
        self._open_dump = open_dump
        self._options = options
        self._observer = observer
        self._pace = Pace(options.bytes_per_second)
        self._damaged: list[DamagedBlob] = []
        self._unreadable = 0

    async def run(self) -> SnapshotManifest:
        """Take the snapshot and return what it consists of; `complete` says whether all bytes are in it.

        Raises:
            StoreHeldError: other work on the host needs the store for too long.
            PruningUnderWayError: snapshots are being removed from the repository.
            MetadataError, BlobStoreError: it broke off; there is no snapshot.
        """
        async with StoreHold(self._metadata).held(self._say_waiting, self._observer.say):
            return await self._take()

    async def _take(self) -> SnapshotManifest:
        store = self._repository.store
        # Unfinished ones as well: those that others are making, and hold what was there before.
        there = part_by_date(await list_ids(store))
        previous = await newest_finished(store, there.past)
        async with self._open_dump() as source:
            facts = source.facts
            time = next_time(facts.taken_at, there.past)
            snapshot = _new_id(time)
            await self._begin(snapshot, facts)
            index = await index_blobs(self._repository.store)
            dump = RowsDump(self._repository, snapshot, index, self._observer)
            await dump.write(source)
        self._damaged.extend(dump.damaged)
        manifest = SnapshotManifest(
            id=snapshot,
            created_at=facts.taken_at,
            program=__version__,
            engine=facts.engine,
            schema_version=facts.schema_version,
            incarnation=facts.incarnation,
            last_fact=facts.last_fact,
            label=self._options.label,
            previous=previous,
            counts=dict(dump.counts),
            rows=tuple(dump.chunks),
            lists=tuple(dump.lists),
            blobs=dump.blobs,
            blob_bytes=dump.blob_bytes,
            new_blobs=dump.new_blobs,
            new_blob_bytes=dump.new_bytes,
            complete=False,
            behind_milliseconds=time - facts.taken_at,
            overtaken=tuple(other for other in there.ahead if other > snapshot),
        )
        await self._copy_blobs(manifest, index)
        return await self._finish(manifest)

    async def _begin(self, snapshot: str, facts: DumpFacts) -> None:
        """Announce the snapshot, then look for a prune: whoever comes second sees the other."""
        begun = BegunSnapshot(incarnation=facts.incarnation, taken_at=facts.taken_at)
        await self._repository.put_document(snapshot_begun_key(snapshot), begun)
        reach(Failpoint.SNAPSHOT_BEGUN)
        try:
            await self._repository.store.stat(BACKUP_PRUNING)
        except ObjectNotFoundError:
            pass
        else:
            await remove_snapshot(self._repository.store, snapshot)
            raise PruningUnderWayError
        await self._clear_unfinished(snapshot, facts.incarnation)

    async def _clear_unfinished(self, current: str, incarnation: str) -> None:
        """Remove what killed backups of this database left; none of them still runs, since this one holds the store."""
        for snapshot in await list_ids(self._repository.store):
            if snapshot == current or await is_finished(self._repository.store, snapshot):
                continue
            try:
                begun = await self._repository.get_document(snapshot_begun_key(snapshot), BegunSnapshot)
            except BackupDamagedError:
                continue  # not ours to judge; prune removes it
            if begun.incarnation == incarnation:
                await remove_snapshot(self._repository.store, snapshot)

    async def _copy_blobs(self, manifest: SnapshotManifest, index: BlobIndex) -> None:
        self._observer.begin("blobs", manifest.new_blob_bytes)
        cipher = self._repository.cipher

        async def copy(blob: ListedBlob) -> None:
            digest = Digest.parse(blob.digest)
            if index.copies(cipher.name_of(digest), cipher.stored_bytes(blob.size_bytes)):
                return
            try:
                await copy_into_repository(
                    self._blobs, blob.storage_key, digest, blob.size_bytes, self._repository, self._pace
                )
            except BlobDamagedError as error:
                self._count_unreadable(error)
                self._damaged.append(DamagedBlob(blob.digest, blob.size_bytes, error.detail))
                self._observer.say(f"damaged, not backed up: {blob.digest}: {error.detail}")
            reach(Failpoint.SNAPSHOT_BLOB_STORED)
            self._observer.advance(blob.size_bytes, blob.digest)

        await work_on_all(read_list(self._repository, manifest), copy, self._options.parallel)

    def _count_unreadable(self, error: BlobDamagedError) -> None:
        """Bear a few bad sectors, but no store that is down: nothing of it would be worth a snapshot."""
        self._unreadable += isinstance(error, BlobUnreadableError)
        if self._unreadable > _MOST_UNREADABLE:
            raise BackupError(f"more than {_MOST_UNREADABLE} blobs fail; of the last one {error}") from error

    async def _finish(self, manifest: SnapshotManifest) -> SnapshotManifest:
        damaged = tuple(sorted(self._damaged, key=lambda blob: blob.digest))
        finished = msgspec.structs.replace(manifest, complete=not damaged, damaged=damaged)
        await self._repository.put_document(snapshot_manifest_key(manifest.id), finished)
        reach(Failpoint.SNAPSHOT_FINISHED)
        if finished.complete:
            await self._metadata.write(lambda tx: tx.backups.record_completed(manifest.id))
        return finished

    def _say_waiting(self) -> None:
        self._observer.say("waiting for a sweep, another backup, a verification or a rebuild to end")


def _new_id(milliseconds: int) -> str:
    """Return an id that sorts by time."""
    return f"{stamp_of(milliseconds)}-{secrets.token_hex(4)}"
