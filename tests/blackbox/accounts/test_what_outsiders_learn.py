"""A project that one may not see and one that is not there are the same to an outsider (S19): in every answer.

Compared are the status, the body and the headers, after the names that were asked for, and the numbers and times that
each answer has of its own, are made equal.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import httpx
import pytest

from tests.blackbox.clients.tokens import ask_for_token
from tests.blackbox.material.images import digest_of
from tests.running.control_client import Account

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.blackbox.accounts.conftest import Team

_MISSING: Final = "missing"
_DIGEST: Final = digest_of(b"anything")
_OWN: Final = frozenset({"date", "x-request-id"})
"""Headers in which each answer differs from every other."""
_REGISTRY_REQUESTS: Final = (
    ("GET", "tags/list"),
    ("GET", "manifests/1"),
    ("HEAD", "manifests/1"),
    ("PUT", "manifests/1"),
    ("DELETE", "manifests/1"),
    ("GET", f"blobs/{_DIGEST}"),
    ("HEAD", f"blobs/{_DIGEST}"),
    ("DELETE", f"blobs/{_DIGEST}"),
    ("POST", "blobs/uploads/"),
    ("POST", f"blobs/uploads/?mount={_DIGEST}&from=library/app"),
    ("GET", "blobs/uploads/0123456789abcdef0123456789abcdef"),
    ("GET", f"referrers/{_DIGEST}"),
)
_CONTROL_REQUESTS: Final = (
    ("GET", ""),
    ("PUT", ""),
    ("DELETE", ""),
    ("GET", "/summary"),
    ("GET", "/_deletable"),
    ("GET", "/members"),
    ("POST", "/members"),
    ("GET", "/members/1"),
    ("DELETE", "/members/1"),
    ("GET", "/metadatas"),
    ("GET", "/metadatas/public"),
    ("GET", "/logs"),
)


@pytest.fixture(scope="module")
def private(make_team: Callable[..., Team]) -> Team:
    """Make the project that nobody here may see."""
    return make_team()


@pytest.fixture(params=["outsider", "nobody"])
def client(request: pytest.FixtureRequest, private: Team) -> Iterator[httpx.Client]:
    """Return a client that is a member of nothing, or nobody."""
    account = private.people["outsider"] if request.param == "outsider" else None
    credentials = None if account is None else (account.name, account.secret)
    with httpx.Client(base_url=private.registry.url, timeout=30, auth=credentials) as made:
        yield made


def _seen(response: httpx.Response, name: str) -> tuple[int, str, dict[str, str]]:
    """Return what an answer says, with `name` and what each answer has of its own taken out."""
    headers = {key: value for key, value in response.headers.items() if key not in _OWN}
    headers = {key: value.replace(name, "NAME") for key, value in headers.items()}
    # Names are of different lengths, and stand in some of the texts.
    length = int(headers.pop("content-length", "0")) - response.text.count(name) * len(name)
    body = re.sub(r'"request_id": ?"[^"]*"', '"request_id":""', response.text.replace(name, "NAME"))
    return response.status_code, body, {**headers, "content-length": str(length)}


@pytest.mark.parametrize(("method", "path"), _REGISTRY_REQUESTS)
def test_s19_a_private_and_a_missing_repository_are_alike_on_v2(
    client: httpx.Client, private: Team, method: str, path: str
) -> None:
    """401 with a challenge for nobody, 403 for somebody who is known; not a word of whether it exists."""
    hidden, missing = (
        _seen(client.request(method, f"/v2/{name}/app/{path}"), name) for name in (private.name, _MISSING)
    )

    assert hidden == missing
    assert hidden[0] == (401 if client.auth is None else 403)


def test_s19_a_private_project_is_alike_whichever_repository_is_asked_for(
    client: httpx.Client, private: Team
) -> None:
    """One that exists in it, and one that does not."""
    there, missing = (
        _seen(client.get(f"/v2/{name}/tags/list"), name)
        for name in (private.repository, f"{private.name}/not-there")
    )

    assert there == missing


@pytest.mark.parametrize(("method", "path"), _CONTROL_REQUESTS)
def test_s19_a_private_and_a_missing_project_are_alike_in_the_control_api(
    client: httpx.Client, private: Team, method: str, path: str
) -> None:
    """By name, whatever the outsider tries with it."""
    member, change = {"role_id": 3, "member_user": {"username": "admin"}}, {"metadata": {"public": "true"}}
    document: dict[str, Any] = member if path else change
    body = document if method in {"POST", "PUT"} else None
    hidden, missing = (
        _seen(client.request(method, f"/api/v2.0/projects/{name}{path}", json=body), name)
        for name in (private.name, _MISSING)
    )

    assert hidden == missing
    assert hidden[0] == (401 if client.auth is None else 403)


def test_s19_a_token_for_a_private_and_for_a_missing_repository_is_good_for_nothing(private: Team) -> None:
    """Both are issued, as T6 has it, and both are refused alike."""
    url, outsider = private.registry.url, private.people["outsider"]
    answers = {}
    for name in (private.name, _MISSING):
        issued = ask_for_token(url, outsider, f"repository:{name}/app:pull")
        assert issued.status_code == 200, issued.text
        headers = {"Authorization": f"Bearer {issued.json()['token']}"}
        answers[name] = _seen(httpx.get(f"{url}/v2/{name}/app/tags/list", headers=headers), name)

    assert answers[private.name] == answers[_MISSING]
    assert answers[private.name][0] == 401


def test_s19_a_wrong_password_and_an_unknown_name_are_refused_alike(private: Team) -> None:
    """On /v2/, for a token and in the control API."""
    known, unknown = (
        Account(name, "Wrong-Meadow-29") for name in (private.people["developer"].name, "person.nobody")
    )
    url = private.registry.url

    for path in ("/v2/", "/api/v2.0/users/current", "/service/token?service=entrepot"):
        answers = [
            _seen(httpx.get(f"{url}{path}", auth=(account.name, account.secret)), account.name)
            for account in (known, unknown)
        ]
        assert answers[0] == answers[1]
        assert answers[0][0] == 401
