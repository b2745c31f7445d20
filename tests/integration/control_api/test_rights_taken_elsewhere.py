"""Rights that another process took give nothing away any more, not even before it is heard of (S14)."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.stateful.node import basic, node_settings, open_node

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
    from pathlib import Path

    from tests.asgi.client import AsgiReply
    from tests.stateful.node import Node

_PASSWORD = "Wobbly-7Lantern-Pq"
_MALLORY = basic("mallory", _PASSWORD)


@dataclass(frozen=True, slots=True)
class Pair:
    """Two processes on one database: the administrator is at `here`, mallory at `there`."""

    here: Node
    there: Node
    numbers: dict[str, int]

    async def do(self, method: str, path: str, body: object = None) -> AsgiReply:
        """Act as the administrator."""
        reply = await self.here.api(method, path, body)
        assert reply.status < 300, reply.body
        return reply

    async def state(self) -> list[object]:
        """Return who has which rights, as a third party reads it."""
        return [
            json.loads((await self.here.api("GET", path)).body)
            for path in ("role-assignments", "projects/team/members", "users", "robots", "roles")
        ]

    async def made(self, method: str, path: str, body: object) -> int:
        """Act as the administrator, and return the number of what was made."""
        return int((await self.do(method, path, body)).headers["location"].rpartition("/")[2])


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[Pair]:
    """Two processes, and three people without a role."""
    async with contextlib.AsyncExitStack() as stack:
        settings = node_settings(tmp_path)
        here, there = [await stack.enter_async_context(open_node(settings)) for _ in range(2)]
        pair = Pair(here, there, {})
        for name in ("mallory", "alt"):
            body = {"username": name, "email": f"{name}@example.org", "realname": name, "password": _PASSWORD}
            pair.numbers[name] = await pair.made("POST", "users", body)
        await pair.do("POST", "projects", {"project_name": "team"})
        yield pair


_MEMBER = {"role_id": 1, "member_user": {"username": "alt"}}


def _assignment(pair: Pair, name: str) -> dict[str, object]:
    return {"subject_id": pair.numbers[name], "role": "operations-admin"}


async def _operations_admin(pair: Pair) -> int:
    return await pair.made("POST", "role-assignments", _assignment(pair, "mallory"))


async def _taken(pair: Pair, number: int) -> None:
    await pair.do("DELETE", f"role-assignments/{number}")


async def _disabled(pair: Pair, _: int) -> None:
    await pair.do("PUT", f"users/{pair.numbers['mallory']}/disabled", {"disabled": True})


async def _deleted(pair: Pair, _: int) -> None:
    await pair.do("DELETE", f"users/{pair.numbers['mallory']}")


async def _reset(pair: Pair, _: int) -> None:
    path = f"users/{pair.numbers['mallory']}/password"
    await pair.do("PUT", path, {"new_password": "Another-7Lantern-Pq"})


_ENDINGS = [_taken, _disabled, _deleted, _reset]
_ACTS: dict[str, Callable[[Pair], tuple[str, str, object]]] = {
    "gives the role on": lambda pair: ("POST", "role-assignments", _assignment(pair, "alt")),
    "sets a password": lambda _: ("PUT", "users/1/password", {"new_password": "Xylo-Grommet-88quark"}),
    "makes a member": lambda _: ("POST", "projects/team/members", _MEMBER),
    "makes a robot": lambda _: (
        "POST",
        "robots",
        {
            "name": "later",
            "level": "project",
            "duration": -1,
            "permissions": [
                {
                    "kind": "project",
                    "namespace": "team",
                    "access": [{"resource": "repository", "action": "pull"}],
                }
            ],
        },
    ),
}


@pytest.mark.parametrize("act", list(_ACTS))
@pytest.mark.parametrize("ending", _ENDINGS)
async def test_who_was_an_administrator_a_moment_ago_changes_nothing_by_way_of_another_process_s14(
    pair: Pair, ending: Callable[[Pair, int], Awaitable[None]], act: str
) -> None:
    number = await _operations_admin(pair)
    warm = await pair.there.api(
        "POST", "role-assignments", {"subject_id": 99999, "role": "auditor"}, _MALLORY
    )
    assert warm.status == 404, warm.body  # both memories of that process hold mallory's rights now
    await ending(pair, number)
    before = await pair.state()

    method, path, body = _ACTS[act](pair)
    reply = await pair.there.api(method, path, body, _MALLORY)

    assert reply.status in {401, 403}
    assert await pair.state() == before


async def test_who_was_a_member_a_moment_ago_makes_no_member_by_way_of_another_process_s14(
    pair: Pair,
) -> None:
    body = {"role_id": 1, "member_user": {"username": "mallory"}}
    number = await pair.made("POST", "projects/team/members", body)
    reply = await pair.there.api("GET", "projects/team/members", headers=_MALLORY)
    assert reply.status == 200
    await pair.do("DELETE", f"projects/team/members/{number}")
    before = await pair.state()

    reply = await pair.there.api("POST", "projects/team/members", _MEMBER, _MALLORY)

    assert reply.status == 403
    assert await pair.state() == before


def _meanwhile(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, ending: Callable[[], Coroutine[Any, Any, None]]
) -> None:
    """Have the next unit of mallory's process come after a change by the other one: she was let in before."""
    metadata, write = pair.there.metadata, pair.there.metadata.write

    async def later(unit: Any) -> Any:
        monkeypatch.undo()
        await asyncio.create_task(ending(), context=contextvars.Context())  # another request than mallory's
        return await write(unit)

    monkeypatch.setattr(metadata, "write", later)


@pytest.mark.parametrize("act", ["gives the role on", "makes a member", "makes a robot"])
@pytest.mark.parametrize("ending", _ENDINGS)
async def test_who_loses_a_right_while_using_it_has_not_used_it_s14(
    pair: Pair, ending: Callable[[Pair, int], Awaitable[None]], act: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The unit itself looks, and the request is decided anew."""
    number = await _operations_admin(pair)
    method, path, body = _ACTS[act](pair)
    # The login is another unit, which this one would be mistaken for.
    assert (await pair.there.api("GET", "users/current", headers=_MALLORY)).status == 200
    before: list[object] = []

    async def end() -> None:
        await ending(pair, number)
        before.extend(await pair.state())

    _meanwhile(pair, monkeypatch, end)
    reply = await pair.there.api(method, path, body, _MALLORY)

    assert reply.status == (403 if ending is _taken else 401), reply.body
    assert await pair.state() == before


async def test_a_role_in_a_project_that_is_lost_while_it_is_used_has_not_been_used_s14(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = {"role_id": 1, "member_user": {"username": "mallory"}}
    number = await pair.made("POST", "projects/team/members", body)
    assert (await pair.there.api("GET", "users/current", headers=_MALLORY)).status == 200

    async def end() -> None:
        await pair.do("DELETE", f"projects/team/members/{number}")

    _meanwhile(pair, monkeypatch, end)
    reply = await pair.there.api("POST", "projects/team/members", _MEMBER, _MALLORY)

    assert reply.status == 403
    members = json.loads((await pair.here.api("GET", "projects/team/members")).body)
    assert [member["entity_name"] for member in members] == ["admin"]


async def test_a_session_in_a_browser_is_held_to_the_same_s14(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It carries no password that could be checked again."""
    number = await _operations_admin(pair)
    begun = await pair.there.submit("/c/login", {"principal": "mallory", "password": _PASSWORD})
    cookie = begun.headers["set-cookie"].partition(";")[0]
    headers = {"Cookie": cookie}
    seen = await pair.there.api("GET", "users/current", headers=headers)
    headers["X-Harbor-CSRF-Token"] = seen.headers["x-harbor-csrf-token"]

    async def end() -> None:
        await _taken(pair, number)

    _meanwhile(pair, monkeypatch, end)
    reply = await pair.there.api("POST", "role-assignments", _assignment(pair, "alt"), headers)

    assert reply.status == 401, reply.body


async def test_what_somebody_changes_of_their_own_rights_is_no_reason_to_refuse_them(pair: Pair) -> None:
    """The look comes first: one's own password, role or account may be what the request changes."""
    number = await _operations_admin(pair)
    assert (await pair.there.api("DELETE", f"role-assignments/{number}", headers=_MALLORY)).status == 200
    change = {"old_password": _PASSWORD, "new_password": "Another-7Lantern-Pq"}
    path = f"users/{pair.numbers['mallory']}/password"

    assert (await pair.there.api("PUT", path, change, _MALLORY)).status == 200


async def test_a_group_that_is_given_rights_meanwhile_is_not_joined_by_its_helper_s9(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also an empty one, where nobody's epoch moves."""
    group = await pair.made("POST", "usergroups", {"group_name": "crew", "group_type": 2})
    role = {"name": "helpers", "level": "system", "permissions": ["user-group:update", "user-group:read"]}
    await pair.do("POST", "roles", role)
    body = {"subject_id": pair.numbers["mallory"], "role": "helpers"}
    await pair.made("POST", "role-assignments", body)
    assert (await pair.there.api("GET", f"usergroups/{group}", headers=_MALLORY)).status == 200

    async def give() -> None:
        await pair.do("POST", "role-assignments", {"subject_id": group, "role": "operations-admin"})

    _meanwhile(pair, monkeypatch, give)
    joining = {"user_id": pair.numbers["mallory"]}
    reply = await pair.there.api("POST", f"usergroups/{group}/members", joining, _MALLORY)

    assert reply.status == 403, reply.body
    assert json.loads((await pair.here.api("GET", f"usergroups/{group}/members")).body) == []


async def test_a_person_who_is_given_rights_meanwhile_gets_no_password_of_a_helpdesk_s9(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A role in a project moves no person's epoch."""
    role = {"name": "helpdesk", "level": "system", "permissions": ["user:update", "user:read"]}
    await pair.do("POST", "roles", role)
    await pair.made("POST", "role-assignments", {"subject_id": pair.numbers["mallory"], "role": "helpdesk"})
    path = f"users/{pair.numbers['alt']}"
    assert (await pair.there.api("GET", path, headers=_MALLORY)).status == 200

    async def give() -> None:
        await pair.do("POST", "projects/team/members", _MEMBER)

    _meanwhile(pair, monkeypatch, give)
    change = {"new_password": "Another-7Lantern-Pq"}
    reply = await pair.there.api("PUT", f"{path}/password", change, _MALLORY)

    assert reply.status == 403, reply.body
    alt = basic("alt", _PASSWORD)
    assert (await pair.here.api("GET", "users/current", headers=alt)).status == 200


async def test_changes_of_one_project_at_the_same_time_are_all_made(pair: Pair) -> None:
    """Each moves what the others were decided by; they are decided anew and not refused."""
    people: list[str] = []
    for number in range(12):
        name = f"p{number}"
        body = {"username": name, "email": f"{name}@example.org", "realname": name, "password": _PASSWORD}
        await pair.made("POST", "users", body)
        people.append(name)

    replies = await asyncio.gather(
        *(
            (pair.here, pair.there)[number % 2].api(
                "POST", "projects/team/members", {"role_id": 3, "member_user": {"username": name}}
            )
            for number, name in enumerate(people)
        )
    )

    assert [reply.status for reply in replies] == [201] * len(people)


async def test_a_role_that_is_made_to_permit_more_meanwhile_is_not_given_in_a_project_s9(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By who holds what it permitted when they were judged; no epoch of the project moves."""
    light = {"name": "light", "level": "project", "permissions": ["repository:pull"]}
    keeper = {
        "name": "keeper",
        "level": "project",
        "permissions": ["repository:pull", "member:create", "member:list", "project:read"],
    }
    role_id, keeper_id = [await pair.made("POST", "roles", role) for role in (light, keeper)]
    body = {"role_id": keeper_id, "member_user": {"username": "mallory"}}
    await pair.made("POST", "projects/team/members", body)
    assert (await pair.there.api("GET", "projects/team/members", headers=_MALLORY)).status == 200

    async def widen() -> None:
        more = {"permissions": ["repository:pull", "repository:push"], "description": ""}
        await pair.do("PUT", f"roles/{role_id}", more)

    _meanwhile(pair, monkeypatch, widen)
    giving = {"role_id": role_id, "member_user": {"username": "alt"}}
    reply = await pair.there.api("POST", "projects/team/members", giving, _MALLORY)

    assert reply.status == 403, reply.body
    members = json.loads((await pair.here.api("GET", "projects/team/members")).body)
    assert sorted(member["entity_name"] for member in members) == ["admin", "mallory"]


@pytest.mark.parametrize("act", ["remove", "change"])
async def test_a_member_whose_role_is_made_to_permit_more_meanwhile_is_not_touched_by_who_holds_less_s9(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, act: str
) -> None:
    """Their old role is judged as it is when it is taken from them."""
    light = {"name": "light", "level": "project", "permissions": ["repository:pull"]}
    names = [
        "repository:pull",
        "member:create",
        "member:update",
        "member:delete",
        "member:list",
        "project:read",
    ]
    keeper = {"name": "keeper", "level": "project", "permissions": names}
    least = {"name": "least", "level": "project", "permissions": ["project:read"]}
    role_id, keeper_id, least_id = [await pair.made("POST", "roles", role) for role in (light, keeper, least)]
    members = [
        await pair.made("POST", "projects/team/members", {"role_id": role, "member_user": {"username": name}})
        for name, role in (("mallory", keeper_id), ("alt", role_id))
    ]
    assert (await pair.there.api("GET", "projects/team/members", headers=_MALLORY)).status == 200
    before: list[object] = []

    async def widen() -> None:
        more = {"permissions": ["repository:pull", "repository:push"], "description": ""}
        await pair.do("PUT", f"roles/{role_id}", more)
        before.extend(await pair.state())

    _meanwhile(pair, monkeypatch, widen)
    method, body = ("DELETE", None) if act == "remove" else ("PUT", {"role_id": least_id})
    reply = await pair.there.api(method, f"projects/team/members/{members[1]}", body, _MALLORY)

    assert reply.status == 403, reply.body
    assert await pair.state() == before


async def test_what_another_process_closed_a_moment_ago_is_closed_for_changes(pair: Pair) -> None:
    """Settings are remembered for seconds, for what only reads and for the data plane."""
    made = {"project_name": "first"}
    await pair.do("PUT", "configurations", {"project_creation_restriction": "everyone"})
    assert (await pair.there.api("POST", "projects", made, _MALLORY)).status == 201
    repository = {"name": "app"}
    assert (await pair.there.api("POST", "projects/first/repositories", repository, _MALLORY)).status == 201
    await pair.do("PUT", "configurations", {"project_creation_restriction": "adminonly", "read_only": True})

    project = await pair.there.api("POST", "projects", {"project_name": "second"}, _MALLORY)
    more = await pair.there.api("POST", "projects/first/repositories", {"name": "more"}, _MALLORY)
    less = await pair.there.api("DELETE", "projects/first/repositories/app", None, _MALLORY)

    assert [project.status, more.status, less.status] == [403, 403, 403]
    found = json.loads((await pair.here.api("GET", "projects/first/repositories")).body)
    assert [each["name"] for each in found] == ["first/app"]
