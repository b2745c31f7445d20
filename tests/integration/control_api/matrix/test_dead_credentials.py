"""What opens nothing any more opens no endpoint, in a public project neither; who only pulls does only that (S2)."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from typing import TYPE_CHECKING, Any, Final

import httpx

from tests.asgi.identity import SERVICE
from tests.integration.control_api.matrix.asking import Asked, ask, bodies, path_of
from tests.integration.control_api.matrix.expectations import ROBOT_PERMISSIONS, is_allowed, rows
from tests.integration.control_api.matrix.stage import (
    API,
    CLOSED,
    OPEN,
    PASSWORD,
    PROJECTS,
    Stage,
    made,
    robot_body,
    set_stage,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.control_api.matrix.expectations import Row

_READING: Final = frozenset({"repository:pull", "repository:read", "artifact:read"})
_NOW: Final = "SELECT CAST(unixepoch('subsec') * 1000 AS integer)"
_SOON: Final = "SELECT CAST(unixepoch('subsec') * 1000 AS integer) + 3000"
_DONE: Final = frozenset({200, 201, 400, 409})
_WITHOUT_A_NAME: Final = frozenset(
    {
        *("api.ping", "api.health.read", "api.schema", "api.system-info.read"),
        *("api.login", "api.session.create", "api.logout"),
    }
)
"""Nobody's name is looked at, as for monitoring; the rest of what is open to everybody is not open to a wrong name."""


def _basic(name: str, secret: str) -> dict[str, str]:
    return {"Authorization": "Basic " + b64encode(f"{name}:{secret}".encode()).decode()}


async def _person(stage: Stage, admin: httpx.AsyncClient, name: str) -> int:
    """Make somebody who may everything: on the system, and in both projects."""
    number = made(await admin.post(f"{API}/users", json={"username": name, "password": PASSWORD}))
    given = {"subject_id": number, "role": "operations-admin"}
    made(await admin.post(f"{API}/role-assignments", json=given))
    for project in PROJECTS:
        member = {"role_id": 1, "member_user": {"user_id": number}}
        made(await admin.post(f"{API}/projects/{project}/members", json=member))
    return number


async def _robot(admin: httpx.AsyncClient, name: str, names: frozenset[str]) -> dict[str, Any]:
    """Make a robot that may the same in both projects."""
    access = [dict(zip(("resource", "action"), one.split(":"), strict=True)) for one in sorted(names)]
    granted = [{"kind": "project", "namespace": project, "access": access} for project in PROJECTS]
    asked = robot_body("", name) | {"permissions": granted}
    reply = await admin.post(f"{API}/robots", json=asked)
    assert reply.status_code == 201, reply.text
    robot: dict[str, Any] = reply.json()
    return robot


async def _dead(stage: Stage, admin: httpx.AsyncClient) -> dict[str, dict[str, str]]:
    """Return what is presented, by what became of it; each opened everything before."""
    found: dict[str, dict[str, str]] = {}
    number = await _person(stage, admin, "former")
    found["disabled person"] = _basic("former", PASSWORD)
    async with stage.client_of("former", PASSWORD) as former:
        query = {"service": SERVICE, "scope": f"repository:{CLOSED}/app:pull,push"}
        bearer = (await former.get("/service/token", params=query)).json()["token"]
        found["token of a disabled person"] = {"Authorization": f"Bearer {bearer}"}
        begun = await former.post(f"{API}/sessions", json={"username": "former", "password": PASSWORD})
        found["session of a disabled person"] = {
            "Cookie": begun.headers["set-cookie"].partition(";")[0],
            "X-Harbor-CSRF-Token": begun.headers["x-harbor-csrf-token"],
        }
    await _person(stage, admin, "lasting")
    async with stage.client_of("lasting", PASSWORD) as lasting:
        own = (await lasting.post(f"{API}/access-tokens", json={"name": "mine"})).json()
    found["expired access token"] = {"Authorization": f"Bearer {own['secret']}"}
    robots = [await _robot(admin, name, ROBOT_PERMISSIONS) for name in ("late", "off")]
    found["expired robot"], found["disabled robot"] = (_basic(one["name"], one["secret"]) for one in robots)

    end = int(await stage.database.value(_SOON))
    await stage.database.fetch(f"UPDATE access_tokens SET expires_at = {end} WHERE public_id = '{own['id']}'")
    await stage.database.fetch(f"UPDATE robots SET expires_at = {end} WHERE subject_id = {robots[0]['id']}")
    for became, presented in found.items():
        by_plane = became.endswith(("person", "robot")) and not became.startswith("session")
        path = f"/v2/{CLOSED}/app/tags/list" if by_plane else f"{API}/projects/{CLOSED}"
        async with _client(stage, presented) as client:
            assert (await client.get(path)).status_code == 200, f"{became}: was never alive"

    left = end - int(await stage.database.value(_NOW))
    await asyncio.sleep(max(0, left) / 1000 + 0.01)
    assert (await admin.put(f"{API}/users/{number}/disabled", json={"disabled": True})).status_code == 200
    off = robot_body("", "off") | {"disable": True}
    assert (await admin.put(f"{API}/robots/{robots[1]['id']}", json=off)).status_code == 200
    return found


def _client(stage: Stage, headers: dict[str, str]) -> httpx.AsyncClient:
    transport: Any = httpx.ASGITransport(stage.application)
    return httpx.AsyncClient(transport=transport, base_url="http://registry.example", headers=headers)


async def _answered(stage: Stage, row: Row, project: str, headers: dict[str, str]) -> httpx.Response:
    asked = Asked(stage, "robot", project)
    body = bodies(stage, project, in_project=row.aspect == "in the project").get(row.operation)
    sent: dict[str, Any] = {"data" if row.operation == "api.login" else "json": body}
    async with _client(stage, headers) as client:
        reply = await client.request(row.method, path_of(row, asked), **sent)
        if (
            reply.status_code == 429
        ):  # so many failures lock the account at this address, which is another question
            await stage.database.fetch("DELETE FROM login_failures")
            reply = await client.request(row.method, path_of(row, asked), **sent)
        return reply


async def test_what_is_dead_opens_no_endpoint_in_no_project_s2(tmp_path: Path) -> None:
    wrong: list[str] = []
    asked = 0
    async with set_stage(tmp_path) as stage, stage.administrator() as admin:
        dead = await _dead(stage, admin)
        for became, headers in dead.items():
            for project in PROJECTS:
                for row in rows():
                    if row.operation in _WITHOUT_A_NAME:
                        continue
                    reply = await _answered(stage, row, project, headers)
                    asked += 1
                    if became.startswith("session") and is_allowed(
                        row, "anonymous", is_public=project == OPEN
                    ):
                        continue  # a browser that was left alone sees what everybody sees
                    if reply.status_code != 401:
                        cell = f"{row.operation} {row.method} {row.aspect!r} in {project}"
                        wrong.append(f"{became}: {cell}: {reply.status_code} {reply.text[:100]}")

    assert not wrong, "\n".join(wrong)
    assert asked > 1000


async def test_a_robot_that_only_pulls_does_only_that_s2(tmp_path: Path) -> None:
    wrong: list[str] = []
    async with set_stage(tmp_path) as stage, stage.administrator() as admin:
        robot = await _robot(admin, "reader", _READING)
        for project in PROJECTS:
            async with stage.client_of(robot["name"], robot["secret"]) as client:
                for row in rows():
                    reply = await ask(row, Asked(stage, "robot", project), client)
                    as_robot = is_allowed(row, "robot", is_public=project == OPEN)
                    allowed = as_robot and not set(row.needs) & (ROBOT_PERMISSIONS - _READING)
                    passed = (
                        reply.status_code in _DONE
                        if row.is_gated
                        else reply.status_code not in {401, 403} and reply.status_code < 500
                    )
                    if passed != allowed:
                        cell = f"{row.operation} {row.method} {row.aspect!r} in {project}"
                        wrong.append(f"{cell}: {reply.status_code}, expected {allowed} {reply.text[:100]}")

    assert not wrong, "\n".join(wrong)
