"""What people write for the address of a registry."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entrepot.client.addresses import parse_address
from entrepot.client.errors import ClientError


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("registry.example", "https://registry.example"),
        ("Registry.Example:5000", "https://registry.example:5000"),
        ("https://registry.example/", "https://registry.example"),
        ("https://registry.example:443", "https://registry.example"),
        ("HTTPS://registry.example:8443", "https://registry.example:8443"),
        ("localhost:5000", "http://localhost:5000"),
        ("127.0.0.1:5000", "http://127.0.0.1:5000"),
        ("127.8.0.1", "http://127.8.0.1"),
        ("[::1]:5000", "http://[::1]:5000"),
        ("https://localhost:5000", "https://localhost:5000"),
        ("10.0.0.7:5000", "https://10.0.0.7:5000"),
        ("[2001:db8::7]", "https://[2001:db8::7]"),
        ("registry:5000", "https://registry:5000"),
    ],
)
def test_it_is_https_but_for_this_machine(text: str, url: str) -> None:
    assert parse_address(text).url == url


@pytest.mark.parametrize("plain", [False, True])
def test_where_an_authority_is_named_it_is_https_on_this_machine_too(plain: bool) -> None:
    assert parse_address("localhost:5000", plain_http=plain, tls=True).url == "https://localhost:5000"
    assert parse_address("http://localhost:5000", tls=True).url == "http://localhost:5000"


@pytest.mark.parametrize("text", ["http://registry.example", "http://10.0.0.7", "http://localhost.example"])
def test_s27_http_beyond_this_machine_has_to_be_asked_for(text: str) -> None:
    with pytest.raises(ClientError) as caught:
        parse_address(text)

    assert caught.value.exit_code == 2
    assert parse_address(text, plain_http=True).scheme == "http"


@pytest.mark.parametrize(
    "text",
    [
        *("", "https://", "ftp://registry.example", "registry.example/team", "https://a@b", "a b", "r:port"),
        *("r:0", "r:99999", "[::1", "-r", "r?x", "https://r#x", "r\n.example", " r", "r%41"),
    ],
)
def test_other_texts_are_refused_as_usage(text: str) -> None:
    with pytest.raises(ClientError) as caught:
        parse_address(text)

    assert caught.value.exit_code == 2


@given(st.text(max_size=40), st.booleans())
def test_any_text_is_an_address_that_is_read_again_as_itself_or_refused(text: str, plain: bool) -> None:
    try:
        address = parse_address(text, plain_http=plain)
    except ClientError:
        return
    assert parse_address(address.url, plain_http=plain) == address
    assert 1 <= address.port <= 65535
