"""Requests whose end two servers could see at different places (S39), each with a second request hidden in the doubt.

Written for RFC 9112 (sections 2.2, 5, 6 and 7.1) and the known ways to make a proxy and the server behind it disagree.
The hidden request, the canary, asks for a path that nothing else asks for: when it stands in the registry's log, it was
run.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["HostileRequest", "Verdict", "hostile_requests"]


class Verdict(Enum):
    """What the registry does with it when it comes directly."""

    REFUSED = "400 and the connection closed"
    CLOSED = "one answer of whatever status, and the connection closed"
    ANSWERED = "one answer; the canary is the request's body"
    TWO = "two answers: it is no hidden request, everybody sees its start at the same place"


@dataclass(frozen=True, slots=True)
class HostileRequest:
    """Bytes to send, and the path of the canary in them."""

    name: str
    raw: bytes
    canary: str
    verdict: Verdict


_POST: Final = "POST /v2/framing/doubt/blobs/uploads/?digest=sha256:0 HTTP/1.1"
"""Refused without a look at its body."""
_PUT: Final = "PUT /v2/framing/doubt/manifests/latest HTTP/1.1"
"""Reads its body, and refuses it."""


def _whole(canary: bytes) -> bytes:
    return canary


def _after_last_chunk(canary: bytes) -> bytes:
    return b"0\r\n\r\n" + canary


def _in_chunk(canary: bytes) -> bytes:
    return b"%x\r\n%b\r\n0\r\n\r\n" % (len(canary), canary)


def hostile_requests() -> list[HostileRequest]:
    """Return all of them, each with a canary of its own."""
    made: list[HostileRequest] = []
    for verdict, name, head, body in (*_lengths(), *_codings(), *_lines(), *_chunks(), *_unread_bodies()):
        path = f"/v2/canary/n{len(made)}/tags/list"
        canary = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
        content = body(canary)
        # `#` stands for the length of all that follows the head.
        text = "\r\n".join((head[0], "Host: localhost", *head[1:], "", "")).replace("#", str(len(content)))
        made.append(HostileRequest(name, text.encode("latin-1") + content, path, verdict))
    return made


_Case = tuple[Verdict, str, tuple[str, ...], "Callable[[bytes], bytes]"]


def _lengths() -> Iterator[_Case]:
    refused = (
        "+#", "-1", "0x10", "#x", "", "# 0", "1_0", "18446744073709551616", "\xb9#", "\x0b#", "#, #", "0, #", '"#"',
    )  # fmt: skip
    for value in refused:
        yield Verdict.REFUSED, f"Content-Length {value!r}", (_POST, f"Content-Length: {value}"), _whole
    for first, second in (("0", "#"), ("#", "0"), ("#", "1")):
        head = (_POST, f"Content-Length: {first}", f"Content-Length: {second}")
        yield Verdict.REFUSED, f"two lengths, {first} and {second}", head, _whole
    yield Verdict.REFUSED, "the same length twice", (_POST, "Content-Length: #", "Content-Length: #"), _whole
    yield Verdict.ANSWERED, "spaces around a length", (_POST, "Content-Length:  # \t"), _whole
    yield Verdict.REFUSED, "space before the colon", (_POST, "Content-Length : #"), _whole
    yield Verdict.REFUSED, "folded length", (_POST, "Content-Length:\r\n #"), _whole
    yield Verdict.REFUSED, "no colon", (_POST, "Content-Length #"), _whole
    yield Verdict.REFUSED, "NUL in a name", (_POST, "Content-Length\0: 0", "Content-Length: #"), _whole


def _codings() -> Iterator[_Case]:
    coded = "Transfer-Encoding: chunked"
    yield Verdict.REFUSED, "length and coding", (_POST, "Content-Length: #", coded), _after_last_chunk
    yield Verdict.REFUSED, "coding and length", (_POST, coded, "Content-Length: #"), _after_last_chunk
    yield Verdict.REFUSED, "coding and a short length", (_POST, "Content-Length: 4", coded), _in_chunk
    unknown = (
        "xchunked", "chunked, identity", "chunked\x0b", "\x0bchunked", "identity", '"chunked"', "chunked;a=b",
        "chunked,", "chun ked", "",
    )  # fmt: skip
    for value in unknown:
        head: tuple[str, ...] = (_POST, f"Transfer-Encoding: {value}")
        yield Verdict.REFUSED, f"coding {value!r}", head, _after_last_chunk
        yield Verdict.REFUSED, f"length and coding {value!r}", (*head, "Content-Length: #"), _after_last_chunk
    for value in ("CHUNKED", "identity, chunked", "chunked, chunked", "gzip, chunked", ",chunked"):
        head = (_POST, "Content-Length: #", f"Transfer-Encoding: {value}")
        yield Verdict.REFUSED, f"length and coding {value!r}", head, _after_last_chunk
    identity = "Transfer-Encoding: identity"
    yield Verdict.REFUSED, "two codings", (_POST, coded, identity, "Content-Length: #"), _after_last_chunk
    yield (
        Verdict.REFUSED,
        "two codings, turned",
        (_POST, identity, coded, "Content-Length: #"),
        _after_last_chunk,
    )
    yield (
        Verdict.REFUSED,
        "coding, space before the colon",
        (_POST, "Transfer-Encoding : chunked"),
        _after_last_chunk,
    )
    head = (_POST, "Content-Length: #", "Transfer_Encoding: chunked")
    yield Verdict.ANSWERED, "coding with an underscore", head, _after_last_chunk
    head = (_POST, "Content-Length: #", "Transfer-Encoding:\r\n chunked")
    yield Verdict.REFUSED, "folded coding", head, _after_last_chunk
    old = _POST.replace("1.1", "1.0")
    yield Verdict.REFUSED, "coding in HTTP/1.0", (old, coded), _in_chunk
    head = (old, "Connection: keep-alive", "Content-Length: #", coded)
    yield Verdict.REFUSED, "length and coding in HTTP/1.0", head, _after_last_chunk


def _lines() -> Iterator[_Case]:
    length = "Content-Length: #"
    yield Verdict.REFUSED, "folded line", (_POST, length, "X: a\r\n b"), _whole
    yield Verdict.REFUSED, "CR within a line", (_POST, f"X: a\r{length}"), _whole
    yield (
        Verdict.REFUSED,
        "CR before a coding",
        (_POST, length, "X: a\rTransfer-Encoding: chunked"),
        _after_last_chunk,
    )
    yield Verdict.REFUSED, "LF ends a line", (_POST, f"X: a\n{length}"), _whole
    head: tuple[str, ...] = (_POST, length, "X: a\nTransfer-Encoding: chunked")
    yield Verdict.REFUSED, "LF before a coding", head, _after_last_chunk
    yield Verdict.REFUSED, "NUL in a value", (_POST, "X: a\0b", length), _whole
    yield Verdict.REFUSED, "a name with a parenthesis", (_POST, "X(y: a", length), _whole
    for version in ("HTTP/1.2", "HTTP/2.0", "HTTP/0.9", "http/1.1", "HTTP/1.1 ", "HTTP/11", ""):
        yield Verdict.REFUSED, f"version {version!r}", (_POST.replace("HTTP/1.1", version), length), _whole
    yield Verdict.ANSWERED, "two spaces", (_POST.replace(" ", "  ", 1), length), _whole
    yield Verdict.REFUSED, "tabs", (_POST.replace(" ", "\t"), length), _whole
    yield Verdict.REFUSED, "space in the path", (_POST.replace("doubt", "dou bt"), length), _whole
    yield Verdict.ANSWERED, "two hosts", (_POST, "Host: other.example", length), _whole
    upgrade = (
        "Connection: Upgrade, HTTP2-Settings",
        "Upgrade: h2c",
        "HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA",
    )
    yield Verdict.ANSWERED, "upgrade to HTTP/2", (_POST, *upgrade, length), _whole
    socket = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13")
    key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
    yield Verdict.ANSWERED, "upgrade to WebSocket", ("GET /v2/ HTTP/1.1", *socket, key, length), _whole
    yield (
        Verdict.CLOSED,
        "length as a connection header",
        (_POST, "Connection: close, Content-Length", length),
        _whole,
    )
    yield Verdict.TWO, "two requests", ("GET /v2/ HTTP/1.1",), _whole


def _chunks() -> Iterator[_Case]:
    head = (_PUT, "Content-Type: application/json", "Transfer-Encoding: chunked")
    malformed: dict[str, Callable[[bytes], bytes]] = {
        "size in 0x": lambda canary: b"0x" + _in_chunk(canary),
        "size with plus": lambda canary: b"+" + _in_chunk(canary),
        "negative size": lambda canary: b"-" + _in_chunk(canary),
        "size with underscore": lambda canary: b"0_0\r\n\r\n" + canary,
        "size beyond 64 bits": lambda canary: b"10000000000000000\r\n\r\n" + canary,
        "size that wraps around": lambda canary: b"1000000000000000" + _in_chunk(canary),
        "no size": lambda canary: b"\r\n\r\n" + canary,
        "size that is none": lambda canary: b"g\r\n\r\n" + canary,
        "LF after the size": lambda canary: b"0\n\n" + canary,
        "LF in an extension": lambda canary: b"2;\nxx\r\n%x\r\n0\r\n\r\n%b" % (len(canary) + 5, canary),
        "CR in an extension": lambda canary: b"0;a\rb\r\n\r\n" + canary,
        "no line end after the data": lambda canary: b"1\r\nA0\r\n\r\n" + canary,
        "LF after the data": lambda canary: b"1\r\nA\n0\r\n\r\n" + canary,
        "too much data": lambda canary: b"1\r\nAXX0\r\n\r\n" + canary,
        "a trailer that is none": lambda canary: b"0\r\nno trailer\r\n\r\n" + canary,
        "a folded trailer": lambda canary: b"0\r\nX: a\r\n b\r\n\r\n" + canary,
    }
    for name, body in malformed.items():
        yield Verdict.REFUSED, f"chunks: {name}", head, body
    yield (
        Verdict.REFUSED,
        "chunks: space after the size",
        head,
        lambda canary: _in_chunk(canary).replace(b"\r", b" \r", 1),
    )
    yield Verdict.TWO, "chunks: a long extension", head, (b"0;" + b"a" * 70_000 + b"\r\n\r\n").__add__
    trailers = {
        "Content-Length: 50": Verdict.REFUSED,
        "Transfer-Encoding: chunked": Verdict.REFUSED,
        "Host: other.example": Verdict.TWO,
    }
    for trailer, verdict in trailers.items():
        end = f"0\r\n{trailer}\r\n\r\n".encode()
        yield verdict, f"chunks: trailer {trailer}", head, end.__add__


def _unread_bodies() -> Iterator[_Case]:
    for line in (
        "GET /v2/ HTTP/1.1",
        "HEAD /v2/ HTTP/1.1",
        "POST /v2/nowhere HTTP/1.1",
        "DELETE /v2/ HTTP/1.1",
        "POST /elsewhere HTTP/1.1",
        "CONNECT other.example:443 HTTP/1.1",
        "POST http://other.example/v2/nowhere HTTP/1.1",
    ):
        yield Verdict.ANSWERED, f"body of {line}", (line, "Content-Length: #"), _whole
    yield Verdict.ANSWERED, "chunks of a GET", ("GET /v2/ HTTP/1.1", "Transfer-Encoding: chunked"), _in_chunk
    expecting = ("POST /v2/nowhere HTTP/1.1", "Content-Length: #", "Expect: 100-continue")
    yield Verdict.ANSWERED, "body that waits for permission", expecting, _whole
    yield Verdict.ANSWERED, "unknown expectation", (_POST, "Content-Length: #", "Expect: 200-ok"), _whole
