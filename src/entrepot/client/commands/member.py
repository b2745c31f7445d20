"""``entrepot member …``: who has which role in a project."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from entrepot.client.asking import require_consent
from entrepot.client.choosing import open_api
from entrepot.client.connection import segment
from entrepot.client.listing import Item, list_items
from entrepot.client.lookup import find_member, project_path, role_id, role_name
from entrepot.client.options import ANYWHERE, LimitOption, OutputOption, TargetOption, YesOption
from entrepot.client.showing import Columns, say, show_items
from entrepot.client.suggestions import MemberRole

__all__ = ["add_member", "change_member", "list_members", "remove_member"]

_ProjectArgument = Annotated[str, Parameter(help="Name of the project.")]
_MemberArgument = Annotated[str, Parameter(help="Name of the user, or of the group with --group.")]
_GroupOption = Annotated[bool, Parameter(name="--group", negative="", help="The name is that of a group.")]
_RoleOption = Annotated[
    MemberRole,
    Parameter(
        name="--role",
        show_choices=False,
        metavar="ROLE",
        help="project-admin, team-lead, developer, guest, limited-guest, auditor, or a role of your own, "
        "also by its number.",
    ),
]


def _kind(item: Item) -> str:
    return "group" if item.get("entity_type") == "g" else "user"


_COLUMNS: Columns = (("NAME", "entity_name"), ("KIND", _kind), ("ROLE", role_name), ("ID", "id"))


def list_members(
    project: _ProjectArgument,
    /,
    *,
    limit: LimitOption = 0,
    target: TargetOption = ANYWHERE,
    output: OutputOption = "table",
) -> None:
    """List the members of a project."""
    with open_api(target) as api:
        items = list_items(api, f"{project_path(project)}/members", None, limit)
    show_items(items, _COLUMNS, output)


def add_member(
    project: _ProjectArgument,
    name: _MemberArgument,
    /,
    *,
    role: _RoleOption,
    group: _GroupOption = False,
    target: TargetOption = ANYWHERE,
) -> None:
    """Give a user or a group a role in a project."""
    subject = {"member_group": {"group_name": name}} if group else {"member_user": {"username": name}}
    with open_api(target) as api:
        api.call(
            "POST", f"{project_path(project)}/members", {"role_id": role_id(api, project, role), **subject}
        )
    say(f"{name} is {role} in {project}.")


def change_member(
    project: _ProjectArgument,
    name: _MemberArgument,
    /,
    *,
    role: _RoleOption,
    group: _GroupOption = False,
    target: TargetOption = ANYWHERE,
) -> None:
    """Give a member another role."""
    with open_api(target) as api:
        member = find_member(api, project, name, "g" if group else "u")
        path = f"{project_path(project)}/members/{segment(member['id'])}"
        api.call("PUT", path, {"role_id": role_id(api, project, role)})
    say(f"{name} is {role} in {project}.")


def remove_member(
    project: _ProjectArgument,
    name: _MemberArgument,
    /,
    *,
    group: _GroupOption = False,
    yes: YesOption = False,
    target: TargetOption = ANYWHERE,
) -> None:
    """Take a user's or a group's role in a project away."""
    require_consent(f"Remove {name} from {project}?", yes=yes)
    with open_api(target) as api:
        member = find_member(api, project, name, "g" if group else "u")
        api.call("DELETE", f"{project_path(project)}/members/{segment(member['id'])}")
    say(f"Removed {name} from {project}.")
