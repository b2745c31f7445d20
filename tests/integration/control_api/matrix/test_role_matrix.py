"""Every endpoint for every kind of caller, in a public and in a private project, asked of the running application."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Final

import pytest

from entrepot.control_api.declarations import NoBody
from entrepot.control_api.routes import all_endpoints
from tests.integration.control_api.matrix.asking import Asked, ask, bodies
from tests.integration.control_api.matrix.bearers import TOKEN_REFUSED, Bearers
from tests.integration.control_api.matrix.expectations import CALLERS, is_allowed, rows
from tests.integration.control_api.matrix.stage import CLOSED, OPEN, PROJECTS, Stage, set_stage

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

    from tests.integration.control_api.matrix.expectations import Caller, Row

_DONE: Final = frozenset({200, 201, 400, 409})
"""Shows that an endpoint that asks for its grants itself has got them; 400 is a password that is too short."""


async def _wrong_cells(stage: Stage, caller: Caller, project: str) -> tuple[int, list[str]]:
    """Ask a whole column, and return how many cells it has and which are not as expected."""
    wrong: list[str] = []
    asked = Asked(stage, caller, project)
    every = rows()
    async with stage.client(caller, project) as client:
        for row in every:
            reply = await ask(row, asked, client)
            allowed = is_allowed(row, caller, is_public=project == OPEN)
            if not _is_as_expected(row, caller, reply, allowed=allowed):
                wrong.append(
                    f"{row.operation} {row.method} {row.aspect!r} for {caller} in {project}: "
                    f"{reply.status_code}, expected {'to pass' if allowed else 'a refusal'} {reply.text[:120]}"
                )
    return len(every), wrong


def _is_as_expected(row: Row, caller: Caller, reply: httpx.Response, *, allowed: bool) -> bool:
    if not allowed:
        return reply.status_code == (401 if caller == "anonymous" else 403)
    if row.is_gated:
        return reply.status_code in _DONE
    return reply.status_code not in {401, 403} and reply.status_code < 500


async def test_every_cell_is_decided_as_the_table_of_roles_says_s10(tmp_path: Path) -> None:
    """The declarations and the table of roles are what the running application does, cell by cell (S2, S10)."""
    cells, wrong = 0, list[str]()
    async with set_stage(tmp_path) as stage:
        for project in PROJECTS:
            for caller in CALLERS:
                count, found = await _wrong_cells(stage, caller, project)
                cells += count
                wrong += found

    assert not wrong, "\n".join(wrong)
    assert cells == len(rows()) * len(CALLERS) * 2


async def test_every_cell_of_the_data_plane_is_decided_alike_by_bearer_s10_t16(tmp_path: Path) -> None:
    """A token for what the challenge asks opens what Basic credentials open; its refusals tell what it lacks (T16).

    Whose password is due gets no token at all, nor does nobody for nothing in particular (T7). A push that would create
    what its token does not say is forbidden, as asking for another token would not help.
    """
    wrong: list[str] = []
    async with set_stage(tmp_path) as stage:
        bearers = Bearers(stage)
        for project in PROJECTS:
            for caller in CALLERS:
                for row in rows():
                    if row.operation.startswith("api."):
                        continue
                    status, error = await bearers.ask(row, caller, project)
                    expected = _by_bearer(row, caller, is_public=project == OPEN)
                    passed = status not in {TOKEN_REFUSED, 401, 403} and status < 500
                    if expected != ("passes" if passed else (status, error)):
                        cell = f"{row.operation} {row.method} {row.aspect!r} for {caller} in {project}"
                        wrong.append(f"{cell}: {status} {error!r}, expected {expected}")

    assert not wrong, "\n".join(wrong)


def _by_bearer(row: Row, caller: Caller, *, is_public: bool) -> str | tuple[int, str]:
    if is_allowed(row, caller, is_public=is_public):
        return "passes"
    if caller == "password-due" or row.operation == "ping":
        return TOKEN_REFUSED, ""
    existing = dataclasses.replace(row, needs=("repository:push",))
    if row.aspect == "new repository" and is_allowed(existing, caller, is_public=is_public):
        return 403, ""
    return 401, "insufficient_scope"


_PEOPLE: Final = "outsider limited-guest guest developer team-lead project-admin auditor operations-admin"
_KNOWN: Final = f"{_PEOPLE} robot"

_GOLDEN: Final[tuple[tuple[str, str, str, str], ...]] = (
    # The article's table: who pulls, pushes, deletes, creates repositories and reads the audit log.
    (
        "manifest.pull",
        "",
        "limited-guest guest developer team-lead project-admin operations-admin robot",
        "closed",
    ),
    (
        "blob.pull",
        "",
        "limited-guest guest developer team-lead project-admin operations-admin robot",
        "closed",
    ),
    (
        "tags.list",
        "",
        "limited-guest guest developer team-lead project-admin operations-admin robot",
        "closed",
    ),
    ("manifest.push", "", "developer team-lead project-admin operations-admin robot", "closed"),
    ("upload.begin", "", "developer team-lead project-admin operations-admin robot", "closed"),
    ("upload.finish", "", "developer team-lead project-admin operations-admin robot", "open"),
    ("upload.begin", "new repository", "project-admin operations-admin", "closed"),
    ("upload.begin", "new repository", "project-admin operations-admin", "open"),
    ("api.repository.create", "", "project-admin operations-admin", "closed"),
    ("manifest.delete", "", "team-lead project-admin operations-admin", "closed"),
    ("blob.delete", "", "team-lead project-admin operations-admin", "open"),
    ("api.repository.delete", "", "team-lead project-admin operations-admin", "closed"),
    ("api.project-log.list", "", "team-lead project-admin auditor operations-admin", "closed"),
    ("api.audit-log.list", "", "auditor operations-admin", "closed"),
    ("api.audit-log.export", "", "auditor operations-admin", "closed"),
    ("catalog.list", "", "auditor operations-admin", "closed"),
    # Auditors read metadata everywhere and change nothing.
    (
        "api.project.read",
        "",
        "limited-guest guest developer team-lead project-admin auditor operations-admin",
        "closed",
    ),
    ("api.member.list", "", "guest developer team-lead project-admin auditor operations-admin", "closed"),
    ("api.user.list", "", "auditor operations-admin", "closed"),
    ("api.role.list", "", "auditor operations-admin", "closed"),
    ("api.configuration.read", "", "auditor operations-admin", "closed"),
    ("api.configuration.update", "", "operations-admin", "closed"),
    ("api.user.create", "", "operations-admin", "closed"),
    ("api.role-assignment.create", "", "operations-admin", "closed"),
    ("api.project.create", "", "operations-admin", "closed"),
    # Project administrators manage their project and nothing else.
    ("api.member.create", "", "project-admin operations-admin", "closed"),
    ("api.member.update", "", "project-admin operations-admin", "open"),
    ("api.project.delete", "", "project-admin operations-admin", "closed"),
    ("api.robot.create", "in the project", "project-admin operations-admin", "closed"),
    ("api.robot.create", "on the system", "operations-admin", "closed"),
    # Labels of a public project are everybody's to see, those of a private one its members'.
    (
        "api.label.list",
        "in the project",
        f"anonymous {_KNOWN}",
        "open",
    ),
    (
        "api.label.read",
        "in the project",
        "guest developer team-lead project-admin auditor operations-admin",
        "closed",
    ),
    # Those of the registry are every person's to see, and what robots can be given is told to who may make some.
    ("api.label.list", "on the system", _PEOPLE, "open"),
    ("api.permission.list", "on the system", "project-admin operations-admin", "open"),
    ("api.permission.list", "on the system", "project-admin operations-admin", "closed"),
    # Whose password is due does nothing but change it, and learn who they are.
    ("ping", "", _KNOWN, "open"),
    ("api.user.read-current", "", f"{_KNOWN} password-due", "open"),
    ("api.own-permission.list", "", _KNOWN, "open"),
    ("api.user.search", "", _PEOPLE, "open"),
    ("api.group.search", "", _PEOPLE, "open"),
    ("api.session.list", "own", _KNOWN, "open"),
    ("api.session.delete", "", _KNOWN, "open"),
    ("api.user.read", "own", _PEOPLE, "open"),
    ("api.user.update", "own", _PEOPLE, "open"),
    ("api.user.set-password", "own", f"{_PEOPLE} password-due", "open"),
    ("api.project.list", "", f"anonymous {_KNOWN}", "open"),
)
"""From the issue's text, written down by hand: operation, aspect, all who are let through, and in which project."""


@pytest.mark.parametrize(("operation", "aspect", "callers", "project"), _GOLDEN)
def test_the_roles_named_by_the_issue_may_what_it_says_s10(
    operation: str, aspect: str, callers: str, project: str
) -> None:
    """What the matrix is made of can't vouch for itself."""
    for row in (row for row in rows() if (row.operation, row.aspect) == (operation, aspect)):
        through = [caller for caller in CALLERS if is_allowed(row, caller, is_public=project == OPEN)]
        assert through == callers.split()


@pytest.mark.parametrize("operation", ["manifest.pull", "blob.pull", "tags.list", "referrers.list"])
def test_everybody_pulls_what_is_public_but_whose_password_is_due_s10(operation: str) -> None:
    for row in (row for row in rows() if row.operation == operation):
        refused = [caller for caller in CALLERS if not is_allowed(row, caller, is_public=True)]
        assert refused == ["password-due"]


def test_nobody_in_particular_gets_nothing_private_but_what_needs_no_name_s2() -> None:
    passing = {row.operation for row in rows() if is_allowed(row, "anonymous", is_public=False)}
    assert passing == {
        *("api.ping", "api.system-info.read", "api.health.read", "api.schema"),
        *("api.login", "api.logout", "api.session.create"),
        *("api.project.list", "api.project.find", "api.repository.list-all"),
        *("api.statistic.read", "api.search"),
    }


def test_whose_password_is_due_may_choose_another_and_nothing_else_s17() -> None:
    """The whole column, written down by hand; what is here beyond the two is what a page needs around its form."""
    passing = {
        (row.operation, row.aspect) for row in rows() if is_allowed(row, "password-due", is_public=True)
    }
    assert passing == {
        ("api.user.set-password", "own"),
        ("api.user.read-current", ""),
        *((name, "") for name in ("api.login", "api.session.create", "api.logout")),
        *((name, "") for name in ("api.ping", "api.health.read", "api.schema", "api.system-info.read")),
    }


def test_an_auditor_changes_nothing_s10() -> None:
    """Whatever changes something and needs a permission is closed to auditors."""
    changing = {"POST", "PUT", "PATCH", "DELETE"}
    passing = {
        row.operation
        for row in rows()
        if row.method in changing and row.needs and is_allowed(row, "auditor", is_public=True)
    }
    assert passing == set()


def test_every_endpoint_that_takes_a_body_is_asked_with_one() -> None:
    """Else a cell that passes would only show that nothing was read."""
    stage = Stage(None, None)  # type: ignore[arg-type]  # bodies take numbers from it, and nothing else
    stage.people = dict.fromkeys(("bystander", "walker"), 1)
    stage.projects = {CLOSED: 1}
    taking = {endpoint.operation for endpoint in all_endpoints() if endpoint.body is not NoBody}
    assert set(bodies(stage, CLOSED)) == taking


_VERBS: Final = {
    "GET": {"read", "list"},
    "POST": {"create"},
    "PUT": {"update"},
    "PATCH": {"update"},
    "DELETE": {"delete"},
}
_OTHER_NEEDS: Final = {
    ("api.permission.list", "robot:create"),
    ("api.audit-log.export", "audit-log:export"),
    ("api.project.read-deletable", "project:delete"),
    ("api.user.unlock", "user:update"),
    ("api.group-member.add", "user-group:update"),
    ("api.group-member.remove", "user-group:update"),
    ("api.access-token.delete-of-person", "user:update"),
    ("api.role-assignment.create", "role:read"),
}
"""Where the permission is not the one that the method suggests, and for what it is looked at twice."""


def test_each_endpoint_demands_the_permission_that_its_method_suggests_s10() -> None:
    """A deletion that demanded no more than to read would be in the matrix as it is declared: wrong, and asserted."""
    odd = {
        (row.operation, name)
        for row in rows()
        for name in row.needs
        if row.operation.startswith("api.") and name.rpartition(":")[2] not in _VERBS[row.method]
    }
    assert odd == _OTHER_NEEDS
