"""What is done in a browser can be tied to the login that began it, and to its end (8.1.4.3a, S27)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.drivers.metadata.machine_accounts import on_sqlite
from tests.integration.control_api.building import ADMIN_PASSWORD

if TYPE_CHECKING:
    from tests.integration.control_api.conftest import Registry

pytestmark = on_sqlite

_ADDRESS = "http://registry.example/api/v2.0"


async def _bodies(registry: Registry) -> list[dict[str, Any]]:
    """Return what is on record, that of units first."""
    rows = await registry.database.fetch("SELECT body FROM audit_records ORDER BY id")
    return [json.loads(row[0]) for row in rows] + [json.loads(note.body) for note in registry.notes.records]


@pytest.mark.parametrize("way_in", ["/api/v2.0/sessions", "/c/login"])
async def test_a_login_and_what_follows_it_name_one_session(registry: Registry, way_in: str) -> None:
    """Acts, failures and refusals with the cookie, and the logout; what comes with a password names none."""
    transport: Any = httpx.ASGITransport(registry.application)
    async with httpx.AsyncClient(transport=transport, base_url="http://registry.example") as browser:
        if way_in == "/c/login":
            form = {"principal": "admin", "password": ADMIN_PASSWORD}
            begun = await browser.post(way_in, data=form)
        else:
            begun = await browser.post(way_in, json={"username": "admin", "password": ADMIN_PASSWORD})
        cookie = begun.headers["set-cookie"].partition(";")[0]
        proof = {"cookie": cookie, "x-harbor-csrf-token": begun.headers["x-harbor-csrf-token"]}
        (session,) = (await browser.get("/api/v2.0/sessions", headers=proof)).json()
        api = f"{_ADDRESS}/projects"
        statuses = [
            (await browser.post(api, json={"project_name": "team"}, headers=proof)).status_code,
            (await browser.post(api, json={"project_name": "team"}, headers=proof)).status_code,
            (await browser.post(api, json={}, headers={"cookie": cookie})).status_code,
            (await browser.post("/c/log_out", headers=proof)).status_code,
        ]
    async with registry.plain() as admin:
        await admin.delete("/projects/team")

    assert statuses == [201, 409, 403, 200]
    bodies = await _bodies(registry)
    told = {(one["event.action"], one["event.outcome"]): one["credential"] for one in bodies}
    assert told == {
        ("user.create", "success"): "",
        ("session.login", "success"): "",
        ("project.create", "success"): session["id"],
        ("session.logout", "success"): session["id"],
        ("project.delete", "success"): "",
        ("project.create", "failure"): session["id"],
        ("access.denied", "failure"): session["id"],
    }
    logins = [one.get("change") for one in bodies if one["event.action"] == "session.login"]
    assert logins == [{"before": None, "after": {"session": session["id"]}}, None]
    (logout,) = (one for one in bodies if one["event.action"] == "session.logout")
    assert logout["object"]["name"] == session["id"]
    assert cookie.partition("=")[2] not in json.dumps(bodies)
