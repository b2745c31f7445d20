"""The inner loop of a push: bytes go from the client to the blob store and the hash, and nowhere else.

While one step is hashed and written on threads, the next one is received: three stages run side by side, and at most
two steps are in memory. Chunks are passed on as they came, never joined.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from entrepot.blobstore.driver import BlobWriter
    from entrepot.registry.hashing import HashingPool, RunningDigest

__all__ = ["StagingPipeline"]


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
        storing: asyncio.Task[None] | None = None
        step: list[bytes] = []
        step_size = 0
        try:
            async for chunk in body:
                step.append(chunk)
                step_size += len(chunk)
                if step_size >= self._step_bytes:
                    if storing is not None:
                        await storing
                    storing = asyncio.create_task(self._store(step, writer, running))
                    step, step_size = [], 0
        finally:
            if storing is not None:
                await storing
            if step:
                await self._store(step, writer, running)

    async def _store(self, step: list[bytes], writer: BlobWriter, running: RunningDigest | None) -> None:
        if running is None:
            await writer.write(step)
            return
        hashed = asyncio.create_task(self._hashing.update(running, step))
        try:
            await writer.write(step)
        finally:
            await hashed
