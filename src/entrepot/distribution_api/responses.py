"""Answers as values, and the one place that sends them.

Nothing is sent as an error once a response has begun: a body that breaks off raises, the server then breaks the
connection, and the client sees that it did not get everything.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec

from entrepot.distribution_api.caching import NOT_STORED, Header
from entrepot.distribution_api.errors import ClientGoneError

if TYPE_CHECKING:
    from entrepot.kernel.asgi import Receive, Scope, Send

__all__ = ["Content", "Header", "Response", "send_response"]

Content: TypeAlias = bytes | Path | AsyncGenerator[bytes]

_ALWAYS: Final[tuple[Header, ...]] = (
    (b"docker-distribution-api-version", b"registry/2.0"),
    (b"x-content-type-options", b"nosniff"),
)
_FILE_CHUNK_BYTES: Final = 1024 * 1024
_PIECE_BYTES: Final = 128 * 1024
"""What is handed to the server at once: it holds about nine of them for a client that does not read."""
_CLIENT_IDLE_SECONDS: Final = 60.0


class Response(msgspec.Struct, frozen=True):
    """A status, headers and a body.

    Attributes:
        content: bytes, a file to send whole, or chunks.
        length: the body's size in bytes where `content` does not tell (files, chunks, and HEAD).
        caching: who may keep the answer; nobody, unless the endpoint says otherwise.
        project_id: of what was pulled or listed the number of the project, for its record; never sent.
    """

    status: int
    headers: tuple[Header, ...] = ()
    content: Content = b""
    length: int | None = None
    caching: Header = NOT_STORED
    project_id: int | None = None

    def header_list(self, request_id: str) -> list[Header]:
        """Return all headers in the order in which they are sent."""
        length = self.length
        if length is None and isinstance(self.content, bytes):
            length = len(self.content)
        headers = [*_ALWAYS, (b"x-request-id", request_id.encode("ascii")), self.caching, *self.headers]
        if length is not None and self.status not in (204, 304):
            headers.append((b"content-length", b"%d" % length))
        return headers


async def send_response(
    response: Response, request_id: str, scope: Scope, receive: Receive, send: Send
) -> None:
    """Send a response; for HEAD only its head.

    Raises:
        ClientGoneError: the client left, or took nothing for a minute, before it had all chunks.
    """
    await send(
        {
            "type": "http.response.start",
            "status": response.status,
            "headers": response.header_list(request_id),
        }
    )
    content = response.content
    if scope["method"] == "HEAD":
        await send({"type": "http.response.body", "body": b""})
    elif isinstance(content, bytes):
        await send({"type": "http.response.body", "body": content})
    elif isinstance(content, Path) and "http.response.pathsend" in (scope.get("extensions") or {}):
        await send({"type": "http.response.pathsend", "path": str(content)})
    else:
        chunks = _file_chunks(content) if isinstance(content, Path) else content
        async with aclosing(chunks):
            await _send_chunks(chunks, receive, send)


async def _send_chunks(chunks: AsyncGenerator[bytes], receive: Receive, send: Send) -> None:
    """Send chunks, and stop at once when the client leaves: a server swallows what is sent to nobody."""
    loop = asyncio.get_running_loop()
    patience = asyncio.timeout(_CLIENT_IDLE_SECONDS)
    try:
        async with patience:
            watch = loop.create_task(_end_when_client_leaves(patience, receive))
            try:
                async for chunk in chunks:
                    for start in range(0, len(chunk), _PIECE_BYTES):
                        piece = chunk[start : start + _PIECE_BYTES]
                        await send({"type": "http.response.body", "body": piece, "more_body": True})
                        if not watch.done():
                            patience.reschedule(loop.time() + _CLIENT_IDLE_SECONDS)
                await send({"type": "http.response.body", "body": b""})
            finally:
                watch.cancel()
    except TimeoutError as error:
        if not patience.expired():
            raise
        raise ClientGoneError from error


async def _end_when_client_leaves(patience: asyncio.Timeout, receive: Receive) -> None:
    """Make `patience` expire when the connection is closed; what the client still sends is of no interest."""
    while (await receive())["type"] != "http.disconnect":
        pass
    with suppress(RuntimeError):  # it has just expired by itself
        patience.reschedule(asyncio.get_running_loop().time())


async def _file_chunks(path: Path) -> AsyncGenerator[bytes]:
    """Read a file for a server that can't send files itself."""
    file = await asyncio.to_thread(path.open, "rb")
    try:
        while chunk := await asyncio.to_thread(file.read, _FILE_CHUNK_BYTES):
            yield chunk
    finally:
        await asyncio.to_thread(file.close)
