"""Reads where a registry is, and decides whether a password may travel there without TLS."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from entrepot.client.errors import EXIT_USAGE, ClientError

__all__ = ["ServerAddress", "parse_address"]

_PORTS = {"https": 443, "http": 80}
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?|[0-9A-Fa-f:.]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """Scheme, host (an IPv6 address without brackets) and port of a registry."""

    scheme: str
    host: str
    port: int

    @property
    def authority(self) -> str:
        """Host and port as a person writes them; the port only where it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The one spelling under which a login is kept."""
        return f"{self.scheme}://{self.authority}"


def parse_address(text: str, *, plain_http: bool = False, tls: bool = False) -> ServerAddress:
    """Return the address that somebody wrote: a URL, or a host with or without a port.

    Without a scheme it is https, and http on this machine's own loopback address. Elsewhere http has to be asked for,
    since whoever is on the way would read the password.

    Args:
        tls: the file of an authority was named, so that without a scheme it is https on any address.

    Raises:
        ClientError: it is no address, or http that nobody asked for.
    """
    scheme, separator, rest = text.partition("://")
    if not separator:
        scheme, rest = "", text
    if not text.isprintable():  # the parser would drop some of these characters and read another address
        raise _unreadable(text)
    try:
        parts = urlsplit(f"//{rest}")
        host, port = (parts.hostname or "").lower(), parts.port
    except ValueError as error:
        raise _unreadable(text) from error
    whole = not (parts.path.strip("/") or parts.query or parts.fragment or parts.username)
    if not whole or not _HOST.fullmatch(host) or (scheme and scheme.lower() not in _PORTS) or port == 0:
        raise _unreadable(text)
    loopback = _is_loopback(host)
    scheme = scheme.lower() or ("http" if (loopback or plain_http) and not tls else "https")
    if scheme == "http" and not (loopback or plain_http):
        raise ClientError(
            EXIT_USAGE,
            f"entrepot: http://{host} would show your password to whoever is on the way",
            "Use https, or say --plain-http if the network is yours.",
        )
    return ServerAddress(scheme, host, port or _PORTS[scheme])


def _unreadable(text: str) -> ClientError:
    return ClientError(
        EXIT_USAGE,
        f"entrepot: {text!r} is no address of a registry",
        "Write it as https://registry.example, registry.example or registry.example:5000.",
    )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
