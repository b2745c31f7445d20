"""The body of one request, as an application can have it read by a thread."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from entrepot.http1.peer import Peer
    from entrepot.http1.request_body import RequestBody
    from entrepot.http1.request_parser import RequestParser
    from entrepot.kernel.chunks import ChunkSink

__all__ = ["ThreadedBody"]

_BACKLOG_BYTES: Final = 64 * 1024
"""A client of which the kernel holds so much is ahead."""


class ThreadedBody:
    """Implements :class:`entrepot.kernel.asgi.BodyOnThread` for one request. Belongs to the task that handles it.

    Not with TLS. From the first reading on the connection leaves its reading side to this, until `end`.
    """

    def __init__(self, peer: Peer, body: RequestBody) -> None:
        self._peer = peer
        self._body = body
        self._descriptor = -1
        self._parser: RequestParser | None = None

    @property
    def has_backlog(self) -> bool:
        """See the protocol."""
        return not self.has_ended and self._peer.channel.inflow.unread_bytes() >= _BACKLOG_BYTES

    @property
    def has_ended(self) -> bool:
        """See the protocol."""
        return self._body.has_stopped or self._peer.channel.is_lost

    async def arrival(self) -> None:
        """See the protocol."""
        if self._parser is None or self.has_ended or not self._parser.wants_more:
            return  # what was read and has not been parsed yet comes first
        loop = self._peer.loop
        loop.add_reader(self._descriptor, self._body.wake)
        try:
            await self._body.changed(loop)
        finally:
            loop.remove_reader(self._descriptor)

    async def read(self, sink: ChunkSink) -> int:
        """See the protocol; nothing where that is not possible."""
        parser = self._parser or self._begin()
        if parser is None:
            return 0
        return await self._peer.body_threads.read(self._descriptor, parser, self._body, sink)

    def end(self) -> None:
        """Give the connection its reading side back. May be called again; not while `read` is under way."""
        if self._parser is not None:
            self._parser = None
            os.close(self._descriptor)
            self._descriptor = -1
            self._peer.take_parser_back()

    def _begin(self) -> RequestParser | None:
        if self.has_ended:
            return None
        try:
            self._descriptor = self._peer.channel.duplicate()
        except OSError:  # the process has no descriptor left
            return None
        self._parser = self._peer.lend_parser()
        return self._parser
