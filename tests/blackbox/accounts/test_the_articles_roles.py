"""The table of roles, each cell proven with a client: what somebody may do is done, what they may not is refused.

The first four rows are the article's table of an enterprise registry's roles (developers, team leads, operations
administrators, auditors; push, delete, create repositories, read the audit log), the others what we add to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pytest
from harborapi.exceptions import Forbidden

from tests.blackbox.accounts.articles_table import COLUMNS, TABLE
from tests.blackbox.clients.program import ClientFailedError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from harborapi import HarborAsyncClient
    from harborapi.models import AuditLog

    from tests.blackbox.accounts.conftest import Team
    from tests.blackbox.clients.signed_in import SkopeoAs
    from tests.running.control_client import Account

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
    skopeo: SkopeoAs
    harbor: HarborAsyncClient


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


async def _read_project_log(stage: Stage) -> bool:
    try:
        records = await stage.harbor.get_project_logs(stage.team.name, page_size=100)
    except Forbidden:
        return False
    # The push with which the project was filled is in it.
    assert stage.team.repository in _objects(records)
    return True


async def _read_whole_log(stage: Stage) -> bool:
    """See what happened in another team's project. Harbor shows everybody a list, of what they may know."""
    try:
        records = await stage.harbor.get_audit_logs(sort="-op_time", page_size=100)
    except Forbidden:
        return False
    return stage.other.repository in _objects(records)


def _objects(records: Sequence[AuditLog]) -> str:
    return " ".join(str(record.resource) for record in records)


async def _change_members(stage: Stage) -> bool:
    outsider = stage.team.people["outsider"].name
    try:
        await stage.harbor.add_project_member_user(stage.team.name, outsider, 3)
        done = True
    except Forbidden:
        done = False
    members = stage.team.control.get(f"/projects/{stage.team.name}/members?page_size=100")
    assert (outsider in {member["entity_name"] for member in members}) == done
    return done


_ACTS: Final[dict[str, Callable[[Stage], bool | Awaitable[bool]]]] = dict(
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
async def test_s10_a_cell_of_the_articles_table(
    role: str,
    column: str,
    allowed: bool,  # a cell of the table
    make_team: Callable[..., Team],
    skopeo_as: Callable[[Account | None], SkopeoAs],
    harbor_as: Callable[[Account], HarborAsyncClient],
) -> None:
    """Done and seen by the administrator, or refused and nothing changed; images by skopeo, all else by harborapi."""
    team, other = make_team(), make_team(roles=())
    account = team.people[role]

    done = _ACTS[column](Stage(team, other, skopeo_as(account), harbor_as(account)))

    assert (done if isinstance(done, bool) else await done) == allowed
