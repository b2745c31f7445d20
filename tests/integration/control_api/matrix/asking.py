"""How each row is asked: paths of things that exist, and bodies that an endpoint takes.

What a path names is there, or its absence is told only to those who may know; so a 401 or 403 is always about rights.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tests.integration.control_api.matrix.stage import API, PASSWORD, add_robot, made, robot_body

if TYPE_CHECKING:
    import httpx

    from tests.integration.control_api.matrix.expectations import Caller, Row
    from tests.integration.control_api.matrix.stage import Stage

__all__ = ["Asked", "ask", "bodies", "path_of"]

_DIGEST: Final = f"sha256:{'0' * 64}"
_DATA_PLANE: Final = {"<reference>": "v1", "<digest>": _DIGEST, "<session>": "0" * 32}
_REFUSED_PASSWORD: Final = "short"
"""Right old passwords come with this one, so that nobody's is ever changed."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asks in which project."""

    stage: Stage
    caller: Caller
    project: str


def _queries(asked: Asked, row: Row) -> dict[str, Any]:
    number = asked.stage.projects[asked.project]
    in_project = row.aspect == "in the project"
    queries: dict[str, dict[str, Any]] = {
        "api.permission.list": {"project_name_or_id": asked.project} if in_project else {},
        "api.role.list": {"project_name_or_id": asked.project} if in_project else {},
        "api.robot.list": {"q": f"Level=project,ProjectID={number}"} if in_project else {},
        "api.label.list": {"scope": "p", "project_id": number} if in_project else {},
        "api.session.list": {"all": "true"} if row.aspect == "of others" else {},
        "api.user.search": {"username": "by"},
        "api.group.search": {"groupname": "st"},
        "api.project.find": {"project_name": asked.project},
    }
    return queries.get(row.operation, {})


def bodies(stage: Stage, project: str, *, in_project: bool = False) -> dict[str, dict[str, Any]]:
    """Return what each endpoint that takes a body is asked with."""
    label = {"name": "new", "scope": "p" if in_project else "g"}
    robot = robot_body(project if in_project else "", "new")
    return {
        "api.session.create": {"username": "walker", "password": PASSWORD},
        "api.login": {"principal": "walker", "password": PASSWORD},
        "api.user.create": {"username": "new", "password": PASSWORD},
        "api.user.update": {"comment": "seen"},
        "api.user.set-administrator": {"sysadmin_flag": False},
        "api.user.set-password": {"new_password": "Kt5!zzWq-canary-3"},
        "api.user.set-disabled": {"disabled": False},
        "api.group.create": {"group_name": "new"},
        "api.group.update": {"group_name": "staff"},
        "api.group-member.replace": {"user_ids": [stage.people["bystander"]]},
        "api.group-member.add": {"user_id": stage.people["bystander"]},
        "api.access-token.create": {"name": "new"},
        "api.role.create": {"name": "new", "permissions": ["repository:pull"]},
        "api.role.update": {"permissions": ["label:list", "label:read"]},
        "api.role-assignment.create": {"subject_id": stage.people["walker"], "role_id": 5},
        "api.project.create": {"project_name": "new"},
        "api.project.update": {"metadata": {"severity": "low"}},
        "api.metadata.create": {"severity": "high"},
        "api.metadata.update": {"severity": "high"},
        "api.member.create": {"role_id": 3, "member_user": {"username": "walker"}},
        "api.member.update": {"role_id": 3},
        "api.repository.create": {"name": "new"},
        "api.repository.update": {"description": "seen"},
        "api.robot.create": robot,
        "api.robot.update": {"description": "seen"},
        "api.robot.replace-secret": {"secret": ""},
        "api.label.create": label | ({"project_id": stage.projects[project]} if in_project else {}),
        "api.label.update": {"name": "mine" if in_project else "everywhere"},
        "api.configuration.update": {"project_creation_restriction": "adminonly"},
    }


def path_of(row: Row, asked: Asked) -> str:
    """Return the path with everything that it names."""
    stage, project = asked.stage, asked.project
    home = project if row.aspect == "in the project" else ""
    person = "doomed" if row.operation == "api.user.delete" else "bystander"
    doomed = "doomed" if row.operation == "api.repository.delete" else "app"
    own = stage.people.get(asked.caller, 0)
    repository = f"new-for-{asked.caller}" if row.aspect == "new repository" else "app"
    values = {
        "project_name_or_id": project,
        "project_name": project,
        "repository_name": doomed,
        "mid": stage.members[project],
        "meta_name": "severity",
        "label_id": stage.labels[home],
        "robot_id": stage.robots[home],
        "user_id": own if row.aspect == "own" else stage.people[person],
        "group_id": stage.group,
        "role_id": stage.role,
        "assignment_id": stage.assignment,
        "token_id": stage.token,
        "session_id": "none",
    }
    data_plane = _DATA_PLANE | {"<name>": f"{project}/{repository}"}
    path = re.sub(r"\{([a-z_]+)\}", lambda match: str(values[match.group(1)]), row.path)
    return re.sub(r"<[a-z]+>", lambda match: data_plane[match.group(0)], path)


async def ask(row: Row, asked: Asked, client: httpx.AsyncClient) -> httpx.Response:
    """Ask one cell."""
    body = bodies(asked.stage, asked.project, in_project=row.aspect == "in the project").get(row.operation)
    if (row.operation, row.aspect) == ("api.user.set-password", "own"):
        secret = asked.stage.secrets.get(asked.caller, ("", ""))[1]
        body = {"old_password": secret, "new_password": _REFUSED_PASSWORD}
    sent: dict[str, Any] = {"data" if row.operation == "api.login" else "json": body}
    reply = await client.request(row.method, path_of(row, asked), params=_queries(asked, row), **sent)
    client.cookies.clear()  # a session that was begun would speak for whoever asks next
    await _replace(row, asked, reply)
    return reply


async def _replace(row: Row, asked: Asked, reply: httpx.Response) -> None:
    """Make again what was deleted and is found by its number alone."""
    if row.operation not in {"api.robot.delete", "api.label.delete"} or reply.status_code != 200:
        return
    home = asked.project if row.aspect == "in the project" else ""
    async with asked.stage.administrator() as admin:
        if row.operation == "api.robot.delete":
            asked.stage.robots[home] = await add_robot(admin, home, "again")
        else:
            label = {"name": "mine" if home else "everywhere", "scope": "p" if home else "g"}
            body = label | ({"project_id": asked.stage.projects[home]} if home else {})
            asked.stage.labels[home] = made(await admin.post(f"{API}/labels", json=body))
