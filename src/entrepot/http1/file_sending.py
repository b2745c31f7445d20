"""Files on their way from the disk to a socket, by threads: a disk may take its time, and the event loop must not."""

from __future__ import annotations

import asyncio
import contextlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from entrepot.http1.threads import WorkThreads, to_its_end
from entrepot.kernel.cached_reads import CachedReads

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

__all__ = ["FileSender", "OpenFile"]

_THREADS: Final = 32
"""At most; they are started on demand, and each is busy only while a socket takes bytes at once."""
_TURN_BYTES: Final = 16 * 1024 * 1024
"""After so much another file has its turn, even if the client keeps up."""


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

    async def send(self, file: OpenFile, socket: int) -> None:
        """Send the whole file to a non-blocking socket, from the kernel's cache without a copy here.

        The descriptor must be nobody else's: were it closed meanwhile, its number could be another client's.

        Raises:
            OSError: the file can't be read or is shorter than it was, or the client is gone.
        """
        offset = 0
        while True:
            offset = await to_its_end(
                self._loop.run_in_executor(self._threads, _send_what_fits, socket, file, offset)
            )
            if offset == file.size_bytes:
                return
            await self._writable(socket)

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


def _send_what_fits(socket: int, file: OpenFile, offset: int) -> int:
    """Return the offset behind what the socket has taken. Source: sendfile(2)."""
    end = min(offset + _TURN_BYTES, file.size_bytes)
    with contextlib.suppress(BlockingIOError):
        while offset < end:
            sent_bytes = os.sendfile(socket, file.descriptor, offset, end - offset)
            if not sent_bytes:
                raise OSError(f"the file ended after {offset} of {file.size_bytes} bytes")
            offset += sent_bytes
    return offset
