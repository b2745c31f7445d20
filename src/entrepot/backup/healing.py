"""Brings back bytes that a registry has lost from a backup, while it runs: the rows stay, and name the new bytes."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from entrepot.backup.blob_index import index_blobs
from entrepot.backup.blob_transfer import copy_into_store, read_from_repository
from entrepot.backup.errors import BackupDamagedError, SnapshotMissingError
from entrepot.backup.rows import read_table
from entrepot.backup.snapshots import ids_by_date, newest_complete
from entrepot.backup.workers import work_on_all
from entrepot.blobstore.errors import ObjectNotFoundError
from entrepot.kernel.failpoints import Failpoint, reach
from entrepot.kernel.pace import Pace
from entrepot.registry.sweeps.store_hold import StoreHold

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from entrepot.backup.blob_index import BlobIndex
    from entrepot.backup.observer import BackupObserver
    from entrepot.backup.repository import BackupRepository
    from entrepot.blobstore.driver import BlobStore
    from entrepot.metadata.inventory import InventoryBlob, InventoryBody
    from entrepot.metadata.store import Metadata
    from entrepot.oci.digest import Digest

__all__ = ["BackupBlobRecovery", "BlobHealing", "HealingReport"]

_PAGE: Final = 500
_BODY_PAGE: Final = 50


@dataclass(slots=True)
class HealingReport:
    """What was examined and what became of it.

    Attributes:
        lost: digest and reason of what the backup can't bring back either.
    """

    examined: int = 0
    healed: list[str] = field(default_factory=list[str])
    healed_bytes: int = 0
    lost: dict[str, str] = field(default_factory=dict[str, str])


class BlobHealing:
    """Looks for blobs without bytes, or with the wrong number of them; equal-length damage is found by verifying."""

    def __init__(
        self,
        metadata: Metadata,
        store: BlobStore,
        repository: BackupRepository,
        observer: BackupObserver,
        *,
        dry_run: bool,
        parallel: int = 4,
        bytes_per_second: int | None = None,
    ) -> None:
        self._metadata = metadata
        self._store = store
        self._repository = repository
        self._observer = observer
        self._dry_run = dry_run
        self._parallel = parallel
        self._pace = Pace(bytes_per_second)
        self._report = HealingReport()

    async def run(self) -> HealingReport:
        """Heal what can be healed.

        Raises:
            StoreHeldError: other work on the host needs the store for too long.
            MetadataError, BlobStoreError: it broke off; run it again.
        """
        async with StoreHold(self._metadata).held(
            lambda: self._observer.say("waiting for other work to end"), self._observer.say
        ):
            self._observer.begin("blobs")
            index = await index_blobs(self._repository.store)
            await work_on_all(self._blobs(), lambda blob: self._heal(blob, index), self._parallel)
            await work_on_all(self._bodies(), self._heal_body, self._parallel)
        return self._report

    async def _blobs(self) -> AsyncGenerator[InventoryBlob]:
        after = 0
        while page := await self._metadata.inventory.blobs(after, _PAGE):
            for blob in page:
                if blob.state != "trash":
                    yield blob
            after = page[-1].id

    async def _bodies(self) -> AsyncGenerator[InventoryBody]:
        after = ""
        while page := await self._metadata.inventory.bodies(after, _BODY_PAGE):
            for body in page:
                yield body
            after = str(page[-1].digest)

    async def _heal(self, blob: InventoryBlob, index: BlobIndex) -> None:
        self._report.examined += 1
        if await self._has(blob.storage_key, blob.size_bytes):
            return
        try:
            if self._dry_run:
                name = self._repository.cipher.name_of(blob.digest)
                if not index.copies(name, self._repository.cipher.stored_bytes(blob.size_bytes)):
                    self._report.lost[str(blob.digest)] = "it is not in the backup"
                    return
            else:
                key = await copy_into_store(
                    self._repository, index, blob.digest, blob.size_bytes, self._store, self._pace
                )
                reach(Failpoint.RESTORE_BLOB_STORED)
                digest, lost = blob.digest, blob.storage_key
                await self._metadata.write(lambda tx: tx.backups.repoint(digest, lost, key))
        except BackupDamagedError as error:
            self._report.lost[str(blob.digest)] = str(error)
            return
        self._report.healed.append(str(blob.digest))
        self._report.healed_bytes += blob.size_bytes
        self._observer.advance(blob.size_bytes, str(blob.digest))

    async def _heal_body(self, body: InventoryBody) -> None:
        """Store the bytes of a manifest again, which the database has."""
        self._report.examined += 1
        if await self._has(body.storage_key, body.size_bytes):
            return
        if not self._dry_run:
            await self._store.put(body.storage_key, body.body)
        self._report.healed.append(str(body.digest))

    async def _has(self, key: str, size_bytes: int) -> bool:
        try:
            return await self._store.stat(key) == size_bytes
        except ObjectNotFoundError:
            return False


class BackupBlobRecovery:
    """Gives out blobs and manifests of a backup one by one, to whoever found that the registry's own are damaged."""

    def __init__(self, repository: BackupRepository, index: BlobIndex) -> None:
        """Take a repository and what lies in it."""
        self._repository = repository
        self._index = index

    @property
    def name(self) -> str:
        """What people know it by."""
        return f"backup {self._repository.header.id[:8]}"

    @classmethod
    async def over(cls, repository: BackupRepository) -> BackupBlobRecovery:
        """List the repository once.

        Raises:
            BlobStoreError: it can't be listed.
        """
        return cls(repository, await index_blobs(repository.store))

    async def open(self, digest: Digest, size_bytes: int) -> AsyncIterator[bytes] | None:
        """Return the bytes of a blob, `None` when the backup has none of this digest and size.

        The iterator raises BackupDamagedError, at its end at the latest, when they are not the right ones.
        """
        cipher = self._repository.cipher
        for key in self._index.copies(cipher.name_of(digest), cipher.stored_bytes(size_bytes)):
            return read_from_repository(self._repository, key, digest, Pace(None))
        return None

    async def read_manifest(self, digest: Digest) -> bytes | None:
        """Return the bytes of a manifest that the newest complete snapshot holds, `None` when it has none.

        Where all are dated ahead of this host's clock, one of those will do: the bytes are hashed. Reads rows until it
        is found, so it is for a few.

        Raises:
            BackupError: there is no snapshot, or its rows can't be read.
        """
        dated = await ids_by_date(self._repository.store)
        manifest = await newest_complete(self._repository, dated.past)
        manifest = manifest or await newest_complete(self._repository, dated.ahead)
        if manifest is None:
            raise SnapshotMissingError("")
        bodies = read_table(self._repository, manifest, "manifest_bodies")
        async with aclosing(bodies):
            async for batch in bodies:
                digest_at, body_at = batch.position("digest"), batch.position("body")
                for row in batch.rows:
                    if row[digest_at] == str(digest):
                        body = row[body_at]
                        return body if isinstance(body, bytes) else None
        return None
