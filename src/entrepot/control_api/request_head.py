"""The head of a request to the management API, and what is refused for its form alone."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import msgspec

from entrepot.auth.forwarding import seems_forwarded
from entrepot.auth.principals import Origin
from entrepot.control_api.errors import InputTooLargeError, MalformedRequestError
from entrepot.kernel.secret_forms import MOST_CHARACTERS, without_secrets

if TYPE_CHECKING:
    from entrepot.kernel.asgi import Scope

__all__ = ["UNSAFE_METHODS", "RequestHead", "read_head", "require_clarity"]

UNSAFE_METHODS: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
"""Those that may change something; all endpoints of other methods change nothing."""

_MAX_HEAD_BYTES: Final = 32 * 1024
_SINGLE: Final = {
    b"authorization": "Authorization",
    b"cookie": "Cookie",
    b"host": "Host",
    b"x-is-resource-name": "X-Is-Resource-Name",
}
"""Headers of which two would leave unclear who asks, where, or for what."""
_NEEDLESS_ESCAPE: Final = re.compile(rb"%(?:2[DdEeFf]|3\d|[46][1-9A-Fa-f]|[57][0-9Aa]|5[Ff]|7[Ee])")
"""Escapes of letters, digits, `-`, `.`, `_`, `~` and the slash: nobody needs them in these paths."""


class RequestHead(msgspec.Struct, frozen=True):
    """What was asked, by whom as far as the connection tells.

    Attributes:
        path: decoded once.
        raw_path: as it was sent.
        query: as it was sent, without the question mark.
        headers: by name in lower case; of one that is repeated, the first.
        address: the peer's IP address, empty when the server could not tell.
        forwarded: whether anything suggests that somebody passed the request on.
        encrypted: whether the connection to us is.
        success_status: that of the answer if all goes well, 0 until it is known what is asked for.
    """

    method: str
    path: str
    raw_path: str
    query: str
    headers: dict[str, str]
    address: str
    forwarded: bool
    encrypted: bool
    request_id: str
    success_status: int = 0

    def header(self, name: str) -> str:
        """Return a header, empty when it is absent."""
        return self.headers.get(name, "")

    def origin(self) -> Origin:
        """Return what an audit record, or a session, tells of the request."""
        program = without_secrets(self.header("user-agent")[:MOST_CHARACTERS])
        return Origin(self.request_id, program, self.method, self.path, self.success_status)


def read_head(scope: Scope, request_id: str) -> RequestHead:
    """Return the head of a request."""
    fields: list[tuple[bytes, bytes]] = scope["headers"]
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in reversed(fields)}
    client = scope.get("client")
    address = client[0] if client else ""
    host = headers.get("host", "").encode("latin-1")
    path: str = scope["path"]
    raw_path: bytes = (scope.get("raw_path") or path.encode()).partition(b"?")[0]
    return RequestHead(
        method=scope["method"],
        path=path,
        raw_path=raw_path.decode("latin-1"),
        query=scope.get("query_string", b"").decode("latin-1"),
        headers=headers,
        address=address,
        forwarded=seems_forwarded(scope.get("http_version"), address, host, (name for name, _ in fields)),
        encrypted=scope.get("scheme") == "https",
        request_id=request_id,
    )


def require_clarity(scope: Scope, head: RequestHead) -> None:
    """Refuse what a proxy in front may have read as another host or path than we do (S1, S39), and long heads (F41).

    Raises:
        InputTooLargeError: the headers are longer than any client needs.
        MalformedRequestError: it is unclear.
    """
    fields: list[tuple[bytes, bytes]] = scope["headers"]
    if sum(len(name) + len(value) for name, value in fields) > _MAX_HEAD_BYTES:
        raise InputTooLargeError(_MAX_HEAD_BYTES)
    names = [name for name, _ in fields]
    for name, shown in _SINGLE.items():
        if names.count(name) > 1:
            raise MalformedRequestError(f"the request has more than one {shown} header")
    if "\0" in head.path:
        raise MalformedRequestError("the path holds U+0000, which no name has")
    if _NEEDLESS_ESCAPE.search(head.raw_path.encode("latin-1")):
        raise MalformedRequestError(
            "the path escapes what needs no escape, as a slash: only names of repositories have slashes, and they are "
            "encoded twice"
        )
