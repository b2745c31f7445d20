"""The asynchronous face of a staged file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from entrepot.blobstore.keys import staged_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from entrepot.blobstore.filesystem.disk_threads import DiskThreads
    from entrepot.blobstore.filesystem.staged_file import StagedFile
    from entrepot.kernel.chunks import ChunkSink
    from entrepot.oci.digest import Digest

__all__ = ["FilesystemWriter"]


class FilesystemWriter:
    """A :class:`BlobWriter`; one thread hop per call."""

    def __init__(self, threads: DiskThreads, staged: StagedFile, upload_id: str) -> None:
        self._threads = threads
        self._staged = staged
        self._upload_id = upload_id

    @property
    def offset(self) -> int:
        """Bytes staged so far."""
        return self._staged.offset

    async def write(self, chunks: Sequence[bytes]) -> None:
        """Append `chunks` with as few system calls as the kernel allows."""
        await self._threads.run(self._staged.write, chunks)

    async def lend_thread(self, sink: ChunkSink, chunks: Sequence[bytes]) -> None:
        """See :class:`entrepot.blobstore.driver.ThreadedWriter`."""
        await self._threads.run(sink, chunks)

    def write_here(self, chunks: Sequence[bytes | memoryview]) -> None:
        """See :class:`entrepot.blobstore.driver.ThreadedWriter`."""
        self._staged.write(chunks)

    async def checkpoint(self) -> bytes:
        """Fsync; a disk needs no state beyond the file itself."""
        await self._threads.run(self._staged.checkpoint)
        return b""

    async def seal(self) -> str:
        """Return the key of the staged file."""
        await self._threads.run(self._staged.finish)
        return staged_key(self._upload_id)

    async def publish(self, digest: Digest) -> str:
        """Move the file to its final name."""
        return await self._threads.run(self._staged.publish, digest)

    async def close(self) -> None:
        """Release the lock, even when the waiting task is cancelled."""
        await self._threads.run(self._staged.close)
