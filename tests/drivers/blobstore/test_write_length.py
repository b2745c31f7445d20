"""How much the kernel is given at a time follows from what it cost, and no byte depends on it."""

from __future__ import annotations

import errno
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from entrepot.blobstore.errors import StorageFullError
from entrepot.blobstore.filesystem import FilesystemBlobStore, volume
from entrepot.blobstore.filesystem.write_length import (
    LONG_WRITE_BYTES,
    SHORT_WRITE_BYTES,
    WriteLength,
)
from entrepot.oci.digest import Digest
from tests.drivers.blobstore.staging import MIB, data_of, new_upload, read_all
from tests.drivers.blobstore.watched_operations import WatchedOperations

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_EVEN = {LONG_WRITE_BYTES: 1.0, SHORT_WRITE_BYTES: 1.1}
_WAITING = {LONG_WRITE_BYTES: 2.5, SHORT_WRITE_BYTES: 1.1}


class _Processor:
    """A thread's processor time, which passes as it is told."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> float:
        return self.seconds


class _Writer:
    """Writes steps that cost what their length costs, and remembers the lengths."""

    def __init__(self) -> None:
        self._processor = _Processor()
        self._length = WriteLength(self._processor.now)

    def write(self, steps: int, costs: Mapping[int, float], size: int = MIB) -> list[int]:
        lengths: list[int] = []
        for _ in range(steps):
            with self._length.for_step(size) as length:
                self._processor.seconds += costs[length] * size
            lengths.append(length)
        return lengths

    def fail(self) -> None:
        with suppress(OSError), self._length.for_step(MIB):
            self._processor.seconds += 1e9
            raise OSError(errno.ENOSPC, "full")


def test_long_writes_go_on_while_they_cost_less() -> None:
    lengths = _Writer().write(64, _EVEN)
    assert lengths.count(SHORT_WRITE_BYTES) == 4
    assert lengths[:15] == [LONG_WRITE_BYTES] * 15


def test_where_long_writes_wait_short_ones_take_over_and_give_way_again() -> None:
    writer = _Writer()
    writer.write(16, _EVEN)
    waiting = writer.write(160, _WAITING)
    assert waiting.count(LONG_WRITE_BYTES) == 1 + 160 // 16
    assert waiting[1:15] == [SHORT_WRITE_BYTES] * 14
    again = writer.write(640, _EVEN)
    assert again[-16:-1] == [LONG_WRITE_BYTES] * 15
    assert again.count(LONG_WRITE_BYTES) > again.count(SHORT_WRITE_BYTES)


def test_a_write_that_failed_teaches_nothing() -> None:
    writer = _Writer()
    writer.write(16, _EVEN)
    writer.fail()
    assert writer.write(14, _EVEN) == [LONG_WRITE_BYTES] * 14


def test_small_steps_are_not_looked_at() -> None:
    writer = _Writer()
    writer.write(16, _WAITING)
    assert writer.write(40, _WAITING, size=MIB - 1) == [LONG_WRITE_BYTES] * 40
    assert writer.write(1, _WAITING) == [SHORT_WRITE_BYTES]


async def test_a_file_is_whole_whatever_its_parts_were_written_by(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And a disk that is full meanwhile is told as ever, while the upload goes on (F5)."""
    operations = WatchedOperations(tmp_path / "store")

    def the_more_calls_the_less() -> float:
        return -float(operations.counts["write_at"])

    monkeypatch.setattr(volume, "WriteLength", lambda: WriteLength(the_more_calls_the_less))
    store = FilesystemBlobStore(operations.root, operations=operations)
    await store.prepare()
    data = data_of(40 * MIB)
    writer = await store.open_writer(new_upload())
    for start in range(0, len(data), MIB):
        if start == 20 * MIB:
            operations.fail_next["write_at"] = errno.ENOSPC
            with pytest.raises(StorageFullError):
                await writer.write([data[start : start + MIB]])
        await writer.write([data[start : start + 7], data[start + 7 : start + MIB]])
    key = await writer.publish(Digest.of_bytes(data))
    await writer.close()
    assert operations.counts["write_at"] > 15 + 4 * 20
    assert await read_all(store, key) == data
    await store.aclose()
