"""The body of a request as it arrives: read once, in chunks, or drained by a thread where the client is ahead."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from entrepot.distribution_api.body_pace import BodyPace
from entrepot.registry.errors import SourceInterruptedError

if TYPE_CHECKING:
    from entrepot.distribution_api.body_pace import PaceLimits
    from entrepot.kernel.asgi import BodyOnThread, Receive
    from entrepot.kernel.chunks import ChunkSink

__all__ = ["BodyStream"]

_LEAST_BYTES: Final = 256 * 1024
"""A thread that finds less has caught up with the client: the event loop collects it for less."""


class BodyStream:
    """Implements :class:`entrepot.registry.pushes.staging.DrainableBody`. Belongs to the task that makes it.

    Attributes:
        has_ended: whether all has been read, or there will be nothing more.
    """

    def __init__(self, receive: Receive, pace: PaceLimits, on_thread: BodyOnThread | None) -> None:
        """Read what `receive` brings (ASGI); `on_thread` is the server's other way to the same bytes, if it has one."""
        self._pace = BodyPace(receive, pace)
        self._on_thread = on_thread
        self.has_ended = False

    def __aiter__(self) -> BodyStream:
        """Return the stream itself."""
        return self

    async def __anext__(self) -> bytes:
        """Return the next chunk, which is not empty.

        Raises:
            SourceInterruptedError: the client went away before the end.
            BodyTooSlowError: nothing came for too long, or too little.
        """
        while not self.has_ended:
            message = await self._pace.receive()
            if message["type"] == "http.disconnect":
                self.has_ended = True
                raise SourceInterruptedError
            if not message.get("more_body", False):
                self.has_ended = True
                self._pace.end()
            if chunk := message.get("body", b""):
                return bytes(chunk)
        raise StopAsyncIteration

    @property
    def has_backlog(self) -> bool:
        """See the protocol."""
        return self._on_thread is not None and not self.has_ended and self._on_thread.has_backlog

    async def drain(self, sink: ChunkSink) -> None:
        """See the protocol.

        Raises:
            BodyTooSlowError: nothing came for too long, or too little.
        """
        source = self._on_thread
        if source is None:
            return
        while await self._take_turn(source, sink) >= _LEAST_BYTES and not source.has_ended:
            await self._pace.wait(source.arrival())

    async def _take_turn(self, source: BodyOnThread, sink: ChunkSink) -> int:
        count = await source.read(sink)
        self._pace.count(count)
        return count

    def end(self) -> None:
        """Let go of the server's side of the body. May be called again."""
        self._on_thread = None
        self._pace.end()
