"""IP addresses without their clothes: an IPv4 one that is written as IPv6 (RFC 4291, 2.5.5.2) is the IPv4 one."""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from typing import Final

__all__ = ["Address", "Network", "plain_address", "plain_network", "subscriber", "written_address"]

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_MAPPED: Final = ipaddress.IPv6Network("::ffff:0:0/96")
_SUBSCRIBER_BITS: Final = 64


def plain_address(address: Address) -> Address:
    """Return the address that is meant, without the zone of a link-local one."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    return address.ipv4_mapped or ipaddress.IPv6Address(int(address))


def plain_network(network: Network) -> Network:
    """Return the network that is meant: addresses are compared plain, so networks have to be."""
    if isinstance(network, ipaddress.IPv6Network) and network.subnet_of(_MAPPED):
        inner = network.network_address.ipv4_mapped
        return ipaddress.ip_network(f"{inner}/{network.prefixlen - _MAPPED.prefixlen}")
    return network


def written_address(text: str) -> str:
    """Return an address, however it is written, as records have it: an IPv4 one bare, an IPv6 one with its zone.

    Raises:
        ValueError: it is none.
    """
    address = ipaddress.ip_address(text)
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(address)


@lru_cache(maxsize=1024)
def subscriber(address: str) -> str:
    """Return an address, or in IPv6 the network of whoever has it, as people write it; what is no address stays.

    One subscriber has a network of 64 bits (RFC 6177). Whatever is counted by address is counted by this, or a client
    would have as many times the limit as it has addresses.
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if not isinstance(parsed, ipaddress.IPv6Address) or parsed.ipv4_mapped is not None:
        return address
    return str(ipaddress.ip_network((int(parsed), _SUBSCRIBER_BITS), strict=False))
