"""Each way in which somebody loses what a request of theirs was decided by, and who it happens to."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from entrepot.auth.permissions import PROJECT_PERMISSIONS, SYSTEM_PERMISSIONS
from tests.integration.control_api.matrix.stage import API, CLOSED, PASSWORD, add_robot, made

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import httpx

    from tests.integration.control_api.matrix.expectations import Row
    from tests.integration.control_api.matrix.stage import Stage

__all__ = ["Actor", "Casting", "Loss", "losses_of"]

Loss = str
_PRESENTED: Final = ("session ended", "session expired", "token revoked", "token expired", "disabled")
_HELD: Final = ("demoted", "taken out of the group", "role narrowed")
_IN_PROJECT: Final = ("member removed", "project deleted")
_SETTINGS: Final = {
    "api.project.create": ("project_creation_restriction", "everyone", "adminonly"),
    "api.repository.create": ("read_only", False, True),
    "api.repository.delete": ("read_only", False, True),
}
_NEEDS_REPOSITORY: Final = {"api.repository.update", "api.repository.delete"}
_BY_PASSWORD: Final = ("api.access-token.create", "api.access-token.delete")
_ON_WHO_HOLDS_MORE: Final = {
    "api.user.update",
    "api.user.set-administrator",
    "api.user.set-disabled",
    "api.user.set-password",
    "api.user.unlock",
    "api.access-token.delete-of-person",
    "api.group-member.add",
    "api.group-member.remove",
    "api.group-member.replace",
    "api.role.update",
    "api.role-assignment.delete",
}
"""Asked of a member of projects, which takes more than a role of the level system can hold."""
_PROJECT_ADMIN: Final = 1


def losses_of(row: Row) -> tuple[Loss, ...]:
    """Return how what a row demands can be lost."""
    found = [loss for loss in _PRESENTED if row.operation not in _BY_PASSWORD or not loss.startswith("token")]
    if row.who == "whom roles allow":
        found += [
            loss for loss in _HELD if loss != "role narrowed" or row.operation not in _ON_WHO_HOLDS_MORE
        ]
    if row.in_project:
        # A project with a repository is not deleted.
        found += [
            loss for loss in _IN_PROJECT if loss == "member removed" or row.operation not in _NEEDS_REPOSITORY
        ]
    if row.operation in _SETTINGS:
        found.append("setting changed")
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks, and how it is taken from them.

    Attributes:
        headers: what they present.
        project: which they ask about.
        lose: what the administrator asks for; `None` where `statement` does it.
    """

    name: str
    number: int
    headers: dict[str, str]
    project: str
    lose: Callable[[], Awaitable[httpx.Response]] | None
    statement: str = ""


class Casting:
    """Makes actors, each new, and whatever else a loss takes with it."""

    def __init__(self, stage: Stage, admin: httpx.AsyncClient) -> None:
        self._stage = stage
        self._admin = admin
        self._count = 0

    async def cast(self, row: Row, loss: Loss) -> Actor:
        """Return somebody who may do what a row is about, until the loss."""
        self._count += 1
        name = f"actor{self._count}"
        number = made(await self._post("users", {"username": name, "password": PASSWORD}))
        project = await self._fresh_project() if loss == "project deleted" else CLOSED
        lose = await self._give(row, loss, number, project)
        headers, own, statement = await self._present(loss, name, number)
        return Actor(name, number, headers, project, None if statement else own or lose, statement)

    async def _post(self, path: str, body: dict[str, Any]) -> httpx.Response:
        return await self._admin.post(f"{API}/{path}", json=body)

    def _deleting(self, path: str) -> Callable[[], Awaitable[httpx.Response]]:
        return lambda: self._admin.delete(f"{API}/{path}")

    def _putting(self, path: str, body: dict[str, Any]) -> Callable[[], Awaitable[httpx.Response]]:
        return lambda: self._admin.put(f"{API}/{path}", json=body)

    async def _give(
        self, row: Row, loss: Loss, number: int, project: str
    ) -> Callable[[], Awaitable[httpx.Response]] | None:
        """Give the rights, and return what takes them, for losses of rights."""
        if loss == "setting changed":
            setting, before, after = _SETTINGS[row.operation]
            assert (await self._putting("configurations", {setting: before})()).status_code == 200
            if row.in_project:
                await self._join(project, number, _PROJECT_ADMIN)
            return self._putting("configurations", {setting: after})
        if row.who != "whom roles allow":
            return None
        if loss == "role narrowed":
            return await self._by_custom_role(row, number, project)
        if loss == "taken out of the group":
            return await self._by_group(row, number, project)
        if row.in_project and loss != "demoted":
            member = await self._join(project, number, _PROJECT_ADMIN)
            gone = (
                f"projects/{project}" if loss == "project deleted" else f"projects/{project}/members/{member}"
            )
            return self._deleting(gone)
        given = made(await self._post("role-assignments", {"subject_id": number, "role": "operations-admin"}))
        return self._deleting(f"role-assignments/{given}")

    async def _by_custom_role(
        self, row: Row, number: int, project: str
    ) -> Callable[[], Awaitable[httpx.Response]]:
        level, known = ("project", PROJECT_PERMISSIONS) if row.in_project else ("system", SYSTEM_PERMISSIONS)
        body = {"name": f"wide{self._count}", "level": level, "permissions": [*known]}
        role = made(await self._post("roles", body))
        if row.in_project:
            await self._join(project, number, role)
        else:
            made(await self._post("role-assignments", {"subject_id": number, "role": body["name"]}))
        left = "repository:pull" if row.in_project else "user:list"
        return self._putting(f"roles/{role}", {"permissions": [left]})

    async def _by_group(self, row: Row, number: int, project: str) -> Callable[[], Awaitable[httpx.Response]]:
        group = made(await self._post("usergroups", {"group_name": f"crew{self._count}"}))
        if row.in_project:
            member = {"role_id": _PROJECT_ADMIN, "member_group": {"id": group}}
            made(await self._post(f"projects/{project}/members", member))
        else:
            made(await self._post("role-assignments", {"subject_id": group, "role": "operations-admin"}))
        assert (await self._post(f"usergroups/{group}/members", {"user_id": number})).status_code == 201
        return self._deleting(f"usergroups/{group}/members/{number}")

    async def _join(self, project: str, number: int, role: int) -> int:
        body = {"role_id": role, "member_user": {"user_id": number}}
        return made(await self._post(f"projects/{project}/members", body))

    async def _fresh_project(self) -> str:
        """Make a project with one of each thing but a repository, and have the stage know it."""
        name = f"fresh{self._count}"
        body = {"project_name": name, "metadata": {"severity": "low"}}
        assert (await self._post("projects", body)).status_code == 201
        stage = self._stage
        stage.projects[name] = (await self._admin.get(f"{API}/projects/{name}")).json()["project_id"]
        stage.members[name] = await self._join(name, stage.people["bystander"], 3)
        label = {"name": "mine", "scope": "p", "project_id": stage.projects[name]}
        stage.labels[name] = made(await self._post("labels", label))
        stage.robots[name] = await add_robot(self._admin, name, "bystander")
        return name

    async def _present(
        self, loss: Loss, name: str, number: int
    ) -> tuple[dict[str, str], Callable[[], Awaitable[httpx.Response]] | None, str]:
        """Return what somebody presents, and what takes that, for losses of what is presented."""
        async with self._stage.client_of(name, PASSWORD) as own:
            if loss.startswith("session"):
                begun = await own.post(f"{API}/sessions", json={"username": name, "password": PASSWORD})
                session = begun.headers["location"].rpartition("/")[2]
                cookie = begun.headers["set-cookie"].partition(";")[0]
                headers = {"Cookie": cookie, "X-Harbor-CSRF-Token": begun.headers["x-harbor-csrf-token"]}
                ended = f"UPDATE web_sessions SET expires_at = 1 WHERE public_id = '{session}'"
                assert (
                    await own.get(f"{API}/users/current")
                ).status_code == 200  # known to the other process
                own_end = partial(self._end_own, name, session)
                return (headers, None, ended) if loss == "session expired" else (headers, own_end, "")
            if loss.startswith("token"):
                token = (await own.post(f"{API}/access-tokens", json={"name": "mine"})).json()
                headers = {"Authorization": f"Bearer {token['secret']}"}
                ended = f"UPDATE access_tokens SET expires_at = 1 WHERE public_id = '{token['id']}'"
                revoking = self._deleting(f"users/{number}/access-tokens/{token['id']}")
                return (headers, None, ended) if loss == "token expired" else (headers, revoking, "")
        basic = {"Authorization": "Basic " + b64encode(f"{name}:{PASSWORD}".encode()).decode()}
        if loss == "disabled":
            return basic, self._putting(f"users/{number}/disabled", {"disabled": True}), ""
        return basic, None, ""

    async def _end_own(self, name: str, session: str) -> httpx.Response:
        """Have somebody end their own session with the password, by one unit; an administrator takes two."""
        async with self._stage.client_of(name, PASSWORD) as own:
            return await own.delete(f"{API}/sessions/{session}")
