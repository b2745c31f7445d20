"""Listen addresses, sizes and secrets: the small languages the settings are written in."""

from __future__ import annotations

import json

import pytest

from entrepot.settings import ListenAddress, Secret, parse_listen
from entrepot.settings.sizes import format_size, parse_size


@pytest.mark.parametrize(
    ("text", "host", "port", "shown"),
    [
        ("127.0.0.1:5000", "127.0.0.1", 5000, "127.0.0.1:5000"),
        ("10.0.0.1:1", "10.0.0.1", 1, "10.0.0.1:1"),
        ("[::]:65535", "::", 65535, "[::]:65535"),
        ("[2001:DB8::0001]:443", "2001:db8::1", 443, "[2001:db8::1]:443"),
        ("localhost:80", "127.0.0.1", 80, "127.0.0.1:80"),
    ],
)
def test_listen_addresses(text: str, host: str, port: int, shown: str) -> None:
    """Addresses are read, normalised and shown in a form that reads back."""
    address = parse_listen(text)

    assert address == ListenAddress(host, port)
    assert str(address) == shown
    assert parse_listen(str(address)) == address


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "write ADDRESS:PORT"),
        ("5000", "write ADDRESS:PORT"),
        ("::1:5000", "write ADDRESS:PORT"),
        ("127.0.0.1", "write ADDRESS:PORT"),
        ("127.0.0.1:5000 ", "write ADDRESS:PORT"),
        ("127.0.0.1:x", "write ADDRESS:PORT"),
        ("127.0.0.1:\u0665", "write ADDRESS:PORT"),
        ("127.0.0.1:-1", "write ADDRESS:PORT"),
        (":5000", "names no address; write 0.0.0.0:5000 or [::]:5000"),
        ("127.0.0.1:0", "a port lies between 1 and 65535"),
        ("127.0.0.1:65536", "a port lies between 1 and 65535"),
        ("example.org:80", "a host name is not accepted"),
        ("127.1:80", "holds no IP address"),
        ("[127.0.0.1]:80", "no IPv6 address between the brackets"),
        ("[::g]:80", "no IPv6 address between the brackets"),
        ("[]:80", "no IPv6 address between the brackets"),
    ],
)
def test_listen_addresses_refused(text: str, reason: str) -> None:
    """What is not an address and a port is refused with the way to write it."""
    with pytest.raises(ValueError, match=" ") as caught:
        parse_listen(text)

    assert reason in str(caught.value)


@pytest.mark.parametrize(
    ("text", "loopback", "wildcard"),
    [
        ("127.0.0.9:1", True, False),
        ("[::1]:1", True, False),
        ("0.0.0.0:1", False, True),
        ("[::]:1", False, True),
        ("10.0.0.1:1", False, False),
    ],
)
def test_reach_of_a_listen_address(text: str, *, loopback: bool, wildcard: bool) -> None:
    """An address knows whether it is for this machine only or for all interfaces."""
    address = parse_listen(text)

    assert (address.is_loopback, address.is_wildcard) == (loopback, wildcard)


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [
        ("0", 0),
        ("8388608", 8388608),
        ("8MiB", 8388608),
        ("8 MiB", 8388608),
        (" 1GiB ", 1073741824),
        ("2TiB", 2199023255552),
        ("1KiB", 1024),
        ("5kB", 5000),
        ("5KB", 5000),
        ("500MB", 500000000),
        ("7GB", 7000000000),
        ("3TB", 3000000000000),
        ("12B", 12),
    ],
)
def test_sizes(text: str, size_bytes: int) -> None:
    """Sizes are whole numbers with binary or decimal units."""
    assert parse_size(text) == size_bytes


@pytest.mark.parametrize(
    "text", ["", "MiB", "8m", "8mib", "1.5GiB", "-1", "8 Mi B", "0x10", "\u0668MiB", "8PiB"]
)
def test_sizes_refused(text: str) -> None:
    """Anything that could be read in two ways is refused."""
    with pytest.raises(ValueError, match="is not a size"):
        parse_size(text)


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [
        (0, "0"),
        (1023, "1023"),
        (1024, "1KiB"),
        (8388608, "8MiB"),
        (1536 * 1024, "1536KiB"),
        (1 << 40, "1TiB"),
    ],
)
def test_sizes_are_shown_exactly(size_bytes: int, text: str) -> None:
    """The spelling shown reads back to the same number."""
    assert format_size(size_bytes) == text
    assert parse_size(text) == size_bytes


def test_s27_a_secret_is_masked_however_it_is_formatted() -> None:
    """Neither repr, str, format, %-format nor a JSON encoder give the text away."""
    secret = Secret("canary")
    shown = [repr(secret), str(secret), f"{secret}", f"{secret!r:>30}", "%s" % secret, repr([secret])]  # noqa: UP031 - under test

    assert not any("canary" in text for text in shown)
    with pytest.raises(TypeError):
        json.dumps(secret)
    assert secret.reveal() == "canary"


def test_secrets_compare_by_text_and_know_whether_they_are_set() -> None:
    """Two secrets of one text are equal; an empty one is falsy; a plain text is never equal."""
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a")}) == 1
    assert (bool(Secret("a")), bool(Secret())) == (True, False)
