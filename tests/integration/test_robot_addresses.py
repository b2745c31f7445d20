"""A robot with a list of addresses logs in from there at every entrance, and through nobody else (S9, S18)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from entrepot.bootstrap import Dispatcher
from tests.asgi.client import AsgiClient
from tests.asgi.lifespan import running_lifespan
from tests.stateful.node import ADMINISTRATOR, basic, node_settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

_BY_NAME = {"Host": "registry.example.com"}
_ENTRANCES = ("/v2/", "/service/token", "/api/v2.0/permissions")


@pytest.fixture
async def application(tmp_path: Path) -> AsyncIterator[Dispatcher]:
    """Return a process with accounts, as it is started."""
    dispatcher = Dispatcher(node_settings(tmp_path))
    async with running_lifespan(dispatcher):
        yield dispatcher


@pytest.fixture
async def robot(application: Dispatcher) -> dict[str, str]:
    """Return the credentials of a robot that may log in from 192.0.2.0/24, as headers."""
    asked = {
        "name": "builder",
        "level": "system",
        "duration": 1,
        "allowed_addresses": ["192.0.2.0/24"],
        "permissions": [
            {"kind": "project", "namespace": "*", "access": [{"resource": "repository", "action": "pull"}]}
        ],
    }
    headers = {**basic(*ADMINISTRATOR), "Content-Type": "application/json"}
    reply = await AsgiClient(application).request(
        "POST", "/api/v2.0/robots", headers, (json.dumps(asked).encode(),)
    )
    assert reply.status == 201, reply.body
    made = json.loads(reply.body)
    return basic(made["name"], made["secret"])


async def _statuses(application: Dispatcher, address: str, headers: dict[str, str]) -> list[bool]:
    """Return at which entrances somebody is let in, whatever they may do there."""
    client = AsgiClient(application, address)
    replies = [await client.request("GET", path, headers) for path in _ENTRANCES]
    return [reply.status != 401 for reply in replies]


async def test_a_robot_on_its_list_is_let_in_everywhere_also_by_the_registrys_name_s18(
    application: Dispatcher, robot: dict[str, str]
) -> None:
    for host in ({}, _BY_NAME):
        assert await _statuses(application, "192.0.2.7", {**robot, **host}) == [True] * 3, host


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "Via"])
async def test_a_robot_whose_request_was_passed_on_is_let_in_nowhere_s18(
    application: Dispatcher, robot: dict[str, str], header: str
) -> None:
    passed_on = {**robot, **_BY_NAME, header: "192.0.2.7"}

    assert await _statuses(application, "192.0.2.8", passed_on) == [False] * 3


async def test_a_robot_that_is_not_on_its_list_is_let_in_nowhere_s9(
    application: Dispatcher, robot: dict[str, str]
) -> None:
    for address in ("198.51.100.7", "2001:db8::7", "127.0.0.1"):
        assert await _statuses(application, address, {**robot, **_BY_NAME}) == [False] * 3, address


async def test_a_robots_addresses_are_shown_and_changed_at_once_s14(
    application: Dispatcher, robot: dict[str, str]
) -> None:
    administrator = AsgiClient(application, headers=basic(*ADMINISTRATOR))
    (shown,) = json.loads((await administrator.request("GET", "/api/v2.0/robots")).body)
    assert shown["allowed_addresses"] == ["192.0.2.0/24"]
    one = f"/api/v2.0/robots/{shown['id']}"
    as_json = {"Content-Type": "application/json"}
    assert await _statuses(application, "192.0.2.7", robot) == [True] * 3

    for asked, networks in ((b'["192.0.2.300"]', None), (b'["198.51.100.7"]', ["198.51.100.7/32"])):
        reply = await administrator.request("PUT", one, as_json, (b'{"allowed_addresses": %b}' % asked,))
        assert reply.status == (400 if networks is None else 200), reply.body
    assert await _statuses(application, "192.0.2.7", robot) == [False] * 3
    assert await _statuses(application, "198.51.100.7", robot) == [True] * 3

    await administrator.request("PUT", one, as_json, (b'{"description": "builds"}',))
    kept = json.loads((await administrator.request("GET", one)).body)
    assert (kept["allowed_addresses"], kept["description"]) == (["198.51.100.7/32"], "builds")
