"""Whether a request may have been passed on: by a proxy, or by a browser under a name that was rebound (S18).

What proxies say is not believed; that they say anything is what counts. One function for every entrance: a client that
is refused at one because of its address must not be let in at another.
"""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from entrepot.kernel.plain_addresses import subscriber

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["FORWARDING_HEADERS", "is_loopback", "place_of_address", "seems_forwarded"]

FORWARDING_HEADERS: Final = frozenset(
    {
        *(
            b"forwarded",
            b"via",
            b"x-forwarded",
            b"x-forwarded-for",
            b"x-forwarded-host",
            b"x-forwarded-proto",
        ),
        *(b"x-forwarded-by", b"x-forwarded-port", b"x-forwarded-prefix", b"x-forwarded-protocol"),
        *(b"x-forwarded-scheme", b"x-forwarded-server", b"x-forwarded-ssl", b"x-forwarded-client-cert"),
        *(b"x-original-forwarded-for", b"x-original-host", b"x-real-ip", b"x-client-ip", b"x-remote-ip"),
        *(b"x-cluster-client-ip", b"x-envoy-external-address", b"x-azure-clientip", b"true-client-ip"),
        *(b"cdn-loop", b"cf-connecting-ip", b"cf-connecting-ipv6", b"cf-ray", b"fastly-client-ip"),
    }
)
"""Names of headers that proxies and content delivery networks add, in lower case; no client has reason to."""

_MAX_HOST_BYTES: Final = 261
"""A name of 255 characters, a colon and a port; what is longer would only fill the cache of host names."""


def seems_forwarded(http_version: object, address: str, host: bytes, header_names: Iterable[bytes]) -> bool:
    """Whether the peer of a request may be somebody who passed it on.

    HTTP/1.0 is what nginx speaks to its upstream unless told otherwise, and no registry client speaks it. A peer on
    this machine that calls it by a name may be a proxy which adds nothing, or a browser; what comes from elsewhere
    naturally calls us by our name.

    Args:
        http_version: as the ASGI scope has it; `None` when it has none.
        address: the peer's, empty when the server could not tell.
        host: the Host header, empty when there is none.
        header_names: of all headers, in lower case.
    """
    if http_version != "1.1" or not FORWARDING_HEADERS.isdisjoint(header_names):
        return True
    if not is_loopback(address):
        return False
    return len(host) > _MAX_HOST_BYTES or not _names_this_machine(host)


def place_of_address(address: str, *, forwarded: bool) -> str:
    """Return what failed logins are counted by, and password checks take turns by, for a peer.

    What a proxy on this machine passes on is a place of its own, so that whoever is at the machine itself has a way in
    while all who come through that proxy are locked out. A peer elsewhere is one place, whatever it says: a header
    would otherwise buy it as many guesses again. So would each of the addresses that one subscriber has in IPv6, which
    is a network of 64 bits (RFC 6177): that is one place, too.
    """
    if is_loopback(address):
        return f"{address} forwarded" if forwarded else address
    return subscriber(address)


@lru_cache(maxsize=1024)
def is_loopback(address: str) -> bool:
    """Whether an address, which may be an IPv4 one in IPv6 clothes, is this machine's own loopback."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        return parsed.ipv4_mapped.is_loopback
    return parsed.is_loopback


@lru_cache(maxsize=256)
def _names_this_machine(header: bytes) -> bool:
    """Whether a Host header (RFC 9110, section 7.2) is a loopback address or `localhost`, with or without a port."""
    host = header.decode("latin-1")
    name = host.rpartition("]")[0].removeprefix("[") if host.startswith("[") else host.partition(":")[0]
    if name.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
