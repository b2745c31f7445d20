"""Notes what changes nothing in a local file before the reply: a pull needs no write to the database (F45, I11).

Records that come in one turn of the event loop, and in those that follow while each brings more, are one write to a
file opened for appending: when it returns, the kernel has them, and the death of the process takes nothing back. Nobody
is answered before. What the setting `group` adds is a flush to the disk, which many records share.

When the file can't be written, a bounded number of records waits in memory, so that pulls go on (F5, F9). Nothing that
was answered is dropped while the process lives: what waits is written first, and without room for more nobody is
answered.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import structlog
from msgspec.structs import replace

from entrepot.audit.frames import encode_frame
from entrepot.audit.spool_writer import SpoolFiles, SpoolLimits, SpoolWriter
from entrepot.auth.errors import AuditUnavailableError
from entrepot.kernel.clock import machine_milliseconds
from entrepot.kernel.failpoints import Failpoint, reach

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from entrepot.metadata.audit_store import NewAuditRecord

__all__ = ["AuditSpool", "SpoolBuffer"]

_log: Any = structlog.get_logger()

_LOG_SECONDS: Final = 10.0
_ENOUGH: Final = 32
"""Records for which no more are waited for: their requests have taken two to three milliseconds by then."""
_MOST_AT_ONCE: Final = 512
"""Records that are written in one go: some milliseconds in which nothing else runs."""


@dataclass(frozen=True, slots=True)
class SpoolBuffer:
    """How many records may wait in memory while the file can't be written, and who is told.

    Attributes:
        records: 0 to refuse at once.
        on_kept: told of each record that came to wait there.
        on_waiting: told how many wait, whenever that changes.
    """

    records: int = 0
    on_kept: Callable[[], None] = lambda: None
    on_waiting: Callable[[int], None] = lambda _: None


@dataclass(slots=True)
class _Unflushed:
    """A record in a file that was not flushed yet.

    Attributes:
        answered: told when it was; `None` for one that waited in memory, whose caller was let go on then.
    """

    frame: bytes
    answered: asyncio.Future[None] | None


class AuditSpool:
    """Implements :class:`entrepot.auth.audit_notes.AuditNotes` for one process and one event loop."""

    def __init__(
        self,
        directory: Path,
        flush: Literal["none", "group"],
        on_failure: Callable[[], None],
        *,
        buffer: SpoolBuffer | None = None,
        limits: SpoolLimits | None = None,
        files: SpoolFiles | None = None,
    ) -> None:
        """Take `<data>/audit/spool`, which need not exist; `on_failure` is told each time a record is refused."""
        self._flushes = flush == "group"
        self._on_failure = on_failure
        self._buffer = buffer or SpoolBuffer()
        self._limits = limits or SpoolLimits()
        self._writer = SpoolWriter(directory, self._limits, files or SpoolFiles(), flushed=self._flushes)
        self._kept: deque[bytes] = deque()
        # What came in these turns of the event loop, and who is told whether it is in the file.
        self._gathered: list[tuple[bytes, asyncio.Future[bool]]] = []
        self._unflushed: list[_Unflushed] = []
        self._kept_unflushed = 0
        self._flushing: asyncio.Task[None] | None = None
        self._retrying: asyncio.Task[None] | None = None
        self._not_before = 0.0
        self._at_once = 1
        self._reason = ""
        self._outage: _Outage | None = None
        self._silent_until = 0.0

    @property
    def waiting(self) -> int:
        """How many records are in memory only, as far as is known."""
        return len(self._kept) + self._kept_unflushed

    async def note(self, record: NewAuditRecord) -> None:
        """See the protocol."""
        if not record.at_milliseconds:
            record = replace(record, at_milliseconds=machine_milliseconds())
        frame = encode_frame(record)
        if self._kept or self._flushes or not await self._write_with_others(frame):
            await self._write_alone(frame)
        reach(Failpoint.AUDIT_NOTED)

    async def aclose(self) -> None:
        """Write what waits, if it can be, and end the segment, so that it can be drained. May be called again."""
        if self._retrying is not None:
            self._retrying.cancel()
            await asyncio.wait((self._retrying,))
            self._retrying = None
        await self._flush_ended()
        self._write_gathered()
        self._not_before = 0.0
        while self._kept and self._write_kept():
            pass
        await self._flush_ended()
        self._writer.close()
        if self.waiting:
            _log.error("audit.spool.lost", records=self.waiting, reason=self._reason)
            self._kept.clear()
            self._outage = None
            self._tell()

    def _write_with_others(self, frame: bytes) -> asyncio.Future[bool]:
        """Write a record with others that come at the same time; the result is whether it is in the file."""
        written: asyncio.Future[bool] = asyncio.Future()
        gathered = self._gathered
        gathered.append((frame, written))
        if len(gathered) == 1:
            asyncio.get_running_loop().call_soon(self._write_unless_more_come, 1)
        elif len(gathered) == _MOST_AT_ONCE:
            self._write_gathered()
        return written

    def _write_unless_more_come(self, seen: int) -> None:
        """Write what has come, if a turn of the event loop has added nothing to the records `seen`, or if it is enough.

        Whoever comes alone waits for no other. Under load the answers of many requests leave together, so their clients
        come back together: each step is taken by many while the processor has it at hand, which is worth 8 % of a pull.
        """
        count = len(self._gathered)
        if seen < count < _ENOUGH:
            asyncio.get_running_loop().call_soon(self._write_unless_more_come, count)
        else:
            self._write_gathered()

    def _write_gathered(self) -> None:
        """Write the records that have come; where that fails, whoever brought one tries it alone, in the same order.

        Some may be in the file all the same, when it could not be cut: a record that is there twice counts once.
        """
        gathered, self._gathered = self._gathered, []
        if not gathered:
            return
        are_written = False
        try:
            self._writer.append(b"".join([frame for frame, _ in gathered]))
            are_written = True
        except OSError as error:
            self._reason = _reason_of(error)
        finally:
            for _, written in gathered:
                if not written.done():  # else its caller went away
                    written.set_result(are_written)

    async def _write_alone(self, frame: bytes) -> None:
        """Write a record behind those that wait, or let it wait too."""
        if self._kept:
            await self._try_again()
        if self._kept:
            self._keep(frame)
        elif (flushed := self._write(frame)) is not None:
            await flushed

    async def _try_again(self) -> None:
        """Write some of what waits; without room for more, wait until it is known what became of it."""
        self._write_kept()
        if self.waiting >= self._buffer.records:
            await self._flush_ended()

    def _write(self, frame: bytes) -> asyncio.Future[None] | None:
        """Write a record, or let it wait; return what its caller has to wait for, nothing on the usual setting."""
        try:
            self._writer.append(frame)
        except OSError as error:
            self._reason = _reason_of(error)
            self._keep(frame)
            return None
        if not self._flushes:
            return None
        answered = asyncio.get_running_loop().create_future()
        self._unflushed.append(_Unflushed(frame, answered))
        self._begin_flushing()
        return answered

    def _keep(self, frame: bytes) -> None:
        """Let a record wait in memory behind the others, or refuse it."""
        if self.waiting >= self._buffer.records:
            raise self._refusal()
        self._kept.append(frame)
        self._note_kept()

    def _note_kept(self) -> None:
        if self._outage is None:
            self._outage = _Outage(time.monotonic())
            _log.error("audit.spool.buffering", reason=self._reason, room=self._buffer.records)
        self._outage.records += 1
        self._buffer.on_kept()
        self._tell()
        if self._retrying is None:
            self._retrying = asyncio.get_running_loop().create_task(self._retry(), name="audit spool buffer")

    def _tell(self) -> None:
        """Tell how many wait, and when an outage is over."""
        self._buffer.on_waiting(self.waiting)
        outage = self._outage
        if outage is not None and not self.waiting:
            self._outage = None
            seconds = round(time.monotonic() - outage.began, 3)
            _log.warning("audit.spool.recovered", records=outage.records, seconds=seconds)

    async def _retry(self) -> None:
        """Try as long as something waits, also when no further note comes."""
        try:
            await asyncio.sleep(self._limits.retry_seconds)
            while self.waiting:
                went_on = self._write_kept()
                await self._flush_ended()
                await asyncio.sleep(0 if went_on else self._limits.retry_seconds)
        finally:
            self._retrying = None

    def _write_kept(self) -> bool:
        """Write some of what waits, the oldest first; return whether it went.

        It begins with one record after each failure, so that a disk that fails again gets few of them twice.
        """
        if time.monotonic() < self._not_before:
            return False
        try:
            for _ in range(min(self._at_once, len(self._kept))):
                self._writer.append(self._kept[0])
                frame = self._kept.popleft()
                if self._flushes:
                    self._unflushed.append(_Unflushed(frame, None))
                    self._kept_unflushed += 1
        except OSError as error:
            self._reason = _reason_of(error)
            self._at_once = 1
            return False
        else:
            self._at_once = min(2 * self._at_once, _MOST_AT_ONCE)
            return True
        finally:
            if self._unflushed:
                self._begin_flushing()
            self._tell()

    def _begin_flushing(self) -> None:
        if self._flushing is None:
            self._flushing = asyncio.get_running_loop().create_task(self._flush_all(), name="audit spool")

    async def _flush_ended(self) -> None:
        if self._flushing is not None:
            await asyncio.wait((self._flushing,))

    async def _flush_all(self) -> None:
        """Flush as long as somebody waits; records that come during a flush wait for the next one."""
        try:
            while self._unflushed:
                flushed, self._unflushed = self._unflushed, []
                try:
                    await self._writer.flush()
                except OSError as error:
                    self._put_back([*flushed, *self._unflushed], error)
                else:
                    self._settle(flushed)
        finally:
            self._flushing = None

    def _settle(self, flushed: list[_Unflushed]) -> None:
        for record in flushed:
            if record.answered is None:
                self._kept_unflushed -= 1
            elif not record.answered.done():
                record.answered.set_result(None)
        self._tell()

    def _put_back(self, unflushed: list[_Unflushed], error: OSError) -> None:
        """Let what a failed flush concerns wait in memory, before what came later; refuse what finds no room."""
        self._unflushed = []
        self._reason = _reason_of(error)
        self._not_before = time.monotonic() + self._limits.retry_seconds
        self._at_once = 1
        later, self._kept = self._kept, deque()
        room = self._buffer.records - self._kept_unflushed - len(later)
        for record in unflushed:
            if record.answered is None:
                self._kept_unflushed -= 1
                self._kept.append(record.frame)
            elif record.answered.done():  # its caller went away, so nobody was answered
                continue
            elif room <= 0:
                record.answered.set_exception(self._refusal())
            else:
                room -= 1
                self._kept.append(record.frame)
                self._note_kept()
                record.answered.set_result(None)
        self._kept.extend(later)
        self._tell()

    def _refusal(self) -> AuditUnavailableError:
        self._on_failure()
        now = time.monotonic()
        if now >= self._silent_until:
            self._silent_until = now + _LOG_SECONDS
            _log.error("audit.spool.failed", reason=self._reason)
        return AuditUnavailableError(self._reason)


@dataclass(slots=True)
class _Outage:
    """A time in which records wait in memory: when it began, and how many it were."""

    began: float
    records: int = 0


def _reason_of(error: OSError) -> str:
    return error.strerror or str(error)
