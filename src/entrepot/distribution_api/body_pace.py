"""Ends bodies whose clients send nothing, or so little that they only hold a place (F41).

A body has one timer, which looks from time to time, instead of one for each chunk. Time counts only while the registry
waits for the client: a slow disk is not the client's fault.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar, cast

from entrepot.distribution_api.errors import BodyTooSlowError
from entrepot.registry.errors import SourceInterruptedError

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from entrepot.kernel.asgi import Message, Receive

__all__ = ["BodyPace", "PaceLimits", "nothing_more"]

_T = TypeVar("_T")

_LOOKS_PER_LIMIT: Final = 6
"""So a client is ended at most a sixth later than its limit."""


@dataclass(frozen=True, slots=True)
class PaceLimits:
    """How slow the client of a body may be.

    Attributes:
        min_bytes_per_second: measured over the last `window_seconds`, and not before these have passed once; 0 for any.
        window_seconds: see there.
        silence_seconds: how long nothing at all may arrive.
    """

    min_bytes_per_second: int
    window_seconds: float
    silence_seconds: float


class BodyPace:
    """Receives the chunks of one body. Belongs to the task that makes it."""

    __slots__ = (
        "_cancelling_count",
        "_limits",
        "_loop",
        "_marks",
        "_receive",
        "_received_bytes",
        "_task",
        "_timer",
        "_too_slow",
        "_waited_seconds",
        "_waiting_since",
    )

    def __init__(self, receive: Receive, limits: PaceLimits) -> None:
        task = cast("asyncio.Task[object]", asyncio.current_task())  # every request is handled by one
        self._receive = receive
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._task = task
        self._cancelling_count = task.cancelling()
        self._timer: asyncio.TimerHandle | None = None
        self._too_slow: tuple[int, float] | None = None
        self._waiting_since: float | None = None
        self._waited_seconds = 0.0
        self._received_bytes = 0
        self._marks: deque[tuple[float, int]] = deque()

    async def receive(self) -> Message:
        """Return the next message of the server.

        Raises:
            BodyTooSlowError: the client has been too slow.
        """
        message = await self.wait(self._receive())
        self.count(len(message.get("body", b"")))
        return message

    async def wait(self, arrival: Awaitable[_T]) -> _T:
        """Wait for the client, on its time, and return what came of it.

        Raises:
            BodyTooSlowError: the client has been too slow.
        """
        if self._timer is None:
            self._look_later()
        since = self._waiting_since = self._loop.time()
        try:
            result = await arrival
        except asyncio.CancelledError as cancellation:
            # As asyncio.timeout does: only a cancellation that is ours alone becomes an error. It is made here and kept
            # nowhere: it and this frame would keep each other alive.
            if self._too_slow is not None and self._task.uncancel() <= self._cancelling_count:
                raise BodyTooSlowError(*self._too_slow) from cancellation
            raise
        finally:
            self._waiting_since = None
        self._waited_seconds += self._loop.time() - since
        return result

    def count(self, received_bytes: int) -> None:
        """Take into account that the client has sent so much."""
        self._received_bytes += received_bytes

    def end(self) -> None:
        """Stop looking, and let go of the server's side of the body. May be called again."""
        self._receive = nothing_more
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look_later(self) -> None:
        shortest = min(self._limits.window_seconds, self._limits.silence_seconds)
        self._timer = self._loop.call_later(shortest / _LOOKS_PER_LIMIT, self._look)

    def _look(self) -> None:
        self._timer = None
        if self._waiting_since is None:
            return  # the registry is at work; the next wait starts the timer again
        silent_seconds = self._loop.time() - self._waiting_since
        self._too_slow = self._judge(silent_seconds)
        if self._too_slow is not None:
            self._task.cancel()
        else:
            self._look_later()

    def _judge(self, silent_seconds: float) -> tuple[int, float] | None:
        """Return the bytes and seconds that are held against the client, if any."""
        if silent_seconds >= self._limits.silence_seconds:
            return 0, silent_seconds
        window, waited = self._limits.window_seconds, self._waited_seconds + silent_seconds
        if self._limits.min_bytes_per_second == 0 or waited < window:
            return None
        marks = self._marks
        marks.append((waited, self._received_bytes))
        while len(marks) > 1 and marks[1][0] <= waited - window:
            marks.popleft()
        seconds, received_bytes = waited - marks[0][0], self._received_bytes - marks[0][1]
        if seconds < window or received_bytes >= self._limits.min_bytes_per_second * seconds:
            return None
        return received_bytes, seconds


async def nothing_more() -> Message:
    """Stand in for the server once its body was let go of.

    Raises:
        SourceInterruptedError: always.
    """
    raise SourceInterruptedError
