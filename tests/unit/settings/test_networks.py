"""Lists of networks are read as they are meant, or refused with a reason."""

from __future__ import annotations

import pytest

from entrepot.settings import Settings, SettingsError, load_settings, trusted_proxies
from entrepot.settings.networks import parse_networks


def test_addresses_and_networks_of_both_families_are_read() -> None:
    assert [str(network) for network in parse_networks("10.0.0.5, 10.1.0.0/28,fd00:1::/64 , ::1,")] == [
        "10.0.0.5/32",
        "10.1.0.0/28",
        "fd00:1::/64",
        "::1/128",
    ]


def test_ipv4_networks_in_ipv6_clothes_are_ipv4_networks() -> None:
    assert [str(one) for one in parse_networks("::ffff:10.0.0.5, ::ffff:10.0.0.0/120")] == [
        "10.0.0.5/32",
        "10.0.0.0/24",
    ]


@pytest.mark.parametrize("text", ["proxy.example.com", "10.0.0.5/24", "10.0.0.300", "10.0.0.5:80"])
def test_what_is_no_network_is_named(text: str) -> None:
    with pytest.raises(ValueError, match="is no address and no network"):
        parse_networks(f"10.0.0.1, {text}")


@pytest.mark.parametrize("text", ["0.0.0.0/0", "::/0", "10.0.0.0/7", "::ffff:0:0/96"])
def test_a_network_of_everybody_is_refused_s18(text: str) -> None:
    with pytest.raises(ValueError, match="any client could say who it is"):
        parse_networks(text)


def test_nobody_is_believed_by_default_s18() -> None:
    loaded = load_settings(environment={}, user_id=0, config_file=None, flags={})

    assert isinstance(loaded.settings, Settings)
    assert trusted_proxies(loaded.settings) == ()


def test_a_wrong_list_keeps_the_registry_from_starting() -> None:
    with pytest.raises(SettingsError, match=r"http\.trusted_proxies.*is no address"):
        load_settings(
            environment={"ENTREPOT_HTTP_TRUSTED_PROXIES": "everybody"}, user_id=0, config_file=None, flags={}
        )
