"""Answers the challenges of a registry: Basic, or a bearer token from the server it names (distribution token spec)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec
from yarl import URL

from entrepot.transfer.errors import SourceDeniedError, SourceUnusableError
from entrepot.transfer.remote.challenges import Challenge, parse_challenges
from entrepot.transfer.remote.trust import may_receive_credentials

if TYPE_CHECKING:
    from entrepot.transfer.remote.credentials import Credentials

__all__ = ["Authorization", "FetchToken"]

FetchToken: TypeAlias = Callable[
    [str, URL, Mapping[str, str], "Mapping[str, str] | None"], Awaitable[tuple[int, bytes]]
]
"""Sends method, address, headers and form to a token server; returns status and body."""

_SHORTEST_LIFE_SECONDS: Final = 60.0
_MARGIN_SECONDS: Final = 10.0


class _TokenReply(msgspec.Struct, frozen=True):
    token: str = ""
    access_token: str = ""
    expires_in: float = _SHORTEST_LIFE_SECONDS


@dataclass(frozen=True, slots=True)
class _Token:
    header: str
    good_until: float


class Authorization:
    """The `Authorization` headers for one registry, by scope."""

    def __init__(
        self, registry: URL, credentials: Credentials | None, token_hosts: Collection[str], fetch: FetchToken
    ) -> None:
        self._registry = registry
        self._credentials = credentials
        self._token_hosts = token_hosts
        self._fetch = fetch
        self._basic = False
        self._tokens: dict[str, _Token] = {}
        self._lock = asyncio.Lock()

    async def header(self, scope: str) -> str | None:
        """Return what to send at once, because it was asked for before; `None` for nothing."""
        if self._basic and self._credentials is not None:
            return self._credentials.basic()
        token = self._tokens.get(scope)
        return token.header if token is not None and token.good_until > time.monotonic() else None

    async def answer(self, headers: Sequence[str], scope: str) -> str:
        """Return what to send after a refusal with these `WWW-Authenticate` headers.

        Raises:
            SourceDeniedError: there is nothing to send.
            SourceUnusableError: the credentials would have to go where they do not belong.
        """
        challenges = {challenge.scheme: challenge for challenge in reversed(parse_challenges(headers))}
        if (bearer := challenges.get("bearer")) is not None and "realm" in bearer.parameters:
            async with self._lock:
                return await self._new_token(bearer, scope)
        if "basic" in challenges and self._credentials is not None:
            self._basic = True
            return self._credentials.basic()
        raise SourceDeniedError(
            f"{self._registry.host} wants a login: use --username and --password-file, or --auth-file"
        )

    async def _new_token(self, challenge: Challenge, scope: str) -> str:
        realm = URL(challenge.parameters["realm"])
        credentials = self._credentials
        if credentials is not None and not may_receive_credentials(self._registry, realm, self._token_hosts):
            raise SourceUnusableError(
                f"{self._registry.host} sends logins to {realm.scheme}://{realm.host}, which is of another domain or "
                f"less protected: if that is right, allow it with --token-host {realm.host}"
            )
        # The scope is ours, not the one that the registry asks for: a token to pull is all that is needed.
        query = {"service": challenge.parameters.get("service", ""), "scope": scope}
        if credentials is not None and credentials.identity_token:
            form = {
                "grant_type": "refresh_token",
                "refresh_token": credentials.identity_token,
                "client_id": "entrepot",
                **query,
            }
            status, body = await self._fetch("POST", realm, {}, form)
        else:
            headers: dict[str, str] = {}
            if credentials is not None:
                headers["Authorization"] = credentials.basic()
                query["account"] = credentials.username
            status, body = await self._fetch("GET", realm.update_query(query), headers, None)
        if status != 200:
            raise SourceDeniedError(f"the token server {realm.host} refuses the login (status {status})")
        return self._keep(body, realm, scope)

    def _keep(self, body: bytes, realm: URL, scope: str) -> str:
        try:
            reply = msgspec.json.decode(body, type=_TokenReply)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise SourceDeniedError(f"the token server {realm.host} answers with something else") from None
        text = reply.token or reply.access_token
        if not text or not text.isascii() or not text.isprintable():
            raise SourceDeniedError(f"the token server {realm.host} gives no token")
        life = max(reply.expires_in, _SHORTEST_LIFE_SECONDS) - _MARGIN_SECONDS
        self._tokens[scope] = _Token(f"Bearer {text}", time.monotonic() + life)
        return self._tokens[scope].header
