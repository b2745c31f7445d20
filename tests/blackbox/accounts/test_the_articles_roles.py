"""The table of roles, each cell proven with a client: what somebody may do is done, what they may not is refused.

The first four rows are the article's table of an enterprise registry's roles (developers, team leads, operations
administrators, auditors; push, delete, create repositories, read the audit log), the others what we add to it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pytest

from tests.blackbox.accounts.articles_table import COLUMNS, TABLE
from tests.blackbox.clients.program import ClientFailedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.blackbox.accounts.conftest import Team
    from tests.blackbox.clients.signed_in import SkopeoAs
    from tests.running.control_client import Account, ControlClient

pytestmark = pytest.mark.real_client

_CELLS: Final = [
    pytest.param(role, column, allowed, id=f"{role}-{column}-{'yes' if allowed else 'no'}".replace(" ", "_"))
    for role, row in TABLE.items()
    for column, allowed in zip(COLUMNS, row, strict=True)
]


@dataclass(frozen=True, slots=True)
class Stage:
    """One person before two projects: their team's, and another's in which they are no member."""

    team: Team
    other: Team
    account: Account
    skopeo: SkopeoAs

    @property
    def api(self) -> ControlClient:
        """The control API as this person."""
        return self.team.control.acting_as(self.account)


def _pull(stage: Stage) -> bool:
    return _works(lambda: stage.skopeo.pull(stage.team.repository, "1"))


def _push(stage: Stage) -> bool:
    done = _works(lambda: stage.skopeo.push(stage.team.repository, "pushed"))
    assert ("pushed" in stage.team.tags()) == done
    return done


def _delete(stage: Stage) -> bool:
    done = _works(lambda: stage.skopeo.delete(stage.team.repository, "1"))
    assert ("1" not in stage.team.tags()) == done
    return done


def _delete_elsewhere(stage: Stage) -> bool:
    done = _works(lambda: stage.skopeo.delete(stage.other.repository, "1"))
    assert ("1" not in stage.other.tags()) == done
    return done


def _create(stage: Stage) -> bool:
    new = f"{stage.team.name}/new"
    done = _works(lambda: stage.skopeo.push(new, "1"))
    assert stage.team.has(new) == done
    return done


def _read_project_log(stage: Stage) -> bool:
    reply = stage.api.request("GET", f"/projects/{stage.team.name}/logs")
    assert reply.status in {200, 403}, reply
    if reply.status == 200:
        # The push with which the project was filled is in it.
        assert stage.team.repository in json.dumps(reply.document)
    return reply.status == 200


def _read_whole_log(stage: Stage) -> bool:
    """See what happened in another team's project. Harbor shows everybody a list, of what they may know."""
    reply = stage.api.request("GET", "/audit-logs?page_size=100&sort=-op_time")
    assert reply.status in {200, 403}, reply
    return reply.status == 200 and stage.other.repository in json.dumps(reply.document)


def _change_members(stage: Stage) -> bool:
    path = f"/projects/{stage.team.name}/members"
    outsider = stage.team.people["outsider"].name
    reply = stage.api.request("POST", path, {"role_id": 3, "member_user": {"username": outsider}})
    assert reply.status in {201, 403}, reply
    members = stage.team.control.get(f"{path}?page_size=100")
    assert (outsider in {member["entity_name"] for member in members}) == (reply.status == 201)
    return reply.status == 201


_ACTS: Final[dict[str, Callable[[Stage], bool]]] = dict(
    zip(
        COLUMNS,
        (
            _pull,
            _push,
            _delete,
            _delete_elsewhere,
            _create,
            _read_project_log,
            _read_whole_log,
            _change_members,
        ),
        strict=True,
    )
)


def _works(act: Callable[[], object]) -> bool:
    """Whether a program did what it was told; that it took too long is no refusal."""
    try:
        act()
    except ClientFailedError as error:
        return _is_refusal(str(error))
    return True


def _is_refusal(said: str) -> bool:
    assert "exit status" in said, said
    return False


@pytest.mark.parametrize(("role", "column", "allowed"), _CELLS)
def test_s10_a_cell_of_the_articles_table(
    role: str,
    column: str,
    allowed: bool,  # a cell of the table
    make_team: Callable[..., Team],
    skopeo_as: Callable[[Account | None], SkopeoAs],
) -> None:
    """Done and seen by the administrator, or refused and nothing changed."""
    team, other = make_team(), make_team(roles=())
    account = team.people[role]

    done = _ACTS[column](Stage(team, other, account, skopeo_as(account)))

    assert done == allowed
