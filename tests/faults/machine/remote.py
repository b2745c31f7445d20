"""Speaks to a running registry through the interface of the in-process client, one connection per request.

So flows and checks are the same against an application in this process and against the product. Nothing is retried.
"""

from __future__ import annotations

import asyncio
import http.client
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from tests.asgi.client import AsgiClient

if TYPE_CHECKING:
    from entrepot.kernel.asgi import Message, Receive, Scope, Send

__all__ = ["BROKEN", "remote_client"]

BROKEN: Final = (OSError, http.client.HTTPException)
"""What a request raises whose registry died, broke the connection or sent less than it announced."""
_PATIENCE_SECONDS: Final = 60.0
_MOST_AT_ONCE: Final = 64


def _threads() -> ThreadPoolExecutor:
    """As many as there are requests: the loop's own pool has six on two cores, and would be what is slow."""
    return ThreadPoolExecutor(_MOST_AT_ONCE, thread_name_prefix="client")


@dataclass(frozen=True, slots=True)
class _Relay:
    """An ASGI application that passes each request on to a port of this machine."""

    port: int
    threads: ThreadPoolExecutor = field(default_factory=_threads)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = b""
        more = True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        loop = asyncio.get_running_loop()
        for answer in await loop.run_in_executor(self.threads, self._ask, scope, body):
            await send(answer)

    def _ask(self, scope: Scope, body: bytes) -> list[Message]:
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        headers.setdefault("content-length", str(len(body)))
        query: Any = scope["query_string"].decode()
        target = f"{scope['path']}?{query}" if query else scope["path"]
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_PATIENCE_SECONDS)
        try:
            connection.request(scope["method"], target, body or None, headers)
            response = connection.getresponse()
            received = response.read()
        finally:
            connection.close()
        sent = [(name.lower().encode(), value.encode()) for name, value in response.getheaders()]
        return [
            {"type": "http.response.start", "status": response.status, "headers": sent},
            {"type": "http.response.body", "body": received},
        ]


def remote_client(port: int) -> AsgiClient:
    """Return a client of whatever listens on `port`; its requests raise one of `BROKEN` when they are broken off."""
    return AsgiClient(_Relay(port))
