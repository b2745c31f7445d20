"""Removes old snapshots, and then the blobs that no snapshot mentions any more.

Snapshots go first, each with its manifest first, so a prune that is killed leaves only what nobody needs. A new backup
counts on blobs that are there, so the two keep out of each other's way: each announces itself, then looks for the
other.

Snapshots that are dated ahead of this host's clock, or after a newer one (F27), take nobody's place: the newest are
counted without them, and they stay until somebody names them. And one stays that a restore takes by itself: the
newest complete one, though incomplete ones have followed it for longer than any number that was asked for.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from entrepot.backup.blob_index import index_blobs
from entrepot.backup.dates import part_by_date, part_doubtful
from entrepot.backup.errors import (
    BackupDamagedError,
    BackupError,
    SnapshotMissingError,
    SnapshotsDatedAheadError,
)
from entrepot.backup.rows import read_list
from entrepot.backup.snapshots import (
    is_finished,
    list_ids,
    read_manifest,
    read_places,
    remove_snapshot,
)
from entrepot.blobstore.driver import MultipartUploads
from entrepot.blobstore.errors import UploadBusyError
from entrepot.blobstore.keys import BACKUP_PRUNING, UPLOADS, upload_of
from entrepot.kernel.failpoints import Failpoint, reach
from entrepot.oci.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from entrepot.backup.dates import DatedSnapshots
    from entrepot.backup.format import SnapshotPlace
    from entrepot.backup.observer import BackupObserver
    from entrepot.backup.repository import BackupRepository

__all__ = ["PruneChoice", "PruneReport", "Pruning"]


@dataclass(frozen=True, slots=True)
class PruneReport:
    """What was removed, or would be.

    Attributes:
        kept: what stays, but for those of `ahead` and `doubtful`.
        ahead: what stays since it is dated ahead of this host's clock.
        doubtful: what stays since it is dated after a newer one of the same registry.
    """

    kept: tuple[str, ...]
    removed: tuple[str, ...]
    unfinished: tuple[str, ...]
    blobs: int
    blob_bytes: int
    ahead: tuple[str, ...] = ()
    doubtful: tuple[str, ...] = ()

    @property
    def staying(self) -> tuple[str, ...]:
        """All that stay."""
        return (*self.kept, *self.doubtful, *self.ahead)


@dataclass(frozen=True, slots=True)
class PruneChoice:
    """What goes.

    Attributes:
        keep: how many of the newest finished snapshots stay, where none is named.
        snapshots: ids of those that go, whatever else there is.
        discard_unfinished: whether unfinished ones go; only when nobody works on them.
    """

    keep: int = 1
    snapshots: tuple[str, ...] = ()
    discard_unfinished: bool = False


class Pruning:
    """One run."""

    def __init__(self, repository: BackupRepository, observer: BackupObserver, choice: PruneChoice) -> None:
        self._repository = repository
        self._observer = observer
        self._choice = choice

    async def plan(self) -> PruneReport:
        """Return what :meth:`run` would do.

        Raises:
            BackupError: an unfinished snapshot may belong to a backup that runs, or no complete one would be left.
            SnapshotMissingError: a named one is not there.
            SnapshotsDatedAheadError: there is none but such, so how old they are, nobody can tell.
        """
        store = self._repository.store
        ids = await list_ids(store)
        finished = [snapshot for snapshot in ids if await is_finished(store, snapshot)]
        unfinished = tuple(snapshot for snapshot in ids if snapshot not in set(finished))
        if unfinished and not self._choice.discard_unfinished:
            raise BackupError(
                f"snapshot {unfinished[0]} is not finished: wait until its backup has ended, or, if that was killed, "
                "say --discard-unfinished; nothing was removed"
            )
        places = await read_places(self._repository, finished)
        removed, left = await self._chosen(finished, places)
        superfluous = await self._superfluous((*left.past, *left.set_aside))
        blob_bytes = sum(superfluous.values())
        return PruneReport(
            left.past, removed, unfinished, len(superfluous), blob_bytes, left.ahead, left.doubtful
        )

    async def _chosen(
        self, finished: Sequence[str], places: Sequence[SnapshotPlace]
    ) -> tuple[tuple[str, ...], DatedSnapshots]:
        """Return what goes and what stays."""
        if self._choice.snapshots:
            removed = self._named(finished)
            # What stays is held against nothing that goes.
            compared = [place for place in places if place.id not in removed]
        else:
            removed = self._too_old(part_doubtful(part_by_date(finished), places))
            compared = list(places)
        complete = [place for place in compared if place.complete]
        left = part_doubtful(_without(finished, removed), complete)
        removed = await self._spare_last_complete(left, removed, places)
        return removed, part_doubtful(_without(finished, removed), compared)

    def _named(self, finished: Sequence[str]) -> tuple[str, ...]:
        named = tuple(dict.fromkeys(self._choice.snapshots))
        for snapshot in named:
            if snapshot not in set(finished):
                raise SnapshotMissingError(snapshot)
        if len(named) == len(finished):
            raise BackupError(
                "no finished snapshot would be left; make another backup first, or, to end the repository, delete its "
                "place; nothing was removed"
            )
        return named

    def _too_old(self, dated: DatedSnapshots) -> tuple[str, ...]:
        if dated.ahead and not dated.past:
            raise SnapshotsDatedAheadError(
                dated.explain(), "Or name what is to go: --snapshot ID. Nothing was removed."
            )
        return dated.past[: -self._choice.keep]

    async def _spare_last_complete(
        self, left: DatedSnapshots, removed: tuple[str, ...], places: Sequence[SnapshotPlace]
    ) -> tuple[str, ...]:
        """Return what may go: all of `removed`, unless nothing would be left that a restore takes by itself."""
        is_complete = {place.id: place.complete for place in places}
        if any(is_complete.get(snapshot, False) for snapshot in left.past):
            return removed
        last = await self._last_complete(part_by_date(removed).past, is_complete)
        if last and self._choice.snapshots:
            raise BackupError(
                f"snapshot {last} is the last complete one whose date has come, which a restore would take; make "
                "another backup first; nothing was removed"
            )
        return tuple(snapshot for snapshot in removed if snapshot != last)

    async def _last_complete(self, ids: Sequence[str], is_complete: Mapping[str, bool]) -> str:
        """Return the last complete one of these, which are to go; one that is damaged is none.

        Raises:
            RepositoryFormatError: one of a newer format may be it.
        """
        for snapshot in reversed(ids):
            if snapshot not in is_complete:
                with contextlib.suppress(BackupDamagedError):
                    await read_manifest(self._repository, snapshot)
            elif is_complete[snapshot]:
                return snapshot
        return ""

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
        for key, size in (await self._superfluous(plan.staying)).items():
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


def _without(finished: Sequence[str], removed: Sequence[str]) -> DatedSnapshots:
    gone = set(removed)
    return part_by_date(snapshot for snapshot in finished if snapshot not in gone)
