"""Sessions and locks last as long, and are as many, as the settings say, in a process as it is started (8.1.4.1b)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from entrepot.settings import metadata_url
from tests.drivers.metadata.raw_database import RawDatabase
from tests.stateful.node import ADMINISTRATOR, basic, node_settings, open_node

if TYPE_CHECKING:
    from pathlib import Path

    from tests.asgi.client import AsgiReply
    from tests.stateful.node import Node

_IDLE_SECONDS, _ABSOLUTE_SECONDS, _CONCURRENT = 240, 900, 2


async def _log_in(node: Node) -> str:
    """Begin a session and return its cookie."""
    fields = {"username": ADMINISTRATOR[0], "password": ADMINISTRATOR[1]}
    reply = await node.api("POST", "sessions", fields, {})
    assert reply.status == 201, reply.body
    return reply.headers["set-cookie"].partition(";")[0]


async def _is_known(node: Node, cookie: str) -> bool:
    return (await node.api("GET", "users/current", None, {"Cookie": cookie})).status == 200


async def test_the_limits_of_sessions_are_those_of_the_settings(tmp_path: Path) -> None:
    """Idleness, age and number each by its own: none stands in the place of another."""
    settings = node_settings(
        tmp_path,
        **{
            "web_session.idle_seconds": str(_IDLE_SECONDS),
            "web_session.absolute_seconds": str(_ABSOLUTE_SECONDS),
            "web_session.concurrent": str(_CONCURRENT),
        },
    )
    database = RawDatabase(metadata_url(settings))
    async with open_node(settings) as node:
        cookies = [await _log_in(node) for _ in range(_CONCURRENT + 1)]
        assert [await _is_known(node, cookie) for cookie in cookies] == [False, True, True]
        lifetimes = await database.fetch("SELECT DISTINCT expires_at - created_at FROM web_sessions")
        assert lifetimes == [(_ABSOLUTE_SECONDS * 1000,)]

        idle = "UPDATE web_sessions SET last_seen_at = last_seen_at - {}"
        await database.fetch(idle.format((_IDLE_SECONDS - 20) * 1000))
        assert await _is_known(node, cookies[1])
        await database.fetch(idle.format((_IDLE_SECONDS + 5) * 1000))
        assert not await _is_known(node, cookies[1])

        shown = json.loads((await node.api("GET", "configurations")).body)["session_timeout"]
        assert shown == {"value": _IDLE_SECONDS // 60, "editable": False}


async def test_the_limits_of_locks_are_those_of_the_settings(tmp_path: Path) -> None:
    """For how long wrong ones count together, and for how long an address then waits."""
    settings = node_settings(
        tmp_path,
        **{"lockout.attempts": "2", "lockout.window_seconds": "100", "lockout.lock_seconds": "300"},
    )
    database = RawDatabase(metadata_url(settings))
    wrong = basic(ADMINISTRATOR[0], "Wrong-Meadow-29")
    async with open_node(settings) as node:

        async def guess() -> AsgiReply:
            return await node.api("GET", "users/current", None, wrong)

        moved = "UPDATE login_failures SET window_started_at = window_started_at - {}"
        statuses = [(await guess()).status]
        await database.fetch(moved.format(101_000))
        statuses.append((await guess()).status)
        await database.fetch(moved.format(90_000))
        statuses.append((await guess()).status)
        locked = await guess()

    assert [*statuses, locked.status] == [401, 401, 401, 429]
    assert 290 <= int(locked.headers["retry-after"]) <= 300
