"""What a project's or the registry's settings let others do is opened by those only who may do it themselves (S9)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from entrepot.auth.decisions import NOTHING
from entrepot.auth.errors import AccessDeniedError
from entrepot.auth.roles import PUBLIC_PERMISSIONS
from entrepot.projects.metadata_values import PUBLIC, REPOSITORY_CREATION

if TYPE_CHECKING:
    from collections.abc import Mapping

    from entrepot.auth.decisions import Decisions
    from entrepot.auth.grants import ProjectGrant, SystemGrant
    from entrepot.auth.project_actions import ProjectAction
    from entrepot.auth.system_actions import SystemAction
    from entrepot.metadata.project_store import HeldProject

__all__ = ["permissions_in", "require_creation_held", "require_opened_held"]

_WIDER: Final = ("operators", "team-leads", "developers")
"""Who may bring new repositories into being, each more than the one before."""
_CREATES_REPOSITORIES: Final = frozenset({"repository:create"})
_CREATES_PROJECTS: Final = "project:create"


async def permissions_in(decisions: Decisions, grant: ProjectGrant[ProjectAction]) -> frozenset[str]:
    """Return what whoever has a grant may do in its project; asked before the unit that needs it."""
    standing = await decisions.on_project(grant.principal, grant.project_id)
    return NOTHING if standing is None else standing.permissions


def require_opened_held(held: HeldProject, values: Mapping[str, str], own: frozenset[str]) -> None:
    """Refuse metadata that would let others do what the one who sets them may not.

    Raises:
        AccessDeniedError: naming what is lacking.
    """
    opened: frozenset[str] = frozenset()
    if values.get(PUBLIC) == "true" and not held.is_public:
        opened |= PUBLIC_PERMISSIONS
    wanted = values.get(REPOSITORY_CREATION, held.repository_creation)
    if _WIDER.index(wanted) > _WIDER.index(held.repository_creation):
        opened |= _CREATES_REPOSITORIES
    missing = opened - own
    if missing:
        raise AccessDeniedError(
            "nobody opens a project to others for what they may not do in it themselves: "
            f"{', '.join(sorted(missing))}"
        )


async def require_creation_held(decisions: Decisions, grant: SystemGrant[SystemAction]) -> None:
    """Refuse to let everybody make projects, where the one who would may not.

    Raises:
        AccessDeniedError: they may not.
    """
    if _CREATES_PROJECTS not in await decisions.on_registry(grant.principal):
        raise AccessDeniedError(
            f"nobody gives everybody what they do not hold themselves: {_CREATES_PROJECTS}"
        )
