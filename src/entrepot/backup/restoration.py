"""Restores a whole registry into an empty database and an empty store, or only its database onto the store it had.

Order: the empty database is marked, so that no registry starts on it → blobs → manifests' bytes and all rows, in one
transaction that also removes the mark and records the restore. Killed anywhere, the mark is still there, and the same
command goes on: blobs that came back already are found and kept.

A registry restored into another store is another database: it gets a new incarnation, its facts count as not yet
journalled, and the background worker writes the journal anew (decision 0029). Storage keys in rows and facts are those
of the new store.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from entrepot.backup.adaptation import adapt_to_store, give_back_leases, let_jobs_wait
from entrepot.backup.blob_index import index_blobs
from entrepot.backup.blob_transfer import copy_into_store
from entrepot.backup.errors import BackupDamagedError, StoreNotEmptyError
from entrepot.backup.rows import RowBatch, read_list, read_table
from entrepot.backup.workers import work_on_all
from entrepot.blobstore.keys import (
    BLOBS,
    JOURNAL,
    MANIFESTS,
    journal_numbers,
    manifest_key,
)
from entrepot.kernel.clock import machine_milliseconds
from entrepot.kernel.failpoints import Failpoint, reach
from entrepot.kernel.ids import new_public_id
from entrepot.kernel.pace import Pace
from entrepot.metadata.dumps import DUMPED_TABLES
from entrepot.metadata.project_numbers import LastProjectNumber
from entrepot.oci.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

    from entrepot.backup.format import ListedBlob, SnapshotManifest
    from entrepot.backup.observer import BackupObserver
    from entrepot.backup.repository import BackupRepository
    from entrepot.blobstore.driver import BlobStore
    from entrepot.metadata.audit_store import NewAuditRecord
    from entrepot.metadata.dumps import DumpTarget

__all__ = ["RestoreOptions", "RestoreReport", "WholeRestore", "has_audit_log", "require_empty_store"]

_AT_ONCE: Final = 16
_PROJECT_COLUMNS: Final = ("id", "public_id", "name", "created_at", "deleted_at", "creator")


@dataclass(frozen=True, slots=True)
class RestoreOptions:
    """How a restore goes about it; as for :class:`entrepot.backup.creation.CreationOptions`.

    Attributes:
        database_only: leave the store alone: it is the one that the snapshot's rows were made over.
    """

    database_only: bool = False
    parallel: int = 4
    bytes_per_second: int | None = None


@dataclass(slots=True)
class RestoreReport:
    """What came back, and what did not: digest and reason of each blob."""

    rows: int = 0
    blobs: int = 0
    blob_bytes: int = 0
    kept_blobs: int = 0
    missing: dict[str, str] = field(default_factory=dict[str, str])


async def require_empty_store(store: BlobStore, *, resumed: bool) -> None:
    """Refuse a store that holds something of a registry.

    A restore that goes on finds what it brought back before; but it writes no journal, so one tells of a registry.

    Raises:
        StoreNotEmptyError: it does.
    """
    for area in (JOURNAL,) if resumed else (BLOBS, MANIFESTS, JOURNAL):
        async for found in store.list_objects(area):
            raise StoreNotEmptyError(found.key)


def has_audit_log(manifest: SnapshotManifest) -> bool:
    """Tell whether the snapshot's schema knows the audit log; else one comes with the migrations after the restore."""
    return "audit_records" in manifest.counts


class WholeRestore:
    """One run of a restore. Nobody else may use database and store meanwhile."""

    def __init__(
        self,
        repository: BackupRepository,
        manifest: SnapshotManifest,
        store: BlobStore,
        open_load: Callable[[int], AbstractAsyncContextManager[DumpTarget]],
        options: RestoreOptions,
        observer: BackupObserver,
        record: Callable[[RestoreReport], NewAuditRecord],
    ) -> None:
        """Take what :func:`entrepot.metadata.sql.dumping.open_load` gives for a database that was reserved.

        `record` makes the audit record of the restore, which the restored log gets where the snapshot has one.
        """
        self._repository = repository
        self._manifest = manifest
        self._store = store
        self._open_load = open_load
        self._options = options
        self._observer = observer
        self._record = record
        self._pace = Pace(options.bytes_per_second)
        self._report = RestoreReport()
        self._keys: dict[str, str] = {}
        self._greatest_project = 0
        self._incarnation = manifest.incarnation if options.database_only else new_public_id()

    async def run(self) -> RestoreReport:
        """Restore, and return what came back.

        Raises:
            BackupDamagedError: rows can't be read; nothing was restored.
            MetadataError, BlobStoreError: it broke off; run it again.
        """
        if not self._options.database_only:
            await self._restore_blobs()
        self._observer.begin("rows", sum(self._manifest.counts.values()), "items")
        async with self._open_load(self._manifest.schema_version) as target:
            for table in DUMPED_TABLES:
                async for batch in read_table(self._repository, self._manifest, table):
                    await self._load(target, batch)
            await target.keep_numbers_above("outbox", await self._last_number())
            if has_audit_log(self._manifest):
                await self._number_projects_on(target)
                await target.add_record(self._record(self._report))
            reach(Failpoint.RESTORE_ROWS_LOADED)
        reach(Failpoint.RESTORE_COMMITTED)
        return self._report

    async def _restore_blobs(self) -> None:
        self._observer.begin("blobs", self._manifest.blob_bytes)
        there = await index_blobs(self._store)
        source = await index_blobs(self._repository.store)

        async def restore(blob: ListedBlob) -> None:
            digest = Digest.parse(blob.digest)
            copies = there.copies(digest, blob.size_bytes)
            try:
                if copies:
                    self._report.kept_blobs += 1
                    self._keys[blob.digest] = copies[0]
                else:
                    self._keys[blob.digest] = await copy_into_store(
                        self._repository, source, digest, blob.size_bytes, self._store, self._pace
                    )
                self._report.blobs += 1
                self._report.blob_bytes += blob.size_bytes
            except BackupDamagedError as error:
                self._report.missing[blob.digest] = str(error)
                self._observer.say(f"not restored: {blob.digest}: {error}")
            reach(Failpoint.RESTORE_BLOB_STORED)
            self._observer.advance(blob.size_bytes, blob.digest)

        await work_on_all(read_list(self._repository, self._manifest), restore, self._options.parallel)

    async def _load(self, target: DumpTarget, batch: RowBatch) -> None:
        if batch.table == "sweeps":
            # What says how far work on the store has come belongs to that store; nobody holds a lease any more.
            if not self._options.database_only:
                return
            give_back_leases(batch)
        elif not self._options.database_only:
            if batch.table == "manifest_bodies":
                await self._store_bodies(batch)
            else:
                adapt_to_store(batch, self._keys, self._incarnation)
        if batch.table == "jobs":
            let_jobs_wait(batch)
        elif batch.table == "projects":
            at = batch.position("id")
            numbers = (row[at] for row in batch.rows)
            self._greatest_project = max(self._greatest_project, *(n for n in numbers if isinstance(n, int)))
        await target.insert(batch.table, batch.names, batch.rows)
        self._report.rows += len(batch.rows)
        self._observer.advance(len(batch.rows), batch.table)

    async def _store_bodies(self, batch: RowBatch) -> None:
        """Store the bytes of manifests and let their rows name the new keys."""
        digest_at, body_at, key_at = (batch.position(name) for name in ("digest", "body", "storage_key"))

        async def store(row: list[Any]) -> None:
            digest = Digest.parse(row[digest_at])
            key = manifest_key(digest, new_public_id())
            await self._store.put(key, row[body_at])
            row[key_at] = self._keys[str(digest)] = key

        for start in range(0, len(batch.rows), _AT_ONCE):
            await asyncio.gather(*(store(row) for row in batch.rows[start : start + _AT_ONCE]))

    async def _number_projects_on(self, target: DumpTarget) -> None:
        """Let no project get a number that one had which was made after the snapshot."""
        now = machine_milliseconds()
        last = LastProjectNumber.at(now)
        if last.number > self._greatest_project:
            row = (last.number, last.public_id, last.name, now, now, "")
            await target.insert("projects", _PROJECT_COLUMNS, [row])

    async def _last_number(self) -> int:
        """Return up to which number facts were recorded: by the snapshot, or by the journal that outlived it.

        New facts must not take the numbers of facts that the store tells of and this database has not seen.
        """
        last = self._manifest.last_fact
        if not self._options.database_only:
            return last
        async for found in self._store.list_objects(f"{JOURNAL}{self._incarnation}/"):
            last = max(last, journal_numbers(found.key)[1])
        return last
