"""Records of refused and failed acts say what they were meant for: in the log of its project, under its name (I11)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import httpx
import pytest

from tests.drivers.metadata.machine_accounts import on_sqlite
from tests.integration.control_api.cast import ADMIN

if TYPE_CHECKING:
    from entrepot.metadata.audit_store import NewAuditRecord
    from entrepot.metadata.store import Metadata
    from tests.drivers.metadata.counting import CountingObserver
    from tests.integration.control_api.cast import Cast

_NEW: Final = "Nv4#tundra-Bolt"
_DEVELOPER: Final = 2
_TEAM_LEAD: Final = 4
_PULL: Final = {
    "kind": "project",
    "namespace": "team",
    "access": [{"resource": "repository", "action": "pull"}],
}
_BOT: Final = {"name": "ci", "level": "project", "duration": 1, "permissions": [_PULL]}


class _Team:
    """A project with a repository, a robot, a label and members, and somebody who is none."""

    def __init__(self, cast: Cast, metadata: Metadata) -> None:
        self.cast = cast
        self.metadata = metadata
        self.robot = self.label = self.number = self.member = 0

    async def made(self) -> _Team:
        for name in ("ann", "lea", "zed"):
            await self.cast.person(name)
        await self.cast.member("team", _DEVELOPER, member_user={"username": "ann"})
        await self.cast.member("team", _TEAM_LEAD, member_user={"username": "lea"})
        await self.cast.made("/projects", {"project_name": "own"})
        async with self.cast.registry.plain() as admin:
            self.number = (await admin.get("/projects/team")).json()["project_id"]
            await admin.post("/projects/team/repositories", json={"name": "app"})
            made = await admin.post("/robots", json=_BOT)
            members = (await admin.get("/projects/team/members")).json()
        self.robot = made.json()["id"]
        self.member = next(one["id"] for one in members if one["entity_name"] == "lea")
        label = {"name": "red", "scope": "p", "project_id": self.number}
        self.label = await self.cast.made("/labels", label)
        return self

    @property
    def notes(self) -> list[NewAuditRecord]:
        return self.cast.registry.notes.records

    async def refused(self, name: str, method: str, path: str, body: Any = None) -> NewAuditRecord:
        """Return the one record of what is refused."""
        begun = len(self.notes)
        reply = await self.cast.ask(name, method, path, body)
        assert reply.status_code == 403, (path, reply.text)
        (record,) = self.notes[begun:]
        assert (record.action, record.outcome) == ("access.denied", "failure")
        return record

    async def log_of(self, name: str, project: str) -> list[dict[str, Any]]:
        """Return a project's log as somebody reads it, once all notes are handed in."""
        await self.metadata.write(lambda tx: tx.audit.extend(self.notes))
        reply = await self.cast.ask(name, "GET", f"/projects/{project}/auditlog-exts?page_size=100")
        assert reply.status_code == 200, reply.text
        entries: list[dict[str, Any]] = reply.json()
        return entries


@pytest.fixture
async def team(cast: Cast, metadata: Metadata) -> _Team:
    """Return the project."""
    return await _Team(cast, metadata).made()


async def test_who_leads_a_project_sees_what_was_refused_in_it_i11(team: _Team) -> None:
    """To members and to others, below the project's path and at gates that a number or a body names."""
    steps: list[tuple[str, str, str, Any, tuple[str, str]]] = [
        ("ann", "POST", "/projects/team/members", {"role_id": 1}, ("endpoint", "api.member.create")),
        ("ann", "DELETE", f"/projects/team/members/{team.member}", None, ("member", "lea")),
        ("ann", "DELETE", "/projects/team/members/999", None, ("endpoint", "api.member.delete")),
        ("ann", "PUT", "/projects/team", {"metadata": {"public": "true"}}, ("project", "team")),
        ("ann", "DELETE", f"/projects/{team.number}", None, ("project", "team")),
        ("ann", "PUT", "/projects/team/metadatas/public", {"public": "true"}, ("project", "team")),
        ("ann", "DELETE", "/projects/team/repositories/app", None, ("endpoint", "api.repository.delete")),
        ("ann", "POST", "/robots", _BOT, ("endpoint", "api.robot.create")),
        ("ann", "DELETE", f"/robots/{team.robot}", None, ("robot", "robot$team+ci")),
        ("ann", "DELETE", f"/labels/{team.label}", None, ("label", "red")),
        ("zed", "GET", "/projects/team/members", None, ("endpoint", "api.member.list")),
        ("zed", "POST", "/robots", _BOT, ("endpoint", "api.robot.create")),
        ("zed", "GET", "/projects/team/logs", None, ("endpoint", "api.project-log.list")),
    ]

    for name, method, path, body, about in steps:
        record = await team.refused(name, method, path, body)
        assert (record.object_kind, record.object_name) == about, path
        assert (record.project, record.project_id, record.user_name) == ("team", team.number, name), path

    seen = [one for one in await team.log_of("lea", "team") if one["operation"] == "access.denied"]
    assert len(seen) == len(steps)
    assert {one["username"] for one in seen} == {"ann", "zed"}


async def test_what_somebody_typed_becomes_no_project_and_is_answered_alike_s19(team: _Team) -> None:
    """A project that is missing, deleted or somebody else's: one answer, and a name only where there is one."""
    async with team.cast.registry.plain() as admin:
        await admin.post("/projects", json={"project_name": "gone"})
        await admin.delete("/projects/gone")
    texts = set[str]()
    for project, named in (("own", "own"), ("gone", ""), ("nowhere", ""), ("9999", ""), ("a b", "")):
        body = {"role_id": 1, "member_user": {"username": "zed"}}
        begun = len(team.notes)
        reply = await team.cast.ask("zed", "POST", f"/projects/{project}/members", body)
        (record,) = team.notes[begun:]
        assert (record.project, record.project_id is not None) == (named, bool(named))
        assert (record.object_kind, record.object_name) == ("endpoint", "api.member.create")
        texts.add(f"{reply.status_code} {reply.json()['errors'][0]}")
    robot = _BOT | {"permissions": [_PULL | {"namespace": "nowhere"}]}
    unknown = await team.refused("zed", "POST", "/robots", robot)
    missing = await team.refused("zed", "DELETE", "/robots/9999")

    assert len(texts) == 1
    assert [(one.project, one.object_name) for one in (unknown, missing)] == [
        ("", "api.robot.create"),
        ("", "api.robot.delete"),
    ]


async def test_what_a_rule_or_somebody_else_s_rights_refuse_is_in_the_projects_log_too(team: _Team) -> None:
    """Behind a gate, beyond what who acts holds, and where a password is due."""
    async with team.cast.registry.plain() as admin:
        taken = await admin.post("/robots", json=_BOT)
        number = await team.cast.person("due")
        await admin.put(f"/users/{number}/password", json={"new_password": _NEW})
    async with team.cast.registry.plain("due", _NEW) as due:
        refused = await due.delete("/projects/team")

    assert (taken.status_code, refused.status_code) == (409, 403)
    assert [(one.action, one.object_kind, one.object_name, one.project) for one in team.notes[-2:]] == [
        ("robot.create", "endpoint", "api.robot.create", "team"),
        ("access.denied", "project", "team", "team"),
    ]


@on_sqlite
async def test_who_is_not_known_has_nothing_looked_up(team: _Team, counts: CountingObserver) -> None:
    """Neither for a wrong secret, nor for none, nor for a page of another site."""
    transport: Any = httpx.ASGITransport(team.cast.registry.application)
    address = "http://registry.example/api/v2.0"
    counts.statements.clear()
    async with httpx.AsyncClient(transport=transport, base_url=address) as nobody:
        statuses = [
            (await nobody.delete("/projects/team", auth=("ann", "wrong"))).status_code,
            (await nobody.put(f"/users/{ADMIN}/password", json={"new_password": _NEW})).status_code,
            (await nobody.delete("/projects/team", headers={"sec-fetch-site": "cross-site"})).status_code,
        ]

    assert statuses == [401, 401, 403]
    assert not {"standings.in_project", "users.find"} & set(counts.statements)
    assert [(one.object_kind, one.project) for one in team.notes[-1:]] == [("endpoint", "")]


@on_sqlite
async def test_whoever_was_let_to_nothing_leaves_no_act_in_a_projects_log_i11(cast: Cast) -> None:
    """What can't be read of their request is a refusal, or a request that failed, and no act in a project of others."""
    number = await cast.made("/projects", {"project_name": "team"})
    label = await cast.made("/labels", {"name": "l", "scope": "p", "project_id": number})
    await cast.person("bob")
    begun = len(cast.registry.notes.records)
    steps = [
        ("DELETE", "/projects/team?a=1&a=2", None, 403),
        ("PUT", "/projects/team/members/1?a=1&a=2", {"role_id": 1}, 403),
        ("PUT", "/projects/team/metadatas/public", {"public": "x" * (1024 * 1024)}, 403),
        ("PUT", f"/labels/{label}", {"name": 7}, 422),
        ("DELETE", f"/labels/0{label}", None, 422),
    ]

    for method, path, body, status in steps:
        assert (await cast.ask("bob", method, path, body)).status_code == status, path

    told = [(note.action, note.object_kind, note.project_id) for note in cast.registry.notes.records[begun:]]
    assert told == [
        ("access.denied", "project", number),
        ("access.denied", "endpoint", number),
        ("access.denied", "project", number),
        ("label.update", "endpoint", None),
        ("label.delete", "endpoint", None),
    ]


@on_sqlite
async def test_what_cannot_be_read_is_on_record_with_its_target_for_whoever_has_a_part_in_it_i11(
    cast: Cast,
) -> None:
    """Of people always, and one's own act under its own name; in a project for those who hold something there."""
    number = await cast.made("/projects", {"project_name": "team"})
    label = await cast.made("/labels", {"name": "l", "scope": "p", "project_id": number})
    bob = await cast.person("bob")
    await cast.member("team", _DEVELOPER, member_user={"username": "bob"})
    begun = len(cast.registry.notes.records)

    await cast.ask("bob", "PUT", f"/users/{ADMIN}/password", {"new_password": 5})
    await cast.ask("bob", "PUT", f"/users/{bob}/password", {"new_password": 5})
    await cast.ask("bob", "PUT", f"/labels/{label}", {"name": 7})
    async with cast.registry.plain() as admin:
        await admin.delete(f"/labels/{label}?a=1&a=2")

    notes = cast.registry.notes.records[begun:]
    assert [(note.action, note.object_kind, note.object_name, note.project_id) for note in notes] == [
        ("user.password.reset", "user", "admin", None),
        ("user.password.change", "user", "", None),
        ("label.update", "label", "l", number),
        ("label.delete", "label", "l", number),
    ]


@on_sqlite
async def test_a_number_is_written_in_one_way_also_beside_a_project_called_so(cast: Cast) -> None:
    number = await cast.made("/projects", {"project_name": "team"})
    await cast.made("/projects", {"project_name": f"0{number}"})
    async with cast.registry.plain() as admin:
        by_name = await admin.get(f"/projects/0{number}")
        missing = await admin.get(f"/projects/00{number}")
        both = await admin.get(
            f"/projects/{number}",
            headers=[("x-is-resource-name", "false"), ("x-is-resource-name", "true")],
        )

    assert by_name.json()["name"] == f"0{number}"
    assert missing.status_code == 404
    assert both.status_code == 400
