"""What has an id of its own is the same to whoever may not touch it, whether it is there or not (S19).

Derived from the paths that are declared, so that an endpoint that is added is asked by itself.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from entrepot.control_api.declarations import path_parameters
from entrepot.control_api.routes import all_endpoints
from tests.integration.control_api.matrix.asking import Asked, bodies, path_of
from tests.integration.control_api.matrix.expectations import rows
from tests.integration.control_api.matrix.stage import API, CLOSED, PASSWORD, Stage, made, set_stage

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

    from tests.integration.control_api.matrix.expectations import Row

_NAMING_PROJECTS: Final = frozenset({"project_name_or_id", "project_name"})
"""Parameters that name a project; those are compared in tests/blackbox/accounts/test_what_outsiders_learn.py."""
_MISSING: Final = {
    **dict.fromkeys(("robot_id", "label_id", "user_id", "group_id", "role_id", "assignment_id"), "999983"),
    **dict.fromkeys(("token_id", "session_id"), "f" * 32),
}
"""By parameter, the id of nothing. One without an entry here fails."""
_REGISTRAR: Final = tuple(
    f"{resource}:{verb}" for resource in ("label", "robot") for verb in ("list", "read", "update", "delete")
)


def _with_ids() -> list[Row]:
    """Return the rows of endpoints whose path begins with an id of its own."""
    first = {one.operation: (path_parameters(one.path) or ("",))[0] for one in all_endpoints()}
    return [
        row
        for row in rows()
        if first.get(row.operation, "") not in _NAMING_PROJECTS | {""} and row.aspect != "own"
    ]


def _missing(row: Row, there: str) -> str:
    parameter = path_parameters(row.path)[0]
    at = row.path.split("/").index("{" + parameter + "}")
    parts = there.split("/")
    parts[at] = _MISSING[parameter]
    return "/".join(parts)


def test_every_id_of_its_own_has_one_of_nothing_to_compare_with_s19() -> None:
    """Robots and labels among them, by every method."""
    found = {path_parameters(row.path)[0] for row in _with_ids()}

    assert found == set(_MISSING)
    assert {row.method for row in _with_ids() if "robot_id" in row.path} == {"GET", "PUT", "PATCH", "DELETE"}
    assert {row.method for row in _with_ids() if "label_id" in row.path} == {"GET", "PUT", "DELETE"}


async def test_an_id_that_is_taken_and_one_that_is_not_are_alike_s19(tmp_path: Path) -> None:
    """To a stranger, to who administers another project, and to who may do it on the system and in no project."""
    async with set_stage(tmp_path) as stage:
        await _add_askers(stage)
        wrong: list[str] = []
        for asker in ("outsider", "walker", "registrar"):
            for row in _with_ids():
                if asker == "registrar" and row.aspect != "in the project":
                    continue  # that one may touch what is on the system
                there = path_of(row, Asked(stage, "outsider", CLOSED))
                answers = [
                    await _answer(stage, asker, row, path, path.split("/")[4])
                    for path in (there, _missing(row, there))
                ]
                if answers[0] != answers[1]:
                    wrong.append(f"{asker}: {row.method} {there}: {answers}")

        assert wrong == []


async def _add_askers(stage: Stage) -> None:
    async with stage.administrator() as admin:
        number = made(await admin.post(f"{API}/projects", json={"project_name": "third"}))
        body: dict[str, Any] = {"role_id": 1, "member_user": {"username": "walker"}}
        made(await admin.post(f"{API}/projects/{number}/members", json=body))
        stage.people["registrar"] = made(
            await admin.post(f"{API}/users", json={"username": "registrar", "password": PASSWORD})
        )
        role = {"name": "registrars", "level": "system", "permissions": list(_REGISTRAR)}
        made(await admin.post(f"{API}/roles", json=role))
        given = {"subject_id": stage.people["registrar"], "role": "registrars"}
        made(await admin.post(f"{API}/role-assignments", json=given))


async def _answer(stage: Stage, asker: str, row: Row, path: str, own: str) -> tuple[int, str, list[str]]:
    """Return status, text and names of headers, without the id that was asked for."""
    async with stage.client_of(asker, PASSWORD) as client:
        in_project = row.aspect == "in the project"
        sent = bodies(stage, CLOSED, in_project=in_project).get(row.operation)
        reply: httpx.Response = await client.request(row.method, path, json=sent)
    return reply.status_code, re.sub(rf"\b{re.escape(own)}\b", "ID", reply.text), sorted(reply.headers)
