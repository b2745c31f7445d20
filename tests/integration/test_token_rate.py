"""How often an account gets a token: it waits before it costs others their share (T17)."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest

from tests.running.with_accounts import ADMINISTRATOR, EntrepotWithAccounts

if TYPE_CHECKING:
    from collections.abc import Iterator

_PATH = "/service/token?service=entrepot&scope=repository:team/app:pull"


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EntrepotWithAccounts]:
    settings = {"bearer_token": {"issues_per_minute": 4}}
    with EntrepotWithAccounts(tmp_path_factory.mktemp("registry"), settings=settings) as running:
        yield running


def _ask(
    registry: EntrepotWithAccounts, *, as_whom: str = "", form: dict[str, str] | None = None
) -> tuple[int, http.client.HTTPMessage, dict[str, object]]:
    pair = f"{as_whom}:{ADMINISTRATOR.secret}".encode()
    headers = {"Authorization": f"Basic {base64.b64encode(pair).decode()}"} if as_whom else {}
    with contextlib.closing(http.client.HTTPConnection(registry.host)) as connection:
        if form is None:
            connection.request("GET", _PATH, headers=headers)
        else:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            connection.request("POST", "/service/token", urlencode(form), headers)
        answer = connection.getresponse()
        return answer.status, answer.headers, json.loads(answer.read())


def test_an_account_that_asks_too_often_waits_and_nobody_else_does_t17(
    registry: EntrepotWithAccounts,
) -> None:
    """GET and POST are told so, each in its own form."""
    assert [_ask(registry, as_whom=ADMINISTRATOR.name)[0] for _ in range(4)] == [200] * 4

    status, headers, body = _ask(registry, as_whom=ADMINISTRATOR.name)
    assert (status, 1 <= int(headers["Retry-After"]) <= 15) == (429, True)
    assert body["errors"][0]["code"] == "TOOMANYREQUESTS"  # type: ignore[index]  # what the status promises
    form = {"grant_type": "password", "service": "entrepot", "client_id": "test"}
    form |= {"username": ADMINISTRATOR.name, "password": ADMINISTRATOR.secret}
    status, _, body = _ask(registry, form=form)
    assert (status, body["error"]) == (429, "temporarily_unavailable")

    assert {_ask(registry)[0] for _ in range(20)} == {
        200
    }  # nobody, who gets a token that is good for nothing
