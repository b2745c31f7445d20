"""The parts of one upload that are on their way to the store: several at once, in bounded memory."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from entrepot.blobstore.s3.upload_state import UploadedPart

__all__ = ["MOST_BYTES_IN_FLIGHT", "PartsInFlight"]

MOST_BYTES_IN_FLIGHT: Final = 24 * 1024 * 1024
"""Three parts of the usual size: while one is confirmed the next ones travel. One larger part may go alone."""


class PartsInFlight:
    """Sends parts beside whatever the caller does, and hands them back acknowledged, in their order."""

    def __init__(self) -> None:
        self._sending: deque[tuple[int, asyncio.Task[UploadedPart]]] = deque()

    def __len__(self) -> int:
        return len(self._sending)

    def start(self, size_bytes: int, sending: Coroutine[None, None, UploadedPart]) -> None:
        """Begin to send a part of `size_bytes`; :meth:`make_room` comes first."""
        self._sending.append((size_bytes, asyncio.create_task(sending)))

    async def make_room(self, size_bytes: int, acknowledged: list[UploadedPart]) -> None:
        """Wait until `size_bytes` more may be sent; append the parts that were acknowledged meanwhile.

        Raises:
            what sending the oldest part raised; it stays the oldest, so that nobody goes on without it.
        """
        while self._sending and self._bytes_in_flight() + size_bytes > MOST_BYTES_IN_FLIGHT:
            await self._finish_oldest(acknowledged)

    async def finish(self, acknowledged: list[UploadedPart]) -> None:
        """Wait for all parts and append them; see :meth:`make_room` for what is raised."""
        while self._sending:
            await self._finish_oldest(acknowledged)

    async def cancel(self) -> None:
        """Stop sending; what the store has received of it is replaced or dropped by whoever goes on."""
        tasks = [task for _, task in self._sending]
        self._sending.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _bytes_in_flight(self) -> int:
        return sum(size for size, _ in self._sending)

    async def _finish_oldest(self, acknowledged: list[UploadedPart]) -> None:
        _, task = self._sending[0]
        acknowledged.append(await task)
        self._sending.popleft()
