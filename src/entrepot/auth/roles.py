"""The built-in roles: one table, from which policies, the role matrix, the article's table and the documents are made.

Roles are given in a project or on the system. On the system the project permissions of a role hold in every project.
Source of the four named by the article: its table of developers, team leads, operations administrators and auditors.
"""

from __future__ import annotations

from typing import Final

import msgspec

from entrepot.auth.permissions import PROJECT_PERMISSIONS, SYSTEM_PERMISSIONS

__all__ = [
    "BUILT_IN_ROLES",
    "FIRST_CUSTOM_ROLE_ID",
    "PUBLIC_PERMISSIONS",
    "ROLES_BY_ID",
    "Role",
    "is_taken_for_built_in",
]

FIRST_CUSTOM_ROLE_ID: Final = 1000
"""Numbers of custom roles begin here, so that they never meet one that Harbor has or will have."""


class Role(msgspec.Struct, frozen=True):
    """A named set of permissions.

    Attributes:
        role_id: the number by which Harbor's API names it. 1 to 5 are Harbor's own roles, the rest are ours.
        name: as it is stored and as policies name it.
        harbor_name: as Harbor's API calls it in `role_name`.
        project: names of project permissions.
        system: names of system permissions, held only where the role is given on the system.
        assignable_in_project: whether it can be a member's role.
    """

    role_id: int
    name: str
    harbor_name: str
    summary: str
    project: frozenset[str]
    system: frozenset[str] = frozenset()
    assignable_in_project: bool = True
    assignable_on_system: bool = True


_LIMITED_GUEST: Final = frozenset(
    {
        "project:read",
        "metadata:read",
        "metadata:list",
        "repository:read",
        "repository:list",
        "repository:pull",
        "artifact:read",
        "artifact:list",
        "tag:list",
        "accessory:list",
        "quota:read",
    }
)
_GUEST: Final = _LIMITED_GUEST | {"member:read", "member:list", "label:read", "label:list"}
_DEVELOPER: Final = _GUEST | {
    "repository:push",
    "artifact:create",
    "tag:create",
    "tag:overwrite",
    "artifact-label:create",
    "artifact-label:delete",
}
_TEAM_LEAD: Final = _DEVELOPER | {
    "repository:update",
    "repository:delete",
    "artifact:delete",
    "tag:delete",
    "label:create",
    "label:update",
    "label:delete",
    "robot:read",
    "robot:list",
    "log:list",
}
_PROJECT_ADMIN: Final = frozenset(PROJECT_PERMISSIONS)
_AUDITOR: Final = frozenset(
    name for name in PROJECT_PERMISSIONS if name.rpartition(":")[2] in {"read", "list"}
)

BUILT_IN_ROLES: Final = {
    role.name: role
    for role in (
        Role(1, "project-admin", "projectAdmin", "Everything in the project.", _PROJECT_ADMIN),
        Role(2, "developer", "developer", "Pull, and push to repositories that exist.", _DEVELOPER),
        Role(3, "guest", "guest", "Pull, and see members and labels.", _GUEST),
        Role(
            4,
            "team-lead",
            "maintainer",
            "What developers may, delete images and tags, and read the project's audit log.",
            _TEAM_LEAD,
        ),
        Role(5, "limited-guest", "limitedGuest", "Pull, and nothing else.", _LIMITED_GUEST),
        Role(
            6,
            "auditor",
            "auditor",
            "Read the audit log and metadata; pull nothing, change nothing.",
            _AUDITOR,
            frozenset(name for name in SYSTEM_PERMISSIONS if name.rpartition(":")[2] in {"read", "list"})
            | {"audit-log:export"},
        ),
        Role(
            7,
            "operations-admin",
            "operationsAdmin",
            "Everything, everywhere.",
            _PROJECT_ADMIN,
            frozenset(SYSTEM_PERMISSIONS),
            assignable_in_project=False,
        ),
    )
}
"""By name."""

PUBLIC_PERMISSIONS: Final = frozenset(
    {
        "project:read",
        "repository:read",
        "repository:list",
        "repository:pull",
        "artifact:read",
        "artifact:list",
        "tag:list",
        "accessory:list",
        "label:read",
        "label:list",
    }
)
"""What everybody may in a public project, also without a name: pull and look, but not see who its members are."""

_HARBOR_NAMES: Final = frozenset(role.harbor_name for role in BUILT_IN_ROLES.values())

ROLES_BY_ID: Final = {role.role_id: role for role in BUILT_IN_ROLES.values()}
"""By Harbor's number."""


def is_taken_for_built_in(name: str) -> bool:
    """Whether clients, ours too, take a name for a built-in role: its own name, Harbor's, or any number."""
    return name in BUILT_IN_ROLES or name in _HARBOR_NAMES or name.isdigit()
