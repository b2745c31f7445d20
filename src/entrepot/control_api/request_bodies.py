"""Reads bodies whole before anything else is done: they are small, and an answer never meets a client that still sends.

What all of them may take together is bounded, and a slow client holds only what it has sent. Anybody can send a body,
so whoever sends much, or never ends, gives way to those who send little: a login has some hundred bytes.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from typing import TYPE_CHECKING, Final

from entrepot.control_api.errors import (
    InputBudgetSpentError,
    InputInterruptedError,
    InputTooLargeError,
    InputTooSlowError,
)
from entrepot.kernel.plain_addresses import subscriber

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from entrepot.kernel.asgi import Message, Receive
    from entrepot.kernel.errors import EntrepotError

__all__ = ["MAX_BODY_BYTES", "SMALL_BODY_BYTES", "BodyBudget", "replayed"]

MAX_BODY_BYTES: Final = 1024 * 1024
_BUDGET_BYTES: Final = 32 * MAX_BODY_BYTES
_LARGE_BYTES: Final = 24 * MAX_BODY_BYTES
"""Of the budget; the rest is for small bodies, also while large ones that were read whole wait for a password check."""
SMALL_BODY_BYTES: Final = 16 * 1024
"""What a login takes has some hundred; also the most that is read where nothing is demanded."""
_PATIENCE_SECONDS: Final = 30.0


class _Reading:
    """One body on its way.

    Attributes:
        place: whoever sends it: an address, or in IPv6 a network.
        size: of what is kept of it.
        refusal: why nothing is kept any more.
    """

    __slots__ = ("chunks", "place", "refusal", "size")

    def __init__(self, place: str) -> None:
        self.place = place
        self.chunks: list[bytes] = []
        self.size = 0
        self.refusal: EntrepotError | None = None


class BodyBudget:
    """What the bodies that are under way may take together, in one process.

    Where nothing is left, the longest body that is not there yet gives way, of whoever has most of them on the way: one
    address, or a hundred, that begin bodies and never end them keep nobody else waiting.
    """

    def __init__(self, total_bytes: int = _BUDGET_BYTES, patience_seconds: float = _PATIENCE_SECONDS) -> None:
        self._left = total_bytes
        self._kept_for_small = max(total_bytes - _LARGE_BYTES, 0)
        self._patience_seconds = patience_seconds
        self._on_the_way: set[_Reading] = set()

    @contextlib.asynccontextmanager
    async def reading(self, receive: Receive, address: str = "") -> AsyncGenerator[bytes]:
        """Read a body that comes from an address, and keep its place in the budget until the context ends.

        Raises:
            InputTooLargeError: it has more bytes than any endpoint takes; no more of them are ever kept (S36).
            InputTooSlowError: it was not there in time.
            InputInterruptedError: the client went away.
            InputBudgetSpentError: others take all there is, or it gave way to those who send less.
        """
        reading = _Reading(subscriber(address))
        try:
            self._on_the_way.add(reading)
            try:
                async with asyncio.timeout(self._patience_seconds):
                    await self._gather(receive, reading)
            except TimeoutError as error:
                raise InputTooSlowError(self._patience_seconds) from error
            finally:
                self._on_the_way.remove(reading)
            yield b"".join(reading.chunks)
        finally:
            self._left += reading.size

    async def _gather(self, receive: Receive, reading: _Reading) -> None:
        """Read on to the end even where nothing is kept: a client that still sends would never see the answer."""
        size, more = 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise InputInterruptedError
            chunk: bytes = message.get("body", b"")
            more = message.get("more_body", False)
            size += len(chunk)
            if reading.refusal is not None:
                continue
            if size > MAX_BODY_BYTES:
                self._refuse(reading, InputTooLargeError(MAX_BODY_BYTES))
            elif self._makes_room(reading, len(chunk)):
                self._left -= len(chunk)
                reading.size += len(chunk)
                reading.chunks.append(chunk)
            else:
                self._refuse(reading, InputBudgetSpentError())
        if reading.refusal is not None:
            raise reading.refusal

    def _refuse(self, reading: _Reading, error: EntrepotError) -> None:
        self._left += reading.size
        reading.size = 0
        reading.chunks.clear()
        reading.refusal = error

    def _makes_room(self, reading: _Reading, wanted: int) -> bool:
        """Whether there is room for more of a body, now that others may have given way."""
        spared = 0 if reading.size + wanted <= SMALL_BODY_BYTES else self._kept_for_small
        while wanted and wanted > self._left - spared:
            held = Counter[str]()
            for one in self._on_the_way:
                held[one.place] += one.size
            greediest = max(held, key=lambda place: held[place])
            longest = max(
                (one for one in self._on_the_way if one.place == greediest), key=lambda one: one.size
            )
            is_own = greediest == reading.place  # as behind a proxy, where all clients are of one address
            theirs, own = (longest.size, reading.size) if is_own else (held[greediest], held[reading.place])
            if theirs <= own + wanted:  # nobody gives way to somebody who would then have as much
                return False
            self._refuse(longest, InputBudgetSpentError())
        return True


def replayed(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that hands out a body that was read, and then whatever the server has to say."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive_again() -> Message:
        return waiting.pop() if waiting else await receive()

    return receive_again
