"""A client of the tests that is challenged gets a token as real clients do, and notices a challenge that is wrong."""

from __future__ import annotations

from typing import Final

import httpx
import pytest

from tests.running.authorising import TokenAuthorisation, challenged_scope, proof_of
from tests.running.control_client import Account

_ANN: Final = Account("ann", "canary")
_DIGEST: Final = f"sha256:{'0' * 64}"


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("GET", "/v2/", ""),
        ("HEAD", "/v2", ""),
        ("POST", "/v2/", None),
        ("GET", "/v2/_catalog", "registry:catalog:*"),
        ("HEAD", "/v2/_catalog", None),
        ("GET", "/v2/team/app/manifests/1", "repository:team/app:pull"),
        ("HEAD", f"/v2/team/app/blobs/{_DIGEST}", "repository:team/app:pull"),
        ("GET", "/v2/team/app/tags/list", "repository:team/app:pull"),
        ("GET", f"/v2/team/app/referrers/{_DIGEST}", "repository:team/app:pull"),
        ("PUT", "/v2/team/app/manifests/1", "repository:team/app:pull,push"),
        ("DELETE", "/v2/team/app/manifests/1", "repository:team/app:delete"),
        ("DELETE", f"/v2/team/app/blobs/{_DIGEST}", "repository:team/app:delete"),
        ("PUT", f"/v2/team/app/blobs/{_DIGEST}", None),
        ("POST", "/v2/team/app/blobs/uploads/", "repository:team/app:pull,push"),
        ("GET", "/v2/team/app/blobs/uploads/", None),
        ("POST", "/v2/team/app/blobs/uploads/0123", None),
        ("GET", "/v2/team/app/blobs/uploads/0123", "repository:team/app:pull,push"),
        ("DELETE", "/v2/team/app/blobs/uploads/0123", "repository:team/app:pull,push"),
        ("GET", "/v2/manifests/tags/blobs/manifests/1", "repository:manifests/tags/blobs:pull"),
        ("GET", "/v2/Team/app/manifests/1", None),
        ("GET", f"/v2/a/{'b' * 300}/manifests/1", None),
        ("GET", "/v2/team/app/elsewhere/1", None),
        ("GET", "/v2/team/app/manifests/%C3%A4", None),
        ("GET", "/v2/team%2Fapp/manifests/1", None),
        ("GET", f"/v2/team/app/blobs/{_DIGEST.replace(':', '%3A')}", "repository:team/app:pull"),
        (
            "POST",
            f"/v2/team/app/blobs/uploads/?mount={_DIGEST}&from=team/base",
            "repository:team/app:pull,push repository:team/base:pull",
        ),
        ("POST", f"/v2/team/app/blobs/uploads/?mount={_DIGEST}", "repository:team/app:pull,push"),
        ("POST", "/v2/team/app/blobs/uploads/?from=team/base", "repository:team/app:pull,push"),
        (
            "POST",
            f"/v2/team/app/blobs/uploads/?mount={_DIGEST}&from=team/app",
            "repository:team/app:pull,push",
        ),
        ("POST", f"/v2/team/app/blobs/uploads/?mount={_DIGEST}&from=../..", "repository:team/app:pull,push"),
    ],
)
def test_t3_a_challenge_asks_for_what_the_request_needs(method: str, path: str, scope: str | None) -> None:
    assert challenged_scope(httpx.Request(method, f"http://registry{path}")) == scope


class _Registry:
    """Challenges for a scope, serves whoever brings the newest token, and writes down what it is asked."""

    def __init__(self, scope: str) -> None:
        self.scope = scope
        self.tokens = 0
        self.asked: list[str] = []

    def answer(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/token":
            self.tokens += 1
            assert request.headers["authorization"] == _ANN.basic
            self.asked.append(f"token {request.url.params['service']} {request.url.params['scope']}")
            return httpx.Response(200, json={"token": f"t{self.tokens}"})
        shown = request.headers.get("authorization", "nothing")
        self.asked.append(f"{request.method} with {shown}")
        if shown == f"Bearer t{self.tokens}":
            return httpx.Response(200)
        challenge = f'Bearer realm="http://registry/token",service="s",scope="{self.scope}"'
        return httpx.Response(401, headers={"www-authenticate": challenge})

    def client(self) -> httpx.Client:
        transport = httpx.MockTransport(self.answer)
        return httpx.Client(base_url="http://registry", transport=transport, auth=TokenAuthorisation(_ANN))


def test_t16_a_token_is_fetched_when_challenged_and_kept() -> None:
    registry = _Registry("repository:a/b:pull")
    with registry.client() as client:
        statuses = [client.get("/v2/a/b/tags/list").status_code for _ in range(2)]

    assert statuses == [200, 200]
    assert registry.asked == [
        "GET with nothing",
        "token s repository:a/b:pull",
        "GET with Bearer t1",
        "GET with Bearer t1",
    ]


def test_t16_a_token_that_is_refused_is_fetched_anew() -> None:
    registry = _Registry("repository:a/b:pull")
    with registry.client() as client:
        client.get("/v2/a/b/tags/list")
        registry.tokens += 1
        response = client.get("/v2/a/b/tags/list")

    assert response.status_code == 200
    assert registry.asked[-3:] == [
        "GET with Bearer t1",
        "token s repository:a/b:pull",
        "GET with Bearer t3",
    ]
    assert proof_of(response) == {"Authorization": "Bearer t3"}


def test_t3_a_challenge_for_something_else_is_noticed() -> None:
    with _Registry("repository:a/b:pull").client() as client, pytest.raises(AssertionError):
        client.delete("/v2/a/b/manifests/1")


@pytest.mark.parametrize("path", ["/v2/a/b/tags/list", "/v2/A/b/tags/list"])
def test_s19_an_answer_to_nobody_is_noticed(path: str) -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(200))
    auth = TokenAuthorisation(_ANN)
    client = httpx.Client(base_url="http://registry", transport=transport, auth=auth)
    with client, pytest.raises(AssertionError):
        client.get(path)
