"""One connection to a registry's management API: sends requests, reads answers, and turns refusals into errors."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import ssl
import time
from dataclasses import dataclass
from http import HTTPStatus
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode

from entrepot.client.errors import EXIT_NOT_FOUND, EXIT_REFUSED, EXIT_UNREACHABLE, EXIT_USAGE, ClientError
from entrepot.client.refusals import refusal_of

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from entrepot.client.addresses import ServerAddress

__all__ = ["Api", "Reply", "segment", "twice_encoded"]

_PREFIX: Final = "/api/v2.0"
_TIMEOUT_SECONDS: Final = 60
_IDLE_SECONDS: Final = 2.0
_MOST_BODY_BYTES: Final = 64 * 1024 * 1024
_PIECE_BYTES: Final = 1024 * 1024
_OTHER_NAME: Final = frozenset({62, 64})
"""X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH of OpenSSL: no authority helps against these."""
_OTHER_TIME: Final = frozenset({9, 10})
"""X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer that is no refusal; names of headers in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def document(self) -> Any:  # noqa: ANN401  # whatever the API says
        """The body as JSON.

        Raises:
            ClientError: it is none.
        """
        try:
            return json.loads(self.body)
        except ValueError as error:
            raise ClientError(
                EXIT_REFUSED,
                "entrepot: the answer is no JSON: this is no registry's management API",
                "Check the address, and what a proxy in front does with /api/.",
            ) from error

    @property
    def created(self) -> str:
        """What stands at the end of `Location`: the id of what was made."""
        return self.headers.get("location", "").rstrip("/").rpartition("/")[2]


class Api:
    """Asks one registry as one principal. Not for several threads.

    Redirects are not followed: they could lead the credentials anywhere.
    """

    def __init__(self, address: ServerAddress, credentials: tuple[str, str], ca_file: str = "") -> None:
        self._address = address
        self._ca_file = ca_file
        self._headers = {"Accept": "application/json", "User-Agent": f"entrepot-client/{version('entrepot')}"}
        self._headers["Authorization"] = f"Basic {_basic(*credentials)}"
        self._connection: http.client.HTTPConnection | None = None
        self._used_at = 0.0

    @property
    def address(self) -> ServerAddress:
        """Which registry this is."""
        return self._address

    def get(self, path: str, query: Mapping[str, str | int] | None = None) -> Reply:
        """Read something. Raises ClientError."""
        return self.call("GET", path, query=query)

    def call(
        self,
        method: str,
        path: str,
        document: object = None,
        *,
        query: Mapping[str, str | int] | None = None,
    ) -> Reply:
        """Send one request below /api/v2.0.

        Args:
            path: already encoded, see `segment`.

        Raises:
            ClientError: the registry refused, can't be reached, or is none.
        """
        headers = {**self._headers, "X-Is-Resource-Name": "true"}
        body = None
        if document is not None:
            body, headers["Content-Type"] = json.dumps(document).encode(), "application/json"
        target = f"{_PREFIX}{path}?{urlencode(query)}" if query else f"{_PREFIX}{path}"
        reply = self._exchange(method, target, body, headers)
        if not 200 <= reply.status < 300:
            raise refusal_of(reply.status, reply.headers, reply.body, self._address.url)
        return reply

    def stream(self, path: str, query: Mapping[str, str | int]) -> Generator[bytes]:
        """Read something of any size in pieces, on a connection that is closed then.

        Raises:
            ClientError: the registry refused, can't be reached, or broke off.
        """
        target = f"{_PREFIX}{path}?{urlencode(query)}" if query else f"{_PREFIX}{path}"
        connection = self._open()
        try:
            with self._reaching():
                connection.request("GET", target, None, self._headers)
                response = connection.getresponse()
            if response.status != HTTPStatus.OK:
                found = {name.lower(): value for name, value in response.getheaders()}
                raise refusal_of(response.status, found, response.read(_MOST_BODY_BYTES), self._address.url)
            with self._reaching():
                while piece := response.read(_PIECE_BYTES):
                    yield piece
        finally:
            connection.close()

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()

    def _exchange(self, method: str, target: str, body: bytes | None, headers: dict[str, str]) -> Reply:
        with self._reaching():
            if self._connection is None:
                self._connection = self._open()
            if time.monotonic() - self._used_at > _IDLE_SECONDS:
                self._connection.close()  # it is opened anew; while somebody was asked, the registry may have left
            self._connection.request(method, target, body, headers)
            response = self._connection.getresponse()
            content = response.read(_MOST_BODY_BYTES + 1)
            self._used_at = time.monotonic()
        if len(content) > _MOST_BODY_BYTES:
            raise ClientError(EXIT_REFUSED, f"entrepot: {self._address.url} answered with more than 64 MiB")
        found = {name.lower(): value for name, value in response.getheaders()}
        return Reply(response.status, found, content)

    @contextlib.contextmanager
    def _reaching(self) -> Generator[None]:
        """Say of what happens on the network what it means and what to do."""
        try:
            yield
        except ssl.SSLCertVerificationError as error:
            raise self._unreachable(
                f"its certificate is not trusted: {error.verify_message}", self._remedy(error.verify_code)
            ) from error
        except ssl.SSLError as error:
            raise self._unreachable(
                f"no TLS: {error.reason or error}", "Does it speak https there?"
            ) from error
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise self._unreachable(reason, "Check the address, the network, and that it runs.") from error

    def _remedy(self, verify_code: int) -> str:
        """Return what helps against a certificate that is not trusted."""
        if verify_code in _OTHER_NAME:
            return "Name the registry as its certificate does, or have that name added to the certificate."
        if verify_code in _OTHER_TIME:
            return "Have the certificate renewed, or set the clock of this machine right."
        if self._ca_file:
            return f"{self._ca_file} does not hold the authority that signed it."
        return "Name the authority that signed it with --ca-file."

    def _open(self) -> http.client.HTTPConnection:
        host, port = self._address.host, self._address.port
        if self._address.scheme == "http":
            return http.client.HTTPConnection(host, port, timeout=_TIMEOUT_SECONDS)
        try:
            context = ssl.create_default_context(cafile=self._ca_file or None)
        except OSError as error:  # ssl.SSLError is one: a file that holds no certificate
            reason = error.strerror or str(error)
            raise ClientError(EXIT_USAGE, f"entrepot: --ca-file {self._ca_file}: {reason}") from error
        return http.client.HTTPSConnection(host, port, timeout=_TIMEOUT_SECONDS, context=context)

    def _unreachable(self, reason: str, remedy: str) -> ClientError:
        return ClientError(
            EXIT_UNREACHABLE, f"entrepot: {self._address.url} can't be reached: {reason}", remedy
        )


def _basic(name: str, secret: str) -> str:
    """Return name and secret as RFC 7617 wants them."""
    try:
        pair = f"{name}:{secret}".encode()
    except UnicodeEncodeError as error:
        raise ClientError(EXIT_USAGE, "entrepot: name and secret have to be UTF-8") from error
    if ":" in name:
        raise ClientError(EXIT_USAGE, f"entrepot: {name!r} is no name: it has a colon")
    return base64.b64encode(pair).decode()


def segment(text: str | int) -> str:
    """Return one segment of a path.

    Raises:
        ClientError: it is a text with a slash, which nothing but a repository has in its name.
    """
    if "/" in str(text):
        raise ClientError(
            EXIT_NOT_FOUND,
            f"entrepot: there is no {text!r}: only names of repositories have slashes",
            "Name the project, or what is meant in it, alone.",
        )
    return quote(str(text), safe="")


def twice_encoded(text: str) -> str:
    """Return a name that may hold slashes as one segment, as Harbor's API wants names of repositories."""
    return quote(quote(text, safe=""), safe="")
