"""The reference of permissions: where each is asked for, taken from the routes and the decisions themselves."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

from entrepot.auth.permissions import PROJECT_PERMISSIONS, SYSTEM_PERMISSIONS
from entrepot.auth.role_authorizer import _CATALOG_PERMISSION as CATALOG_PERMISSION
from entrepot.auth.role_authorizer import _KNOWS_ALL_PROJECTS as _SEES_ALL
from entrepot.auth.role_authorizer import _NEEDED as NEEDED
from entrepot.auth.role_decisions import REPOSITORY_ACTIONS
from entrepot.auth.system_actions import SystemAction
from entrepot.control_api.routes import all_endpoints
from entrepot.distribution_api.routes import ROUTES, RepositoryRoute
from tests.docs.tables import render_table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from entrepot.auth.permissions import Level

__all__ = ["NOTHING_YET", "Key", "enforced_permissions", "render_permission_uses"]

Key = tuple["Level", str]

NOTHING_YET: Final[frozenset[Key]] = frozenset(
    {
        *(("project", f"artifact:{verb}") for verb in ("read", "list", "create", "delete")),
        *(("project", f"tag:{verb}") for verb in ("list", "create", "delete")),
        ("project", "accessory:list"),
        ("project", "artifact-label:create"),
        ("project", "artifact-label:delete"),
        ("system", "system-info:read"),
    }
)
"""What can be given since Harbor's clients give it, and opens nothing."""
_NEW_REPOSITORY: Final = "a push that brings a repository into being"
_MOVED_TAG: Final = "a push that points an existing tag at something else"
_BEYOND_ROUTES: Final[dict[str, str]] = {"create": _NEW_REPOSITORY, "overwrite": _MOVED_TAG}
"""Actions of the data plane that no route is about: a push needs them by what it turns out to be."""


def enforced_permissions() -> Mapping[Key, list[str]]:
    """Return by permission the operations that ask for it."""
    found: defaultdict[Key, list[str]] = defaultdict(list)
    for endpoint in all_endpoints():
        for action in endpoint.demand.actions:
            level: Level = "system" if issubclass(action, SystemAction) else "project"
            found[level, action.permission.name].append(f"`{endpoint.operation}`")
        for action in endpoint.told_more:
            found["project", action.permission.name].append(f"more of `{endpoint.operation}`")
    for route in ROUTES:
        if isinstance(route, RepositoryRoute):
            action_name = NEEDED[route.action][0]
            found["project", REPOSITORY_ACTIONS[action_name]].append(f"`{route.operation}`")
    for name, push in _BEYOND_ROUTES.items():
        found["project", REPOSITORY_ACTIONS[name]].append(push)
    found["system", _SEES_ALL].append(
        "`api.project.list` and whatever else lists projects: it shows all of them"
    )
    found["system", CATALOG_PERMISSION].append("`catalog.list`")
    return found


def render_permission_uses() -> str:
    """Return each permission with where it is asked for."""
    enforced = enforced_permissions()
    rows: list[tuple[str, ...]] = []
    levels: tuple[tuple[Level, Mapping[str, object], str], ...] = (
        ("project", PROJECT_PERMISSIONS, "in a project"),
        ("system", SYSTEM_PERMISSIONS, "on the system"),
    )
    for level, names, where in levels:
        for name in names:
            uses = ", ".join(enforced.get((level, name), ())) or "nothing yet: accepted for Harbor's clients"
            rows.append((f"`{name}`", where, uses))
    return render_table(("Permission", "Given", "Asked for by"), rows)
