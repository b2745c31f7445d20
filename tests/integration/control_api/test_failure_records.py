"""What becomes of acts that fail: each leaves one record, which tells the status that was answered (I11, S27)."""

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


async def _failures(registry: Registry, action: str) -> list[tuple[str, int]]:
    rows = await registry.database.fetch(
        f"SELECT body FROM audit_records WHERE action = '{action}' AND outcome = 'failure' ORDER BY id"
    )
    bodies = [json.loads(body) for (body,) in rows]
    return [(body["event.reason"], body["http.response.status_code"]) for body in bodies]


async def test_own_passwords_that_do_not_change_are_recorded_with_their_status_i11(
    registry: Registry,
) -> None:
    """Wrong old ones, those that came too late for an answer, and whoever is locked out already."""
    async with registry.plain("admin", ADMIN_PASSWORD) as admin:
        statuses = [
            (
                await admin.put(
                    "/users/1/password", json={"old_password": f"no{number}", "new_password": _NEW}
                )
            ).status_code
            for number in range(7)
        ]

    assert statuses == [403, 403, 403, 403, 403, 429, 429]
    assert await _failures(registry, "user.password.change") == [
        *[("wrong password", 403)] * 5,
        *[("locked out", 429)] * 2,
    ]


async def test_changes_that_a_rule_refuses_leave_one_record_each_i11(registry: Registry) -> None:
    """With the act, the reason and the status that was answered, under the name of who asked."""
    alice = {"username": "alice", "password": _NEW}
    steps: list[tuple[str, str, Any]] = [
        ("PUT", "/users/1/sysadmin", {"sysadmin_flag": False}),
        ("PUT", "/users/1/password", {"old_password": ADMIN_PASSWORD, "new_password": "weak"}),
        ("POST", "/users", {"username": "bob", "password": "weak"}),
        ("POST", "/users", alice),
        ("POST", "/users", {"username": 7}),
        ("DELETE", "/projects/team", None),
        ("PUT", "/configurations", {"project_creation_restriction": "nobody"}),
        ("DELETE", "/users/99", None),
        ("DELETE", "/projects/none", None),
        ("POST", "/projects/team/members", {"role_id": 2, "member_user": {"username": "weak-password"}}),
    ]
    async with registry.plain() as admin:
        await admin.post("/users", json=alice)
        await admin.post("/projects", json={"project_name": "team"})
        await admin.post("/projects/team/repositories", json={"name": "app"})
        begun = len(registry.notes.records)
        statuses = [
            (await admin.request(method, path, json=body)).status_code for method, path, body in steps
        ]
        unnoted = [
            (await admin.get("/users/99")).status_code,
            (await admin.post("/users", json={"username": "eva", "password": _NEW})).status_code,
        ]

    assert statuses == [412, 400, 400, 409, 422, 412, 400, 404, 404, 404]
    assert unnoted == [404, 201]
    bodies = [json.loads(note.body) for note in registry.notes.records[begun:]]
    assert [(body["event.action"], body["http.response.status_code"]) for body in bodies] == [
        ("role.revoke", 412),
        ("user.password.change", 400),
        ("user.create", 400),
        ("user.create", 409),
        ("user.create", 422),
        ("project.delete", 412),
        ("configuration.update", 400),
        ("user.delete", 404),
        ("project.delete", 404),
        ("member.create", 404),
    ]
    assert {(body["event.outcome"], body["user.kind"]) for body in bodies} == {("failure", "user")}
    assert bodies[3]["event.reason"] == "the name alice can't be given to a person: it is taken"
    assert bodies[9]["event.reason"] == "there is no such user"
    assert bodies[5]["object"] == {
        "kind": "project",
        "name": "team",
        "project": "team",
        "tag": "",
        "digest": "",
    }
    assert {note.user_name for note in registry.notes.records[begun:]} == {"admin"}
    assert not any("weak" in note.body.decode() for note in registry.notes.records[begun:])


async def test_a_failure_that_can_not_be_noted_is_answered_with_503_i11(registry: Registry) -> None:
    registry.notes.is_full = True
    async with registry.plain() as admin:
        reply = await admin.delete("/users/99")
        registry.notes.is_full = False
        again = await admin.delete("/users/99")

    assert (reply.status_code, again.status_code) == (503, 404)
    assert reply.json()["errors"][0]["code"] == "UNAVAILABLE"
    assert "can't be recorded in the audit log" in reply.json()["errors"][0]["message"]


@pytest.mark.parametrize("site", ["same-origin", "same-site"])
async def test_what_a_foreign_page_has_a_browser_send_names_whose_session_it_is_s22(
    registry: Registry, site: str
) -> None:
    """Without the session's token, and from a page of a neighbouring site."""
    transport: Any = httpx.ASGITransport(registry.application)
    async with httpx.AsyncClient(transport=transport, base_url="http://registry.example/api/v2.0") as client:
        begun = await client.post("/sessions", json={"username": "admin", "password": ADMIN_PASSWORD})
        cookie = begun.headers["set-cookie"].partition(";")[0]
        await registry.database.fetch("UPDATE web_sessions SET last_seen_at = last_seen_at - 61000")
        seen = await registry.database.value("SELECT last_seen_at FROM web_sessions")
        refused = await client.post("/users", json={}, headers={"cookie": cookie, "sec-fetch-site": site})

    assert refused.status_code == 403
    assert not {"x-harbor-csrf-token", "set-cookie"} & set(refused.headers)
    assert await registry.database.value("SELECT last_seen_at FROM web_sessions") == seen
    assert [(note.action, note.user_name) for note in registry.notes.records] == [("access.denied", "admin")]


async def test_bodies_that_are_too_large_and_doubled_fields_are_on_record_i11(registry: Registry) -> None:
    """Of somebody known, and of a change; of nobody there is nothing to record."""
    large = b"x" * (1024 * 1024 + 1)
    async with registry.plain() as admin:
        await admin.get("/users/current")
        begun = len(registry.notes.records)
        replies = [
            await admin.post("/users", content=large),
            await admin.delete("/users/7?a=1&a=2"),
            await admin.get("/users?page=1&page=2"),
        ]
    transport: Any = httpx.ASGITransport(registry.application)
    async with httpx.AsyncClient(transport=transport, base_url="http://registry.example/api/v2.0") as nobody:
        unknown = await nobody.post("/users", content=large)

    assert [reply.status_code for reply in replies] == [413, 400, 400]
    assert unknown.status_code == 401
    assert [
        (note.action, note.user_name, json.loads(note.body)["http.response.status_code"])
        for note in registry.notes.records[begun:]
    ] == [("user.create", "admin", 413), ("user.delete", "admin", 400)]


async def test_an_address_that_is_taken_is_refused_with_409_and_on_record_without_it_s19(
    registry: Registry,
) -> None:
    """To administrators and to the person: the field is named, the address and its holder are not."""
    taken = {"email": "Alice@Example.org"}
    async with registry.plain() as admin:
        created = [
            await admin.post(
                "/users", json={"username": name, "password": _NEW, "email": f"{name}@example.org"}
            )
            for name in ("alice", "bob")
        ]
        number = int(created[1].headers["location"].rpartition("/")[2])
        begun = len(registry.notes.records)
        replies = [
            await admin.post("/users", json={"username": "carol", "password": _NEW, **taken}),
            await admin.put(f"/users/{number}", json=taken),
        ]
        cased = await admin.post("/users", json={"username": "Bob", "password": _NEW})
    async with registry.plain("bob", _NEW) as bob:
        replies.append(await bob.put(f"/users/{number}", json=taken))
        kept = await bob.get("/users/current")

    said = {(reply.status_code, *reply.json()["errors"][0].values()) for reply in replies}
    assert said == {(409, "CONFLICT", "the e-mail address can't be given to this person: it is taken")}
    assert (cased.status_code, kept.json()["email"]) == (409, "bob@example.org")
    noted = registry.notes.records[begun:]
    assert [note.action for note in noted] == ["user.create", "user.update", "user.create", "user.update"]
    assert not any("example.org" in note.body.decode().lower() for note in noted)
    assert await registry.database.value("SELECT count(*) FROM users") == 3
