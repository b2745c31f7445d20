"""The head of a request that could be parsed, and what is still wrong with some of them."""

from __future__ import annotations

import re
from typing import Final

import msgspec

from entrepot.http1.refusals import Refusal

__all__ = ["MAX_FIELDS", "MAX_TARGET_BYTES", "RequestHead", "judge_head", "origin_form", "tell_of_body"]

MAX_TARGET_BYTES: Final = 8_192
MAX_FIELDS: Final = 100
_MAX_LENGTH_DIGITS: Final = 19
"""Of a Content-Length: the parser takes any number of zeros before it, and Python makes no number of too many."""
_ON_BODIES: Final = frozenset({b"content-length", b"transfer-encoding", b"expect"})
_ABSOLUTE: Final = re.compile(rb"[a-zA-Z][a-zA-Z0-9+.-]*://[^/?#]*")


class RequestHead(msgspec.Struct, frozen=True):
    """What a request says before its body.

    Attributes:
        method: in the letters in which it came.
        target: path and query, as they came.
        fields: names in lower case, values without the spaces around them.
        version: "1.1" or "1.0".
        keeps_alive: whether the client can send another request after it.
        tells_of_body: whether any field says how its body comes, or when.
    """

    method: str
    target: bytes
    fields: list[tuple[bytes, bytes]]
    version: str
    keeps_alive: bool
    tells_of_body: bool

    def field(self, name: bytes) -> bytes | None:
        """Return the first field of this name."""
        for found, value in self.fields:
            if found == name:
                return value
        return None

    @property
    def body_bytes(self) -> int:
        """The length of its body that it announces, 0 where it announces none."""
        return int(self.field(b"content-length") or 0) if self.tells_of_body else 0

    @property
    def asks_for_permission(self) -> bool:
        """Whether the client sends the body only when told to (RFC 9110, section 10.1.1)."""
        if not self.tells_of_body or self.version == "1.0":
            return False
        expectation = self.field(b"expect")
        return expectation is not None and expectation.lower() == b"100-continue"

    def framing(self) -> bytes:
        """Return a head that frames the body as this one does, and says nothing else."""
        lines = [
            b"%b: %b\r\n" % field
            for field in self.fields
            if field[0] in (b"content-length", b"transfer-encoding")
        ]
        if not self.keeps_alive:
            lines.append(b"connection: close\r\n")
        return b"POST / HTTP/1.1\r\n" + b"".join(lines) + b"\r\n"


def tell_of_body(fields: list[tuple[bytes, bytes]]) -> bool:
    """Return whether any of these fields says how a body comes, or when."""
    return not _ON_BODIES.isdisjoint(dict(fields))


def origin_form(target: bytes) -> bytes:
    """Return the path and query of a target in absolute form (RFC 9112, section 3.2.2); others as they are."""
    if target.startswith(b"/"):
        return target
    authority = _ABSOLUTE.match(target)
    if authority is None:
        return target
    rest = target[authority.end() :]
    return rest if rest.startswith(b"/") else b"/" + rest


def judge_head(head: RequestHead) -> Refusal | None:
    """Return what is wrong with a head, `None` for nothing."""
    if head.version not in {"1.1", "1.0"}:
        return Refusal(400, f"HTTP/{head.version} is not spoken here, only HTTP/1.1 and HTTP/1.0")
    if len(head.target) > MAX_TARGET_BYTES:
        return Refusal(414, "the target of the request is too long")
    if len(head.fields) > MAX_FIELDS:
        return Refusal(431, f"the request has more than {MAX_FIELDS} header fields")
    if head.method == "CONNECT":
        return Refusal(405, "this is no proxy: CONNECT has no meaning here")
    return _judge_framing(head) if head.tells_of_body else None


def _judge_framing(head: RequestHead) -> Refusal | None:
    for name, value in head.fields:
        if name == b"transfer-encoding" and (head.version == "1.0" or value.lower() != b"chunked"):
            return Refusal(400, "the only Transfer-Encoding that is understood is chunked, in HTTP/1.1")
        if name == b"content-length" and len(value) > _MAX_LENGTH_DIGITS:
            return Refusal(400, f"a Content-Length has at most {_MAX_LENGTH_DIGITS} digits")
    return None
