"""Hashing off the event loop, and hashes that live on between the requests of one upload.

:mod:`hashlib` releases the interpreter lock for long buffers but can't save its state (S41), so a hash that spans
several requests is kept in memory by the process that computed it, together with the exact offset it has reached.
Another process, or one that lost it, hashes the whole upload once at its end.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from entrepot.oci.digest import Algorithm, Digest, Hasher, new_hasher

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from concurrent.futures import Executor

__all__ = ["HashingPool", "RunningDigest", "RunningDigests"]

_INLINE_BYTES = 64 * 1024
"""Up to this size hashing costs less than handing it to a thread (about 45 µs for sha256)."""


@dataclass(slots=True)
class RunningDigest:
    """A digest of the first `count` bytes of an upload."""

    algorithm: Algorithm
    hasher: Hasher
    count: int = 0

    @classmethod
    def begin(cls, algorithm: Algorithm) -> RunningDigest:
        """Return the digest of no bytes."""
        return cls(algorithm, new_hasher(algorithm))

    def update(self, chunks: Sequence[bytes | memoryview]) -> None:
        """Take `chunks` into account; runs on a worker thread."""
        for chunk in chunks:
            self.hasher.update(chunk)
            self.count += len(chunk)

    def digest(self) -> Digest:
        """Return the digest of the bytes so far."""
        return Digest(self.algorithm, self.hasher.hexdigest())


class HashingPool:
    """Runs hash updates on a bounded set of threads."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def update(self, running: RunningDigest, chunks: Sequence[bytes]) -> None:
        """Take `chunks` into account without holding up the event loop."""
        await asyncio.get_running_loop().run_in_executor(self._executor, running.update, chunks)

    async def digest_bytes(self, data: bytes, algorithm: Algorithm) -> Digest:
        """Return the digest of `data`: at once when it is small, on a thread otherwise."""
        if len(data) <= _INLINE_BYTES:
            return Digest.of_bytes(data, algorithm)
        return await asyncio.get_running_loop().run_in_executor(
            self._executor, Digest.of_bytes, data, algorithm
        )

    async def digest_stream(self, chunks: AsyncIterator[bytes], algorithm: Algorithm) -> RunningDigest:
        """Read `chunks` to their end and return their digest and count."""
        running = RunningDigest.begin(algorithm)
        async for chunk in chunks:
            await self.update(running, (chunk,))
        return running


class RunningDigests:
    """Digests of uploads that wait for their next request, bounded; the longest-waiting is given up first."""

    def __init__(self, capacity: int = 4096) -> None:
        self._capacity = capacity
        self._waiting: OrderedDict[str, RunningDigest] = OrderedDict()

    def keep(self, upload_id: str, running: RunningDigest) -> None:
        """Keep a digest for the request that continues the upload here."""
        self._waiting[upload_id] = running
        self._waiting.move_to_end(upload_id)
        while len(self._waiting) > self._capacity:
            self._waiting.popitem(last=False)

    def take(self, upload_id: str, offset: int, algorithm: Algorithm) -> RunningDigest | None:
        """Return and forget the digest of exactly the first `offset` bytes, if this process has it."""
        if offset == 0:
            self._waiting.pop(upload_id, None)
            return RunningDigest.begin(algorithm)
        running = self._waiting.pop(upload_id, None)
        if running is None or running.count != offset or running.algorithm != algorithm:
            return None
        return running
