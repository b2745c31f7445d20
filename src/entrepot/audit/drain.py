"""Takes what a node noted in local files into the database, in batches, and removes files that are done with.

A unit adds batches of records, each with its place in the chain, as long as nobody else wants to write, and moves the
cursor of their file. Reading a file twice does no harm, since a record is kept once by its id (I11); the cursor spares
the work. It is believed no further than this process has read: who owns the database could have notes passed over, and
their file removed, by a number. Nor is one before the beginning, where nothing can be read. In a database that was set
back it is what counts.

Whose writer was never met, a dead process's or one that is copied here from a node that is gone, is removed when nobody
has written to it for a while: nobody locks what is being copied, and the rest of it would go into a removed file. What
lies there as the process begins may have rested before: it counts for what may wait on the disk (F45).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

import structlog

from entrepot.audit.frames import FrameBatch, read_frames
from entrepot.audit.sealer import NewChain, add_sealed
from entrepot.audit.segments import DAMAGED_SUFFIX, ended_segment, segment_paths
from entrepot.kernel.clock import machine_milliseconds
from entrepot.kernel.failpoints import Failpoint, reach

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from entrepot.metadata.store import Metadata, Transaction

__all__ = ["AuditDrain", "DrainReport"]

_log: Any = structlog.get_logger()

_BATCH_BYTES: Final = 1024 * 1024
"""About 800 records, which are up to 20 ms of writing: as long as a push that comes meanwhile waits."""
_MOST_BATCHES: Final = 8
"""In one unit: each writes most pages of the index by user anew, so that more of them cost less per record."""
_WHOLE_RECORD_BYTES: Final = 8 * 1024 * 1024
"""Twice what a record may have: what is no whole frame within it is damage."""


@dataclass(slots=True)
class DrainReport:
    """What a run did.

    Attributes:
        damaged_bytes: passed over since they were no record; the file that holds them is kept.
    """

    records: int = 0
    damaged_bytes: int = 0


@dataclass(slots=True)
class _Known:
    """What this process knows of a file.

    Attributes:
        taken: how many of its bytes were taken over.
        damaged: how many of these were no record.
        was_locked: whether its writer was met.
        state: what each write changes, as it was seen last; `None` before.
        since: from when on it has been so, by a clock that nobody sets.
    """

    taken: int = 0
    damaged: int = 0
    was_locked: bool = False
    state: tuple[int, int] | None = None
    since: float = 0.0


class AuditDrain:
    """Drains the files of one node; one at a time per node."""

    def __init__(self, directory: Path, metadata: Metadata, node: str, *, rest_seconds: float = 0.0) -> None:
        """Take `<data>/audit/spool` and the id of the node it belongs to.

        Args:
            rest_seconds: for how long a file whose writer was never met has to stay as it is before it is removed.
        """
        self._directory = directory
        self._rest_seconds = rest_seconds
        self._is_first = True
        self._metadata = metadata
        self._node = node
        self._known: dict[str, _Known] = {}

    async def run(self) -> DrainReport:
        """Drain all that is there now.

        Raises:
            AuditPlacesTakenError: there are records behind the chain's end; the files stay.
            MetadataError: the database takes nothing; the files stay.
            OSError: one of them can't be read or removed; what the others hold was taken over.
        """
        report = DrainReport()
        if not await asyncio.to_thread(self._directory.is_dir):
            return report
        paths = await asyncio.to_thread(segment_paths, self._directory)
        cursors = dict(await self._metadata.audit.spool_cursors(self._node))
        self._known = {path.name: self._known.get(path.name) or _Known() for path in paths}
        failures: list[OSError] = []
        for path in paths:
            cursor = cursors.pop(path.name, 0)
            try:
                await self._drain(path, cursor, report)
            except OSError as error:
                # One that root copied here, say: all that was noted since lies behind it.
                failures.append(error)
        self._is_first = False
        for segment in cursors:  # removed, and the process died before it could say so
            await self._forget(segment)
        if failures:
            raise failures[0]
        return report

    async def _drain(self, path: Path, cursor: int, report: DrainReport) -> None:
        known = self._known[path.name]
        offset = max(0, min(cursor, known.taken))
        batches: list[FrameBatch] = []
        ended = False
        while True:
            batches = batches or await asyncio.to_thread(_read_batches, path, offset)
            if batches[0].consumed:
                count = await self._take_over(path.name, batches, offset)
                for batch in batches[:count]:
                    offset += batch.consumed
                    self._count(path.name, batch, report)
                del batches[:count]
                known.taken = offset
            elif ended and not await self._is_whole(path):
                return
            elif ended and (batches[0].is_begun or not batches[0].pending):
                await self._remove(path, batches[0].pending)
                return
            elif ended:
                # No process that died leaves that: it was written whole, and somebody was answered for it.
                batches = [_all_damaged(batches[0])]
            else:
                # Its writer may have added a last record between our look at the end and its own.
                ended = await asyncio.to_thread(_has_ended, path)
                if not ended:
                    known.was_locked = True
                    return
                batches.clear()

    async def _is_whole(self, path: Path) -> bool:
        """Whether nothing more will come to a file that nobody has locked."""
        known = self._known[path.name]
        if known.was_locked:
            return True
        state, now = await asyncio.to_thread(_state_of, path), monotonic()
        if known.state != state:
            known.state = state
            known.since = now - (_seconds_since(state[1]) if self._is_first else 0.0)
        return now - known.since >= self._rest_seconds

    def _count(self, segment: str, batch: FrameBatch, report: DrainReport) -> None:
        report.records += len(batch.records)
        if batch.damaged:
            report.damaged_bytes += batch.damaged
            self._known[segment].damaged += batch.damaged
            _log.error("audit.spool.damaged", segment=segment, bytes=batch.damaged)

    async def _take_over(self, segment: str, batches: Sequence[FrameBatch], offset: int) -> int:
        """Take over one batch or more, and return how many."""
        beginning = NewChain.make()

        async def unit(tx: Transaction) -> int:
            end, count = offset, 0
            for batch in batches:
                await add_sealed(tx, beginning, batch.records)
                end, count = end + batch.consumed, count + 1
                if tx.audit_chain.others_wait():
                    break
            await tx.audit_chain.move_spool_cursor(self._node, segment, end)
            return count

        count = await self._metadata.write(unit)
        reach(Failpoint.AUDIT_DRAINED)
        return count

    async def _remove(self, path: Path, torn: int) -> None:
        """Remove a file that nobody writes to any more; one that was damaged is kept aside for people."""
        if torn:
            _log.warning("audit.spool.torn", segment=path.name, bytes=torn)
        # Counted until it is renamed: a disk may refuse that, and the next run comes here again.
        if self._known[path.name].damaged:
            await asyncio.to_thread(path.rename, path.with_suffix(DAMAGED_SUFFIX))
        else:
            await asyncio.to_thread(path.unlink)
        reach(Failpoint.AUDIT_SEGMENT_REMOVED)
        await self._forget(path.name)

    async def _forget(self, segment: str) -> None:
        await self._metadata.write(lambda tx: tx.audit_chain.forget_spool(self._node, segment))


def _read_batches(path: Path, offset: int) -> list[FrameBatch]:
    """Read as many as a unit may take over, at least one, which is empty where nothing more has ended."""
    batches = [_read(path, offset)]
    while batches[-1].consumed and len(batches) < _MOST_BATCHES:
        offset += batches[-1].consumed
        batches.append(_read(path, offset))
    return batches if batches[-1].consumed or len(batches) == 1 else batches[:-1]


def _read(path: Path, offset: int) -> FrameBatch:
    """Read a batch; a longer stretch where the usual one holds no whole frame."""
    with path.open("rb") as file:
        file.seek(offset)
        batch = read_frames(file.read(_BATCH_BYTES))
        if batch.consumed == 0 and batch.pending == _BATCH_BYTES:
            file.seek(offset)
            batch = read_frames(file.read(_WHOLE_RECORD_BYTES))
        return batch


def _all_damaged(batch: FrameBatch) -> FrameBatch:
    """Return a batch that takes what is pending for damage; of a long stretch so much that a record has room behind."""
    length = batch.pending if batch.pending < _WHOLE_RECORD_BYTES else _WHOLE_RECORD_BYTES // 4
    return FrameBatch((), length, length, batch.pending - length)


def _state_of(path: Path) -> tuple[int, int]:
    """Return what each write to a file changes.

    Its length alone would not do: a copy that broke off is begun anew within the file, and has no other one until it
    has come as far; and some copies are given all of it first. The time of contents is what `cp -p` sets.
    """
    found = path.stat()
    return found.st_size, found.st_ctime_ns


def _seconds_since(nanoseconds: int) -> float:
    """Return how long ago something was by the machine's clock, which may have been put back since."""
    return max(0.0, (machine_milliseconds() - nanoseconds / 1_000_000) / 1000)


def _has_ended(path: Path) -> bool:
    with ended_segment(path) as ended:
        return ended
