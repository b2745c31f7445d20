"""Tokens of a time at which the database's clock was ahead, when that time has come at last (F27, S14).

They were issued before somebody lost a right, and begin when nobody watches for that move any more.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Final

import pytest

from tests.asgi.services import in_process_registry
from tests.stateful.node import ADMINISTRATOR, basic, bearer, node_settings

if TYPE_CHECKING:
    from pathlib import Path

    from tests.asgi.client import AsgiClient

_API: Final = "/api/v2.0"
_LISTING: Final = "/v2/team/app/tags/list"
_PASSWORD: Final = "Lantern+Orchard+58"
_WEEK_MILLISECONDS: Final = 7 * 24 * 3600 * 1000


@pytest.mark.parametrize(
    ("method", "path", "document"),
    [
        ("PUT", "/users/{user}/disabled", {"disabled": True}),
        ("DELETE", "/projects/team/members/{member}", None),
        ("DELETE", "/users/{user}", None),
    ],
)
async def test_a_right_that_was_taken_long_before_a_token_begins_does_not_come_back_f27(
    tmp_path: Path, method: str, path: str, document: object
) -> None:
    settings = node_settings(tmp_path / "data")
    async with in_process_registry(settings) as registry:
        user, member = await _set_up(registry.client)
        token = await _token_of(registry.client)
        assert (await registry.client.request("GET", _LISTING, bearer(token))).status == 404  # nothing pushed
        await _call(registry.client, method, path.format(user=user, member=member), document)
    _let_it_be_long_ago(tmp_path / "data")

    async with in_process_registry(settings) as registry:  # which never saw the token
        reply = await registry.client.request("GET", _LISTING, bearer(token))

        assert (reply.status, reply.error_code()) == (401, "UNAUTHORIZED")


async def test_what_did_not_change_goes_on_f27(tmp_path: Path) -> None:
    settings = node_settings(tmp_path / "data")
    async with in_process_registry(settings) as registry:
        await _set_up(registry.client)
        token = await _token_of(registry.client)
    _let_it_be_long_ago(tmp_path / "data")

    async with in_process_registry(settings) as registry:
        assert (await registry.client.request("GET", _LISTING, bearer(token))).status == 404


async def _set_up(client: AsgiClient) -> tuple[str, str]:
    """Make a project and a developer in it; return the numbers of the person and of the membership."""
    await _call(client, "POST", "/projects", {"project_name": "team"})
    user = await _call(client, "POST", "/users", {"username": "dora", "password": _PASSWORD})
    member = {"role_id": 2, "member_user": {"username": "dora"}}
    return user, await _call(client, "POST", "/projects/team/members", member)


async def _call(client: AsgiClient, method: str, path: str, document: object) -> str:
    """Send a request that succeeds, and return the last part of the Location of what it made."""
    headers = basic(*ADMINISTRATOR) | {"Content-Type": "application/json"}
    body = [b"" if document is None else json.dumps(document).encode()]
    reply = await client.request(method, _API + path, headers, body)
    assert reply.status < 300, reply.body
    return reply.headers.get("location", "").rpartition("/")[2]


async def _token_of(client: AsgiClient) -> str:
    reply = await client.request(
        "GET", "/service/token?service=entrepot&scope=repository:team/app:pull", basic("dora", _PASSWORD)
    )
    token: str = json.loads(reply.body)["token"]
    return token


def _let_it_be_long_ago(data: Path) -> None:
    """Have all moves of epochs lie beyond what a watch looks back to, which is what an ended hour does."""
    with closing(sqlite3.connect(data / "metadata" / "entrepot.db")) as database, database:
        for table in ("subjects", "projects"):
            database.execute(f"UPDATE {table} SET epoch_changed_at = epoch_changed_at - {_WEEK_MILLISECONDS}")
