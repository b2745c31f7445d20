"""IP addresses without their clothes: an IPv4 one that is written as IPv6 (RFC 4291, 2.5.5.2) is the IPv4 one."""

from __future__ import annotations

import ipaddress
from typing import Final

__all__ = ["Address", "Network", "plain_address", "plain_network", "written_address"]

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_MAPPED: Final = ipaddress.IPv6Network("::ffff:0:0/96")


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
