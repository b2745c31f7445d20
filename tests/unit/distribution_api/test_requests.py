"""What a request says of itself: repeated headers, and who seems to ask."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from entrepot.distribution_api.body_pace import PaceLimits
from entrepot.distribution_api.requests import Request

if TYPE_CHECKING:
    from entrepot.kernel.asgi import Message

_PACE = PaceLimits(min_bytes_per_second=0, window_seconds=10, silence_seconds=60)
_HOST = (b"host", b"127.0.0.1:5000")


async def _receive() -> Message:
    raise AssertionError("no body is read here")


def _request(headers: list[tuple[bytes, bytes]], **scope: Any) -> Request:
    facts: dict[str, Any] = {
        "method": "GET",
        "path": "/v2/",
        "http_version": "1.1",
        "client": ("127.0.0.1", 1),
    }
    return Request({**facts, "headers": headers, **scope}, _receive, _PACE)


def test_of_a_repeated_header_the_first_counts() -> None:
    """A second value doesn't replace the first, wherever it stands."""
    request = _request([(b"accept", b"one"), _HOST, (b"accept", b"two"), (b"host", b"elsewhere")])

    assert request.header(b"accept") == b"one"
    assert request.header(b"host") == _HOST[1]
    assert request.header(b"range") is None


@pytest.mark.parametrize(
    "name",
    [b"forwarded", b"via", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto", b"x-real-ip"],
)
def test_s18_a_forwarding_header_anywhere_is_seen(name: bytes) -> None:
    """Whatever a proxy adds marks the request, as first or as last header."""
    assert _request([(name, b"x"), _HOST]).principal().forwarded
    assert _request([_HOST, (name, b"")]).principal().forwarded
    assert not _request([_HOST, (b"x-other", b"x")]).principal().forwarded


@pytest.mark.parametrize(
    ("host", "forwarded"),
    [
        (b"localhost", False),
        (b"[::1]:5000", False),
        (b"127.9.9.9", False),
        (b"evil.example", True),
        (b"\xff", True),
    ],
)
def test_s18_a_foreign_host_is_seen(host: bytes, forwarded: bool) -> None:  # expected value
    """A name that was rebound to this machine is not this machine's."""
    assert _request([(b"host", host)]).principal().forwarded is forwarded


def test_s18_neither_a_missing_host_nor_http_1_0_is_local() -> None:
    """Nginx speaks HTTP/1.0 unless told otherwise, and no client leaves out the host."""
    assert _request([]).principal().forwarded
    assert _request([_HOST], http_version="1.0").principal().forwarded


def test_principals_of_two_peers_differ() -> None:
    """What is kept of one peer is not given to another."""
    first = _request([_HOST], client=("127.0.0.1", 1)).principal()
    second = _request([_HOST], client=("192.0.2.1", 1)).principal()
    proxied = _request([_HOST, (b"via", b"x")], client=("127.0.0.1", 1)).principal()

    assert [(one.address, one.forwarded) for one in (first, second, proxied)] == [
        ("127.0.0.1", False),
        ("192.0.2.1", False),
        ("127.0.0.1", True),
    ]
