"""From where a robot may come: networks of either family; an IPv4 address in IPv6 clothes is the IPv4 address."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Final

import msgspec

from entrepot.auth.robots.errors import InvalidRobotError
from entrepot.kernel.plain_addresses import Network, plain_address, plain_network

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["encode_networks", "is_address_allowed", "parse_networks"]

_MOST_NETWORKS: Final = 100


def parse_networks(texts: Sequence[str]) -> tuple[str, ...]:
    """Return networks in their canonical form, without doubles, in the order given; a bare address is a network of one.

    Raises:
        InvalidRobotError: one is no address and no network, or there are too many.
    """
    if len(texts) > _MOST_NETWORKS:
        raise InvalidRobotError("allowed_addresses", f"at most {_MOST_NETWORKS} networks")
    return tuple(dict.fromkeys(str(_network(text)) for text in texts))


def encode_networks(networks: Sequence[str]) -> bytes:
    """Return canonical networks as they are stored."""
    return msgspec.json.encode(networks)


def is_address_allowed(stored: bytes, address: str, *, forwarded: bool) -> bool:
    """Whether stored networks hold an address. None stored: every address.

    Where there are some, an address that the server can't tell, or that is a proxy's and not the client's, is refused.
    """
    networks = msgspec.json.decode(stored, type=list[str])
    if not networks:
        return True
    if forwarded:
        return False
    try:
        found = plain_address(ipaddress.ip_address(address))
    except ValueError:
        return False
    return any(found in ipaddress.ip_network(network) for network in networks)


def _network(text: str) -> Network:
    try:
        network = ipaddress.ip_network(text.strip(), strict=False)
    except ValueError as error:
        raise InvalidRobotError("allowed_addresses", f"{text!r} is no IP address and no network") from error
    return plain_network(network)
