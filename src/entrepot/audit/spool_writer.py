"""Writes the spool's files: a frame is there whole, or nothing of it counts.

A segment ends when it is long or old enough, or when what was written of a frame can't be taken back.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from entrepot.audit.segments import create_segment, spool_bytes
from entrepot.kernel.durable_directories import create_directory

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["SpoolFiles", "SpoolLimits", "SpoolWriter"]

_FULL_FOR_SECONDS: Final = 1.0


class SpoolFiles:
    """The calls that write; tests replace them by failing ones."""

    def append(self, descriptor: int, frames: bytes) -> int:
        """Append, and return how many bytes were taken."""
        return os.write(descriptor, frames)

    def flush(self, descriptor: int) -> None:
        """Make what was appended survive a power cut. Blocks."""
        os.fdatasync(descriptor)


@dataclass(frozen=True, slots=True)
class SpoolLimits:
    """When a segment ends, how much may wait for the database on this node, and when to try a failing disk again.

    To begin a segment flushes its directory, and requests wait for that: at thousands of pulls a second, one of the
    default size is enough for some seconds.
    """

    segment_bytes: int = 32 * 1024 * 1024
    segment_seconds: float = 60.0
    waiting_bytes: int = 1024 * 1024 * 1024
    retry_seconds: float = 1.0


@dataclass(slots=True)
class _Segment:
    """The file being written."""

    descriptor: int
    size: int
    ends_at: float


class SpoolWriter:
    """Appends for one process and one event loop. Nothing is touched on the disk before the first frame."""

    def __init__(self, directory: Path, limits: SpoolLimits, files: SpoolFiles, *, flushed: bool) -> None:
        """Take `<data>/audit/spool`; `flushed` says that files are let go of only after :meth:`flush`."""
        self._directory = directory
        self._flushed = flushed
        self._limits = limits
        self._files = files
        self._segment: _Segment | None = None
        self._retired: list[int] = []
        self._full_until = 0.0

    def append(self, frames: bytes) -> None:
        """Append a frame or several: when this returns, the kernel has them.

        Raises:
            OSError: it has nothing of them, or the first of several and a torn piece that readers pass over.
        """
        segment = self._open_segment(len(frames))
        try:
            written = self._files.append(segment.descriptor, frames)
        except OSError:
            self._cut(segment)
            raise
        if written != len(frames):
            self._cut(segment)
            raise OSError(None, "no room for the whole record")
        segment.size += written

    async def flush(self) -> None:
        """Bring all that was appended to the disk. One at a time.

        Raises:
            OSError: what of it is on the disk is unknown, also after a flush that succeeds later; no more is written
                to those files.
        """
        try:
            await self._flush_files()
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        """End the segment, so that it can be drained and removed. A later frame begins another."""
        self._end_segment()
        for descriptor in self._retired:
            with contextlib.suppress(OSError):
                os.close(descriptor)
        self._retired.clear()

    def _cut(self, segment: _Segment) -> None:
        """Take back what was written of it; where that fails, the segment ends with a torn frame."""
        try:
            os.ftruncate(segment.descriptor, segment.size)
        except OSError:
            self._end_segment()

    def _open_segment(self, more: int) -> _Segment:
        now = time.monotonic()
        segment = self._segment
        if segment is not None and segment.size > 0 and self._is_over(segment, more, now):
            self._end_segment()
            segment = None
        if segment is None:
            segment = self._segment = self._begin_segment(now)
        return segment

    def _is_over(self, segment: _Segment, more: int, now: float) -> bool:
        return segment.size + more > self._limits.segment_bytes or now >= segment.ends_at

    def _begin_segment(self, now: float) -> _Segment:
        if now < self._full_until:
            raise OSError(None, "too much waits for the database")
        create_directory(self._directory, 0o700)
        if spool_bytes(self._directory) >= self._limits.waiting_bytes:
            self._full_until = now + _FULL_FOR_SECONDS
            raise OSError(None, "too much waits for the database")
        descriptor, _ = create_segment(self._directory)
        return _Segment(descriptor, 0, now + self._limits.segment_seconds)

    def _end_segment(self) -> None:
        """Let go of the file being written: at once, or after its flush where somebody waits for that."""
        segment, self._segment = self._segment, None
        if segment is None:
            return
        if self._flushed:
            self._retired.append(segment.descriptor)
        else:
            os.close(segment.descriptor)

    async def _flush_files(self) -> None:
        retired, self._retired = self._retired, []
        try:
            for descriptor in retired:
                await asyncio.to_thread(self._files.flush, descriptor)
        finally:
            for descriptor in retired:
                os.close(descriptor)
        if self._segment is not None:
            # A copy of the number: the segment may end, and its number be given to another file, during the flush.
            descriptor = os.dup(self._segment.descriptor)
            try:
                await asyncio.to_thread(self._files.flush, descriptor)
            finally:
                os.close(descriptor)
