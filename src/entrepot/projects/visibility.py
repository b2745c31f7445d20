"""Who sees which projects in a listing: everybody the public ones, members theirs, some roles all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from entrepot.auth.grants import SystemGrant
from entrepot.auth.principals import Principal
from entrepot.auth.roles import BUILT_IN_ROLES
from entrepot.auth.system_actions import ListProjects
from entrepot.metadata.project_store import Viewer
from entrepot.projects.robot_namespaces import sight_of

if TYPE_CHECKING:
    from entrepot.auth.principals import PrincipalKind
    from entrepot.metadata.project_store import ProjectReader

__all__ = ["Onlooker", "find_viewer"]

Onlooker: TypeAlias = SystemGrant[ListProjects] | Principal
"""With the grant one sees every project; a principal as such sees those that are public, and their own."""

_READ: Final = "project:read"
_SYSTEM_ROLES: Final = tuple(sorted(role.name for role in BUILT_IN_ROLES.values() if _READ in role.project))
_KNOWN: Final[frozenset[PrincipalKind]] = frozenset({"user", "robot"})


async def find_viewer(rows: ProjectReader, onlooker: Onlooker) -> Viewer:
    """Return what the rows need to know of whoever looks; a credential shows no more than it is good for (S15)."""
    if isinstance(onlooker, SystemGrant):
        principal, everything = onlooker.principal, True
    else:
        principal, everything = onlooker, False
    limits = principal.limits
    only = None if limits is None or limits.projects is None else sorted(limits.projects)
    blind = limits is not None and limits.permissions is not None and _READ not in limits.permissions
    if (
        principal.must_change_password or blind
    ):  # who may read nothing is shown nothing, not even what is public
        return Viewer("", only_projects=[])
    if everything or principal.kind not in _KNOWN:
        return Viewer("", everything, only_projects=only)
    if principal.kind == "user":
        return Viewer(principal.subject, system_roles=_SYSTEM_ROLES, only_projects=only)
    permissions = await rows.robot_permissions(principal.subject)
    if permissions is None:  # whoever answers for it may read nothing at present, so neither may it (S9)
        return Viewer("", only_projects=[])
    sight = sight_of(permissions)
    return Viewer(principal.subject, sight.everything, own_projects=sorted(sight.names), only_projects=only)
