"""Looks at one object: whether it is there, as long as it should be, and made of the bytes that were pushed."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

from entrepot.blobstore.errors import BlobStoreError, ObjectNotFoundError
from entrepot.lifecycle.scrub.findings import Kind
from entrepot.registry.hashing import RunningDigest

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from entrepot.blobstore.driver import BlobStore
    from entrepot.kernel.pace import Pace
    from entrepot.oci.digest import Digest
    from entrepot.registry.hashing import HashingPool

__all__ = ["Condition", "Examination"]

_ATTEMPTS: Final = 3
_PAUSE_SECONDS: Final = 0.5
_MOST_UNREADABLE_IN_A_ROW: Final = 20
"""Then the verification breaks off, to be gone on with when the store is back, instead of calling all unreadable."""


@dataclass(frozen=True, slots=True)
class Condition:
    """What was seen of an object; `kind` is `None` when it is sound.

    Attributes:
        read_bytes: how many bytes were read for it.
    """

    kind: Kind | None
    found_bytes: int | None = None
    detail: str = ""
    read_bytes: int = 0


class Examination:
    """Examines objects of one store, any number at a time.

    A store that fails to read is asked again; what it then still can't read is called unreadable, never corrupt: a
    cable, a controller or a network may be at fault, and the bytes may be sound.
    """

    def __init__(
        self,
        blobs: BlobStore,
        hashing: HashingPool,
        pace: Pace,
        on_bytes: Callable[[int], None],
        *,
        fast: bool,
    ) -> None:
        """Take the store; `on_bytes` is told what was read, as it is read. `fast` looks at sizes only."""
        self._blobs = blobs
        self._hashing = hashing
        self._pace = pace
        self._on_bytes = on_bytes
        self._fast = fast
        self._unreadable_in_a_row = 0

    async def examine(self, key: str, digest: Digest, size_bytes: int) -> Condition:
        """Return the condition of the object that should hold `size_bytes` bytes which hash to `digest`.

        Raises:
            BlobStoreError: one object after the other can't be read: the store is away, not the objects.
        """
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                seen = await self._look(key, digest, size_bytes)
            except BlobStoreError as error:
                if attempt == _ATTEMPTS:
                    self._unreadable_in_a_row += 1
                    if self._unreadable_in_a_row >= _MOST_UNREADABLE_IN_A_ROW:
                        raise
                    return Condition(Kind.UNREADABLE, detail=str(error))
                await asyncio.sleep(_PAUSE_SECONDS * attempt)
            else:
                self._unreadable_in_a_row = 0
                return seen
        raise AssertionError  # the last attempt returned or raised

    async def _look(self, key: str, digest: Digest, size_bytes: int) -> Condition:
        try:
            found = await self._blobs.stat(key)
            if found != size_bytes:
                kind = Kind.TRUNCATED if found < size_bytes else Kind.OVERLONG
                return Condition(kind, found, f"{found} bytes are stored, {size_bytes} were pushed")
            if self._fast:
                return Condition(None, found)
            running = await self._hash(key, digest)
        except ObjectNotFoundError:
            return Condition(Kind.MISSING, detail="there is nothing under its key")
        actual = running.digest()
        if running.count != size_bytes:
            kind = Kind.TRUNCATED if running.count < size_bytes else Kind.OVERLONG
            return Condition(kind, running.count, f"{running.count} bytes could be read", running.count)
        if actual != digest:
            return Condition(Kind.CORRUPT, found, f"the stored bytes hash to {actual}", running.count)
        return Condition(None, found, read_bytes=running.count)

    async def _hash(self, key: str, digest: Digest) -> RunningDigest:
        running = RunningDigest.begin(digest.algorithm)
        # Every driver implements `read` as a generator; it must be closed when this task is cancelled.
        reading = cast("AsyncGenerator[bytes, None]", self._blobs.read(key))
        async with aclosing(reading) as chunks:
            async for chunk in chunks:
                await self._pace.take(len(chunk))
                await self._hashing.update(running, (chunk,))
                self._on_bytes(len(chunk))
        return running
