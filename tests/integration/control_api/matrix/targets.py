"""Whom somebody acts on who may do one thing alone: accounts that hold everything or no more than them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from entrepot.auth.permissions import SYSTEM_PERMISSIONS
from entrepot.auth.robots.permissions import ROBOT_PROJECT_PERMISSIONS, ROBOT_SYSTEM_PERMISSIONS
from tests.integration.control_api.matrix.stage import API, PASSWORD, Stage, made

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import httpx

__all__ = ["LoneRole", "Target", "make_target", "robot_entries"]

_ADDRESS: Final = "192.0.2.9"


@dataclass(frozen=True, slots=True)
class LoneRole:
    """The custom role of whoever acts, and nothing else is theirs."""

    name: str
    number: int
    permissions: tuple[str, ...]
    in_project: bool


@dataclass(slots=True)
class Target:
    """What is acted on.

    Attributes:
        values: what paths name, by the name of the parameter.
        logins: name and secret of everybody whose account it is.
        subjects: numbers of the person, the group and the robot.
        weak: what paths name of what the person is in or has, and what holds no more than the actor does by itself.
        apart: the same of what the person is not in.
    """

    name: str
    values: dict[str, Any] = field(default_factory=dict[str, Any])
    logins: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    subjects: list[int] = field(default_factory=list[int])
    weak: dict[str, Any] = field(default_factory=dict[str, Any])
    apart: dict[str, Any] = field(default_factory=dict[str, Any])
    project: str = ""

    @property
    def person(self) -> int:
        """The number of the person."""
        number: int = self.values["user_id"]
        return number


async def make_target(
    stage: Stage, admin: httpx.AsyncClient, name: str, role: LoneRole, *, mighty: bool
) -> Target:
    """Make one of each kind: mighty ones hold everything there is, others what the role says."""
    target = Target(name)
    body = {"username": name, "password": PASSWORD}
    target.values["user_id"] = made(await admin.post(f"{API}/users", json=body))
    target.subjects.append(target.person)
    target.logins.append((name, PASSWORD))
    if role.in_project:
        await _add_project(admin, target, role, mighty=mighty)
    else:
        await _add_credentials(stage, target)
        await _add_on_system(admin, target, role, mighty=mighty)
    if mighty:
        await _add_weak(admin, target, role)
    return target


async def _add_weak(admin: httpx.AsyncClient, target: Target, role: LoneRole) -> None:
    """Put the person into a group that has no right, or the actor's own role."""
    group = made(await admin.post(f"{API}/usergroups", json={"group_name": f"{target.name}-club"}))
    await admin.post(f"{API}/usergroups/{group}/members", json={"user_id": target.person})
    target.weak["group_id"] = group
    empty = {"group_name": f"{target.name}-empty"}
    target.apart["group_id"] = made(await admin.post(f"{API}/usergroups", json=empty))
    if role.name and not role.in_project:
        given = {"subject_id": group, "role": role.name}
        target.weak["assignment_id"] = made(await admin.post(f"{API}/role-assignments", json=given))
        target.weak["role_id"] = role.number


async def _add_credentials(stage: Stage, target: Target) -> None:
    """Give the person a token and a session, and a lock from elsewhere."""
    async with stage.client_of(target.name, PASSWORD) as own:
        target.values["token_id"] = (await own.post(f"{API}/access-tokens", json={"name": "mine"})).json()[
            "id"
        ]
        begun = await own.post(f"{API}/sessions", json={"username": target.name, "password": PASSWORD})
    target.values["session_id"] = begun.headers["location"].rpartition("/")[2]
    await stage.database.fetch(
        "INSERT INTO login_failures (account, address, failures, window_started_at, locked_until) "
        f"VALUES ('{target.name}', '{_ADDRESS}', 5, 4102444800000, 4102444800000)"
    )


async def _add_on_system(admin: httpx.AsyncClient, target: Target, role: LoneRole, *, mighty: bool) -> None:
    held = "operations-admin" if mighty else role.name
    group = made(await admin.post(f"{API}/usergroups", json={"group_name": f"{target.name}s"}))
    await admin.post(f"{API}/usergroups/{group}/members", json={"user_id": target.person})
    number = 0
    for subject in (group, target.person) if held else ():
        given = {"subject_id": subject, "role": held}
        number = made(await admin.post(f"{API}/role-assignments", json=given))
    permissions = tuple(SYSTEM_PERMISSIONS) if mighty else role.permissions
    own_role = {"name": f"{target.name}-role", "level": "system", "permissions": list(permissions)}
    target.values |= {"group_id": group, "assignment_id": number, "role_id": 0}
    target.subjects.append(group)
    if permissions:
        target.values["role_id"] = made(await admin.post(f"{API}/roles", json=own_role))
    if mighty:
        made(
            await admin.post(f"{API}/role-assignments", json={"subject_id": group, "role": own_role["name"]})
        )
    label = {"name": target.name, "scope": "g"}
    target.values["label_id"] = made(await admin.post(f"{API}/labels", json=label))
    await _add_robot(admin, target, robot_entries("", mighty=mighty, held=role.permissions))


async def _add_project(admin: httpx.AsyncClient, target: Target, role: LoneRole, *, mighty: bool) -> None:
    project = f"{target.name}-project"
    target.project = project
    body = {"project_name": project, "metadata": {"severity": "low"}}
    assert (await admin.post(f"{API}/projects", json=body)).status_code == 201
    number = (await admin.get(f"{API}/projects/{project}")).json()["project_id"]
    member = {"role_id": 1 if mighty else role.number, "member_user": {"user_id": target.person}}
    label = {"name": target.name, "scope": "p", "project_id": number}
    target.values |= {
        "project_name_or_id": project,
        "project_name": project,
        "mid": made(await admin.post(f"{API}/projects/{project}/members", json=member)),
        "meta_name": "severity",
        "repository_name": "app",
        "label_id": made(await admin.post(f"{API}/labels", json=label)),
        "project_number": number,
    }
    if mighty:
        await admin.post(f"{API}/projects/{project}/repositories", json={"name": "app"})
    await _add_robot(admin, target, robot_entries(project, mighty=mighty, held=role.permissions))


async def _add_robot(admin: httpx.AsyncClient, target: Target, entries: list[dict[str, Any]]) -> None:
    if not entries:
        target.values["robot_id"] = 0
        return
    level = "project" if target.project else "system"
    body = {"name": target.name, "level": level, "duration": 7, "permissions": entries}
    reply = await admin.post(f"{API}/robots", json=body)
    assert reply.status_code == 201, reply.text
    robot: Mapping[str, Any] = reply.json()
    target.values["robot_id"] = robot["id"]
    target.subjects.append(robot["id"])
    target.logins.append((robot["name"], robot["secret"]))


def robot_entries(project: str, *, mighty: bool, held: Iterable[str]) -> list[dict[str, Any]]:
    """Return what a robot of a project, or of the system, is permitted: all there is, or what somebody holds of it."""
    known = ROBOT_PROJECT_PERMISSIONS if project else ROBOT_SYSTEM_PERMISSIONS
    names = sorted(known if mighty else known & set(held))
    entries = (
        [_entry("project", project, names) if project else _entry("system", "/", names)] if names else []
    )
    if mighty and not project:
        entries.append(_entry("project", "*", sorted(ROBOT_PROJECT_PERMISSIONS)))
    return entries


def _entry(kind: str, namespace: str, names: Iterable[str]) -> dict[str, Any]:
    access = [dict(zip(("resource", "action"), name.split(":"), strict=True)) for name in names]
    return {"kind": kind, "namespace": namespace, "access": access}
