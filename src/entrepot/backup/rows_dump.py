"""Writes the rows of a snapshot of the database into a repository, and the list of the blobs they mention."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from entrepot.backup.format import Chunk, DamagedBlob, ListedBlob, RowsHeader
from entrepot.backup.rows import ChunkWriter
from entrepot.kernel.failpoints import Failpoint, reach
from entrepot.metadata.dumps import DUMPED_TABLES
from entrepot.oci.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from entrepot.backup.blob_index import BlobIndex
    from entrepot.backup.observer import BackupObserver
    from entrepot.backup.repository import BackupRepository
    from entrepot.metadata.dumps import DumpedColumn, DumpedValue, DumpSource

__all__ = ["RowsDump"]


class RowsDump:
    """One run; its attributes tell afterwards what was written."""

    def __init__(
        self, repository: BackupRepository, snapshot: str, index: BlobIndex, observer: BackupObserver
    ) -> None:
        self._repository = repository
        self._snapshot = snapshot
        self._index = index
        self._observer = observer
        self._list = ChunkWriter(repository, snapshot, None)
        self.chunks: list[Chunk] = []
        self.lists: list[Chunk] = []
        self.counts: Counter[str] = Counter()
        self.damaged: list[DamagedBlob] = []
        self.blobs = self.blob_bytes = self.new_blobs = self.new_bytes = 0

    async def write(self, source: DumpSource) -> None:
        """Write every table.

        Raises:
            MetadataError, BlobStoreError: it broke off.
        """
        self._observer.begin("rows", unit="items")
        for table in DUMPED_TABLES:
            columns = tuple(await source.columns(table))
            if columns:
                await self._write_table(source, table, columns)
        self.lists = await self._list.finish()

    async def _write_table(self, source: DumpSource, table: str, columns: tuple[DumpedColumn, ...]) -> None:
        writer = ChunkWriter(self._repository, self._snapshot, RowsHeader(table=table, columns=columns))
        names = [column.name for column in columns]
        self.counts[table] = 0
        async for batch in source.rows(table):
            await writer.add(batch)
            self.counts[table] += len(batch)
            self._observer.advance(len(batch), table)
            if table == "blobs":
                await self._list_blobs(names, batch)
            elif table == "manifest_bodies":
                self._check_bodies(names, batch)
            reach(Failpoint.SNAPSHOT_ROWS_READ)
        self.chunks += await writer.finish()

    async def _list_blobs(self, names: Sequence[str], batch: Sequence[Sequence[DumpedValue]]) -> None:
        """List all but those in the trash, whose bytes are on their way out."""
        digest, size, state, key = (
            names.index(name) for name in ("digest", "size_bytes", "state", "storage_key")
        )
        listed = [
            ListedBlob(str(row[digest]), _number(row[size]), str(row[key]))
            for row in batch
            if row[state] != "trash"
        ]
        cipher = self._repository.cipher
        for blob in listed:
            self.blobs += 1
            self.blob_bytes += blob.size_bytes
            name = cipher.name_of(Digest.parse(blob.digest))
            if not self._index.copies(name, cipher.stored_bytes(blob.size_bytes)):
                self.new_blobs += 1
                self.new_bytes += blob.size_bytes
        await self._list.add(listed)

    def _check_bodies(self, names: Sequence[str], batch: Sequence[Sequence[DumpedValue]]) -> None:
        digest, body = names.index("digest"), names.index("body")
        for row in batch:
            expected, content = Digest.parse(str(row[digest])), row[body]
            if isinstance(content, bytes) and Digest.of_bytes(content, expected.algorithm) != expected:
                self.damaged.append(
                    DamagedBlob(
                        str(expected), len(content), "the manifest's bytes in the database are not its own"
                    )
                )


def _number(value: DumpedValue) -> int:
    return value if isinstance(value, int) else 0
