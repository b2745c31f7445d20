"""A request as handlers see it: method, parsed query, headers and a body that is read once, in chunks."""

from __future__ import annotations

import math
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs

from entrepot.auth.forwarding import seems_forwarded
from entrepot.auth.principals import ANONYMOUS, Principal
from entrepot.distribution_api.body_pace import nothing_more
from entrepot.distribution_api.body_stream import BodyStream
from entrepot.distribution_api.errors import BodyTooLargeError, HeadTooLargeError, RequestError
from entrepot.kernel.asgi import BODY_ON_THREAD

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from entrepot.distribution_api.body_pace import PaceLimits
    from entrepot.kernel.asgi import BodyOnThread, Receive, Scope

__all__ = ["Request"]

_MAX_HEAD_BYTES: Final = 32 * 1024
"""Twice what nginx and Apache take, for long tokens."""
_MAX_QUERY_FIELDS: Final = 128


class Request:
    """One HTTP request; belongs to the task that handles it.

    Attributes:
        identified_at: when it was asked who sent it, by the process's clock, where there is a body to wait for.
        identify_anew: how to ask once more who sent it, when its body took long; `None` where nobody is told apart.
    """

    __slots__ = (
        "_body",
        "_headers",
        "_pace",
        "_query",
        "_receive",
        "_scope",
        "identified_at",
        "identify_anew",
        "method",
        "path",
    )

    def __init__(self, scope: Scope, receive: Receive, pace: PaceLimits) -> None:
        self._scope = scope
        self._receive = receive
        self._pace = pace
        # Of a header that is repeated the first counts; a dictionary keeps the last it is given.
        self._headers: dict[bytes, bytes] = dict(reversed(scope["headers"]))
        self._query: dict[str, list[str]] | None = None
        self._body: BodyStream | None = None
        self.identified_at = math.inf
        self.identify_anew: Callable[[], Awaitable[Principal]] | None = None
        self.method: str = scope["method"]
        self.path: str = scope["path"]

    def header(self, name: bytes) -> bytes | None:
        """Return the first header called `name` (lower case), or `None`."""
        return self._headers.get(name)

    def text_header(self, name: bytes) -> str | None:
        """Return a header as text (ISO 8859-1, which never fails), or `None`."""
        value = self.header(name)
        return value.decode("latin-1") if value is not None else None

    def only_text_header(self, name: bytes) -> str | None:
        """Return a header as text, or `None`; what decides who asks must not be said twice (S39).

        Raises:
            RequestError: there is more than one.
        """
        headers: list[tuple[bytes, bytes]] = self._scope["headers"]
        if len(headers) != len(self._headers) and sum(field == name for field, _ in headers) > 1:
            raise RequestError(f"the request has more than one header {name.decode('ascii')}")
        return self.text_header(name)

    @property
    def scheme(self) -> str:
        """`https` when the client speaks TLS to this server itself, else `http`."""
        return "https" if self._scope.get("scheme") == "https" else "http"

    def query(self, name: str) -> str | None:
        """Return the only value of a query field, or `None` when it is absent.

        Raises:
            RequestError: the field is given twice, or the query can't be parsed.
        """
        values = self.query_values(name)
        if len(values) > 1:
            raise RequestError(f"the query names '{name}' more than once")
        return values[0] if values else None

    def query_values(self, name: str) -> list[str]:
        """Return every value of a query field in the order given; none when it is absent.

        Raises:
            RequestError: the query can't be parsed.
        """
        return self._parsed_query().get(name, [])

    def _parsed_query(self) -> dict[str, list[str]]:
        if self._query is None:
            raw: bytes = self._scope.get("query_string", b"")
            try:
                self._query = parse_qs(
                    raw.decode("ascii"), keep_blank_values=True, max_num_fields=_MAX_QUERY_FIELDS
                )
            except ValueError as error:
                raise RequestError("the query can't be parsed") from error
        return self._query

    def require_clarity(self) -> None:
        """Refuse what a proxy in front may have read as another host or path than we do (S1, S39).

        One Host header in HTTP/1.1 (RFC 9112, section 3.2). No percent-encoding in the path but that of the colon in
        digests: names, tags and digests have no other character that one could want to encode, and a rule of a proxy
        for `/v2/private/` must not be passed by `/v2/private%2F` or `/v2/%70rivate/`.

        Raises:
            RequestError: it is unclear.
        """
        raw_path: bytes = self._scope.get("raw_path") or b""
        if b"%" in raw_path and b"%" in raw_path.replace(b"%3A", b"").replace(b"%3a", b""):
            raise RequestError("the path is percent-encoded; only the colon of a digest may be, as %3A")
        if not self._headers.get(b"host") and self._scope.get("http_version") == "1.1":
            raise RequestError("the request names no host")
        headers: list[tuple[bytes, bytes]] = self._scope["headers"]
        if len(headers) != len(self._headers) and sum(name == b"host" for name, _ in headers) > 1:
            raise RequestError("the request names more than one host")

    def require_small_head(self) -> None:
        """Refuse a head that no client needs, which the server itself would take up to 128 KiB of (F41).

        Raises:
            HeadTooLargeError: the headers are too long.
        """
        fields, named = self._scope["headers"], self._headers
        size = sum(map(len, named)) + sum(map(len, named.values()))
        if len(fields) != len(named):  # some are repeated; the other way is quicker
            size = sum(map(len, chain.from_iterable(fields)))
        if size > _MAX_HEAD_BYTES:
            raise HeadTooLargeError(_MAX_HEAD_BYTES)

    def principal(self) -> Principal:
        """Return who asks: the peer, without credentials."""
        client = self._scope.get("client")
        address = client[0] if client else ""
        host = self._headers.get(b"host", b"")
        forwarded = seems_forwarded(self._scope.get("http_version"), address, host, self._headers)
        return _anonymous(address, forwarded)

    def content_length(self) -> int | None:
        """Return the announced length in bytes, `None` when there is none.

        Raises:
            RequestError: it is no decimal number.
        """
        text = self.header(b"content-length")
        if text is None:
            return None
        if not text.isdigit() or len(text) > 19:
            raise RequestError("Content-Length is not a number of bytes")
        return int(text)

    def has_unread_body(self) -> bool:
        """Whether the client may still be sending: a body was announced (RFC 9112, section 6) and has not ended."""
        if self._body is not None and self._body.has_ended:
            return False
        headers = self._headers
        return headers.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in headers

    def body(self) -> BodyStream:
        """Return the body, which can be read once."""
        if self._body is None:
            self._body = BodyStream(self._receive, self._pace, self._take_extension())
        return self._body

    def release(self) -> None:
        """Let go of the body, at the end of the request.

        The server keeps a connection open while anybody holds a body that has not ended, and an exception may hold the
        frames that hold this, until the garbage collector comes by.
        """
        self._receive = nothing_more
        self.identify_anew = None  # which holds this request
        self._take_extension()
        if self._body is not None:
            self._body.end()

    def _take_extension(self) -> BodyOnThread | None:
        extensions: dict[str, Any] = self._scope.get("extensions", {})
        found: BodyOnThread | None = extensions.pop(BODY_ON_THREAD, None)
        return found

    async def read_body(self, limit: int) -> bytes:
        """Return the whole body.

        Raises:
            BodyTooLargeError: it has more than `limit` bytes, found while reading and not after (S36).
        """
        if (self.content_length() or 0) > limit:
            raise BodyTooLargeError(limit)
        chunks: list[bytes] = []
        size = 0
        async for chunk in self.body():
            size += len(chunk)
            if size > limit:
                raise BodyTooLargeError(limit)
            chunks.append(chunk)
        return b"".join(chunks)


@lru_cache(maxsize=1024)
def _anonymous(address: str, forwarded: bool) -> Principal:  # noqa: FBT001  # only a key of this cache
    return Principal(ANONYMOUS, address, forwarded)
