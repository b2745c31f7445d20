"""Finds by their names what the API knows by number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from entrepot.client.connection import segment
from entrepot.client.errors import EXIT_USAGE, ClientError
from entrepot.client.listing import Item, equals, find_item, not_found, walk_items

if TYPE_CHECKING:
    from entrepot.client.connection import Api

__all__ = [
    "find_group",
    "find_label",
    "find_member",
    "find_person",
    "find_robot",
    "labels_of",
    "project_id",
    "project_path",
    "robots_of",
    "role_id",
    "role_name",
    "roles_of",
]

ROLES: Final = {
    "project-admin": 1,
    "developer": 2,
    "guest": 3,
    "team-lead": 4,
    "maintainer": 4,
    "limited-guest": 5,
    "auditor": 6,
}
"""Roles of members that every registry has, by number; `maintainer` is what Harbor calls a team lead."""


def role_name(item: Item) -> str:
    """Return a member's role as commands call it; the API has Harbor's name for it."""
    names = {number: name for name, number in ROLES.items() if name != "maintainer"}
    return names.get(item.get("role_id", 0), str(item.get("role_name", "")))


def project_path(project: str) -> str:
    """Return the path of a project."""
    return f"/projects/{segment(project)}"


def project_id(api: Api, project: str) -> int:
    """Return a project's number. Raises ClientError."""
    found: Any = api.get(project_path(project)).document["project_id"]
    return int(found)


def find_person(api: Api, name: str) -> Item:
    """Return a person, for administrators. Raises ClientError."""
    if not name:
        raise not_found("user without a name")
    return find_item(api, "/users", {"q": equals("username", name)}, {"username": name}, f"user {name!r}")


def find_group(api: Api, name: str) -> Item:
    """Return a group. Raises ClientError."""
    return find_item(api, "/usergroups", {"group_name": name}, {"group_name": name}, f"group {name!r}")


def find_member(api: Api, project: str, name: str, kind: str) -> Item:
    """Return a member of a project; `kind` is `u` for a person and `g` for a group. Raises ClientError."""
    wanted = {"entity_name": name, "entity_type": kind}
    what = f"member {name!r} of {project}"
    return find_item(api, f"{project_path(project)}/members", {"entityname": name}, wanted, what)


def find_robot(api: Api, name: str, project: str) -> Item:
    """Return a robot of the system, or of a project if one is named; with or without what goes before its own name.

    Raises:
        ClientError: there is none.
    """
    query = robots_of(api, project)
    full = f"robot${project}+{name}" if project else f"robot${name}"
    for item in walk_items(api, "/robots", query):
        if item.get("name") in {name, full}:
            return item
    raise not_found(f"robot {name!r} of {project or 'the system'}")


def robots_of(api: Api, project: str) -> dict[str, str]:
    """Return the query that lists the robots of a project, or of the system. Raises ClientError."""
    return {"q": f"Level=project,ProjectID={project_id(api, project)}"} if project else {}


def find_label(api: Api, name: str, project: str) -> Item:
    """Return a label of the registry, or of a project if one is named. Raises ClientError."""
    query = {**labels_of(api, project), "name": name}
    where = f" of {project}" if project else ""
    return find_item(api, "/labels", query, {"name": name}, f"label {name!r}{where}")


def labels_of(api: Api, project: str) -> dict[str, str | int]:
    """Return the query that lists the labels of a project, or of the registry. Raises ClientError."""
    return {"scope": "p", "project_id": project_id(api, project)} if project else {"scope": "g"}


def role_id(api: Api, project: str, name: str) -> int:
    """Return the number of a role of members: one that every registry has, or a custom one, also by its number.

    Raises:
        ClientError: there is none that members can have, or one may not see the project's members.
    """
    known = int(name) if name.isascii() and name.isdigit() else ROLES.get(name)
    if known is not None:
        return known
    for role in walk_items(api, "/roles", roles_of(project)):
        if role.get("name") == name:
            return int(role["id"])
    names = ", ".join(role for role in ROLES if role != "maintainer")
    raise ClientError(
        EXIT_USAGE,
        f"entrepot: there is no role {name!r} that members of a project can have",
        f"There are {names}, and those of: entrepot role list --project {project}",
    )


def roles_of(project: str) -> dict[str, str]:
    """Return the query that lists the roles that members of a project can have, or all roles."""
    return {"project_name_or_id": project} if project else {}
