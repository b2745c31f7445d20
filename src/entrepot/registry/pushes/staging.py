"""The inner loop of a push: bytes go from the client to the hash and the blob store, and nowhere else.

While one step is hashed and written on threads, the next one is received: the stages run side by side, and at most
two steps are in memory. Chunks are passed on as they came, never joined. Where client and store allow it, one thread
receives, hashes and writes, and the event loop has no part in it.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeAlias, runtime_checkable

from entrepot.blobstore.driver import ThreadedWriter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from entrepot.blobstore.driver import BlobWriter
    from entrepot.kernel.chunks import ChunkSink
    from entrepot.registry.hashing import HashingPool, RunningDigest

__all__ = ["DrainableBody", "StagingPipeline"]

_Store: TypeAlias = "Callable[[list[bytes]], Awaitable[None]]"


@runtime_checkable
class DrainableBody(Protocol):
    """A body, iterated for its chunks, that a thread can take in instead for a while."""

    @property
    def has_backlog(self) -> bool:
        """Whether more has come than was taken, so that it is worth a thread."""
        ...

    async def drain(self, sink: ChunkSink) -> None:
        """Call `sink` with what comes, on a thread, until that has caught up with the client or the body has ended.

        Iterating goes on behind it, and tells of the end. What `sink` raises is raised. It keeps nothing of what
        it gets, whose memory is used again.
        """


class StagingPipeline:
    """Moves one request body into a writer."""

    def __init__(self, hashing: HashingPool, step_bytes: int) -> None:
        self._hashing = hashing
        self._step_bytes = step_bytes

    async def pump(
        self, body: AsyncIterator[bytes], writer: BlobWriter, running: RunningDigest | None
    ) -> None:
        """Append `body` to `writer`, updating `running` where there is one.

        Whatever ends the body early (the client is gone, the store is full), every chunk that was taken from it before
        is either staged or reported by the exception of the store.
        """
        sink = _sink_of(writer, running)
        steps = _Steps(self._store_of(writer, running, sink), self._step_bytes)
        drainable = body if isinstance(body, DrainableBody) else None
        try:
            async for chunk in body:
                if not await steps.add(chunk) or drainable is None or sink is None:
                    continue
                if drainable.has_backlog:
                    await steps.settle()
                    await drainable.drain(sink)
        finally:
            await steps.settle()

    def _store_of(self, writer: BlobWriter, running: RunningDigest | None, sink: ChunkSink | None) -> _Store:
        """Return what takes a step: with one change of threads where the writer allows it."""
        if sink is not None and isinstance(writer, ThreadedWriter):
            return partial(writer.lend_thread, sink)
        if running is None:
            return writer.write
        return partial(self._hash_beside, writer, running)

    async def _hash_beside(self, writer: BlobWriter, running: RunningDigest, step: list[bytes]) -> None:
        hashed = asyncio.create_task(self._hashing.update(running, step))
        try:
            await writer.write(step)
        finally:
            await hashed


class _Steps:
    """Chunks until they are worth a change of threads, and the step before them on its way into the store."""

    def __init__(self, store: _Store, step_bytes: int) -> None:
        self._store = store
        self._step_bytes = step_bytes
        self._chunks: list[bytes] = []
        self._size = 0
        self._storing: asyncio.Future[None] | None = None

    async def add(self, chunk: bytes) -> bool:
        """Take a chunk; return whether that began the storing of a step."""
        self._chunks.append(chunk)
        self._size += len(chunk)
        if self._size < self._step_bytes:
            return False
        if self._storing is not None:
            await self._storing
        self._storing = asyncio.ensure_future(self._store(self._chunks))
        self._chunks, self._size = [], 0
        return True

    async def settle(self) -> None:
        """Store what is left, and wait for it."""
        storing, self._storing = self._storing, None
        if storing is not None:
            await storing
        if self._chunks:
            chunks, self._chunks, self._size = self._chunks, [], 0
            await self._store(chunks)


def _sink_of(writer: BlobWriter, running: RunningDigest | None) -> ChunkSink | None:
    """Return what hashes and writes on the thread that calls it, where the writer can."""
    if not isinstance(writer, ThreadedWriter):
        return None
    if running is None:
        return writer.write_here

    def sink(chunks: Sequence[bytes | memoryview]) -> None:
        running.update(chunks)
        writer.write_here(chunks)

    return sink
