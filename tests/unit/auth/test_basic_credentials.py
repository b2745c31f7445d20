"""Basic credentials are read as RFC 7617 has them."""

from __future__ import annotations

import base64

import pytest

from entrepot.auth.basic_credentials import BasicCredentials, parse_basic


def _encode(text: str | bytes) -> str:
    return base64.b64encode(text.encode() if isinstance(text, str) else text).decode()


@pytest.mark.parametrize(
    ("text", "name", "secret"),
    [
        ("alice:s3cret", "alice", "s3cret"),
        ("alice:with:colons", "alice", "with:colons"),
        ("alice:", "alice", ""),
        ("robot$team+ci:ers_x", "robot$team+ci", "ers_x"),
        ("jörg:pässwörd", "jörg", "pässwörd"),
    ],
)
def test_a_name_ends_at_the_first_colon_t15(text: str, name: str, secret: str) -> None:
    assert parse_basic(_encode(text)) == BasicCredentials(name, secret)


@pytest.mark.parametrize(
    "encoded",
    [
        "",
        "!!!",
        "YWxpY2U",  # without padding
        _encode("alice"),
        _encode(":secret"),
        _encode("ali\x00ce:secret"),
        _encode("alice:sec\nret"),
        _encode(b"alice:\xff\xfe"),
        _encode("alice:" + "x" * 4000),
        "ünïcode",
    ],
)
def test_what_is_malformed_is_nobody(encoded: str) -> None:
    assert parse_basic(encoded) is None


def test_no_secret_shows_when_they_are_formatted_s27() -> None:
    assert f"{BasicCredentials('alice', 's3cret')}" == "BasicCredentials('alice')"
