"""``entrepot admin list``: who administers, or who there is at all, and whether they can log in."""

from __future__ import annotations

import datetime as dt
from itertools import chain
from typing import TYPE_CHECKING, Annotated, Any, Final

from cyclopts import Parameter

from entrepot.auth.host import HostAuthorizer, host_operator
from entrepot.auth.last_administrator import OPERATIONS_ADMIN
from entrepot.auth.system_actions import ListUser
from entrepot.metadata.user_store import PersonQuery
from entrepot.ops.admin.database import opened_people, policy_of
from entrepot.ops.admin.states import state_of
from entrepot.ops.command_stores import open_command_metadata
from entrepot.ops.errors import EXIT_OK
from entrepot.ops.options import ConfigOption, DataOption, load_command_settings, make_flags
from entrepot.ops.output import OutputOption, format_json, format_table
from entrepot.ops.running import run_to_its_end

if TYPE_CHECKING:
    from entrepot.metadata.store import Metadata
    from entrepot.metadata.user_store import PersonRow
    from entrepot.settings import Settings

__all__ = ["list_administrators"]

_PAGE: Final = 500
_AllOption = Annotated[
    bool, Parameter(name="--all", negative="", help="Everybody who has an account, not only administrators.")
]


def list_administrators(
    *,
    all_: _AllOption = False,
    config: ConfigOption = None,
    data: DataOption = None,
    output: OutputOption = "text",
) -> int:
    """List the operations administrators, by name or by a group, and whether they can log in; with --all everybody."""
    settings = load_command_settings(config, make_flags(data)).settings
    people = run_to_its_end(_list(settings, everybody=all_))
    if output == "json":
        print(format_json([_facts(person) for person in people]))
        return EXIT_OK
    rows = [(person.name, state_of(person), _moment(person.last_login_at) or "never") for person in people]
    print(format_table(("NAME", "STATE", "LAST LOGIN"), rows))
    return EXIT_OK


async def _list(settings: Settings, *, everybody: bool) -> list[PersonRow]:
    async with (
        open_command_metadata(settings) as metadata,
        opened_people(metadata, policy_of(settings)) as people,
    ):
        grant = await HostAuthorizer().authorize_system(host_operator(), ListUser)
        by_group = await _members_of_administrators(metadata)
        found: list[PersonRow] = []
        while True:
            page = await people.list_page(grant, PersonQuery(order="user_id", skip=len(found), limit=_PAGE))
            found += page.people
            if len(found) >= page.total or not page.people:
                break
        return [each for each in found if everybody or each.is_administrator or each.id in by_group]


async def _members_of_administrators(metadata: Metadata) -> frozenset[int]:
    """Return the numbers of everybody who is in a group that has the role."""
    assignments = await metadata.role_assignments.list_system(
        await metadata.role_assignments.count_system(), 0
    )
    groups = [each.assignee for each in assignments if each.role == OPERATIONS_ADMIN]
    members = [
        await metadata.user_groups.member_ids(each.subject_id) for each in groups if each.kind == "group"
    ]
    return frozenset(chain.from_iterable(members))


def _moment(milliseconds: int | None) -> str:
    if milliseconds is None:
        return ""
    return dt.datetime.fromtimestamp(milliseconds // 1000, dt.UTC).isoformat()


def _facts(person: PersonRow) -> dict[str, Any]:
    return {
        "id": person.id,
        "name": person.name,
        "state": state_of(person),
        "last_login_at": _moment(person.last_login_at) or None,
    }
