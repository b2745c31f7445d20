"""The schema that policies are checked against: kinds of principals and resources, and one action per permission.

Actions on the registry as a whole are called `system:…`, since a project has permissions of the same names.
"""

from __future__ import annotations

from typing import Final

from entrepot.auth.permissions import PROJECT_PERMISSIONS, SYSTEM_PERMISSIONS

__all__ = ["NAMESPACE", "SYSTEM_PREFIX", "render_schema"]

NAMESPACE: Final = "Entrepot"
SYSTEM_PREFIX: Final = "system:"
"""Stands before the name of a permission on the system where it is an action."""

_IN_REPOSITORIES: Final = frozenset({"repository", "artifact", "tag", "accessory", "artifact-label"})
"""Resources of permissions that can be asked about one repository, and not only about its project."""

_ENTITIES: Final = """\
  // Roles have no attributes: a principal that holds one, in the project asked about or on the system, is in it.
  entity ProjectRole;
  entity SystemRole;

  // `permissions` are names of actions: of custom roles for people, its own for a robot.
  entity User in [ProjectRole, SystemRole] = { "permissions": Set<String> };
  entity Robot = { "permissions": Set<String> };
  entity Anonymous;

  entity Registry;
  entity Project = { "name": String, "public": Bool };
  entity Repository in [Project] = { "name": String, "project": Project };

  // `permission` is the name of the action, since a policy can't turn one into a text.
  type Request = { "permission": String };
"""


def render_schema() -> str:
    """Return the schema in Cedar's own form."""
    groups = (
        (
            "Project, Repository",
            [n for n, p in PROJECT_PERMISSIONS.items() if p.resource in _IN_REPOSITORIES],
        ),
        ("Project", [n for n, p in PROJECT_PERMISSIONS.items() if p.resource not in _IN_REPOSITORIES]),
        ("Registry", [SYSTEM_PREFIX + name for name in SYSTEM_PERMISSIONS]),
    )
    actions = [_render_actions(names, resources) for resources, names in groups]
    return "\n".join([f"namespace {NAMESPACE} {{", _ENTITIES, *actions, "}"])


def _render_actions(names: list[str], resources: str) -> str:
    listed = ",\n    ".join(f'"{name}"' for name in names)
    return (
        f"  action\n    {listed}\n  appliesTo {{\n"
        f"    principal: [User, Robot, Anonymous], resource: [{resources}], context: Request\n  }};\n"
    )
