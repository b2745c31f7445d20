"""The inner loop of a push: bytes go from the client to the hash and the blob store, and nowhere else.

While one step is hashed and written on threads, the next one is received: the stages run side by side, and at most
two steps are in memory. Chunks are passed on as they came, never joined.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeAlias

from entrepot.blobstore.driver import ThreadedWriter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from entrepot.blobstore.driver import BlobWriter
    from entrepot.registry.hashing import HashingPool, RunningDigest

__all__ = ["StagingPipeline"]

_Store: TypeAlias = "Callable[[list[bytes]], Awaitable[None]]"


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
        store = self._choose_store(writer, running)
        storing: asyncio.Future[None] | None = None
        step: list[bytes] = []
        step_size = 0
        try:
            async for chunk in body:
                step.append(chunk)
                step_size += len(chunk)
                if step_size >= self._step_bytes:
                    if storing is not None:
                        await storing
                    storing = asyncio.ensure_future(store(step))
                    step, step_size = [], 0
        finally:
            if storing is not None:
                await storing
            if step:
                await store(step)

    def _choose_store(self, writer: BlobWriter, running: RunningDigest | None) -> _Store:
        """Return what takes a step: with one change of threads where the writer allows it."""
        if running is None:
            return writer.write
        if isinstance(writer, ThreadedWriter):
            return lambda step: writer.write_after(running.update, step)
        return lambda step: self._hash_beside(step, writer, running)

    async def _hash_beside(self, step: list[bytes], writer: BlobWriter, running: RunningDigest) -> None:
        hashed = asyncio.create_task(self._hashing.update(running, step))
        try:
            await writer.write(step)
        finally:
            await hashed
