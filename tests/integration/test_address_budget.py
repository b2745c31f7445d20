"""One address has one budget at `/v2/`, at the token service and at the management API (I12, F41)."""

from __future__ import annotations

import asyncio
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

    from entrepot.kernel.address_budget import AddressBudget
    from tests.asgi.client import AsgiReply

_GREEDY = "192.0.2.9"
_MOST = 3
_CREDENTIALS = basic(*ADMINISTRATOR)
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class _Registry:
    """A process with accounts, as it is started, and a greedy and a modest client of it."""

    def __init__(self, application: Dispatcher) -> None:
        self.greedy = AsgiClient(application, _GREEDY)
        self.modest = AsgiClient(application, "192.0.2.10")
        edges = application._edges
        assert edges is not None
        self.budget: AddressBudget = edges.distribution._addresses

    def fill(self) -> None:
        """Let the greedy address have as many requests under way as it may."""
        for _ in range(_MOST):
            self.budget.enter(_GREEDY)

    def empty(self) -> None:
        for _ in range(_MOST):
            self.budget.leave(_GREEDY)


@pytest.fixture
async def registry(tmp_path: Path) -> AsyncIterator[_Registry]:
    """Return the process; addresses may have three requests under way."""
    application = Dispatcher(node_settings(tmp_path, limits__requests_per_address=str(_MOST)))
    async with running_lifespan(application):
        yield _Registry(application)


async def _everywhere(client: AsgiClient) -> list[AsgiReply]:
    form = (b"grant_type=password&service=entrepot&client_id=test&username=admin&password=wrong",)
    return [
        await client.request("GET", "/v2/", _CREDENTIALS),
        await client.request("GET", "/service/token", _CREDENTIALS),
        await client.request("POST", "/service/token", _FORM, form),
        await client.request("GET", "/service/token/jwks.json"),
        await client.request("GET", "/api/v2.0/users/current", _CREDENTIALS),
        await client.request("POST", "/c/login", _FORM, (b"principal=admin&password=wrong",)),
    ]


async def test_an_address_that_has_enough_under_way_at_one_entrance_is_refused_at_all_f41(
    registry: _Registry,
) -> None:
    registry.fill()

    refused = await _everywhere(registry.greedy)

    assert [(reply.status, reply.headers["retry-after"]) for reply in refused] == [(429, "1")] * 6
    data, query, form, keys, api, login = refused
    text = "your address has 3 requests under way; wait for some of them to end"
    for reply in (data, query, keys):
        assert json.loads(reply.body) == {
            "errors": [{"code": "TOOMANYREQUESTS", "message": text, "detail": None}]
        }
    assert json.loads(form.body) == {"error": "temporarily_unavailable", "error_description": text}
    for reply in (api, login):
        assert json.loads(reply.body) == {"errors": [{"code": "TOO_MANY_REQUEST", "message": text}]}
    assert [reply.status for reply in await _everywhere(registry.modest)] == [200, 200, 401, 200, 200, 401]


async def test_refused_logins_are_neither_tried_nor_counted_as_wrong_s14(registry: _Registry) -> None:
    """A refusal costs no hash of a password, which is what a flood of logins is after."""
    registry.fill()
    assert {reply.status for reply in await _everywhere(registry.greedy)} == {429}

    registry.empty()
    acts = await registry.modest.request("GET", "/api/v2.0/audit-logs?q=outcome=failure", _CREDENTIALS)
    assert (acts.status, json.loads(acts.body)) == (200, [])
    assert registry.budget._under_way == {}


async def test_who_watches_over_the_registry_is_answered_however_much_its_address_has_under_way(
    registry: _Registry,
) -> None:
    registry.fill()

    for path in ("/api/v2.0/ping", "/api/v2.0/health"):
        assert (await registry.greedy.request("GET", path)).status == 200


async def test_a_request_that_ended_in_any_way_makes_room_again(registry: _Registry) -> None:
    for _ in range(_MOST + 1):
        statuses = [reply.status for reply in await _everywhere(registry.greedy)]
        assert statuses == [200, 200, 401, 200, 200, 401]
        assert (await registry.greedy.request("GET", "/api/v2.0/nowhere")).status == 404
        assert (await registry.greedy.request("DELETE", "/service/token")).status == 405
    assert registry.budget._under_way == {}


async def test_logins_whose_bodies_never_come_leave_no_room_for_pulls_of_their_address_f41(
    registry: _Registry,
) -> None:
    """Two at the token service and one at the management API are three."""
    slow = [
        asyncio.create_task(registry.greedy.request("POST", path, _FORM, ()))
        for path in ("/service/token", "/service/token", "/c/login")
    ]
    for _ in range(6000):
        if registry.budget._under_way.get(_GREEDY) == _MOST:
            break
        await asyncio.sleep(0.01)  # the management API is built at its first request

    assert (await registry.greedy.request("GET", "/v2/", _CREDENTIALS)).status == 429
    assert (await registry.modest.request("GET", "/v2/", _CREDENTIALS)).status == 200
    for task in slow:
        task.cancel()
    await asyncio.gather(*slow, return_exceptions=True)
    assert (await registry.greedy.request("GET", "/v2/", _CREDENTIALS)).status == 200
