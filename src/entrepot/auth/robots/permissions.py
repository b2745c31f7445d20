"""What a robot may do: lists of permissions, each for one project, for all of them (`*`) or for the system (`/`).

Stored as JSON, `[{"kind":"project","namespace":"library","access":["repository:pull"]}]`, which decisions read.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Literal, cast

import msgspec

from entrepot.auth.permissions import PROJECT_PERMISSIONS, SYSTEM_PERMISSIONS, find_permission
from entrepot.auth.robots.errors import InvalidRobotError
from entrepot.auth.stored_permissions import UNREADABLE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from entrepot.auth.permissions import Level

__all__ = [
    "ALL_PROJECTS",
    "ROBOT_PROJECT_PERMISSIONS",
    "ROBOT_SYSTEM_PERMISSIONS",
    "SYSTEM_NAMESPACE",
    "AskedPermissions",
    "RobotPermissions",
    "decode_permissions",
    "encode_permissions",
    "named_projects",
    "parse_permissions",
]

ALL_PROJECTS: Final = "*"
SYSTEM_NAMESPACE: Final = "/"

ROBOT_PROJECT_PERMISSIONS: Final = frozenset(
    name for name, permission in PROJECT_PERMISSIONS.items() if permission.resource != "robot"
)
"""Names of what a robot can be given in a project: no robot makes, extends or looks at robots (S9)."""
ROBOT_SYSTEM_PERMISSIONS: Final = frozenset(
    name for name, permission in SYSTEM_PERMISSIONS.items() if permission.resource != "robot"
)
"""Names of what a robot can be given on the system."""

_PROJECT_NAME: Final = re.compile(r"[a-z0-9]+(?:[._-]+[a-z0-9]+)*", re.ASCII)
_MOST_CHARACTERS: Final = 255
_MOST_ENTRIES: Final = 1000

_KIND_FIELD: Final = "permissions.kind"
_NAMESPACE_FIELD: Final = "permissions.namespace"
_ACCESS_FIELD: Final = "permissions.access"


class AskedPermissions(msgspec.Struct, frozen=True):
    """An entry as a caller writes it, nothing of it checked.

    Attributes:
        access: pairs of resource and action.
    """

    kind: str
    namespace: str
    access: tuple[tuple[str, str], ...]


class RobotPermissions(msgspec.Struct, frozen=True):
    """What a robot may do in one namespace.

    Attributes:
        access: names of permissions in order, as `repository:pull`.
    """

    kind: Literal["project", "system"]
    namespace: str
    access: tuple[str, ...]


def parse_permissions(
    asked: Sequence[AskedPermissions], level: Level, project: str = ""
) -> tuple[RobotPermissions, ...]:
    """Check the entries of a robot of a level; one of a project has exactly one entry, of its own `project`.

    Raises:
        InvalidRobotError: an entry is not allowed there, or names a permission that does not exist or no robot gets.
    """
    if not asked or len(asked) > _MOST_ENTRIES:
        raise InvalidRobotError("permissions", f"1 to {_MOST_ENTRIES} entries are needed")
    entries = tuple(_entry(one) for one in asked)
    places = {(entry.kind, entry.namespace) for entry in entries}
    if len(places) != len(entries):
        raise InvalidRobotError(_NAMESPACE_FIELD, "each namespace can have one entry only")
    if level == "project" and places != {("project", project)}:
        raise InvalidRobotError(
            _NAMESPACE_FIELD,
            f"a robot of project {project} has one entry, of the kind project and for {project}",
        )
    return entries


def encode_permissions(entries: Sequence[RobotPermissions]) -> bytes:
    """Return entries as they are stored."""
    return msgspec.json.encode(entries)


def decode_permissions(stored: bytes) -> tuple[RobotPermissions, ...]:
    """Return what is stored; what can't be read permits nothing, of which decisions tell the log."""
    try:
        return msgspec.json.decode(stored, type=tuple[RobotPermissions, ...])
    except UNREADABLE:
        return ()


def named_projects(entries: Sequence[RobotPermissions]) -> tuple[str, ...]:
    """Return the projects that entries name, each once and in order."""
    return tuple(
        sorted({one.namespace for one in entries if one.kind == "project" and one.namespace != ALL_PROJECTS})
    )


def _entry(asked: AskedPermissions) -> RobotPermissions:
    if asked.kind not in {"project", "system"}:
        raise InvalidRobotError(_KIND_FIELD, "project or system")
    kind = cast("Level", asked.kind)
    if not _is_namespace(kind, asked.namespace):
        expected = "/" if kind == "system" else "the name of a project, or *"
        raise InvalidRobotError(_NAMESPACE_FIELD, f"for the kind {kind} it is {expected}")
    if not asked.access:
        raise InvalidRobotError(_ACCESS_FIELD, "at least one permission is needed")
    names = sorted({_name(resource, action, kind) for resource, action in asked.access})
    return RobotPermissions(kind, asked.namespace, tuple(names))


def _name(resource: str, action: str, kind: Level) -> str:
    permission = find_permission(resource, action, kind)
    if permission is None:
        raise InvalidRobotError(
            _ACCESS_FIELD, f"there is no permission {resource}:{action} of the kind {kind}"
        )
    if permission.resource == "robot":
        raise InvalidRobotError(_ACCESS_FIELD, f"no robot can be given {permission.name}")
    return permission.name


def _is_namespace(kind: Level, namespace: str) -> bool:
    if kind == "system":
        return namespace == SYSTEM_NAMESPACE
    if namespace == ALL_PROJECTS:
        return True
    return len(namespace) <= _MOST_CHARACTERS and _PROJECT_NAME.fullmatch(namespace) is not None
