"""The answer to one request: what the application sends, framed as RFC 9112 wants it (section 6)."""

from __future__ import annotations

from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from entrepot.kernel.errors import EntrepotError

if TYPE_CHECKING:
    from collections.abc import Callable

    from entrepot.http1.peer import Peer
    from entrepot.http1.request_head import RequestHead
    from entrepot.kernel.asgi import Scope

__all__ = ["Answer", "AnswerError"]

_STATUS_LINES: Final = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}".encode("ascii") for status in HTTPStatus
}
_WITHOUT_BODY: Final = frozenset({204, 304})
_FRAMING: Final = frozenset({b"content-length", b"transfer-encoding", b"connection"})
"""Fields that this module writes: what they say must be what is sent."""
_CR: Final = ord("\r")
_LF: Final = ord("\n")
"""Looked for as numbers: as bytes of length one they take ten times as long."""
_LAST_CHUNK: Final = b"0\r\n\r\n"
_JOINED_BYTES: Final = 64 * 1024
"""A body up to this size goes out in one piece with its head."""


class AnswerError(EntrepotError):
    """The application sent what can't be an answer: too much or too little, in a wrong order, or broken headers."""


class Answer:
    """Sends one answer; belongs to the task that handles the request.

    Attributes:
        has_started: whether the client has been sent a part of it.
        has_ended: whether it has been sent whole.
        keeps_alive: whether the connection can take another request after it, once it has ended.
    """

    __slots__ = (
        "_begun",
        "_channel",
        "_has_body",
        "_head",
        "_is_chunked",
        "_left_bytes",
        "_on_end",
        "_peer",
        "has_ended",
        "has_started",
        "keeps_alive",
    )

    def __init__(self, peer: Peer, head: RequestHead, on_end: Callable[[], None]) -> None:
        """Answer the request of that head; `on_end` is called when all has been sent."""
        self._peer = peer
        self._channel = peer.channel
        self._on_end = on_end
        self._head = head
        self._has_body = head.method != "HEAD"
        self.keeps_alive = head.keeps_alive
        self._begun: tuple[int, tuple[bytes, ...], tuple[bytes, ...]] | None = None
        self._left_bytes: int | None = None
        self._is_chunked = False
        self.has_started = False
        self.has_ended = False

    @property
    def says_its_end(self) -> bool:
        """Whether the client can tell that something is missing from what it has got."""
        return not self.has_started or self._is_chunked or self._left_bytes is not None

    def keep_alive(self, *, wished: bool) -> None:
        """Say whether the connection shall go on; of no effect once the answer has started."""
        if not self.has_started:
            self.keeps_alive = wished

    def begin_anew(self) -> None:
        """Forget what the application has said of an answer that has not started; the connection ends with it."""
        self._begun = self._left_bytes = None
        self._is_chunked = self.keeps_alive = False
        self._has_body = self._head.method != "HEAD"

    async def send(self, message: Scope) -> None:
        """Take a message of the application (ASGI `send`); wait while the client does not keep up.

        What is sent to a client that left is dropped without a word.

        Raises:
            AnswerError: as described there.
            OSError: a file to send can't be read, or has another size than was announced.
        """
        kind: str = message["type"]
        if kind == "http.response.body":
            self._send_piece(message.get("body", b""), is_last=not message.get("more_body", False))
            if self._channel.is_congested:
                await self._channel.drained()
        elif kind == "http.response.start":
            self._begin(message["status"], message.get("headers", ()))
        elif kind == "http.response.pathsend":
            await self._send_file(message["path"])
        else:
            raise AnswerError(f"{kind} is not understood")

    def _begin(self, status: int, fields: list[tuple[bytes, bytes]]) -> None:
        if self._begun is not None:
            raise AnswerError("an answer begins once")
        if status < 200:
            raise AnswerError(f"{status} is no answer")
        names, values = zip(*fields) if fields else ((), ())  # noqa: B905  # of pairs, and strictness costs
        self._begun = (status, names, values)

    def _send_piece(self, body: bytes, *, is_last: bool) -> None:
        if self.has_ended:
            raise AnswerError("the answer has ended")
        if self.has_started:
            data = self._frame(body, is_last=is_last)
        else:
            data = self._render_head(len(body) if is_last else None)
            framed = self._frame(body, is_last=is_last)
            self.has_started = True
            if len(framed) > _JOINED_BYTES:
                self._channel.write(data)
                data = framed
            else:
                data += framed
        if data:
            self._channel.write(data)
        if is_last:
            self._end()
        elif self._channel.is_gone:
            self._on_end()  # whoever fetches the rest for this client is told, too

    def _end(self) -> None:
        if self._has_body and self._left_bytes:
            raise AnswerError(f"the body lacks {self._left_bytes} bytes of its Content-Length")
        self.has_ended = True
        self._on_end()

    def _render_head(self, whole_bytes: int | None) -> bytes:
        """Return the head; `whole_bytes` is the size of the body where all of it is at hand."""
        if self._begun is None:
            raise AnswerError("an answer begins with its status")
        status, names, values = self._begun
        layout, framing = _layout(status, names)
        for name, place in framing:
            self._take_framing(name, values[place])
        _require_one_line(b"".join(values))
        if self._peer.is_closing:
            self.keeps_alive = False
        return layout % values + self._framing_lines(status, whole_bytes) + self._peer.end_of_head()

    def _take_framing(self, name: bytes, value: bytes) -> None:
        """Note what the application says of length and connection; a coding is this module's business alone."""
        if name == b"content-length":
            if self._left_bytes is not None or not value.isdigit():
                raise AnswerError("an answer has one Content-Length, which is a number")
            self._left_bytes = int(value)
        elif name == b"connection":
            self.keeps_alive = self.keeps_alive and b"close" not in value.lower()

    def _framing_lines(self, status: int, whole_bytes: int | None) -> bytes:
        """Say how long the body is, or that it comes in chunks, or let it end with the connection (HTTP/1.0)."""
        lines = b""
        if status in _WITHOUT_BODY:
            self._has_body = False
        elif self._left_bytes is None and (
            self._has_body or whole_bytes
        ):  # else HEAD, of a length nobody knows
            self._left_bytes = whole_bytes
            if whole_bytes is None and self._head.version == "1.0":
                self.keeps_alive = False
            elif whole_bytes is None:
                self._is_chunked = True
                lines = b"transfer-encoding: chunked\r\n"
        if self._left_bytes is not None and status != 204:
            lines = b"content-length: %d\r\n" % self._left_bytes
        if not self.keeps_alive:
            lines += b"connection: close\r\n"
        elif self._head.version == "1.0":
            lines += b"connection: keep-alive\r\n"
        return lines

    def _frame(self, body: bytes, *, is_last: bool) -> bytes:
        if not self._has_body:
            return b""
        if self._is_chunked:
            chunk = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            return chunk + _LAST_CHUNK if is_last else chunk
        if self._left_bytes is not None:
            self._left_bytes -= len(body)
            if self._left_bytes < 0:
                raise AnswerError("the body is longer than its Content-Length")
        return body

    async def _send_file(self, path: str) -> None:
        """Send a file as the whole body (ASGI, Path Send Extension)."""
        if self.has_started:
            raise AnswerError("a file is a whole body")
        async with self._channel.files.open(path) as file:
            head = self._render_head(file.size_bytes)
            if self._left_bytes != file.size_bytes:
                raise OSError(f"{path} has {file.size_bytes} bytes where {self._left_bytes} were announced")
            self.has_started = True
            self._channel.write(head)
            self._left_bytes = 0  # whatever else is sent meanwhile is too much
            if self._has_body:
                await self._channel.send_file(file)
        self._end()


@lru_cache(maxsize=256)
def _layout(status: int, names: tuple[bytes, ...]) -> tuple[bytes, tuple[tuple[bytes, int], ...]]:
    """Return a head to be filled with the fields' values, and which of them are of the framing: names and places.

    Those leave nothing in it (`%.0b`). Applications have few such sequences of names, and no client chooses them; of
    values, which can be secrets, none is kept.

    Raises:
        AnswerError: a name has a line end in it.
    """
    _require_one_line(b"".join(names))
    framing = tuple((name.lower(), at) for at, name in enumerate(names) if name.lower() in _FRAMING)
    lines = [
        b"%.0b" if name.lower() in _FRAMING else name.replace(b"%", b"%%") + b": %b\r\n" for name in names
    ]
    return (_STATUS_LINES.get(status) or b"HTTP/1.1 %d " % status) + b"\r\n" + b"".join(lines), framing


def _require_one_line(text: bytes) -> None:
    if _LF in text or _CR in text:
        raise AnswerError("a header has a line end in it")
