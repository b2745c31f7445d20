"""``entrepot role …``: what roles there are, and who has one on the system."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from entrepot.client.asking import require_consent
from entrepot.client.choosing import open_api
from entrepot.client.connection import segment
from entrepot.client.errors import EXIT_REFUSED, EXIT_USAGE, ClientError
from entrepot.client.listing import Item, find_item, list_items
from entrepot.client.lookup import find_group, find_person, roles_of
from entrepot.client.options import ANYWHERE, LimitOption, OutputOption, TargetOption, YesOption
from entrepot.client.showing import Columns, say, show_item, show_items, text_of
from entrepot.client.suggestions import SystemRole

if TYPE_CHECKING:
    from entrepot.client.connection import Api

__all__ = [
    "assign_role",
    "create_role",
    "delete_role",
    "list_assignments",
    "list_roles",
    "revoke_role",
    "show_role",
    "update_role",
]

_RoleArgument = Annotated[str, Parameter(help="Name of the role.")]
_SystemRoleArgument = Annotated[SystemRole, Parameter(help="Name of the role.", show_choices=False)]
_SubjectArgument = Annotated[str, Parameter(help="Name of the user, or of the group with --group.")]
_GroupOption = Annotated[bool, Parameter(name="--group", negative="", help="The name is that of a group.")]
_LevelOption = Annotated[
    Literal["project", "system"], Parameter(name="--level", help="Where the role can be given.")
]
_DescriptionOption = Annotated[str, Parameter(name="--description", help="What the role is for.")]
_AllowOption = Annotated[
    tuple[str, ...],
    Parameter(
        name="--allow",
        negative="",
        help="A permission, as repository:pull; may be repeated. `entrepot role show` has those of a role.",
    ),
]

_ProjectOption = Annotated[
    str,
    Parameter(
        name="--project",
        help="Only those that members of this project can have; for whoever sees its members.",
    ),
]
_NewDescriptionOption = Annotated[str | None, Parameter(name="--description", help="What the role is for.")]


def _where(item: Item) -> str:
    places = {"project": item.get("assignable_in_project"), "system": item.get("assignable_on_system")}
    return ", ".join(place for place, given in places.items() if given)


def _permissions(item: Item) -> list[str]:
    permissions: dict[str, list[str]] = item.get("permissions") or {}
    return [name for names in permissions.values() for name in names]


_COLUMNS: Columns = (
    ("NAME", "name"),
    ("GIVEN ON", _where),
    ("BUILT IN", "builtin"),
    ("DESCRIPTION", "description"),
    ("ID", "id"),
)
_ASSIGNMENT_COLUMNS: Columns = (
    ("NAME", "subject_name"),
    ("KIND", "subject_kind"),
    ("ROLE", "role"),
    ("SINCE", "creation_time"),
    ("ID", "id"),
)


def list_roles(
    *,
    project: _ProjectOption = "",
    limit: LimitOption = 0,
    target: TargetOption = ANYWHERE,
    output: OutputOption = "table",
) -> None:
    """List the roles, those that every registry has and your own."""
    with open_api(target) as api:
        items = list_items(api, "/roles", roles_of(project), limit)
    show_items(items, _COLUMNS, output)


def show_role(
    role: _RoleArgument, /, *, target: TargetOption = ANYWHERE, output: OutputOption = "table"
) -> None:
    """Show a role and what it permits."""
    with open_api(target) as api:
        item = _find(api, role)
    show_item(item, (*_COLUMNS, ("MAY", lambda role: text_of(_permissions(role)))), output)


def create_role(
    role: _RoleArgument,
    /,
    *,
    allow: _AllowOption,
    level: _LevelOption = "project",
    description: _DescriptionOption = "",
    target: TargetOption = ANYWHERE,
) -> None:
    """Create a role of your own."""
    body = {"name": role, "level": level, "description": description, "permissions": list(allow)}
    with open_api(target) as api:
        api.call("POST", "/roles", body)
    say(f"Created role {role}.")


def update_role(
    role: _RoleArgument,
    /,
    *,
    allow: _AllowOption = (),
    description: _NewDescriptionOption = None,
    target: TargetOption = ANYWHERE,
) -> None:
    """Change a role of your own; permissions that are named replace all it has."""
    if not allow and description is None:
        raise ClientError(EXIT_USAGE, "entrepot: say what to change, as --allow repository:pull")
    with open_api(target) as api:
        item = _find_own(api, role)
        body = {
            "description": item["description"] if description is None else description,
            "permissions": list(allow) or _permissions(item),
        }
        api.call("PUT", f"/roles/{segment(item['id'])}", body)
    say(f"Changed role {role}.")


def delete_role(role: _RoleArgument, /, *, yes: YesOption = False, target: TargetOption = ANYWHERE) -> None:
    """Delete a role of your own that nobody has."""
    require_consent(f"Delete role {role}?", yes=yes)
    with open_api(target) as api:
        api.call("DELETE", f"/roles/{segment(_find_own(api, role)['id'])}")
    say(f"Deleted role {role}.")


def list_assignments(
    *, limit: LimitOption = 0, target: TargetOption = ANYWHERE, output: OutputOption = "table"
) -> None:
    """List who has which role on the system, where it holds in every project."""
    with open_api(target) as api:
        items = list_items(api, "/role-assignments", None, limit)
    show_items(items, _ASSIGNMENT_COLUMNS, output)


def assign_role(
    name: _SubjectArgument,
    role: _SystemRoleArgument,
    /,
    *,
    group: _GroupOption = False,
    target: TargetOption = ANYWHERE,
) -> None:
    """Give a user or a group a role on the system."""
    with open_api(target) as api:
        body = {"subject_id": _subject_id(api, name, group=group), "role": role}
        api.call("POST", "/role-assignments", body)
    say(f"{name} is {role} on the system.")


def revoke_role(
    name: _SubjectArgument,
    role: _SystemRoleArgument,
    /,
    *,
    group: _GroupOption = False,
    yes: YesOption = False,
    target: TargetOption = ANYWHERE,
) -> None:
    """Take a role on the system from a user or a group."""
    require_consent(f"Take {role} from {name}?", yes=yes)
    with open_api(target) as api:
        wanted = {"subject_id": _subject_id(api, name, group=group), "role": role}
        found = find_item(api, "/role-assignments", {}, wanted, f"role {role!r} of {name} on the system")
        api.call("DELETE", f"/role-assignments/{segment(found['id'])}")
    say(f"{name} is no longer {role} on the system.")


def _find(api: Api, role: str) -> Item:
    return find_item(api, "/roles", {}, {"name": role}, f"role {role!r}")


def _find_own(api: Api, role: str) -> Item:
    """Return a role that can be changed. Raises ClientError for one that is built in."""
    item = _find(api, role)
    if item.get("builtin"):
        raise ClientError(
            EXIT_REFUSED,
            f"entrepot: role {role} is built in: it can't be changed or deleted",
            "Make one of your own: entrepot role create NAME --allow PERMISSION",
        )
    return item


def _subject_id(api: Api, name: str, *, group: bool) -> int:
    return int(find_group(api, name)["id"] if group else find_person(api, name)["user_id"])
