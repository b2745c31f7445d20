"""From where a robot may come."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entrepot.auth.robots.addresses import encode_networks, is_address_allowed, parse_networks
from entrepot.auth.robots.errors import InvalidRobotError


def _allowed(networks: list[str], address: str, *, forwarded: bool = False) -> bool:
    return is_address_allowed(encode_networks(parse_networks(networks)), address, forwarded=forwarded)


@pytest.mark.parametrize(
    ("networks", "address", "allowed"),
    [
        ([], "203.0.113.7", True),
        ([], "", True),
        (["10.0.0.0/8"], "10.255.255.255", True),
        (["10.0.0.0/8"], "11.0.0.0", False),
        (["10.0.0.0/8"], "::ffff:10.1.2.3", True),
        (["10.0.0.0/8"], "::ffff:11.1.2.3", False),
        (["::ffff:10.0.0.0/104"], "10.1.2.3", True),
        (["::ffff:10.0.0.0/104"], "::ffff:10.1.2.3", True),
        (["::ffff:10.0.0.0/104"], "11.1.2.3", False),
        (["2001:db8::/32"], "2001:db8:ffff::1", True),
        (["2001:db8::/32"], "2001:db9::1", False),
        (["::/0"], "10.1.2.3", False),
        (["fe80::/10"], "fe80::1%eth0", True),
        (["203.0.113.7"], "203.0.113.7", True),
        (["203.0.113.7"], "203.0.113.8", False),
        (["203.0.113.7", "2001:db8::1"], "2001:db8::1", True),
        (["0.0.0.0/0"], "", False),
        (["0.0.0.0/0"], "not an address", False),
        (["0.0.0.0/0"], "1.2.3.4.5", False),
    ],
)
def test_an_address_is_held_against_every_network(
    networks: list[str], address: str, *, allowed: bool
) -> None:
    """No network is every network, and an address that nobody can tell is in none."""
    assert _allowed(networks, address) is allowed


def test_a_proxys_address_is_not_the_clients() -> None:
    """A list is no use when all clients come from the proxy's address, so it lets nobody through one."""
    assert _allowed(["10.0.0.0/8"], "10.0.0.1", forwarded=True) is False
    assert _allowed([], "10.0.0.1", forwarded=True) is True


@pytest.mark.parametrize("text", ["", "10.0.0.0/33", "host.example", "10.0.0", "::1/129", "10.0.0.0/8/8"])
def test_what_is_no_network_is_refused(text: str) -> None:
    with pytest.raises(InvalidRobotError) as caught:
        parse_networks([text])

    assert caught.value.field == "allowed_addresses"


def test_networks_are_kept_in_one_form_without_doubles() -> None:
    assert parse_networks([" 10.1.2.3/8 ", "10.0.0.0/8", "::FFFF:10.0.0.0/104", "2001:DB8::1"]) == (
        "10.0.0.0/8",
        "2001:db8::1/128",
    )


def test_a_list_has_an_end() -> None:
    assert len(parse_networks([f"10.0.{number}.0/24" for number in range(100)])) == 100
    with pytest.raises(InvalidRobotError):
        parse_networks([f"10.0.{number}.0/24" for number in range(101)])


@given(st.ip_addresses(v=4), st.integers(0, 32), st.ip_addresses(v=4), st.sampled_from(["{}", "::ffff:{}"]))
def test_both_spellings_of_an_ipv4_address_are_one_address(
    base: ipaddress.IPv4Address, prefix: int, address: ipaddress.IPv4Address, spelling: str
) -> None:
    """For any network and address, IPv6 clothes on either side change nothing."""
    expected = address in ipaddress.ip_network(f"{base}/{prefix}", strict=False)

    assert _allowed([f"{base}/{prefix}"], spelling.format(address)) is expected
    assert _allowed([f"::ffff:{base}/{96 + prefix}"], spelling.format(address)) is expected


@given(st.text(max_size=40))
def test_any_text_is_a_network_or_refused(text: str) -> None:
    try:
        (network,) = parse_networks([text])
    except InvalidRobotError:
        return
    assert ipaddress.ip_network(network).compressed == network
