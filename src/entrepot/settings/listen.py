"""The address a listener binds to, parsed once so that nobody splits an IPv6 address at a wrong colon."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

__all__ = ["ListenAddress", "parse_listen"]

_LISTEN = re.compile(r"(?:\[(?P<v6>[^\]]*)\]|(?P<host>[^:\[\]]*)):(?P<port>[0-9]{1,5})", re.ASCII)
_MAX_PORT = 65535


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """An IP address without brackets and a TCP port from 1 to 65535."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the address."""
        return ipaddress.ip_address(self.host).is_loopback

    @property
    def is_wildcard(self) -> bool:
        """Whether the address means every interface (``0.0.0.0`` or ``::``)."""
        return ipaddress.ip_address(self.host).is_unspecified

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_listen(text: str) -> ListenAddress:
    """Parse ``127.0.0.1:5000``, ``[::1]:5000`` or ``localhost:5000`` (taken as 127.0.0.1).

    Other names are refused: a name may resolve to several addresses, or to another one tomorrow.
    Raises ValueError saying what is wrong and how to write it.
    """
    match = _LISTEN.fullmatch(text)
    if match is None:
        message = f"{text!r} is not an address; write ADDRESS:PORT, as 127.0.0.1:5000 or [::1]:5000"
        raise ValueError(message)
    port = int(match["port"])
    if not 1 <= port <= _MAX_PORT:
        message = f"{text!r} has port {port}; a port lies between 1 and {_MAX_PORT}"
        raise ValueError(message)
    if match["v6"] is not None:
        return ListenAddress(_parse_ipv6(text, match["v6"]), port)
    return ListenAddress(_parse_ipv4(text, match["host"], port), port)


def _parse_ipv6(text: str, host: str) -> str:
    try:
        return str(ipaddress.IPv6Address(host))
    except ipaddress.AddressValueError as error:
        message = f"{text!r} holds no IPv6 address between the brackets"
        raise ValueError(message) from error


def _parse_ipv4(text: str, host: str, port: int) -> str:
    if host == "localhost":
        return "127.0.0.1"
    if host == "":
        message = f"{text!r} names no address; write 0.0.0.0:{port} or [::]:{port} for every interface"
        raise ValueError(message)
    try:
        return str(ipaddress.IPv4Address(host))
    except ipaddress.AddressValueError as error:
        message = (
            f"{text!r} holds no IP address; a host name is not accepted, since it may resolve to several"
        )
        raise ValueError(message) from error
