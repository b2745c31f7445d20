"""Proxies that an operator has listed, and whose word on who asks is believed; that of all others is not (S18).

`X-Forwarded-For` is the one header that is read: each proxy adds the address of its peer at the end. From there it is
read backwards, for as long as it names listed proxies; the first address that is none of them is the client. What
stands before that was sent by the client.
"""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from entrepot.auth.forwarding import FORWARDING_HEADERS
from entrepot.kernel.plain_addresses import plain_address

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from entrepot.kernel.asgi import Application, Receive, Scope, Send
    from entrepot.kernel.plain_addresses import Address, Network

__all__ = ["BehindProxies", "TrustedProxies"]

_HEADER: Final = b"x-forwarded-for"
_WRITTEN: Final = frozenset(
    {*(name for name in FORWARDING_HEADERS if name.startswith(b"x-forwarded")), b"x-real-ip"}
)
"""What reverse proxies write for whom they serve; `Via` and the rest may be from a proxy of the client's."""
_MOST_BYTES: Final = 2048
"""Of the end of what the header says: fifty addresses. No more is kept in the memory of it."""


class TrustedProxies:
    """Knows the networks whose word is believed."""

    def __init__(self, networks: Sequence[Network]) -> None:
        self._networks = tuple(networks)
        self._is_listed = lru_cache(maxsize=1024)(self._holds_text)
        self._read = lru_cache(maxsize=4096)(self._read_hops)

    def find_client(self, peer: str, said: bytes) -> tuple[str, bytes] | None:
        """Return the client's address, and what stands before it; `None` where the peer's own address has to do.

        That is so if the peer is not listed, if a hop can't be read, and if the client is said to be on this machine:
        what comes from here may do more than others, and a proxy that lets its clients write the header would give that
        away. Of a long header the end is read, which the proxies wrote.

        Args:
            peer: the address of whoever made the connection.
            said: the header, or all of them joined by commas.
        """
        if not self._is_listed(peer):
            return None
        if len(said) > _MOST_BYTES:
            said = said[-_MOST_BYTES:].partition(b",")[2]
        return self._read(said)

    def _read_hops(self, said: bytes) -> tuple[str, bytes] | None:
        hops = said.split(b",")
        for place in range(len(hops) - 1, -1, -1):
            address = _parse(hops[place].decode("latin-1").strip())
            if place and self._holds(address):
                continue
            if address is None or address.is_loopback or address.is_unspecified:
                break
            return str(address), b",".join(hops[:place]).strip()
        return None

    def _holds_text(self, peer: str) -> bool:
        return self._holds(_parse(peer))

    def _holds(self, address: Address | None) -> bool:
        return address is not None and any(address in network for network in self._networks)


class BehindProxies:
    """Has an application see the clients of listed proxies as if they had connected themselves.

    What such proxies write is taken out, so that nothing suggests any more that the address is not the client's. What
    tells of a proxy of the client's own stays: an earlier hop, and all headers that others than reverse proxies add.
    """

    def __init__(self, application: Application, proxies: TrustedProxies) -> None:
        self._application = application
        self._proxies = proxies

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Handle one ASGI connection. No coroutine of its own: every request would pass through it."""
        if scope["type"] == "http":
            self._look_through(scope)
        return self._application(scope, receive, send)

    def _look_through(self, scope: Scope) -> None:
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        said = [value for name, value in headers if name == _HEADER]
        client = scope.get("client")
        if not said or not client:
            return
        found = self._proxies.find_client(client[0], b",".join(said))
        if found is None:
            return
        address, rest = found
        kept = [field for field in headers if field[0] not in _WRITTEN]
        scope["headers"] = [*kept, (_HEADER, rest)] if rest else kept
        scope["client"] = (address, 0)


def _parse(text: str) -> Address | None:
    """Return the address of a hop, which some proxies write with its port; an IPv4 one is bare of IPv6 clothes."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        return plain_address(ipaddress.ip_address(text))
    except ValueError:
        return None
