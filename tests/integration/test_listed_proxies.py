"""Behind a listed proxy every client is one of its own: for locks, lists of addresses and the auditor (S18)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from entrepot.bootstrap import build_http_application
from tests.asgi.client import AsgiClient
from tests.asgi.lifespan import running_lifespan

# Fixtures are found by their names in the module of a test.
from tests.integration.test_robot_addresses import robot
from tests.stateful.node import ADMINISTRATOR, basic, node_settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from entrepot.kernel.asgi import Application

__all__ = ["robot"]

_PROXY = "10.0.0.5"
_LOGIN = "/service/token?service=entrepot&account=admin"
_WRONG = basic(ADMINISTRATOR[0], "a wrong password")


@pytest.fixture
async def application(tmp_path: Path) -> AsyncIterator[Application]:
    """Return a process that believes one proxy, as it is started."""
    settings = node_settings(
        tmp_path, **{"http.trusted_proxies": f"{_PROXY}, fd00:1::/64", "lockout.attempts": "3"}
    )
    built = build_http_application(settings)
    async with running_lifespan(built):
        yield built


async def _ask(
    application: Application, client: str, credentials: dict[str, str], *, peer: str = _PROXY
) -> int:
    headers = {**credentials, "Host": "registry.example.com", "X-Forwarded-For": client}
    return (await AsgiClient(application, peer).request("GET", _LOGIN, headers)).status


async def test_who_guesses_through_a_listed_proxy_locks_out_nobody_else_s18(application: Application) -> None:
    """And gains no guess by a header of its own, which the proxy passes on before what it adds."""
    guesses = [await _ask(application, f"198.51.100.{n}, 192.0.2.7", _WRONG) for n in range(4)]

    assert guesses == [401, 401, 401, 429]
    assert await _ask(application, "192.0.2.7", basic(*ADMINISTRATOR)) == 429
    assert await _ask(application, "192.0.2.8", basic(*ADMINISTRATOR)) == 200


async def test_who_is_not_listed_stays_one_place_whatever_it_says_s18(application: Application) -> None:
    guesses = [await _ask(application, f"192.0.2.{n}", _WRONG, peer="10.0.0.6") for n in range(4)]

    assert guesses == [401, 401, 401, 429]


async def test_a_robots_list_is_about_the_client_behind_a_listed_proxy_s9(
    application: Application, robot: dict[str, str]
) -> None:
    assert await _ask(application, "192.0.2.7", robot) == 200
    assert await _ask(application, "198.51.100.7", robot) == 401
    assert await _ask(application, "192.0.2.7, 198.51.100.7", robot) == 401
    assert await _ask(application, "192.0.2.7", robot, peer="10.0.0.6") == 401
    # Through a proxy of the client's own: its address is on the list, the one it passes on for is not known.
    assert await _ask(application, "198.51.100.7, 192.0.2.7", robot) == 401


async def test_the_audit_log_has_the_clients_address_i11(application: Application) -> None:
    assert await _ask(application, "192.0.2.7", basic(*ADMINISTRATOR)) == 200

    administrator = AsgiClient(application, headers=basic(*ADMINISTRATOR))
    found = await administrator.request("GET", "/api/v2.0/audit-logs?q=operation%3Dtoken.issue")
    assert [record["fields"]["source.ip"] for record in json.loads(found.body)] == ["192.0.2.7"]
