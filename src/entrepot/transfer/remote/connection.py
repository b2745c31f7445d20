"""Requests to one registry: time-outs, repetitions, redirects, and credentials that stay where they belong (S29)."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.request import getproxies, proxy_bypass

import aiohttp
from yarl import URL

from entrepot.transfer.errors import (
    SourceDeniedError,
    SourceError,
    SourceUnavailableError,
    SourceUnusableError,
)
from entrepot.transfer.remote.authorization import Authorization
from entrepot.transfer.remote.trust import is_same_origin

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from entrepot.transfer.remote.credentials import Credentials

__all__ = ["BROKEN_CONNECTION", "Connection", "ConnectionOptions", "pause_before", "read_capped"]

BROKEN_CONNECTION: Final = (
    aiohttp.ClientConnectionError,
    aiohttp.ClientPayloadError,
    TimeoutError,
    ConnectionError,
)
"""What is raised when a server or the network between fails; trying again may help."""

_MOST_ATTEMPTS: Final = 6
_MOST_ATTEMPTS_AFTER_500: Final = 3
"""A server that is sound otherwise may answer so for one damaged image: that is no reason to end an import."""
_FIRST_PAUSE_SECONDS: Final = 0.5
_LONGEST_PAUSE_SECONDS: Final = 120.0
_REPEATED_STATUSES: Final = frozenset({429, 500, 502, 503, 504})
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_MOST_REDIRECTS: Final = 5
_CONNECT_SECONDS: Final = 30
_SILENCE_SECONDS: Final = 60


@dataclass(frozen=True, slots=True)
class ConnectionOptions:
    """How a registry is reached.

    Attributes:
        ca_file: certificates of authorities to believe instead of the system's, PEM.
        token_hosts: hosts of token servers that may get the credentials although they are of another domain.
        connections: how many at once, at most.
        first_pause_seconds: how long to wait before the first repetition; each further pause is twice as long.
    """

    credentials: Credentials | None = None
    ca_file: Path | None = None
    token_hosts: frozenset[str] = frozenset()
    connections: int = 16
    first_pause_seconds: float = _FIRST_PAUSE_SECONDS


class Connection:
    """Sends requests to the registry at `base`."""

    def __init__(self, base: URL, options: ConnectionOptions) -> None:
        self.base = base
        self.options = options
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=options.connections, ssl=_tls_context(options.ca_file)),
            timeout=aiohttp.ClientTimeout(
                total=None, sock_connect=_CONNECT_SECONDS, sock_read=_SILENCE_SECONDS
            ),
            headers={"User-Agent": "entrepot", "Accept-Encoding": "identity"},
            auto_decompress=False,  # what is asked for by digest must come byte for byte
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        self._authorization = Authorization(base, options.credentials, options.token_hosts, self._fetch_token)

    async def aclose(self) -> None:
        """Close all connections."""
        await self._session.close()

    @contextlib.asynccontextmanager
    async def request(
        self, method: str, target: str, scope: str, headers: Mapping[str, str] | None = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send a request to a path of the registry and give its reply, which has a status below 500.

        Overload and failing connections are answered with patience: `Retry-After` is kept, else pauses grow.

        Raises:
            SourceUnavailableError: no usable reply, after all repetitions.
            SourceError: this request fails at the server again and again.
            SourceDeniedError: the credentials, or having none, do not suffice.
        """
        response = await self._repeated(method, self._url(target), scope, headers or {})
        try:
            yield response
        finally:
            response.release() if response.content.at_eof() else response.close()

    def _url(self, target: str) -> URL:
        url = self.base.join(URL(target, encoded=True))
        if not is_same_origin(url, self.base):
            raise SourceError(f"{self.base.host} names a page of another server: {url.host}")
        return url

    async def _repeated(
        self, method: str, url: URL, scope: str, headers: Mapping[str, str]
    ) -> aiohttp.ClientResponse:
        reason = ""
        for attempt in range(_MOST_ATTEMPTS):
            retry_after: str | None = None
            try:
                response = await self._authorized(method, url, scope, headers)
            except BROKEN_CONNECTION as error:
                _refuse_bad_certificate(error, url)
                reason = str(error) or type(error).__name__
            else:
                if response.status not in _REPEATED_STATUSES:
                    return response
                if response.status == 500 and attempt == _MOST_ATTEMPTS_AFTER_500 - 1:
                    response.close()
                    raise SourceError(f"{url.host} answers {method} {url.path} with status 500")
                reason = f"status {response.status}"
                retry_after = response.headers.get("Retry-After")
                response.close()
            if attempt < _MOST_ATTEMPTS - 1:
                await asyncio.sleep(pause_before(attempt, self.options.first_pause_seconds, retry_after))
        raise SourceUnavailableError(f"{url.host} does not answer {method} {url.path}: {reason}")

    async def _authorized(
        self, method: str, url: URL, scope: str, headers: Mapping[str, str]
    ) -> aiohttp.ClientResponse:
        response = await self._followed(method, url, headers, await self._authorization.header(scope))
        if response.status == 401:
            challenges = response.headers.getall("WWW-Authenticate", [])
            response.close()
            header = await self._authorization.answer(challenges, scope)
            response = await self._followed(method, url, headers, header)
        if response.status in {401, 403}:
            response.close()
            raise SourceDeniedError(f"{url.host} denies {method} {url.path} (status {response.status})")
        return response

    async def _followed(
        self, method: str, url: URL, headers: Mapping[str, str], authorization: str | None
    ) -> aiohttp.ClientResponse:
        """Send, and follow redirects: without credentials to another server, never to a less protected one."""
        for _ in range(_MOST_REDIRECTS):
            sent = dict(headers)
            if authorization is not None and is_same_origin(url, self.base):
                sent["Authorization"] = authorization
            response = await self._session.request(
                method, url, headers=sent, allow_redirects=False, proxy=_proxy_for(url)
            )
            location = response.headers.get("Location")
            if response.status not in _REDIRECTS or location is None:
                return response
            response.close()
            url = _redirected(url, location)
        raise SourceError(f"{self.base.host} redirects more than {_MOST_REDIRECTS} times")

    async def _fetch_token(
        self, method: str, url: URL, headers: Mapping[str, str], form: Mapping[str, str] | None
    ) -> tuple[int, bytes]:
        """Ask a token server; it gets no second chance to send credentials on, so redirects are not followed."""
        for attempt in range(_MOST_ATTEMPTS):
            async with self._session.request(
                method, url, headers=dict(headers), data=form, allow_redirects=False, proxy=_proxy_for(url)
            ) as response:
                if response.status not in _REPEATED_STATUSES or attempt == _MOST_ATTEMPTS - 1:
                    return response.status, await read_capped(response, 1024 * 1024)
                retry_after = response.headers.get("Retry-After")
            await asyncio.sleep(pause_before(attempt, self.options.first_pause_seconds, retry_after))
        raise SourceUnavailableError(f"{url.host} gives no token")


def pause_before(attempt: int, first_seconds: float, retry_after: str | None) -> float:
    """Return how many seconds to wait after the `attempt`-th failure (0: the first one)."""
    if retry_after is not None and retry_after.strip().isdecimal():
        return min(float(retry_after), _LONGEST_PAUSE_SECONDS)
    return min(first_seconds * 2.0**attempt, _LONGEST_PAUSE_SECONDS)


async def read_capped(response: aiohttp.ClientResponse, limit: int) -> bytes:
    """Return the body of a reply.

    Raises:
        SourceError: it has more than `limit` bytes.
    """
    body = bytearray()
    async for chunk in response.content.iter_chunked(64 * 1024):
        body += chunk
        if len(body) > limit:
            raise SourceError(f"{response.url.host} sends more than {limit} bytes for {response.url.path}")
    return bytes(body)


def _proxy_for(url: URL) -> str | None:
    """Return the proxy that `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` name; the library would read .netrc too."""
    if url.host is None or proxy_bypass(url.host):
        return None
    return getproxies().get(url.scheme)


def _redirected(url: URL, location: str) -> URL:
    target = url.join(URL(location, encoded=True))
    if target.scheme not in {"http", "https"} or (url.scheme == "https" and target.scheme != "https"):
        raise SourceError(
            f"{url.host} redirects from https to {target.scheme}://{target.host}, which is refused"
        )
    return target


def _tls_context(ca_file: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=str(ca_file) if ca_file is not None else None)
    except (OSError, ssl.SSLError) as error:
        raise SourceUnusableError(f"the file of authorities {ca_file} can't be used: {error}") from None


def _refuse_bad_certificate(error: BaseException, url: URL) -> None:
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        raise SourceUnusableError(
            f"the certificate of {url.host} is not believed: {error.certificate_error}; "
            "name its authority with --ca-file"
        ) from None
