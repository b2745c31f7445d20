"""A download of which a test sees every message, and decides when the client takes one or leaves."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from entrepot.kernel.asgi import Application, Message

__all__ = ["Download"]


@dataclass(slots=True)
class Download:
    """A GET of a part of a blob by a client on this machine.

    `on_piece` is called for each piece of the body. The client takes none before `takes` is set, and is gone once
    `left` is.
    """

    messages: list[Message] = field(default_factory=list["Message"])
    on_piece: Callable[[], None] = lambda: None
    takes: asyncio.Event = field(default_factory=asyncio.Event)
    left: asyncio.Event = field(default_factory=asyncio.Event)
    _asked: bool = False

    async def run(self, application: Application, target: str, text: str = "bytes=1-") -> None:
        """Send the request and wait for the application's end."""
        scope: dict[str, Any] = {
            "type": "http",
            "method": "GET",
            "path": target,
            "query_string": b"",
            "http_version": "1.1",
            "headers": [(b"host", b"localhost"), (b"range", text.encode())],
            "client": ("127.0.0.1", 40000),
            "extensions": {"http.response.pathsend": {}},
        }
        await application(scope, self._receive, self._send)

    @property
    def received(self) -> int:
        """Bytes of the body so far."""
        return sum(len(message.get("body", b"")) for message in self.messages)

    @property
    def is_complete(self) -> bool:
        """Whether the application ended the body."""
        return self.messages[-1]["type"] == "http.response.body" and not self.messages[-1].get("more_body")

    async def _receive(self) -> Message:
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        self.messages.append(message)
        if message["type"] == "http.response.body" and message["body"]:
            self.on_piece()
            await self.takes.wait()
