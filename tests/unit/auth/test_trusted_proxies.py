"""Only listed proxies are asked who the client is, and only of what they could see themselves (S18)."""

from __future__ import annotations

import ipaddress
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest

from entrepot.auth.trusted_proxies import BehindProxies, TrustedProxies

if TYPE_CHECKING:
    from entrepot.kernel.asgi import Receive, Scope, Send

_PROXIES = TrustedProxies(
    [ipaddress.ip_network(text) for text in ("127.0.0.1", "::1", "10.0.0.0/28", "fd00:1::/64")]
)


@pytest.mark.parametrize("peer", ["127.0.0.1", "::1", "10.0.0.5", "::ffff:10.0.0.5", "fd00:1::9"])
@pytest.mark.parametrize(
    ("said", "client"),
    [
        ("192.0.2.7", "192.0.2.7"),
        (" 192.0.2.7 ", "192.0.2.7"),
        ("192.0.2.7:55012", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8::7", "2001:db8::7"),
        ("[2001:db8::7]:55012", "2001:db8::7"),
        ("192.0.2.7, 10.0.0.6", "192.0.2.7"),
        ("192.0.2.7, 10.0.0.6, 127.0.0.1", "192.0.2.7"),
        ("10.0.0.6", "10.0.0.6"),
    ],
)
def test_a_listed_proxy_is_believed_s18(peer: str, said: str, client: str) -> None:
    assert _PROXIES.find_client(peer, said.encode()) == (client, b"")


@pytest.mark.parametrize("peer", ["192.0.2.1", "10.0.0.16", "127.0.0.2", "2001:db8::1", "", "unix:"])
def test_whoever_is_not_listed_is_not_believed_s18(peer: str) -> None:
    assert _PROXIES.find_client(peer, b"192.0.2.7") is None


def test_what_the_client_wrote_itself_does_not_count_s18() -> None:
    """A proxy adds at the end; a client that begins the header gains nothing by it."""
    assert _PROXIES.find_client("10.0.0.5", b"198.51.100.1, 10.0.0.6, 192.0.2.7") == (
        "192.0.2.7",
        b"198.51.100.1, 10.0.0.6",
    )


@pytest.mark.parametrize("said", ["127.0.0.1", "::1", "127.0.0.9, 10.0.0.6", "::ffff:127.0.0.1", "::"])
def test_nobody_is_on_this_machine_because_a_proxy_says_so_s18(said: str) -> None:
    """Clients on this machine may do more than others, without accounts even everything."""
    assert _PROXIES.find_client("10.0.0.5", said.encode()) is None


@pytest.mark.parametrize(
    "said",
    ["", "unknown", "_hidden", "192.0.2.7;10.0.0.6", "192.0.2.7, unknown", "192.0.2", "192.0.2.7,", "\xff"],
)
def test_a_hop_that_cannot_be_read_ends_what_is_believed_s18(said: str) -> None:
    assert _PROXIES.find_client("10.0.0.5", said.encode("latin-1")) is None


def test_of_a_long_header_the_end_counts_which_the_proxy_wrote_s18() -> None:
    """Or a client would choose to be recorded as the proxy."""
    found = _PROXIES.find_client("10.0.0.5", b"x" * 3000 + b", 198.51.100.1, 192.0.2.7")

    assert found == ("192.0.2.7", b"198.51.100.1")


def test_headers_of_any_length_are_not_kept_in_memory_f41() -> None:
    """Neither those of whoever is not listed, nor more than the end of the others."""
    proxies = TrustedProxies([ipaddress.ip_network("10.0.0.5")])
    long = b"198.51.100.1, " * 10_000
    tracemalloc.start()
    for number in range(300):
        assert proxies.find_client("192.0.2.1", b"%d, " % number + long + b"192.0.2.7") is None
        assert (
            proxies.find_client("10.0.0.5", b"%d, " % number + long + b"192.0.2.%d" % (number % 250))
            is not None
        )
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert held < 4_000_000  # of 84 MB


async def _seen(peer: str, headers: list[tuple[bytes, bytes]]) -> dict[str, Any]:
    scope: dict[str, Any] = {"type": "http", "client": (peer, 40000), "headers": headers}

    async def application(seen: Scope, receive: Receive, send: Send) -> None:
        assert seen is scope

    async def nothing(*_: object) -> Any: ...

    await BehindProxies(application, _PROXIES)(scope, nothing, nothing)
    return scope


async def test_what_a_listed_proxy_added_is_taken_out_s18() -> None:
    headers = [
        (b"host", b"registry.example.com"),
        (b"x-forwarded-for", b"198.51.100.1"),
        (b"x-forwarded-for", b"192.0.2.7"),
        (b"x-forwarded-proto", b"https"),
        (b"x-real-ip", b"192.0.2.7"),
        (b"accept", b"*/*"),
    ]

    scope = await _seen("10.0.0.5", headers)

    assert scope["client"][0] == "192.0.2.7"
    assert scope["headers"] == [headers[0], headers[-1], (b"x-forwarded-for", b"198.51.100.1")]


@pytest.mark.parametrize("name", [b"via", b"forwarded", b"cf-connecting-ip", b"true-client-ip"])
async def test_what_tells_of_a_proxy_of_the_clients_own_stays_s18(name: bytes) -> None:
    """A robot with a list of addresses is refused then, as without a listed proxy between."""
    scope = await _seen("10.0.0.5", [(name, b"10.9.9.9"), (b"x-forwarded-for", b"192.0.2.7")])

    assert (scope["client"][0], scope["headers"]) == ("192.0.2.7", [(name, b"10.9.9.9")])


@pytest.mark.parametrize(
    ("peer", "headers"),
    [
        ("192.0.2.1", [(b"x-forwarded-for", b"198.51.100.1")]),
        ("10.0.0.5", [(b"x-real-ip", b"198.51.100.1")]),
        ("10.0.0.5", [(b"x-forwarded-for", b"unknown"), (b"via", b"1.1 edge")]),
    ],
)
async def test_a_request_that_is_not_believed_is_left_as_it_came_s18(
    peer: str, headers: list[tuple[bytes, bytes]]
) -> None:
    scope = await _seen(peer, list(headers))

    assert (scope["client"], scope["headers"]) == ((peer, 40000), headers)
