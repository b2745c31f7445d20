"""Networks that a setting lists, parsed once."""

from __future__ import annotations

import ipaddress

from entrepot.kernel.plain_addresses import Network, plain_network

__all__ = ["Network", "parse_networks"]

_WIDEST = {4: 8, 6: 16}


def parse_networks(text: str) -> tuple[Network, ...]:
    """Parse addresses and networks with commas between them: ``10.0.0.5, fd00:1::/64``. An address is a network of one.

    Raises ValueError saying which is none, or is so wide that whoever connects would be a proxy.
    """
    return tuple(_parse(part.strip()) for part in text.split(",") if part.strip())


def _parse(text: str) -> Network:
    try:
        network = plain_network(ipaddress.ip_network(text))
    except ValueError as error:
        message = f"{text!r} is no address and no network ({error}); write 10.0.0.5 or 10.0.0.0/28"
        raise ValueError(message) from error
    if network.prefixlen < _WIDEST[network.version]:
        message = (
            f"{text!r} holds so many addresses that any client could say who it is; list your proxies only"
        )
        raise ValueError(message)
    return network
