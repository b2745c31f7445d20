"""Reads bodies whole before anything else is done: they are small, and an answer never meets a client that still sends.

What all of them may take together is bounded, and a slow client holds only what it has sent.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

from entrepot.control_api.errors import (
    InputBudgetSpentError,
    InputInterruptedError,
    InputTooLargeError,
    InputTooSlowError,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from entrepot.kernel.asgi import Message, Receive
    from entrepot.kernel.errors import EntrepotError

__all__ = ["MAX_BODY_BYTES", "BodyBudget", "replayed"]

MAX_BODY_BYTES: Final = 1024 * 1024
_BUDGET_BYTES: Final = 32 * MAX_BODY_BYTES
_PATIENCE_SECONDS: Final = 30.0


class BodyBudget:
    """What the bodies that are under way may take together, in one process."""

    def __init__(self, total_bytes: int = _BUDGET_BYTES, patience_seconds: float = _PATIENCE_SECONDS) -> None:
        self._left = total_bytes
        self._patience_seconds = patience_seconds

    @contextlib.asynccontextmanager
    async def reading(self, receive: Receive) -> AsyncGenerator[bytes]:
        """Read a body and keep its place in the budget until the context ends.

        Raises:
            InputTooLargeError: it has more bytes than any endpoint takes; no more of them are ever kept (S36).
            InputTooSlowError: it was not there in time.
            InputInterruptedError: the client went away.
            InputBudgetSpentError: others take all there is.
        """
        chunks: list[bytes] = []
        try:
            try:
                async with asyncio.timeout(self._patience_seconds):
                    await self._gather(receive, chunks)
            except TimeoutError as error:
                raise InputTooSlowError(self._patience_seconds) from error
            yield b"".join(chunks)
        finally:
            self._left += sum(map(len, chunks))

    async def _gather(self, receive: Receive, chunks: list[bytes]) -> None:
        """Read on to the end even where nothing is kept: a client that still sends would never see the answer."""
        size, more = 0, True
        refusal: EntrepotError | None = None
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise InputInterruptedError
            chunk: bytes = message.get("body", b"")
            more = message.get("more_body", False)
            size += len(chunk)
            if size > MAX_BODY_BYTES:
                refusal = InputTooLargeError(MAX_BODY_BYTES)
            elif len(chunk) > self._left:
                refusal = InputBudgetSpentError()
            if refusal is None:
                self._left -= len(chunk)
                chunks.append(chunk)
        if refusal is not None:
            raise refusal


def replayed(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that hands out a body that was read, and then whatever the server has to say."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive_again() -> Message:
        return waiting.pop() if waiting else await receive()

    return receive_again
