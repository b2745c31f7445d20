"""Files on their way from the disk to a socket, by threads: a disk may take its time, and the event loop must not."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from entrepot.http1.mapped_file import mapped_file
from entrepot.http1.recent_effort import RecentEffort
from entrepot.http1.threads import WorkThreads, to_its_end
from entrepot.kernel.cached_reads import CachedReads

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

__all__ = ["FileSender", "OpenFile"]

_Turn: TypeAlias = "Callable[[int, OpenFile, int], int]"
"""Sends a file to a socket from an offset on; returns the offset behind what was taken."""

_THREADS: Final = 32
"""At most; they are started on demand, and each is busy only while a socket takes bytes at once."""
_TURN_BYTES: Final = 16 * 1024 * 1024
"""After so much another file has its turn, even if the client keeps up."""
_SHARED_STEP_BYTES: Final = 512 * 1024
"""With more, the kernel sends a client that keeps up less at a time, and wakes it for each of these."""
_COPIED_TURN_BYTES: Final = 4 * 1024 * 1024
"""After so much it is looked again whether there is time to make copies."""
_COPIED_STEP_BYTES: Final = 2 * 1024 * 1024
"""As long as they are mapped, they count as memory of the process."""
_SPARE_CORES: Final = 0.5
"""Of a client that takes less of this side's time, it is known that its own is what is short."""


@dataclass(frozen=True, slots=True)
class OpenFile:
    """A file that is open for reading."""

    descriptor: int
    size_bytes: int


class FileSender:
    """Opens, reads and sends files. Belongs to one event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._threads = WorkThreads(_THREADS, "file-sender")
        self._cached = CachedReads()
        self._effort = RecentEffort()
        self._under_way = 0

    def close(self) -> None:
        """End the threads once they have nothing more to do."""
        self._threads.shutdown(wait=False)

    @contextlib.asynccontextmanager
    async def open(self, path: str) -> AsyncIterator[OpenFile]:
        """Hold a file open.

        Raises:
            OSError: it can't be opened.
        """
        opening = self._loop.run_in_executor(self._threads, _open, path)
        try:
            file = await to_its_end(opening)
        except asyncio.CancelledError:
            if not opening.cancelled() and opening.exception() is None:
                os.close(opening.result().descriptor)
            raise
        try:
            yield file
        finally:
            os.close(file.descriptor)

    async def read(self, file: OpenFile, offset: int, size: int) -> bytes | bytearray:
        """Return up to `size` bytes (> 0): at once those that the kernel has in memory.

        Raises:
            OSError: they can't be read, or there are none.
        """
        if self._cached.are_possible and (found := self._cached.read(file.descriptor, offset, size)):
            return found
        piece = await to_its_end(
            self._loop.run_in_executor(self._threads, os.pread, file.descriptor, size, offset)
        )
        if not piece:
            raise OSError(f"the file ended after {offset} of {file.size_bytes} bytes")
        return piece

    async def send(self, file: OpenFile, socket: int, *, is_near: bool) -> None:
        """Send the whole file to a non-blocking socket, from the kernel's cache.

        The descriptor must be nobody else's: were it closed meanwhile, its number could be another client's. A client
        that `is_near` runs on this machine, and may be spared some of its work.

        Raises:
            OSError: the file can't be read or is shorter than it was, or the client is gone.
        """
        # While others are sent and that takes little time, it is known already that clients are what is waited for.
        begins_with_copies = is_near and self._under_way > 0 and self._has_time_for_all()
        self._under_way += 1
        try:
            await self._send_in_turns(
                file, socket, _send_copies if begins_with_copies else _send_pages, is_near=is_near
            )
        finally:
            self._under_way -= 1

    async def _send_in_turns(self, file: OpenFile, socket: int, turn: _Turn, *, is_near: bool) -> None:
        offset, spent, began = 0, 0.0, time.monotonic()
        while True:
            sending = self._loop.run_in_executor(self._threads, _timed, turn, socket, file, offset)
            offset, seconds = await to_its_end(sending)
            spent += seconds
            self._effort.add(seconds)
            if offset == file.size_bytes:
                return
            await self._writable(socket)
            keeps_up = spent >= _SPARE_CORES * (time.monotonic() - began)
            is_spared = is_near and not keeps_up and self._has_time_for_all()
            turn = _send_copies if is_spared else _send_pages

    def _has_time_for_all(self) -> bool:
        """Whether there is time to make copies: all that is sent takes little of it."""
        return self._effort.in_cores() < _SPARE_CORES

    async def _writable(self, socket: int) -> None:
        ready = self._loop.create_future()
        self._loop.add_writer(socket, _set, ready)
        try:
            await ready
        finally:
            self._loop.remove_writer(socket)


def _set(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)


def _open(path: str) -> OpenFile:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return OpenFile(descriptor, os.fstat(descriptor).st_size)
    except BaseException:
        os.close(descriptor)
        raise


def _timed(turn: _Turn, socket: int, file: OpenFile, offset: int) -> tuple[int, float]:
    """Return what a turn does, and the processor time that it took."""
    began = time.thread_time()
    return turn(socket, file, offset), time.thread_time() - began


def _send_pages(socket: int, file: OpenFile, offset: int) -> int:
    """Return the offset behind what the socket has taken in a turn, of the pages that the kernel holds the file in.

    Raises:
        OSError: as `FileSender.send` tells.
    """
    end = min(offset + _TURN_BYTES, file.size_bytes)
    with contextlib.suppress(BlockingIOError):
        while offset < end:
            offset += _send_shared(socket, file, offset, min(_SHARED_STEP_BYTES, end - offset))
    return offset


def _send_copies(socket: int, file: OpenFile, offset: int) -> int:
    """Do the same with copies of those pages (docs/decisions/0062-files-for-clients-nearby.md)."""
    end = min(offset + _COPIED_TURN_BYTES, file.size_bytes)
    with contextlib.suppress(BlockingIOError):
        while offset < end:
            offset += _send_copied(socket, file, offset, min(_COPIED_STEP_BYTES, end - offset))
    return offset


def _send_shared(socket: int, file: OpenFile, offset: int, size: int) -> int:
    """Send some pages themselves; return how many bytes were taken. Source: sendfile(2)."""
    sent_bytes = os.sendfile(socket, file.descriptor, offset, size)
    if not sent_bytes:
        raise OSError(f"the file ended after {offset} of {file.size_bytes} bytes")
    return sent_bytes


def _send_copied(socket: int, file: OpenFile, offset: int, size: int) -> int:
    """Send a copy of some pages; return how many bytes were taken.

    What can't be mapped, or read then, is left to `sendfile`, which knows why. Source: write(2).
    """
    try:
        with mapped_file(file.descriptor, offset, size) as wanted:
            return os.write(socket, wanted)
    except BlockingIOError:
        raise
    except OSError:
        return _send_shared(socket, file, offset, size)
