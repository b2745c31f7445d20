"""The ASGI types that the server and its applications share, named once (ASGI specification 3.0)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

if TYPE_CHECKING:
    from entrepot.kernel.chunks import ChunkSink

__all__ = ["BODY_ON_THREAD", "Application", "BodyOnThread", "Message", "Receive", "Scope", "Send"]

# ASGI defines scope and messages as open dictionaries whose values are of many types; `Any` is their type.
Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Application: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]
"""An ASGI 3 application (asgi.readthedocs.io) that handles `lifespan` and `http`."""

BODY_ON_THREAD: Final = "entrepot.body_on_thread"
"""The extension of the scope that holds a :class:`BodyOnThread`, where the listener offers one."""


class BodyOnThread(Protocol):
    """The rest of a request's body, which a thread can take from the client without the event loop.

    An extension of ours. `receive` may be called in between, by the same task, and goes on where the thread has ended.
    """

    @property
    def has_backlog(self) -> bool:
        """Whether the client is ahead, so that there is something to gain."""
        ...

    @property
    def has_ended(self) -> bool:
        """Whether `receive` has the rest to tell: the end of the body, or that there will be none."""
        ...

    async def arrival(self) -> None:
        """Wait until the client has sent something, or will send nothing more."""

    async def read(self, sink: ChunkSink) -> int:
        """Give `sink` what the client has sent and sends meanwhile, up to some MiB; return how many bytes that were.

        What `sink` raises ends the reading, and is raised.
        """
        ...
