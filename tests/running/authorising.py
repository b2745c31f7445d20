"""How a client of the tests proves who it is: by Basic, or by tokens that it gets as clients get them.

Written from the specification of tokens (distribution, "Token Authentication") and not with the product's own code.
What a challenge has to ask for is said here once, and held against every challenge that a test meets on its way (T2,
T3).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import httpx

if TYPE_CHECKING:
    from collections.abc import Generator

    from tests.running.control_client import Account

__all__ = ["TokenAuthorisation", "challenged_scope", "parse_challenge", "proof_of"]

_CHALLENGE: Final = re.compile(r'Bearer (?:[a-z_]+="[^"]*")(?:,[a-z_]+="[^"]*")*')
_FIELD: Final = re.compile(r'([a-z_]+)="([^"]*)"')

_SEGMENT: Final = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_NAME: Final = re.compile(rf"(?=.{{1,255}}\Z){_SEGMENT}(?:/{_SEGMENT})*\Z", re.ASCII)
_IN_REPOSITORY: Final = re.compile(
    r"/v2/(.+)/(?:blobs/(uploads/)|blobs/(uploads)/[^/]+|(manifests|blobs|referrers)/[^/]+|(tags)/list)\Z"
)
_ENCODED: Final = re.compile(rb"%(?!3a)", re.IGNORECASE)
"""Spellings of a path that the registry does not take; the colon of a digest may be encoded."""
_READING: Final[dict[str, str]] = {"GET": "pull", "HEAD": "pull"}
_ACTIONS: Final[dict[str, dict[str, str]]] = {
    "uploads/": {"POST": "pull,push"},
    "uploads": dict[str, str].fromkeys(("GET", "PATCH", "PUT", "DELETE"), "pull,push"),
    "manifests": {**_READING, "PUT": "pull,push", "DELETE": "delete"},
    "blobs": {**_READING, "DELETE": "delete"},
    "referrers": {"GET": "pull"},
    "tags": {"GET": "pull"},
}
"""Actions by endpoint and method; an upload that is given up is not content that is deleted."""
_ON_REGISTRY: Final[dict[str, dict[str, str]]] = {
    "/v2": dict.fromkeys(_READING, ""),
    "/v2/": dict.fromkeys(_READING, ""),
    "/v2/_catalog": {"GET": "registry:catalog:*"},
}


def challenged_scope(request: httpx.Request) -> str | None:
    """Return what the challenge to a request without a token asks for; `None` when it is refused for what it is."""
    path = request.url.path
    if path in _ON_REGISTRY:
        return _ON_REGISTRY[path].get(request.method)
    found = _IN_REPOSITORY.match(path)
    if found is None or not _NAME.match(found[1]) or _ENCODED.search(request.url.raw_path.partition(b"?")[0]):
        return None
    name, *kinds = found.groups()
    kind = next(filter(None, kinds))
    actions = _ACTIONS[kind].get(request.method)
    if actions is None:
        return None
    scope = f"repository:{name}:{actions}"
    source = request.url.params.get("from", "") if request.url.params.get("mount") else ""
    if kind == "uploads/" and source != name and _NAME.match(source):
        return f"{scope} repository:{source}:pull"
    return scope


def parse_challenge(response: httpx.Response) -> dict[str, str]:
    """Return the fields of the one challenge of a refusal, each quoted as RFC 6750 and clients ask of it."""
    asked = f"{response.request.method} {response.url}"
    assert response.status_code == 401, f"{asked} → {response.status_code} {response.text}"
    (header,) = response.headers.get_list("www-authenticate")
    assert _CHALLENGE.fullmatch(header), header
    return dict(_FIELD.findall(header))


def proof_of(response: httpx.Response) -> dict[str, str]:
    """Return the headers that authorised a request that was answered, for whoever goes on over a bare socket."""
    headers = response.request.headers
    return {"Authorization": headers["authorization"]} if "authorization" in headers else {}


class TokenAuthorisation(httpx.Auth):
    """Presents bearer tokens, each for exactly the scope that a challenge asked for, and gets them when challenged.

    Whatever it has no token for is asked without one first, which must not be served. May be shared between clients.
    """

    def __init__(self, account: Account) -> None:
        self._account = account
        self._tokens: dict[str | None, str] = {}

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response]:
        """Send a request, as often as it takes; see :class:`httpx.Auth`."""
        scope = challenged_scope(request)
        token = self._tokens.get(scope)
        if token is not None:
            request.headers["Authorization"] = f"Bearer {token}"
        response = yield request
        if token is not None and response.status_code != 401:
            return
        response.read()
        if scope is None:
            assert response.is_client_error, f"nobody was answered {response.status_code}: {response.url}"
            return
        challenge = parse_challenge(response)
        assert challenge.get("scope", "") == scope, f"{request.method} {request.url}: {challenge}"
        self._tokens[scope] = yield from self._fetch(challenge)
        request.headers["Authorization"] = f"Bearer {self._tokens[scope]}"
        yield request

    def _fetch(self, challenge: dict[str, str]) -> Generator[httpx.Request, httpx.Response, str]:
        asked: dict[str, str] = {name: challenge[name] for name in ("service", "scope") if name in challenge}
        headers = {"Authorization": self._account.basic}
        answer = yield httpx.Request("GET", challenge["realm"], params=asked, headers=headers)
        answer.read()
        assert answer.status_code == 200, answer.text
        return str(answer.json()["token"])
