"""The other end of a connection, as a request and its answer see it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import asyncio

    from entrepot.http1.body_reading import BodyThreads
    from entrepot.http1.channel import Channel
    from entrepot.http1.request_parser import RequestParser

__all__ = ["Peer"]


class Peer(Protocol):
    """A client, and what takes to it; implemented by the connection."""

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop that all of it belongs to."""
        ...

    @property
    def channel(self) -> Channel:
        """The way to the client."""
        ...

    @property
    def body_threads(self) -> BodyThreads:
        """What reads large bodies."""
        ...

    @property
    def client(self) -> tuple[str, int]:
        """Address and port of the client."""
        ...

    @property
    def server(self) -> tuple[str, int]:
        """Address and port that it connected to."""
        ...

    @property
    def is_closing(self) -> bool:
        """Whether no further request will be answered."""
        ...

    def end_of_head(self) -> bytes:
        """Return the line with the date, and the empty line that ends a head."""
        ...

    def go_on(self) -> None:
        """Look at more of what the client sends, if there is room for it."""
        ...

    def lend_parser(self) -> RequestParser:
        """Leave what the client sends to somebody else, who reads it from the socket, until the parser is back."""
        ...

    def take_parser_back(self) -> None:
        """Look after what the client sends again."""

    def end_exchange(self) -> None:
        """Go on to the next request, or end with this one."""
        ...
