"""Who may do one thing alone gains nothing by it, and takes nobody over: every endpoint that changes something (S9).

Each is asked with its own permission and no other, by a custom role, on accounts that hold everything and on such as
hold no more; and what is tried on things of somebody who holds everything is tried as well on what they are in or have
that by itself is worth no more than the actor's own, and with their number for everybody else's, so that nobody is
logged out by who holds less. What became of it is read from the tables again.
"""

from __future__ import annotations

import json
import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from tests.integration.control_api.matrix.expectations import rows
from tests.integration.control_api.matrix.lone_rights import GUESS, LONE_RIGHTS, Scene
from tests.integration.control_api.matrix.stage import API, PASSWORD, made, set_stage
from tests.integration.control_api.matrix.targets import LoneRole, make_target
from tests.integration.control_api.matrix.wielded import gained, logged_out, rows_of, wielded

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import httpx

    from tests.integration.control_api.matrix.expectations import Row
    from tests.integration.control_api.matrix.lone_rights import Attempt, Lone
    from tests.integration.control_api.matrix.stage import Stage
    from tests.integration.control_api.matrix.targets import Target

_READING: Final = frozenset({"GET", "HEAD"})
_DATA_PLANE: Final = {"<reference>": "v1", "<digest>": f"sha256:{'0' * 64}", "<session>": "0" * 32}
_HELP: Final = (
    "each endpoint that changes something needs an entry in LONE_RIGHTS of tests/integration/control_api/matrix/"
    "lone_rights.py: what who holds its permission alone sends to somebody who holds everything, and what is answered"
)


def _changing() -> dict[tuple[str, str], Row]:
    return {(row.operation, row.aspect): row for row in rows() if row.method not in _READING}


def test_every_endpoint_that_changes_something_says_what_its_permission_alone_can_do_s9() -> None:
    assert set(_changing()) - set(LONE_RIGHTS) == set(), _HELP
    assert set(LONE_RIGHTS) - set(_changing()) == set(), "entries of LONE_RIGHTS without an endpoint"


def test_what_changes_an_account_that_holds_more_says_why_s9() -> None:
    assert [key for key, lone in LONE_RIGHTS.items() if lone.changes and not lone.why] == []


async def test_who_may_one_thing_alone_gains_nothing_and_takes_nobody_over_s9(tmp_path: Path) -> None:
    """Nobody gains what the actor had not, no secret of the actor's opens the target, and the target is as it was."""
    wrong: list[str] = []
    async with set_stage(tmp_path) as stage, stage.administrator() as admin:
        for number, (key, row) in enumerate(_changing().items()):
            lone = LONE_RIGHTS.get(key)
            if lone is not None:  # its absence is told above
                wrong += await _Trial(stage, admin, row, lone, number).run()

    assert not wrong, "\n".join(wrong)


class _Trial:
    """One endpoint, by its permission alone: on who holds everything, then on who holds no more."""

    def __init__(self, stage: Stage, admin: httpx.AsyncClient, row: Row, lone: Lone, number: int) -> None:
        self._stage = stage
        self._admin = admin
        self._row = row
        self._lone = lone
        self._number = number
        self._wrong: list[str] = []
        self._is_harmed = False

    async def run(self) -> list[str]:
        """Return what is not as it should be."""
        actor = made(await self._admin.post(f"{API}/users", json=self._person("actor")))
        accomplice = made(await self._admin.post(f"{API}/users", json=self._person("friend")))
        role = await self._role(actor)
        for strength in ("mighty", "equal"):
            self._is_harmed = False
            target = await make_target(
                self._stage, self._admin, f"{strength}{self._number}", role, mighty=strength == "mighty"
            )
            member = await self._join(target, role, actor)
            for turn, attempt in enumerate(self._lone.attempts):
                name = f"new-{self._number}-{turn}-{strength}"
                scene = Scene(target, role, actor, member, accomplice, name)
                await self._attempt(attempt, scene, strength)
            for turn, attempt in enumerate(self._lone.attempts if target.weak else ()):
                name = f"new-{self._number}-{turn}-weak"
                scene = Scene(target, role, actor, member, accomplice, name)
                await self._sidle(attempt, scene)
        return self._wrong

    def _person(self, name: str) -> dict[str, str]:
        return {"username": f"{name}{self._number}", "password": PASSWORD}

    async def _role(self, actor: int) -> LoneRole:
        permissions = (*self._row.needs, *self._lone.also)
        name, in_project = f"lone{self._number}", self._row.in_project
        if not permissions:
            return LoneRole("", 0, (), in_project)
        body = {"name": name, "level": "project" if in_project else "system", "permissions": permissions}
        number = made(await self._admin.post(f"{API}/roles", json=body))
        if not in_project:
            given = {"subject_id": actor, "role": name}
            made(await self._admin.post(f"{API}/role-assignments", json=given))
        return LoneRole(name, number, permissions, in_project)

    async def _join(self, target: Target, role: LoneRole, actor: int) -> int:
        if not target.project:
            return 0
        body = {"role_id": role.number, "member_user": {"user_id": actor}}
        return made(await self._admin.post(f"{API}/projects/{target.project}/members", json=body))

    async def _attempt(self, attempt: Attempt, scene: Scene, strength: str) -> None:
        path, target = self._stage.database.path, scene.target
        before, rows_before = wielded(path), rows_of(path, target)
        reply = await self._send(self._request(attempt, scene))
        after, rows_after = wielded(path), rows_of(path, target)
        act = (
            f"{self._row.operation} {self._row.aspect!r} {str(attempt.body(scene))[:99]} on who is {strength}"
        )
        expected = attempt.mighty if strength == "mighty" else attempt.equal
        if reply.status_code != expected:
            self._wrong.append(f"{act}: {reply.status_code}, expected {expected} {reply.text[:160]}")
        if logged_out(before, after, scene.actor):
            self._wrong.append(f"{act}: who holds more is logged out")
        beyond = gained(before, after, scene.actor)
        if beyond:
            self._wrong.append(f"{act}: somebody gains {sorted(beyond)[:3]} of {len(beyond)}")
        changed = {table for table, found in rows_after.items() if found != rows_before[table]}
        self._is_harmed |= bool(changed & self._lone.changes)
        if strength == "mighty" and not changed <= self._lone.changes:
            self._wrong.append(f"{act}: changed are {sorted(changed - self._lone.changes)}")
        if strength == "mighty":
            await self._knock(act, target, _secrets_of(reply))

    async def _sidle(self, attempt: Attempt, scene: Scene) -> None:
        """Try the same on who holds everything by what has no right itself; whatever is answered, they stay in."""
        path, target = self._stage.database.path, scene.target
        instead = dict.fromkeys((scene.actor, scene.accomplice), target.person)
        asked = [self._request(attempt, scene)]
        for weak, others in (
            ({}, instead),
            (target.weak, {}),
            (target.weak, instead),
            (target.apart, instead),
        ):
            request = self._request(attempt, scene, weak, others)
            if request in asked:
                continue
            asked.append(request)
            before = wielded(path)
            reply = await self._send(request)
            after = wielded(path)
            act = f"{self._row.operation} {self._row.aspect!r} on {weak or 'its own'}: {reply.status_code}"
            if logged_out(before, after, scene.actor):
                self._wrong.append(f"{act}: who holds more is logged out")
            if beyond := gained(before, after, scene.actor):
                self._wrong.append(f"{act}: somebody gains {sorted(beyond)[:3]} of {len(beyond)}")

    def _request(
        self,
        attempt: Attempt,
        scene: Scene,
        weak: Mapping[str, Any] = MappingProxyType({}),
        others: Mapping[int, int] = MappingProxyType({}),
    ) -> tuple[str, Any]:
        """Return path and body, in which other things and people may stand for those of the scene."""
        values = scene.target.values | attempt.values(scene) | dict(weak)
        if others:
            values["user_id"] = scene.target.person
        path = re.sub(r"\{([a-z_]+)\}", lambda match: str(values[match.group(1)]), self._row.path)
        repository = f"{scene.target.project}/{scene.turn if self._row.aspect == 'new repository' else 'app'}"
        for name, value in (_DATA_PLANE | {"<name>": repository}).items():
            path = path.replace(name, value)
        return path, _with_others(attempt.body(scene), others)

    async def _send(self, request: tuple[str, Any]) -> httpx.Response:
        path, body = request
        sent: dict[str, Any] = {"data" if self._row.operation == "api.login" else "json": body}
        async with self._stage.client_of(f"actor{self._number}", PASSWORD) as client:
            return await client.request(self._row.method, path, **sent)

    async def _knock(self, act: str, target: Target, secrets: set[str]) -> None:
        """Try what the actor may know as the target, and what the target itself knows."""
        for name, own in target.logins:
            for secret in {GUESS, *secrets} - {own}:
                if await self._enters(name, secret):
                    self._wrong.append(f"{act}: {name} is entered with a secret of the actor's")
            if not self._is_harmed and not await self._enters(name, own):
                self._wrong.append(f"{act}: {name} does not get in any more")

    async def _enters(self, name: str, secret: str) -> bool:
        async with self._stage.client_of(name, secret) as client:
            return (await client.get("/v2/")).status_code == 200


def _with_others(body: Any, others: Mapping[int, int]) -> Any:
    """Return a body with numbers of other people, wherever they are in it; flags are no numbers."""
    return json.loads(json.dumps(body), parse_int=lambda digits: others.get(int(digits), int(digits)))


def _secrets_of(reply: httpx.Response) -> set[str]:
    """Return the secret that was shown, if any."""
    return set(re.findall(r'"secret":"([^"]+)"', reply.text))
