"""Reads a request for a token: a query with perhaps Basic credentials, or a form (T5, T9, T10)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import parse_qs

import msgspec

from entrepot.auth.basic_credentials import BasicCredentials, parse_basic
from entrepot.auth.errors import InvalidCredentialsError
from entrepot.auth.forwarding import seems_forwarded
from entrepot.auth.principals import Origin
from entrepot.auth.scopes import ScopeRequest, parse_scopes
from entrepot.kernel.secret_forms import MOST_CHARACTERS, without_secrets
from entrepot.token_service.errors import GrantTypeError, TokenFormTooLargeError, TokenRequestError

if TYPE_CHECKING:
    from entrepot.kernel.asgi import Receive, Scope

__all__ = ["Peer", "RefreshGrant", "TokenRequest", "read_form", "read_query"]

_MOST_BODY_BYTES: Final = 32 * 1024
_BODY_SECONDS: Final = 10.0
_MOST_FIELDS: Final = 128


class Peer(msgspec.Struct, frozen=True):
    """Where a request comes from. What proxies say of it is not believed (S18)."""

    address: str
    forwarded: bool
    origin: Origin

    @classmethod
    def of(cls, scope: Scope, request_id: str) -> Peer:
        """Read the peer of a connection and the head of its request."""
        client = scope.get("client")
        headers: dict[bytes, bytes] = dict(scope["headers"])
        origin = Origin(
            request_id=request_id,
            user_agent=headers.get(b"user-agent", b"").decode("latin-1"),
            method=scope["method"],
            path=scope["path"],
        )
        address = client[0] if client else ""
        host = headers.get(b"host", b"")
        return cls(address, seems_forwarded(scope.get("http_version"), address, host, headers), origin)


class RefreshGrant(msgspec.Struct, frozen=True):
    """A refresh token that is presented. Formatting it shows nothing of it (S27)."""

    refresh_token: str

    def __repr__(self) -> str:
        return "RefreshGrant()"


class TokenRequest(msgspec.Struct, frozen=True):
    """What a client asks for, and what it presents: a name and a secret, a refresh token, or nothing.

    Attributes:
        service: empty when the client did not say.
        client_id: what the client calls itself: cut, since it is kept, and without what looks like a secret.
        wants_refresh_token: whether it asks for a refresh token, too.
        form: in which form it asked, and wants to be answered.
    """

    form: Literal["query", "oauth2"]
    presented: BasicCredentials | RefreshGrant | None
    scopes: ScopeRequest
    service: str
    client_id: str
    wants_refresh_token: bool


def read_query(scope: Scope) -> TokenRequest:
    """Read a GET. `account` is ignored: who asks is who presents credentials.

    Raises:
        TokenRequestError: the query can't be parsed.
        ScopeLimitError: it asks for too much at once.
        InvalidCredentialsError: the Authorization header is not of the Basic scheme, or malformed.
    """
    fields = _parse(scope.get("query_string", b""))
    return TokenRequest(
        form="query",
        presented=_authorization(scope),
        scopes=parse_scopes(fields.get("scope", [])),
        service=_first(fields, "service"),
        client_id=_client_id(fields),
        wants_refresh_token=_first(fields, "offline_token") in {"true", "1"},
    )


async def read_form(scope: Scope, receive: Receive) -> TokenRequest:
    """Read a POST.

    Raises:
        TokenRequestError: the form is too large, can't be parsed, or lacks a field.
        ScopeLimitError: it asks for too much at once.
    """
    fields = _parse(await _read_body(scope, receive))
    for name in ("grant_type", "service", "client_id"):
        if not _first(fields, name):
            raise TokenRequestError(f"the form lacks {name}")
    return TokenRequest(
        form="oauth2",
        presented=_grant(fields),
        scopes=parse_scopes(fields.get("scope", [])),
        service=_first(fields, "service"),
        client_id=_client_id(fields),
        wants_refresh_token=_first(fields, "access_type") == "offline",
    )


def _client_id(fields: dict[str, list[str]]) -> str:
    return without_secrets(_first(fields, "client_id")[:MOST_CHARACTERS])


def _grant(fields: dict[str, list[str]]) -> BasicCredentials | RefreshGrant:
    kind = _first(fields, "grant_type")
    if kind == "refresh_token":
        if not _first(fields, "refresh_token"):
            raise TokenRequestError("the form lacks refresh_token")
        return RefreshGrant(_first(fields, "refresh_token"))
    if kind != "password":
        raise GrantTypeError
    name, secret = _first(fields, "username"), _first(fields, "password")
    if not name or not secret:
        raise TokenRequestError("the form lacks username or password")
    return BasicCredentials(name, secret)


def _authorization(scope: Scope) -> BasicCredentials | None:
    found = [value for name, value in scope["headers"] if name == b"authorization"]
    if not found:
        return None
    scheme, _, encoded = found[0].decode("latin-1").partition(" ")
    credentials = parse_basic(encoded) if scheme.lower() == "basic" else None
    if credentials is None or len(found) > 1:
        raise InvalidCredentialsError("the Authorization header is malformed, or not Basic")
    return credentials


def _parse(raw: bytes) -> dict[str, list[str]]:
    try:
        fields = parse_qs(raw.decode("ascii"), keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError as error:
        raise TokenRequestError("the fields can't be parsed") from error
    if any("\0" in value for values in fields.values() for value in values):
        raise TokenRequestError("a field holds U+0000")  # which PostgreSQL does not
    return fields


def _first(fields: dict[str, list[str]], name: str) -> str:
    values = fields.get(name)
    return values[0] if values else ""


async def _read_body(scope: Scope, receive: Receive) -> bytes:
    headers: dict[bytes, bytes] = dict(scope["headers"])
    media_type = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    if media_type != b"application/x-www-form-urlencoded":
        raise TokenRequestError("the body must be application/x-www-form-urlencoded")
    body = b""
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            more = True
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise TokenRequestError("the client went away")
                body += message.get("body", b"")
                more = message.get("more_body", False)
                if len(body) > _MOST_BODY_BYTES:
                    raise TokenFormTooLargeError(_MOST_BODY_BYTES)
    except TimeoutError as error:
        raise TokenRequestError(f"the body did not arrive within {_BODY_SECONDS:.0f} s") from error
    return body
