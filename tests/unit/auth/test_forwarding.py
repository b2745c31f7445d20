"""What may have been passed on is told from what comes straight from a client on this machine (S18)."""

from __future__ import annotations

import pytest

from entrepot.auth.forwarding import FORWARDING_HEADERS, place_of_address, seems_forwarded


@pytest.mark.parametrize(
    "host", [b"127.0.0.1:5000", b"127.9.9.9", b"localhost", b"LOCALHOST:5000", b"[::1]:5000", b"[::1]"]
)
def test_a_client_that_calls_this_machine_by_a_loopback_address_is_direct_s18(host: bytes) -> None:
    assert not seems_forwarded("1.1", "127.0.0.1", host, [b"host", b"user-agent"])


@pytest.mark.parametrize(
    "host",
    [b"", b"registry.example.com", b"localhost.example.com", b"192.0.2.1:5000", b"[::2]", b"[", b"\xff"],
)
def test_another_name_than_a_loopback_one_may_have_been_rebound_s18(host: bytes) -> None:
    assert seems_forwarded("1.1", "127.0.0.1", host, [b"host"])


@pytest.mark.parametrize("address", ["192.0.2.7", "2001:db8::7", "10.0.0.1"])
def test_a_client_elsewhere_calls_the_registry_by_its_name_s18(address: str) -> None:
    """Else a robot with a list of addresses could never log in to a registry that has a name."""
    assert not seems_forwarded("1.1", address, b"registry.example.com", [b"host", b"authorization"])
    assert seems_forwarded("1.1", address, b"registry.example.com", [b"host", b"x-forwarded-for"])


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "::ffff:127.0.0.1"])
def test_a_peer_on_this_machine_that_calls_it_by_a_name_may_be_a_proxy_s18(address: str) -> None:
    assert seems_forwarded("1.1", address, b"registry.example.com", [b"host"])


@pytest.mark.parametrize("version", ["1.0", "1", "2", "", None])
def test_what_no_client_speaks_comes_from_a_proxy_s18(version: str | None) -> None:
    assert seems_forwarded(version, "192.0.2.7", b"127.0.0.1", [b"host"])


@pytest.mark.parametrize("name", sorted(FORWARDING_HEADERS))
def test_a_header_that_proxies_add_is_enough_s18(name: bytes) -> None:
    assert seems_forwarded("1.1", "127.0.0.1", b"127.0.0.1", [b"host", name])


@pytest.mark.parametrize(
    "name",
    [b"x-forwarded-port", b"x-forwarded-server", b"true-client-ip", b"cf-connecting-ip", b"x-client-ip"],
)
def test_headers_of_load_balancers_and_delivery_networks_are_among_them_s18(name: bytes) -> None:
    assert seems_forwarded("1.1", "192.0.2.7", b"registry.example.com", [b"host", name])


def test_a_host_longer_than_any_name_is_not_even_looked_at() -> None:
    assert seems_forwarded("1.1", "127.0.0.1", b"localhost:" + b"0" * 252, [b"host"])


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "::ffff:192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("::1", "::1"),
    ],
)
def test_the_addresses_of_one_subscriber_are_one_place_s14(address: str, place: str) -> None:
    """Or whoever has a network of 64 bits would have that many times five guesses (RFC 6177)."""
    assert place_of_address(address, forwarded=False) == place
