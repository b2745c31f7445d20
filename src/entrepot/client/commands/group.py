"""``entrepot group …``: groups of users."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from cyclopts import Parameter

from entrepot.client.asking import require_consent
from entrepot.client.choosing import open_api
from entrepot.client.connection import segment
from entrepot.client.errors import EXIT_NOT_FOUND, ClientError
from entrepot.client.listing import list_items
from entrepot.client.lookup import find_group, find_person
from entrepot.client.options import ANYWHERE, LimitOption, OutputOption, TargetOption, YesOption
from entrepot.client.refusals import RefusedError
from entrepot.client.showing import Columns, say, show_items

__all__ = [
    "add_to_group",
    "create_group",
    "delete_group",
    "list_group_members",
    "list_groups",
    "remove_from_group",
    "rename_group",
]

_GroupArgument = Annotated[str, Parameter(help="Name of the group.")]
_NewNameArgument = Annotated[str, Parameter(help="The new name.")]
_UserArgument = Annotated[str, Parameter(help="Name of the user.")]
_NameOption = Annotated[str, Parameter(name="--name", help="Only groups whose names contain this.")]

_COLUMNS: Columns = (("NAME", "group_name"), ("ID", "id"))
_MEMBER_COLUMNS: Columns = (("NAME", "username"), ("ID", "user_id"))


def list_groups(
    *,
    name: _NameOption = "",
    limit: LimitOption = 0,
    target: TargetOption = ANYWHERE,
    output: OutputOption = "table",
) -> None:
    """List the groups."""
    with open_api(target) as api:
        items = list_items(api, "/usergroups", {"group_name": name} if name else {}, limit)
    show_items(items, _COLUMNS, output)


def create_group(group: _GroupArgument, /, *, target: TargetOption = ANYWHERE) -> None:
    """Create a group without members."""
    with open_api(target) as api:
        api.call("POST", "/usergroups", {"group_name": group})
    say(f"Created group {group}.")


def rename_group(
    group: _GroupArgument, new_name: _NewNameArgument, /, *, target: TargetOption = ANYWHERE
) -> None:
    """Give a group another name; its members and roles stay."""
    with open_api(target) as api:
        api.call("PUT", f"/usergroups/{segment(find_group(api, group)['id'])}", {"group_name": new_name})
    say(f"Group {group} is called {new_name} now.")


def delete_group(
    group: _GroupArgument, /, *, yes: YesOption = False, target: TargetOption = ANYWHERE
) -> None:
    """Delete a group; its members lose what roles they have through it."""
    require_consent(f"Delete group {group}?", yes=yes)
    with open_api(target) as api:
        api.call("DELETE", f"/usergroups/{segment(find_group(api, group)['id'])}")
    say(f"Deleted group {group}.")


def list_group_members(
    group: _GroupArgument,
    /,
    *,
    limit: LimitOption = 0,
    target: TargetOption = ANYWHERE,
    output: OutputOption = "table",
) -> None:
    """List the users in a group."""
    with open_api(target) as api:
        items = list_items(api, _members_path(find_group(api, group)["id"]), None, limit)
    show_items(items, _MEMBER_COLUMNS, output)


def add_to_group(group: _GroupArgument, user: _UserArgument, /, *, target: TargetOption = ANYWHERE) -> None:
    """Put a user into a group."""
    with open_api(target) as api:
        path = _members_path(find_group(api, group)["id"])
        api.call("POST", path, {"user_id": find_person(api, user)["user_id"]})
    say(f"{user} is in {group}.")


def remove_from_group(
    group: _GroupArgument, user: _UserArgument, /, *, yes: YesOption = False, target: TargetOption = ANYWHERE
) -> None:
    """Take a user out of a group."""
    require_consent(f"Remove {user} from {group}?", yes=yes)
    with open_api(target) as api:
        path = _members_path(find_group(api, group)["id"])
        number = find_person(api, user)["user_id"]
        try:
            api.call("DELETE", f"{path}/{segment(number)}")
        except RefusedError as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
            advice = f"Who is, shows: entrepot group members {group}"
            raise ClientError(EXIT_NOT_FOUND, f"entrepot: {user} is not in {group}", advice) from error
    say(f"{user} is no longer in {group}.")


def _members_path(number: int) -> str:
    return f"/usergroups/{segment(number)}/members"
