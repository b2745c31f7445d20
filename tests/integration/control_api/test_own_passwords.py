"""What becomes of one's own password that is missing or wrong where it has to be shown once more."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import httpx
import pytest

from tests.drivers.metadata.machine_accounts import on_sqlite
from tests.integration.control_api.building import ADMIN_PASSWORD

if TYPE_CHECKING:
    from tests.integration.control_api.conftest import Registry

pytestmark = on_sqlite

_NEW: Final = "Nv4#tundra-Bolt"
_WRONG: Final = {"old_password": "Not-the-1-password", "new_password": _NEW}


async def _counted(registry: Registry) -> list[Any]:
    return list(await registry.database.fetch("SELECT * FROM login_failures"))


async def _begin_session(browser: httpx.AsyncClient) -> dict[str, str]:
    """Log the administrator in as a browser does; return the header fields that its pages send."""
    browser.auth = httpx.Auth()
    begun = await browser.post("/sessions", json={"username": "admin", "password": ADMIN_PASSWORD})
    browser.cookies.clear()
    cookie = {"Cookie": begun.headers["set-cookie"].partition(";")[0]}
    shown = await browser.get("/users/current", headers=cookie)
    return cookie | {"X-Harbor-CSRF-Token": shown.headers["x-harbor-csrf-token"]}


@pytest.mark.parametrize("old", [{}, {"old_password": ""}, {"old_password": None}])
async def test_an_old_password_that_is_missing_is_no_guess_and_locks_nobody_out(
    registry: Registry, old: dict[str, Any]
) -> None:
    """However often: it is on record as an act that failed, and the next right one is taken."""
    async with registry.plain() as admin:
        replies = [await admin.put("/users/1/password", json={"new_password": _NEW, **old}) for _ in range(6)]
        counted = await _counted(registry)
        done = await admin.put(
            "/users/1/password", json={"old_password": ADMIN_PASSWORD, "new_password": _NEW}
        )

    assert {reply.status_code for reply in replies} == {422}
    assert replies[0].json()["errors"] == [
        {"code": "UNPROCESSABLE_ENTITY", "message": "old_password: is required"}
    ]
    assert counted == []
    bodies = [json.loads(note.body) for note in registry.notes.records]
    assert [(body["event.action"], body["http.response.status_code"]) for body in bodies] == [
        ("user.password.change", 422)
    ] * 6
    assert "user.password.change" not in (await registry.records())[:-1]
    assert done.status_code == 200


async def test_a_reset_of_somebody_elses_takes_no_old_password(registry: Registry) -> None:
    async with registry.plain() as admin:
        made = await admin.post("/users", json={"username": "bob", "password": ADMIN_PASSWORD})
        number = made.headers["location"].rpartition("/")[2]
        reset = await admin.put(f"/users/{number}/password", json={"new_password": _NEW})

    assert reset.status_code == 200


async def test_a_wrong_old_password_is_counted_and_does_not_end_the_session(registry: Registry) -> None:
    """Nothing in the answer has a browser or its pages think that the login is over, and it is not."""
    async with registry.plain() as browser:
        session = await _begin_session(browser)
        refused = await browser.put("/users/1/password", json=_WRONG, headers=session)
        after = await browser.get("/users/current", headers=session)

    assert refused.status_code == 403
    assert refused.json()["errors"] == [
        {
            "code": "FORBIDDEN",
            "message": "old_password is wrong: it is not the present password of this account",
        }
    ]
    assert not {"www-authenticate", "set-cookie"} & set(refused.headers)
    assert after.status_code == 200
    assert len(await _counted(registry)) == 1
    async with registry.plain("admin", _NEW) as changed:
        assert (await changed.get("/users/current")).status_code == 401


async def test_a_secret_that_was_made_here_is_a_wrong_old_password_and_not_counted(
    registry: Registry,
) -> None:
    async with registry.plain() as admin:
        made = await admin.post("/access-tokens", json={"name": "ci"})
        body = {"old_password": made.json()["secret"], "new_password": _NEW}
        refused = await admin.put("/users/1/password", json=body)

    assert refused.status_code == 403
    assert await _counted(registry) == []


async def test_a_wrong_password_for_an_access_token_is_counted_and_does_not_end_the_session_s15(
    registry: Registry,
) -> None:
    """It is on record as a failed login, with the status that was answered: the registry of these tests compares."""
    async with registry.plain() as browser:
        session = await _begin_session(browser)
        body = {"name": "laptop", "password": "Not-the-1-password"}
        refused = await browser.post("/access-tokens", json=body, headers=session)
        after = await browser.get("/users/current", headers=session)

    assert refused.status_code == 403
    assert refused.json()["errors"] == [
        {
            "code": "FORBIDDEN",
            "message": "password is wrong: it is not the present password of this account",
        }
    ]
    assert not {"www-authenticate", "set-cookie"} & set(refused.headers)
    assert after.status_code == 200
    assert len(await _counted(registry)) == 1
    assert await registry.database.count("access_tokens") == 0
    assert (await registry.records())[-1] == "session.login"
