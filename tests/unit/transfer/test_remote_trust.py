"""S29: credentials go to the registry and to a token server that belongs to it, and nowhere else."""

from __future__ import annotations

import pytest
from yarl import URL

from entrepot.transfer.errors import SourceUnusableError
from entrepot.transfer.remote.challenges import Challenge, parse_challenges
from entrepot.transfer.remote.registry import parse_registry_url
from entrepot.transfer.remote.trust import may_receive_credentials, registrable_domain

REGISTRY = URL("https://registry.example.com/")


@pytest.mark.parametrize(
    "realm",
    [
        "https://registry.example.com/token",
        "https://registry.example.com:8443/token",
        "https://auth.example.com/token",
        "https://allowed.test/token",
    ],
)
def test_s29_a_realm_of_the_same_domain_or_an_allowed_one_gets_the_login(realm: str) -> None:
    """The host itself, its registrable domain, and what the operator named."""
    assert may_receive_credentials(REGISTRY, URL(realm), {"allowed.test"})


@pytest.mark.parametrize(
    "realm",
    [
        "http://registry.example.com/token",  # less protected
        "https://example.org/token",
        "https://example.com.evil.test/token",
        "https://registry.example.com@evil.test/token",
        "https://203.0.113.7/token",
        "ftp://auth.example.com/token",
        "/token",
    ],
)
def test_s29_any_other_realm_does_not(realm: str) -> None:
    """Another domain, another scheme, a user in the address, an address in place of a name."""
    assert not may_receive_credentials(REGISTRY, URL(realm), set())


@pytest.mark.parametrize(
    ("host", "domain"),
    [
        ("a.b.example.com", "example.com"),
        ("a.example.co.uk", "example.co.uk"),
        ("example.com.cn", "example.com.cn"),
        ("com.cn", None),
        ("x.github.io", None),
        ("localhost", None),
        ("127.0.0.1", None),
        ("::1", None),
    ],
)
def test_the_registrable_domain_of_a_host(host: str, domain: str | None) -> None:
    """Where it can't be told, only the very same host is trusted."""
    assert registrable_domain(host) == domain


def test_challenges_of_several_schemes_are_told_apart() -> None:
    """Parameters belong to the scheme before them; quoted ones may hold commas and escapes."""
    header = 'Basic realm="a, b", Bearer realm="https://x/t",service="s\\"q",scope="repository:a:pull,push"'

    assert parse_challenges([header]) == [
        Challenge("basic", {"realm": "a, b"}),
        Challenge("bearer", {"realm": "https://x/t", "service": 's"q', "scope": "repository:a:pull,push"}),
    ]


@pytest.mark.parametrize("header", ["", ",,,", "Bearer", "Bearer realm=", '"', "=" * 9000])
def test_a_malformed_challenge_is_no_trouble(header: str) -> None:
    """Whatever a server writes, reading it ends."""
    assert all(not challenge.parameters for challenge in parse_challenges([header]))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("registry.example.com", "begins with https"),
        ("https://user:secret@registry.example.com", "--password-file"),
        ("https://registry.example.com/team/app", "--repository"),
        ("http://registry.example.com", "--insecure-http"),
    ],
)
def test_an_address_that_can_not_be_used_is_refused_with_what_to_do(text: str, reason: str) -> None:
    """Each refusal names the option."""
    with pytest.raises(SourceUnusableError, match=reason):
        parse_registry_url(text, insecure_http=False)


def test_addresses_that_can_be_used() -> None:
    """Loopback needs no word for http; Docker Hub is reached where its registry is."""
    assert str(parse_registry_url("http://127.0.0.1:5000", insecure_http=False)) == "http://127.0.0.1:5000/"
    assert str(parse_registry_url("http://r.example", insecure_http=True)) == "http://r.example/"
    assert parse_registry_url("https://docker.io", insecure_http=False).host == "registry-1.docker.io"
