"""The policies that every registry has: made of the table of built-in roles, so that the two can't differ.

A role that no policy names permits nothing. There is no `forbid`: what is not permitted is refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from entrepot.auth.cedar.schema import NAMESPACE, SYSTEM_PREFIX
from entrepot.auth.roles import BUILT_IN_ROLES, PUBLIC_PERMISSIONS

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["render_policies"]


def render_policies() -> str:
    """Return the policies in Cedar's own form, each with its `@id`."""
    policies: list[str] = []
    for role in BUILT_IN_ROLES.values():
        if role.assignable_in_project:
            policies.append(_role(f"{role.name} in a project", "ProjectRole", role.name, role.project))
        if role.assignable_on_system:
            everywhere = [*sorted(role.project), *(SYSTEM_PREFIX + name for name in sorted(role.system))]
            policies.append(_role(f"{role.name} on the system", "SystemRole", role.name, everywhere))
    policies += [
        _own_permissions("permissions of custom roles", "User"),
        _own_permissions("permissions of a robot", "Robot"),
        _public("public projects", "Project", "resource.public"),
        _public("repositories of public projects", "Repository", "resource.project.public"),
    ]
    return "\n".join(policies)


def _role(title: str, kind: str, role: str, permissions: Iterable[str]) -> str:
    return (
        f'@id("{title}")\npermit (\n  principal in {NAMESPACE}::{kind}::"{role}",\n'
        f"  action in {_actions(permissions)},\n  resource\n);\n"
    )


def _own_permissions(title: str, kind: str) -> str:
    return (
        f'@id("{title}")\npermit (principal is {NAMESPACE}::{kind}, action, resource)\n'
        "when { principal.permissions.contains(context.permission) };\n"
    )


def _public(title: str, kind: str, condition: str) -> str:
    names = [name for name in PUBLIC_PERMISSIONS if kind == "Project" or _concerns_repositories(name)]
    return (
        f'@id("{title}")\npermit (\n  principal,\n  action in {_actions(names)},\n'
        f"  resource is {NAMESPACE}::{kind}\n)\nwhen {{ {condition} }};\n"
    )


def _concerns_repositories(permission: str) -> bool:
    return permission.partition(":")[0] not in {"project", "label"}


def _actions(permissions: Iterable[str]) -> str:
    listed = "".join(f'    {NAMESPACE}::Action::"{name}",\n' for name in sorted(permissions))
    return f"[\n{listed.removesuffix(f',{chr(10)}')}\n  ]"
