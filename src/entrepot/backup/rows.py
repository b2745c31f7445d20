"""Writes rows as checked chunks of compressed JSON lines, and reads them back."""

from __future__ import annotations

import asyncio
import binascii
import gzip
import io
from typing import TYPE_CHECKING, Any, Final

import msgspec

from entrepot.backup.errors import BackupDamagedError
from entrepot.backup.format import Chunk, ListedBlob, RowsHeader
from entrepot.blobstore.keys import snapshot_list_key, snapshot_rows_key

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable, Sequence

    from entrepot.backup.format import SnapshotManifest
    from entrepot.backup.repository import BackupRepository
    from entrepot.metadata.dumps import DumpedColumn, DumpedValue

__all__ = ["ChunkWriter", "RowBatch", "read_chunk", "read_list", "read_table"]

_CHUNK_BYTES: Final = 4 * 1024 * 1024
"""A chunk is closed when its lines, not yet compressed, have this many bytes."""

_ROWS: Final = 256
_ROWS_WITH_BYTES: Final = 4
"""Rows encoded at once: the body of a manifest may have 4 MiB, and a third more as base64."""

_COMPRESSION: Final = 5
_MOST_CHUNK_BYTES: Final = 256 * 1024 * 1024
"""No chunk of ours unpacks to more, so one that does is not taken into memory."""


class ChunkWriter:
    """Collects the lines of one table, or of the list of blobs, and stores them chunk by chunk."""

    def __init__(self, repository: BackupRepository, snapshot: str, header: RowsHeader | None) -> None:
        """Without `header` the lines are those of the list of blobs."""
        self._repository = repository
        self._snapshot = snapshot
        self._header = header
        self._holds_bytes = header is not None and any(column.kind == "bytes" for column in header.columns)
        self._encoder = msgspec.json.Encoder()
        self._lines = bytearray()
        self._rows = 0
        self.chunks: list[Chunk] = []

    async def add(self, rows: Sequence[Any]) -> None:
        """Take rows; bytes become base64.

        Raises:
            BlobStoreError: a chunk could not be stored.
        """
        step = _ROWS_WITH_BYTES if self._holds_bytes else _ROWS
        for start in range(0, len(rows), step):
            part = rows[start : start + step]
            self._lines += await asyncio.to_thread(self._encoder.encode_lines, part)
            self._rows += len(part)
            if len(self._lines) >= _CHUNK_BYTES:
                await self._store()

    async def finish(self) -> list[Chunk]:
        """Store what is left and return all chunks; a table without rows has none."""
        if self._rows:
            await self._store()
        return self.chunks

    async def _store(self) -> None:
        lines = bytes(self._lines)
        if self._header is not None:
            lines = self._encoder.encode(self._header) + b"\n" + lines
        content = await asyncio.to_thread(gzip.compress, lines, _COMPRESSION, mtime=0)
        number = len(self.chunks) + 1
        table = "" if self._header is None else self._header.table
        key = (
            snapshot_list_key(self._snapshot, number)
            if self._header is None
            else snapshot_rows_key(self._snapshot, table, number)
        )
        size, digest = await self._repository.put(key, content)
        self.chunks.append(Chunk(key=key, table=table, rows=self._rows, size_bytes=size, sha256=digest))
        self._lines.clear()
        self._rows = 0


class RowBatch:
    """The rows of one chunk, each a list in the order of `columns`."""

    def __init__(self, table: str, columns: Sequence[DumpedColumn], rows: list[list[Any]]) -> None:
        self.table = table
        self.names = [column.name for column in columns]
        self.rows: list[list[DumpedValue]] = rows

    def position(self, column: str) -> int:
        """Return where in a row the column stands."""
        return self.names.index(column)


async def read_chunk(repository: BackupRepository, chunk: Chunk) -> bytes:
    """Return the lines of a chunk, checked.

    Raises:
        BackupDamagedError: it is missing or not what was written.
    """
    content = await repository.get(chunk.key, chunk.sha256)
    try:
        return await asyncio.to_thread(_unpack, content)
    except (OSError, EOFError, ValueError) as error:
        raise BackupDamagedError(chunk.key, f"it can't be unpacked: {error}") from error


async def read_table(
    repository: BackupRepository, manifest: SnapshotManifest, table: str
) -> AsyncGenerator[RowBatch]:
    """Yield all rows of a table, a chunk at a time, in the order of their primary key.

    Raises:
        BackupDamagedError: a chunk is missing or not what was written.
    """
    for chunk in manifest.rows:
        if chunk.table == table:
            lines = await read_chunk(repository, chunk)
            yield await asyncio.to_thread(_decode_rows, chunk, lines)


async def read_list(repository: BackupRepository, manifest: SnapshotManifest) -> AsyncGenerator[ListedBlob]:
    """Yield the blobs that the snapshot holds.

    Raises:
        BackupDamagedError: a chunk is missing or not what was written.
    """
    for chunk in manifest.lists:
        for blob in await asyncio.to_thread(_decode_list, chunk, await read_chunk(repository, chunk)):
            yield blob


def _unpack(content: bytes) -> bytes:
    with gzip.GzipFile(fileobj=io.BytesIO(content)) as packed:
        lines = packed.read(_MOST_CHUNK_BYTES + 1)
    if len(lines) > _MOST_CHUNK_BYTES:
        message = "it unpacks to more than any chunk holds"
        raise ValueError(message)
    return lines


def _decode_rows(chunk: Chunk, lines: bytes) -> RowBatch:
    first, _, rest = lines.partition(b"\n")
    try:
        header = msgspec.json.decode(first, type=RowsHeader)
        rows = msgspec.json.decode(b"[" + b",".join(rest.splitlines()) + b"]", type=list[list[Any]])
        binary = [number for number, column in enumerate(header.columns) if column.kind == "bytes"]
        for row in rows if binary else ():
            for number in binary:
                if row[number] is not None:
                    row[number] = binascii.a2b_base64(row[number])
    except (msgspec.MsgspecError, ValueError, IndexError) as error:
        raise BackupDamagedError(chunk.key, str(error)) from error
    if header.table != chunk.table:
        raise BackupDamagedError(chunk.key, f"it holds rows of {header.table}")
    return RowBatch(header.table, header.columns, rows)


def _decode_list(chunk: Chunk, lines: bytes) -> Iterable[ListedBlob]:
    try:
        return msgspec.json.decode(b"[" + b",".join(lines.splitlines()) + b"]", type=list[ListedBlob])
    except msgspec.MsgspecError as error:
        raise BackupDamagedError(chunk.key, str(error)) from error
