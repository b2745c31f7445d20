"""What a request was decided by, and is lost while the request waits for its turn, is not used any more (S14).

Every endpoint that changes something and demands something, by every way of losing what it demands. The request is
let in and waits for the order of changes, where the loss waits before it, or is made by who holds the order.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import httpx
import pytest

from entrepot.blobstore.filesystem.store import FilesystemBlobStore
from tests.integration.control_api.building import built_api
from tests.integration.control_api.matrix.asking import Asked, bodies, path_of
from tests.integration.control_api.matrix.expectations import rows
from tests.integration.control_api.matrix.losses import Casting, losses_of
from tests.integration.control_api.matrix.stage import API, PASSWORD, Stage, fill_stage
from tests.integration.control_api.matrix.waiting import Announced, Order

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable
    from pathlib import Path

    from entrepot.kernel.asgi import Application
    from entrepot.metadata.store import Metadata
    from tests.drivers.metadata.raw_database import RawDatabase
    from tests.integration.control_api.matrix.expectations import Row
    from tests.integration.control_api.matrix.losses import Actor, Loss

_READING: Final = frozenset({"GET", "HEAD"})
_REFUSED: Final = frozenset({401, 403})
_GONE: Final = 404
_SETTING: Final = "setting changed"
_ABOUT_SESSIONS: Final = frozenset({"session.login", "session.revoke"})
"""Recorded of who asks as well as of who makes the loss; sessions are among the tables."""
_TABLES: Final = {
    "subjects": "SELECT id, kind, name, disabled_at FROM subjects ORDER BY id",
    "users": "SELECT subject_id, email, comment, password_hash, must_change_password FROM users ORDER BY subject_id",
    "group_members": "SELECT group_id, user_id FROM group_members ORDER BY 1, 2",
    "roles": "SELECT id, name, permissions FROM roles ORDER BY id",
    "role_assignments": "SELECT id, subject_id, project_id, role FROM role_assignments ORDER BY id",
    "access_tokens": "SELECT id, expires_at FROM access_tokens ORDER BY id",
    "web_sessions": "SELECT id, expires_at FROM web_sessions ORDER BY id",
    "robots": "SELECT subject_id, description, permissions, secret_hash FROM robots ORDER BY subject_id",
    "projects": "SELECT id, name, is_public, repository_creation, deleted_at FROM projects ORDER BY id",
    "project_metadata": "SELECT * FROM project_metadata ORDER BY 1, 2",
    "repositories": "SELECT id, name, description FROM repositories ORDER BY id",
    "labels": "SELECT id, name FROM labels ORDER BY id",
    "configurations": "SELECT name, value FROM configurations ORDER BY name",
    "login_failures": "SELECT * FROM login_failures ORDER BY 1, 2",
}
_TOUCHED: Final[dict[Loss, frozenset[str]]] = {
    "session ended": frozenset({"web_sessions"}),
    "session expired": frozenset({"web_sessions"}),
    "token revoked": frozenset({"access_tokens"}),
    "token expired": frozenset({"access_tokens"}),
    "disabled": frozenset(
        {"subjects", "login_failures"}
    ),  # their password opens nothing any more, which counts
    "demoted": frozenset({"role_assignments"}),
    "taken out of the group": frozenset({"group_members"}),
    "role narrowed": frozenset({"roles"}),
    "member removed": frozenset({"role_assignments"}),
    "project deleted": frozenset(
        {"projects", "role_assignments", "robots", "labels", "subjects", "project_metadata"}
    ),
    _SETTING: frozenset({"configurations"}),
}
"""What each loss changes itself; for all the rest, nothing may have."""


def _demanding() -> list[Row]:
    return [
        row
        for row in rows()
        if row.operation.startswith("api.")
        and row.method not in _READING
        and row.who not in {"everybody", "everybody at ease"}
    ]


def _kind(row: Row) -> str:
    if row.who != "whom roles allow":
        return "own"
    return "project" if row.in_project else "system"


def _sample() -> list[tuple[Row, Loss]]:
    """Return each row once, and with each kind of demand each loss that it has."""
    chosen: list[tuple[Row, Loss]] = []
    for kind in ("own", "system", "project"):
        of_kind = [row for row in _demanding() if _kind(row) == kind]
        every = [loss for row in of_kind for loss in losses_of(row)]
        wanted = sorted(dict.fromkeys(every), key=every.count)
        for turn, row in enumerate(of_kind):
            own = losses_of(row)
            missing = [loss for loss in wanted if loss in own and not _has(chosen, kind, loss)]
            chosen.append((row, missing[0] if missing else own[turn % len(own)]))
        settings = [row for row in of_kind if _SETTING in losses_of(row) and (row, _SETTING) not in chosen]
        chosen += [(row, _SETTING) for row in settings]
    return chosen


def _has(chosen: Iterable[tuple[Row, Loss]], kind: str, loss: Loss) -> bool:
    return any(_kind(row) == kind and found == loss for row, found in chosen)


def test_the_sample_has_each_endpoint_and_each_loss_with_each_kind_of_demand() -> None:
    sample = _sample()
    pairs = {(_kind(row), loss) for row in _demanding() for loss in losses_of(row)}

    assert {row for row, _ in sample} == set(_demanding())
    assert {(_kind(row), loss) for row, loss in sample} == pairs
    assert {loss for _, loss in sample} == set(_TOUCHED)


@dataclass(frozen=True, slots=True)
class _Scene:
    stage: Stage
    admin: httpx.AsyncClient
    casting: Casting
    here: Announced
    there: Announced
    other: Application
    order: Order

    def client(self, headers: dict[str, str]) -> httpx.AsyncClient:
        """Return a client of the other process."""
        transport: Any = httpx.ASGITransport(self.other)
        return httpx.AsyncClient(transport=transport, base_url="http://registry.example", headers=headers)


@pytest.fixture
async def scene(metadata: Metadata, database: RawDatabase, tmp_path: Path) -> AsyncIterator[_Scene]:
    """Two processes on one database, and all that there is to be changed."""
    here, there = Announced(metadata), Announced(metadata)
    stores: list[Any] = [here, there]
    async with contextlib.AsyncExitStack() as stack:
        blobs = FilesystemBlobStore(tmp_path / "blobs", min_free_bytes=0)
        await blobs.prepare()
        stack.push_async_callback(blobs.aclose)
        apis = [await stack.enter_async_context(built_api(store, blobs, tmp_path)) for store in stores]
        stage = Stage(apis[0].application, database)
        await fill_stage(stage)
        admin = await stack.enter_async_context(stage.administrator())
        order = await stack.enter_async_context(Order(database).opened())
        yield _Scene(stage, admin, Casting(stage, admin), here, there, apis[1].application, order)


async def test_what_is_lost_while_a_request_waits_has_not_been_used_s14(scene: _Scene) -> None:
    wrong = [told for row, loss in _sample() for told in await _try(scene, row, loss)]

    assert not wrong, "\n".join(wrong)


@pytest.mark.long
async def test_the_same_of_every_endpoint_and_every_loss_s14(scene: _Scene) -> None:
    wrong = [told for row in _demanding() for loss in losses_of(row) for told in await _try(scene, row, loss)]

    assert not wrong, "\n".join(wrong)


async def _try(scene: _Scene, row: Row, loss: Loss) -> list[str]:
    """Return what is not as it should be."""
    actor = await scene.casting.cast(row, loss)
    asked = Asked(scene.stage, "outsider", actor.project)
    path, body = _path(row, asked, actor), _body(row, asked)
    async with scene.client(actor.headers) as client:
        for each in (client, scene.admin):  # it is remembered who they are: to log in is a unit as well
            assert (await each.get(f"{API}/users/current")).status_code == 200
        before = await scene.order.contents(_TABLES)
        record = (await scene.order.fetch("SELECT coalesce(max(id), 0) FROM audit_records"))[0][0]
        reply, has_waited = await _race(scene, actor, client.request(row.method, path, json=body))
    after = await scene.order.contents(_TABLES)
    act = f"{row.operation} {row.aspect!r} {loss}"
    wrong: list[str] = []
    if not has_waited:
        wrong.append(f"{act}: nothing waited: {reply.status_code} {reply.text[:160]}")
    if reply.status_code not in (_REFUSED | {_GONE} if loss == "project deleted" else _REFUSED):
        wrong.append(f"{act}: {reply.status_code} {reply.text[:160]}")
    changed = {table for table, found in after.items() if found != before[table]} - _TOUCHED[loss]
    if changed:
        wrong.append(f"{act}: changed are {sorted(changed)}")
    done = await _done(scene, actor, record)
    if done:
        wrong.append(f"{act}: recorded are {done}")
    if loss == _SETTING:
        defaults = {"read_only": False, "project_creation_restriction": "adminonly"}
        await scene.admin.put(f"{API}/configurations", json=defaults)
    return wrong


async def _race(scene: _Scene, actor: Actor, request: Any) -> tuple[httpx.Response, bool]:
    """Have a request wait behind the loss, and return its reply, and whether it waited."""
    here, there = scene.here.units, scene.there.units
    losing: asyncio.Task[httpx.Response] | None = None
    async with scene.order.held():
        ahead = 0
        if actor.lose is None:
            await scene.order.run(actor.statement)
        else:
            losing, ahead = asyncio.ensure_future(_sent(actor)), 1
            assert await scene.order.wait_for(scene.here, here + 1, ahead), (
                f"{actor.name} loses nothing: {losing}"
            )
        acting = asyncio.ensure_future(request)
        waiting = asyncio.ensure_future(scene.order.wait_for(scene.there, there + 1, ahead + 1))
        await asyncio.wait((acting, waiting), return_when=asyncio.FIRST_COMPLETED)
        has_waited = waiting.done() and waiting.result() and not acting.done()
        waiting.cancel()
    if losing is not None:
        lost = await losing
        assert lost.status_code == 200, lost.text
    return await acting, has_waited


async def _sent(actor: Actor) -> httpx.Response:
    assert actor.lose is not None
    return await actor.lose()


async def _done(scene: _Scene, actor: Actor, since: int) -> list[str]:
    """Return which changes of somebody were recorded since."""
    found = await scene.order.fetch(
        f"SELECT action FROM audit_records WHERE id > {since} AND outcome = 'success' AND user_name = '{actor.name}'"
    )
    return [action for (action,) in found if action not in _ABOUT_SESSIONS]


def _path(row: Row, asked: Asked, actor: Actor) -> str:
    if row.aspect == "own":
        asked.stage.people[asked.caller] = actor.number
    return path_of(row, asked)


def _body(row: Row, asked: Asked) -> dict[str, Any] | None:
    stage = asked.stage
    found = bodies(stage, asked.project, in_project=row.aspect == "in the project")
    found |= {
        "api.access-token.create": {"name": "new", "password": PASSWORD},
        "api.role.create": {"name": "new", "level": "system", "permissions": ["label:list"]},
        "api.role-assignment.create": {"subject_id": stage.people["walker"], "role": "registrar"},
    }
    if (row.operation, row.aspect) == ("api.user.set-password", "own"):
        return {"old_password": PASSWORD, "new_password": "Wq8#other-canary-7"}
    return found.get(row.operation)
