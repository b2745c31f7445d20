"""Answers that are decided before the request's body has arrived, such as 416 for a chunk out of order.

A server that closes a connection while its client is still sending makes the client's next write fail, and most clients
(all that are written in Go) then report a broken pipe and never read the answer. So the answer goes out, but the last
byte of it is held back, and with it the end of the connection, until the client has stopped sending or has had its
time.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from entrepot.kernel.asgi import Message, Receive, Send

__all__ = ["end_after_body"]

_BRIEFLY_SECONDS: Final = 0.1
"""Most bodies are read off sooner; then the answer is sent in one piece."""

_PATIENCE_SECONDS: Final = 10.0
"""How long a client may take to notice the answer; one that goes on sending is cut off then."""


def end_after_body(send: Send, receive: Receive) -> Send:
    """Return a `send` that reads the request's body off before it sends the end of the answer."""

    async def send_held(message: Message) -> None:
        if message["type"] != "http.response.body" or message.get("more_body", False):
            await send(message)
            return
        body: bytes = message.get("body", b"")
        if not await _read_off(receive, _BRIEFLY_SECONDS):
            # The server counts the bytes: once all are out, it takes the answer for finished and stops reading.
            await send({"type": "http.response.body", "body": body[:-1], "more_body": True})
            body = body[-1:]
            await _read_off(receive, _PATIENCE_SECONDS)
        await send({"type": "http.response.body", "body": body})

    return send_held


async def _read_off(receive: Receive, seconds: float) -> bool:
    """Read and forget what the client still sends; `False` when it neither ended nor left in time."""
    try:
        async with asyncio.timeout(seconds):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect" or not message.get("more_body", False):
                    return True
    except TimeoutError:
        return False
