"""Networks that a setting lists, parsed once."""

from __future__ import annotations

import ipaddress

__all__ = ["Network", "parse_networks"]

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_WIDEST = {4: 8, 6: 16}
_MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")


def parse_networks(text: str) -> tuple[Network, ...]:
    """Parse addresses and networks with commas between them: ``10.0.0.5, fd00:1::/64``. An address is a network of one.

    Raises ValueError saying which is none, or is so wide that whoever connects would be a proxy.
    """
    return tuple(_parse(part.strip()) for part in text.split(",") if part.strip())


def _parse(text: str) -> Network:
    try:
        network: Network = ipaddress.ip_network(text)
    except ValueError as error:
        message = f"{text!r} is no address and no network ({error}); write 10.0.0.5 or 10.0.0.0/28"
        raise ValueError(message) from error
    if isinstance(network, ipaddress.IPv6Network) and network.subnet_of(_MAPPED):
        # Addresses are compared without their IPv6 clothes, so networks have to lose theirs as well.
        inner = network.network_address.ipv4_mapped
        network = ipaddress.ip_network(f"{inner}/{network.prefixlen - _MAPPED.prefixlen}")
    if network.prefixlen < _WIDEST[network.version]:
        message = (
            f"{text!r} holds so many addresses that any client could say who it is; list your proxies only"
        )
        raise ValueError(message)
    return network
