"""A request as handlers see it: method, parsed query, headers and a body that is read once, in chunks."""

from __future__ import annotations

import asyncio
import ipaddress
from functools import lru_cache
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs

from entrepot.auth.principals import ANONYMOUS, Principal
from entrepot.distribution_api.errors import BodyTooLargeError, BodyTooSlowError, RequestError
from entrepot.registry.errors import SourceInterruptedError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from entrepot.distribution_api.asgi import Receive, Scope

__all__ = ["Request"]

_FORWARDING_HEADERS: Final = frozenset(
    {b"forwarded", b"via", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto", b"x-real-ip"}
)
_BODY_IDLE_SECONDS: Final = 60.0
_MAX_QUERY_FIELDS: Final = 64


class Request:
    """One HTTP request; belongs to the task that handles it."""

    __slots__ = ("_headers", "_query", "_receive", "_scope", "method", "path")

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self._scope = scope
        self._receive = receive
        self._headers: list[tuple[bytes, bytes]] = list(scope["headers"])
        self._query: dict[str, list[str]] | None = None
        self.method: str = scope["method"]
        self.path: str = scope["path"]

    def header(self, name: bytes) -> bytes | None:
        """Return the first header called `name` (lower case), or `None`."""
        for key, value in self._headers:
            if key == name:
                return value
        return None

    def text_header(self, name: bytes) -> str | None:
        """Return a header as text (ISO 8859-1, which never fails), or `None`."""
        value = self.header(name)
        return value.decode("latin-1") if value is not None else None

    def query(self, name: str) -> str | None:
        """Return the only value of a query field, or `None` when it is absent.

        Raises:
            RequestError: the field is given twice, or the query can't be parsed.
        """
        values = self._parsed_query().get(name, [])
        if len(values) > 1:
            raise RequestError(f"the query names '{name}' more than once")
        return values[0] if values else None

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

    def principal(self) -> Principal:
        """Return who asks: the peer, without credentials."""
        client = self._scope.get("client")
        return Principal(ANONYMOUS, client[0] if client else "", self._seems_forwarded())

    def _seems_forwarded(self) -> bool:
        """Whether somebody may have passed the request on: a proxy, or a browser under a name that was rebound.

        HTTP/1.0 is what nginx speaks to its upstream unless told otherwise, and no registry client speaks it.
        """
        if self._scope.get("http_version") == "1.0" or not _names_this_machine(
            self.text_header(b"host") or ""
        ):
            return True
        return any(key in _FORWARDING_HEADERS for key, _ in self._headers)

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

    async def body(self) -> AsyncIterator[bytes]:
        """Yield the body's chunks as they arrive.

        Raises:
            SourceInterruptedError: the client went away before the end.
            BodyTooSlowError: nothing came for a minute.
        """
        more = True
        while more:
            try:
                message = await asyncio.wait_for(self._receive(), _BODY_IDLE_SECONDS)
            except TimeoutError as error:
                raise BodyTooSlowError(_BODY_IDLE_SECONDS) from error
            if message["type"] == "http.disconnect":
                raise SourceInterruptedError
            chunk: bytes = message.get("body", b"")
            more = message.get("more_body", False)
            if chunk:
                yield chunk

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


@lru_cache(maxsize=256)
def _names_this_machine(host: str) -> bool:
    """Whether a Host header (RFC 9110, section 7.2) is a loopback address or `localhost`, with or without a port."""
    name = host.rpartition("]")[0].removeprefix("[") if host.startswith("[") else host.partition(":")[0]
    if name.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
