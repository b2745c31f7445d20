"""A 401 tells clients where to get a token, and for what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from entrepot.auth.errors import (
    AuthenticationRequiredError,
    InsufficientScopeError,
    InvalidCredentialsError,
    InvalidTokenError,
)
from entrepot.distribution_api.body_pace import PaceLimits
from entrepot.distribution_api.challenges import Challenges, needed_scope
from entrepot.distribution_api.requests import Request
from entrepot.distribution_api.routes import find_route

if TYPE_CHECKING:
    from entrepot.kernel.asgi import Message
    from entrepot.kernel.errors import EntrepotError

_PACE = PaceLimits(min_bytes_per_second=0, window_seconds=10, silence_seconds=60)
_DIGEST = "sha256:" + "a" * 64


async def _receive() -> Message:
    raise AssertionError("no body is read here")


def _request(
    target: str = "/v2/", host: str = "registry.example:5000", method: str = "GET", **more: Any
) -> Request:
    path, _, query = target.partition("?")
    headers = [(b"host", host.encode("latin-1")), *more.pop("headers", [])]
    scope = {
        "method": method,
        "path": path,
        "query_string": query.encode(),
        "http_version": "1.1",
        "client": ("192.0.2.1", 1),
        "headers": headers,
    }
    return Request({**scope, **more}, _receive, _PACE)


def _challenge(request: Request, error: EntrepotError, scope: str = "", external_url: str = "") -> str:
    challenges = Challenges(external_url, "http://127.0.0.1:5000", "/service/token", "entrepot")
    name, value = challenges.header(request, error, scope)
    assert name == b"www-authenticate"
    return value.decode()


def test_a_ping_names_realm_and_service_t1() -> None:
    assert (
        _challenge(_request(), AuthenticationRequiredError())
        == 'Bearer realm="http://registry.example:5000/service/token",service="entrepot"'
    )


def test_a_resource_names_the_scope_too_t2() -> None:
    challenge = _challenge(_request(), AuthenticationRequiredError(), "repository:team/app:pull,push")

    assert challenge.endswith(',service="entrepot",scope="repository:team/app:pull,push"')


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (InvalidTokenError("expired"), ',error="invalid_token"'),
        (InsufficientScopeError("repository:team/app:pull"), ',error="insufficient_scope"'),
        (AuthenticationRequiredError(), ""),
        (InvalidCredentialsError("wrong"), ""),
    ],
)
def test_a_token_that_does_not_do_is_told_why_t2_t16(error: EntrepotError, told: str) -> None:
    challenge = _challenge(_request(), error, "repository:team/app:pull")

    assert challenge.partition('scope="repository:team/app:pull"')[2] == told


def test_the_scope_of_the_error_counts_where_the_route_has_none() -> None:
    error = AuthenticationRequiredError("registry:catalog:*")

    assert 'scope="registry:catalog:*"' in _challenge(_request(), error)


@pytest.mark.parametrize(
    ("host", "realm"),
    [
        ("registry.example", "http://registry.example/service/token"),
        ("10.0.0.5:5000", "http://10.0.0.5:5000/service/token"),
        ("[2001:db8::1]:5000", "http://[2001:db8::1]:5000/service/token"),
        ("Registry.EXAMPLE:80", "http://Registry.EXAMPLE:80/service/token"),
        # What is no host, or would break out of the quotes, is replaced by the listener's own address.
        ('evil",x="', "http://127.0.0.1:5000/service/token"),
        ("user@evil.example", "http://127.0.0.1:5000/service/token"),
        ("evil.example/path", "http://127.0.0.1:5000/service/token"),
        ("evil.example:5000:1", "http://127.0.0.1:5000/service/token"),
        ("evil.example\r\nX: y", "http://127.0.0.1:5000/service/token"),
        ("evil.example\n", "http://127.0.0.1:5000/service/token"),
        ("", "http://127.0.0.1:5000/service/token"),
        ("x" * 300, "http://127.0.0.1:5000/service/token"),
        ("évil", "http://127.0.0.1:5000/service/token"),
    ],
)
def test_the_realm_is_on_the_host_that_was_called_s18(host: str, realm: str) -> None:
    assert f'realm="{realm}"' in _challenge(_request(host=host), AuthenticationRequiredError())


def test_the_setting_wins_over_the_host_s18() -> None:
    challenge = _challenge(
        _request(host="evil.example"), AuthenticationRequiredError(), external_url="https://registry.example/"
    )

    assert challenge.startswith('Bearer realm="https://registry.example/service/token",')


def test_what_a_proxy_adds_is_not_believed_s18() -> None:
    headers = [
        (b"x-forwarded-host", b"evil.example"),
        (b"x-forwarded-proto", b"https"),
        (b"forwarded", b"host=evil"),
    ]

    challenge = _challenge(_request(headers=headers), AuthenticationRequiredError())

    assert 'realm="http://registry.example:5000/service/token"' in challenge


def test_the_realm_has_the_scheme_of_the_connection() -> None:
    assert 'realm="https://' in _challenge(_request(scheme="https"), AuthenticationRequiredError())


@pytest.mark.parametrize(
    ("method", "target", "scope"),
    [
        ("GET", "/v2/", ""),
        ("GET", "/v2/_catalog", "registry:catalog:*"),
        ("GET", "/v2/team/app/manifests/latest", "repository:team/app:pull"),
        ("HEAD", "/v2/team/app/manifests/latest", "repository:team/app:pull"),
        ("PUT", "/v2/team/app/manifests/latest", "repository:team/app:pull,push"),
        ("DELETE", "/v2/team/app/manifests/latest", "repository:team/app:delete"),
        ("HEAD", f"/v2/team/app/blobs/{_DIGEST}", "repository:team/app:pull"),
        ("DELETE", f"/v2/team/app/blobs/{_DIGEST}", "repository:team/app:delete"),
        ("POST", "/v2/team/app/blobs/uploads/", "repository:team/app:pull,push"),
        ("PATCH", "/v2/team/app/blobs/uploads/1234", "repository:team/app:pull,push"),
        ("PUT", "/v2/team/app/blobs/uploads/1234", "repository:team/app:pull,push"),
        ("GET", "/v2/team/app/tags/list", "repository:team/app:pull"),
        ("GET", f"/v2/team/app/referrers/{_DIGEST}", "repository:team/app:pull"),
        ("GET", "/v2/Team/App/tags/list", ""),
        (
            "POST",
            f"/v2/team/app/blobs/uploads/?mount={_DIGEST}&from=team/base",
            "repository:team/app:pull,push repository:team/base:pull",
        ),
        (
            "POST",
            f"/v2/team/app/blobs/uploads/?mount={_DIGEST}&from=team/app",
            "repository:team/app:pull,push",
        ),
        ("POST", f"/v2/team/app/blobs/uploads/?mount={_DIGEST}", "repository:team/app:pull,push"),
        ("POST", "/v2/team/app/blobs/uploads/?from=team/base", "repository:team/app:pull,push"),
        ("POST", f"/v2/team/app/blobs/uploads/?mount={_DIGEST}&from=a%22b", "repository:team/app:pull,push"),
        ("POST", "/v2/team/app/blobs/uploads/?mount=x&from=a/b&from=c/d", "repository:team/app:pull,push"),
    ],
)
def test_each_request_needs_what_distribution_says_t3_t12(method: str, target: str, scope: str) -> None:
    request = _request(target, method=method)

    assert needed_scope(*find_route(method, request.path), request) == scope
