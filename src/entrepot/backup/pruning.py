"""Removes old snapshots, and then the blobs that no snapshot mentions any more.

Snapshots go first, each with its manifest first, so a prune that is killed leaves only what nobody needs. A new backup
counts on blobs that are there, so the two keep out of each other's way: each announces itself, then looks for the
other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from entrepot.backup.blob_index import index_blobs
from entrepot.backup.errors import BackupError
from entrepot.backup.rows import read_list
from entrepot.backup.snapshots import is_finished, list_ids, read_manifest, remove_snapshot
from entrepot.blobstore.driver import MultipartUploads
from entrepot.blobstore.errors import UploadBusyError
from entrepot.blobstore.keys import BACKUP_PRUNING, UPLOADS, upload_of
from entrepot.kernel.failpoints import Failpoint, reach
from entrepot.oci.digest import Digest

if TYPE_CHECKING:
    from entrepot.backup.observer import BackupObserver
    from entrepot.backup.repository import BackupRepository

__all__ = ["PruneReport", "Pruning"]


@dataclass(frozen=True, slots=True)
class PruneReport:
    """What was removed, or would be."""

    kept: tuple[str, ...]
    removed: tuple[str, ...]
    unfinished: tuple[str, ...]
    blobs: int
    blob_bytes: int


class Pruning:
    """One run."""

    def __init__(
        self, repository: BackupRepository, observer: BackupObserver, *, keep: int, discard_unfinished: bool
    ) -> None:
        """Keep the newest `keep` finished snapshots; unfinished ones are only removed when nobody works on them."""
        self._repository = repository
        self._observer = observer
        self._keep = keep
        self._discard_unfinished = discard_unfinished

    async def plan(self) -> PruneReport:
        """Return what :meth:`run` would do.

        Raises:
            BackupError: an unfinished snapshot may belong to a backup that runs.
        """
        store = self._repository.store
        ids = await list_ids(store)
        finished = [snapshot for snapshot in ids if await is_finished(store, snapshot)]
        unfinished = tuple(snapshot for snapshot in ids if snapshot not in set(finished))
        if unfinished and not self._discard_unfinished:
            raise BackupError(
                f"snapshot {unfinished[0]} is not finished: wait until its backup has ended, or, if that was killed, "
                "say --discard-unfinished; nothing was removed"
            )
        kept = tuple(finished[-self._keep :])
        superfluous = await self._superfluous(kept)
        return PruneReport(
            kept,
            tuple(finished[: -self._keep]),
            unfinished,
            len(superfluous),
            sum(superfluous.values()),
        )

    async def run(self) -> PruneReport:
        """Remove.

        Raises:
            BackupError: as :meth:`plan`.
            BlobStoreError: it broke off; run it again.
        """
        store = self._repository.store
        await store.put(BACKUP_PRUNING, b"entrepot backup prune\n")
        reach(Failpoint.PRUNE_BEGUN)
        try:
            plan = await self.plan()
        except BackupError:
            await store.delete(BACKUP_PRUNING)
            raise
        for snapshot in (*plan.unfinished, *plan.removed):
            await remove_snapshot(store, snapshot)
            self._observer.say(f"removed snapshot {snapshot}")
            reach(Failpoint.PRUNE_SNAPSHOT_REMOVED)
        self._observer.begin("blobs removed", plan.blob_bytes)
        for key, size in (await self._superfluous(plan.kept)).items():
            await store.delete(key)
            self._observer.advance(size)
        await self._clear_uploads()
        await store.delete(BACKUP_PRUNING)
        return plan

    async def _superfluous(self, kept: tuple[str, ...]) -> dict[str, int]:
        """Return keys and sizes of blobs that none of the kept snapshots mentions, and of copies of the wrong size."""
        cipher = self._repository.cipher
        wanted: dict[str, int] = {}
        for snapshot in kept:
            manifest = await read_manifest(self._repository, snapshot)
            async for blob in read_list(self._repository, manifest):
                wanted[str(cipher.name_of(Digest.parse(blob.digest)))] = cipher.stored_bytes(blob.size_bytes)
        index = await index_blobs(self._repository.store)
        return index.nameless | {
            copy.key: copy.size_bytes
            for name, copies in index.names().items()
            for copy in copies
            if wanted.get(name) != copy.size_bytes
        }

    async def _clear_uploads(self) -> None:
        """Remove bytes that killed backups were about to store. Nobody is: no snapshot is unfinished."""
        store = self._repository.store
        async for found in store.list_objects(UPLOADS):
            try:
                await store.delete(found.key)
            except UploadBusyError:
                self._observer.say(f"kept {upload_of(found.key)}, which a process holds")
        if isinstance(store, MultipartUploads):
            async for upload in store.list_unfinished():
                await store.abort_unfinished(upload)
