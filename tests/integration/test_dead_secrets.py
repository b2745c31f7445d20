"""Secrets that were made here and are dead lock nobody out, at whichever entrance a script goes on with them (S14)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest

from entrepot.bootstrap import Dispatcher
from tests.asgi.client import AsgiClient
from tests.asgi.lifespan import running_lifespan
from tests.stateful.node import ADMINISTRATOR, basic, node_settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

_FORM = {"Content-Type": "application/x-www-form-urlencoded"}
_JSON = {"Content-Type": "application/json"}
_BEYOND_THE_LIMIT = 7


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[AsgiClient]:
    """Return a client of a process with accounts, as it is started."""
    dispatcher = Dispatcher(node_settings(tmp_path, **{"lockout.attempts": "5"}))
    async with running_lifespan(dispatcher):
        yield AsgiClient(dispatcher, "192.0.2.7")


async def _present(client: AsgiClient, entrance: str, name: str, secret: str) -> int:
    """Present a secret in the place of a password, and return the status."""
    password_grant = {"grant_type": "password", "service": "entrepot", "client_id": "x"}
    asked: dict[str, tuple[str, str, dict[str, str], bytes]] = {
        "distribution": ("GET", "/v2/", basic(name, secret), b""),
        "token": ("GET", "/service/token?service=entrepot", basic(name, secret), b""),
        "token form": (
            "POST",
            "/service/token",
            _FORM,
            urlencode({**password_grant, "username": name, "password": secret}).encode(),
        ),
        "management": ("GET", "/api/v2.0/users/current", basic(name, secret), b""),
        "session": (
            "POST",
            "/api/v2.0/sessions",
            _JSON,
            json.dumps({"username": name, "password": secret}).encode(),
        ),
        "browser": (
            "POST",
            "/c/login",
            _FORM,
            urlencode({"principal": name, "password": secret}).encode(),
        ),
    }
    method, path, headers, body = asked[entrance]
    return (await client.request(method, path, headers, (body,))).status


@pytest.mark.parametrize("prefix", ["ept_", "epr_", "ers_"])
async def test_a_dead_secret_is_refused_at_every_entrance_and_locks_its_owner_out_of_none_s14_t15(
    client: AsgiClient, prefix: str
) -> None:
    entrances = ("distribution", "token", "token form", "management", "session", "browser")
    name, password = ADMINISTRATOR
    dead = prefix + "A" * 43

    for entrance in entrances:
        statuses = {await _present(client, entrance, name, dead) for _ in range(_BEYOND_THE_LIMIT)}
        assert statuses == {401}, entrance

    for entrance in entrances:
        assert await _present(client, entrance, name, password) < 300, entrance


async def test_a_dead_refresh_token_or_bearer_locks_nobody_out_s14(client: AsgiClient) -> None:
    grant = {"grant_type": "refresh_token", "service": "entrepot", "client_id": "x"}
    body = urlencode({**grant, "refresh_token": "epr_" + "A" * 43}).encode()
    bearer = {"Authorization": "Bearer ept_" + "A" * 43}

    for _ in range(_BEYOND_THE_LIMIT):
        assert (await client.request("POST", "/service/token", _FORM, (body,))).status == 401
        assert (await client.request("GET", "/api/v2.0/users/current", bearer)).status == 401

    assert await _present(client, "management", *ADMINISTRATOR) == 200
