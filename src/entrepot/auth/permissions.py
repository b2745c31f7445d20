"""What can be permitted, as Harbor's API names it: a resource and an action, on a project or on the system.

Roles, robots and access tokens are lists of these. A permission of a project that is held on the system holds in every
project.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

__all__ = ["PROJECT_PERMISSIONS", "SYSTEM_PERMISSIONS", "Level", "Permission", "find_permission"]

Level = Literal["project", "system"]


class Permission(msgspec.Struct, frozen=True, gc=False):
    """One thing that one may be allowed to do."""

    resource: str
    action: str

    @property
    def name(self) -> str:
        """`resource:action`, as settings, tokens and policies write it."""
        return f"{self.resource}:{self.action}"


def _permissions(table: dict[str, str]) -> dict[str, Permission]:
    made = [Permission(resource, action) for resource, actions in table.items() for action in actions.split()]
    return {permission.name: permission for permission in made}


PROJECT_PERMISSIONS: Final = _permissions(
    {
        "project": "read update delete",
        "metadata": "read list create update delete",
        "member": "read list create update delete",
        "repository": "read list pull push create update delete",
        "artifact": "read list create delete",
        "tag": "list create overwrite delete",
        "accessory": "list",
        "label": "read list create update delete",
        "artifact-label": "create delete",
        "robot": "read list create update delete",
        "log": "list",
        "quota": "read",
    }
)
"""By name. `repository:create` is to bring a new repository into being, `tag:overwrite` to move a tag that exists."""

SYSTEM_PERMISSIONS: Final = _permissions(
    {
        "project": "list create",
        "user": "read list create update delete",
        "user-group": "read list create update delete",
        "robot": "read list create update delete",
        "role": "read list create update delete",
        "role-assignment": "list create delete",
        "label": "read list create update delete",
        "audit-log": "list export",
        "catalog": "read",
        "configuration": "read update",
        "system-info": "read",
        "session": "list delete",
    }
)
"""By name. What is a project's permission as well (`label:create`) is about those of the system here."""


def find_permission(resource: str, action: str, level: Level) -> Permission | None:
    """Return a permission that exists on a level, `None` when it is unknown there."""
    known = PROJECT_PERMISSIONS if level == "project" else SYSTEM_PERMISSIONS
    return known.get(f"{resource}:{action}")
