"""A client that calls an ASGI application in this process: for units only, the protocol is tested against servers."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from entrepot.kernel.asgi import Application, Message

__all__ = ["AsgiClient", "AsgiReply"]


@dataclass(frozen=True, slots=True)
class AsgiReply:
    """What the application sent."""

    status: int
    headers: dict[str, str]
    body: bytes

    def error_code(self) -> str:
        """The code of the first OCI error in the body."""
        return str(msgspec.json.decode(self.body)["errors"][0]["code"])


@dataclass(frozen=True, slots=True)
class AsgiClient:
    """Sends requests as a peer at `address`, with `headers` unless a request has its own."""

    application: Application
    address: str = "127.0.0.1"
    http_version: str = "1.1"
    headers: dict[str, str] = field(default_factory=dict[str, str])

    async def request(
        self,
        method: str,
        target: str,
        headers: dict[str, str] | None = None,
        chunks: Sequence[bytes] = (b"",),
        *,
        vanish: bool = False,
    ) -> AsgiReply:
        """Send a request whose body arrives in `chunks`; with `vanish` the peer leaves instead of ending it."""
        path, _, query = target.partition("?")
        scope: dict[str, Any] = {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": query.encode(),
            "http_version": self.http_version,
            "headers": [
                (name.lower().encode(), value.encode())
                for name, value in ({"Host": "127.0.0.1:5000"} | self.headers | (headers or {})).items()
            ],
            "client": (self.address, 40000),
            "extensions": {},
        }
        waiting: asyncio.Queue[Message] = asyncio.Queue()
        for number, chunk in enumerate(chunks, 1):
            more = vanish or number < len(chunks)
            waiting.put_nowait({"type": "http.request", "body": chunk, "more_body": more})
        if vanish:
            waiting.put_nowait({"type": "http.disconnect"})
        sent: list[Message] = []

        async def send(message: Message) -> None:
            sent.append(message)

        await self.application(scope, waiting.get, send)
        start, *bodies = sent
        return AsgiReply(
            start["status"],
            {name.decode(): value.decode() for name, value in start["headers"]},
            b"".join(body.get("body", b"") for body in bodies),
        )
