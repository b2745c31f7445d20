"""What belongs to one thing can't be had through another (S7): derived from the paths that are declared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from entrepot.control_api.declarations import path_parameters
from entrepot.control_api.routes import all_endpoints
from tests.integration.control_api.matrix.asking import Asked, bodies, path_of
from tests.integration.control_api.matrix.expectations import rows
from tests.integration.control_api.matrix.stage import API, CLOSED, OPEN, PASSWORD, Stage, made, set_stage
from tests.integration.control_api.matrix.state import stored

if TYPE_CHECKING:
    from pathlib import Path

    from entrepot.control_api.declarations import AnyEndpoint
    from tests.integration.control_api.matrix.expectations import Row

_PARENTS: Final = frozenset({"project_name_or_id", "project_name", "group_id", "user_id"})
_NO_IDS: Final = frozenset({"meta_name"})
"""Names that every project has; there is none of another project."""


def _nested() -> list[tuple[AnyEndpoint, str]]:
    """Return each endpoint whose path names something within something, and the parameter of the inner thing."""
    found: list[tuple[AnyEndpoint, str]] = []
    for endpoint in all_endpoints():
        outer, *inner = path_parameters(endpoint.path) or ("",)
        found += [(endpoint, name) for name in inner if outer in _PARENTS and name not in _NO_IDS]
    return found


def _row_of(endpoint: AnyEndpoint) -> Row:
    return next(row for row in rows() if row.operation == endpoint.operation)


def test_the_paths_that_nest_are_known_s7() -> None:
    """One that is added is asked below by itself; this list shows that they are found at all."""
    assert {(endpoint.operation, name) for endpoint, name in _nested()} == {
        *((f"api.member.{verb}", "mid") for verb in ("read", "update", "delete")),
        *((f"api.repository.{verb}", "repository_name") for verb in ("read", "update", "delete")),
        ("api.access-token.delete-of-person", "token_id"),
        ("api.group-member.remove", "user_id"),
    }


async def test_nothing_is_reached_through_a_parent_that_is_not_its_own_s7(tmp_path: Path) -> None:
    """An operations administrator, who may all of it, gets 404 for the id of another parent, and nothing changes."""
    async with set_stage(tmp_path) as stage:
        ours, theirs = Asked(stage, "operations-admin", OPEN), Asked(stage, "operations-admin", CLOSED)
        await _add_strangers(stage)
        before, wrong = await stored(stage), list[str]()
        for endpoint, name in _nested():
            row = _row_of(endpoint)
            path = _mixed(endpoint, name, path_of(row, ours), path_of(row, theirs), stage)
            async with stage.client("operations-admin", OPEN) as client:
                body = bodies(stage, OPEN).get(endpoint.operation)
                reply = await client.request(endpoint.method, path, json=body)
            if reply.status_code != 404:
                wrong.append(f"{endpoint.method} {path}: {reply.status_code}")

        assert wrong == []
        assert await stored(stage) == before


async def _add_strangers(stage: Stage) -> None:
    """Make what is in the other parent only: a repository of the closed project, a token, a member of a group."""
    async with stage.administrator() as admin:
        await admin.post(f"{API}/projects/{CLOSED}/repositories", json={"name": "stranger"})
        group = made(await admin.post(f"{API}/usergroups", json={"group_name": "strangers"}))
        await admin.post(f"{API}/usergroups/{group}/members", json={"user_id": stage.people["bystander"]})


def _mixed(endpoint: AnyEndpoint, name: str, ours: str, theirs: str, stage: Stage) -> str:
    """Return the path with our parent and the thing of another."""
    if name == "repository_name":
        return f"{ours.rpartition('/')[0]}/stranger"
    if name == "token_id":
        return ours.replace(f"/users/{stage.people['bystander']}/", f"/users/{stage.people['walker']}/")
    if endpoint.operation == "api.group-member.remove":
        return ours
    return f"{ours.rpartition('/')[0]}/{theirs.rpartition('/')[2]}"


async def test_robots_and_labels_of_another_project_are_refused_s7(tmp_path: Path) -> None:
    """Their paths name no project; whoever administers one gets nowhere with the numbers of another's, nor of none."""
    async with set_stage(tmp_path) as stage:
        async with stage.administrator() as admin:
            number = made(await admin.post(f"{API}/projects", json={"project_name": "third"}))
            body = {"role_id": 1, "member_user": {"username": "walker"}}
            made(await admin.post(f"{API}/projects/{number}/members", json=body))
        before, wrong = await stored(stage), list[str]()
        asked = Asked(stage, "project-admin", CLOSED)
        for row in (row for row in rows() if row.aspect == "in the project" and "_id}" in row.path):
            there, nowhere = path_of(row, asked), f"{path_of(row, asked).rpartition('/')[0]}/999"
            refused: list[tuple[int, bytes]] = []
            for path in (there, nowhere):
                async with stage.client_of("walker", PASSWORD) as client:
                    sent = bodies(stage, CLOSED, in_project=True).get(row.operation)
                    reply = await client.request(row.method, path, json=sent)
                refused.append((reply.status_code, reply.content))
            wrong += [f"{row.method} {there}: {status}" for status, _ in refused if status != 403]

        assert wrong == []
        assert await stored(stage) == before


async def test_what_is_ones_own_is_nobody_elses_s7(tmp_path: Path) -> None:
    """The number of somebody else's access token or session is the number of nothing."""
    async with set_stage(tmp_path) as stage:
        async with stage.client_of("walker", PASSWORD) as walker:
            body = {"username": "walker", "password": PASSWORD}
            session = (await walker.post(f"{API}/sessions", json=body)).headers["location"]
        async with stage.client("guest", CLOSED) as guest:
            statuses = [
                (await guest.delete(path)).status_code
                for path in (f"{API}/access-tokens/{stage.token}", session)
            ]

        assert statuses == [404, 404]
        assert await stage.database.count("access_tokens") == 1
        assert await stage.database.count("web_sessions") == 1
