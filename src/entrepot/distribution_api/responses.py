"""Answers as values, and the one place that sends them.

Nothing is sent as an error once a response has begun: a body that breaks off raises, the server then breaks the
connection, and the client sees that it did not get everything.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from entrepot.distribution_api.asgi import Scope, Send

__all__ = ["Header", "Response", "send_response"]

Header: TypeAlias = tuple[bytes, bytes]
Content: TypeAlias = bytes | Path | AsyncIterator[bytes]

_ALWAYS: Final[tuple[Header, ...]] = (
    (b"docker-distribution-api-version", b"registry/2.0"),
    (b"x-content-type-options", b"nosniff"),
)
_FILE_CHUNK_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Response:
    """A status, headers and a body.

    Attributes:
        content: bytes, a file to send whole, or chunks.
        length: the body's size in bytes where `content` does not tell (files, chunks, and HEAD).
    """

    status: int
    headers: tuple[Header, ...] = ()
    content: Content = b""
    length: int | None = None

    def header_list(self, request_id: str) -> list[Header]:
        """Return all headers in the order in which they are sent."""
        length = self.length
        if length is None and isinstance(self.content, bytes):
            length = len(self.content)
        headers = [*_ALWAYS, (b"x-request-id", request_id.encode("ascii")), *self.headers]
        if length is not None and self.status not in (204, 304):
            headers.append((b"content-length", b"%d" % length))
        return headers


async def send_response(response: Response, request_id: str, scope: Scope, send: Send) -> None:
    """Send a response; for HEAD only its head."""
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
        async for chunk in chunks:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


async def _file_chunks(path: Path) -> AsyncIterator[bytes]:
    """Read a file for a server that can't send files itself."""
    file = await asyncio.to_thread(path.open, "rb")
    try:
        while chunk := await asyncio.to_thread(file.read, _FILE_CHUNK_BYTES):
            yield chunk
    finally:
        await asyncio.to_thread(file.close)
