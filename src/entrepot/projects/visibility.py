"""Who sees what in listings over all projects: what single requests would be allowed, found all at once.

A listing shows of a project what whoever asks may see there one by one: projects to who may read them, repositories to
who may list them. A robot is shown what it was given and whoever answers for it holds as well (S9, S19).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Generic, TypeVar

import msgspec

from entrepot.auth.project_actions import ProjectAction, ReadProject
from entrepot.auth.robots.sponsored_decisions import person_asking
from entrepot.auth.role_catalog import RoleCatalog
from entrepot.auth.role_subjects import robot_reach
from entrepot.auth.roles import PUBLIC_PERMISSIONS
from entrepot.auth.system_actions import ListProjects
from entrepot.metadata.project_store import ProjectQuery, Viewer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from entrepot.auth.decisions import Decisions
    from entrepot.auth.principals import Principal
    from entrepot.metadata.store import Metadata

__all__ = ["Sight", "Visibility"]

P = TypeVar("P", bound=ProjectAction)
P_co = TypeVar("P_co", bound=ProjectAction, covariant=True)

_BLIND: Final = Viewer(only_projects=())
"""Who may see nothing is shown nothing, not even what is public."""


@dataclass(frozen=True, slots=True)
class Sight(Generic[P_co]):
    """The proof that somebody may do an action in whichever projects the rows find for the viewer.

    Only :class:`Visibility` makes one.
    """

    action: type[P_co]
    viewer: Viewer

    def of_public(self) -> Sight[P_co]:
        """Return the same where everybody sees it."""
        viewer = self.viewer
        return Sight(self.action, Viewer(only_projects=viewer.only_projects, sees_public=viewer.sees_public))


class Visibility:
    """Finds where somebody may see something. Asks the decisions that single requests are decided by."""

    def __init__(self, metadata: Metadata, decisions: Decisions) -> None:
        self._standings = metadata.standings
        self._projects = metadata.projects
        self._roles = RoleCatalog(metadata.roles)
        self._decisions = decisions

    async def any_project(self, principal: Principal, action: type[ProjectAction]) -> int | None:
        """Return the number of a project in which a principal seems to be allowed an action; `None` without one.

        Which of them it is means nothing. To decide is up to whoever asks for a grant there.
        """
        sight = await self.sight(principal, action)
        found = (await self._projects.list_page(sight.viewer, ProjectQuery(limit=1))).projects
        return found[0].id if found else None

    async def sight(self, principal: Principal, action: type[P]) -> Sight[P]:
        """Return where a principal may do an action that shows something; a credential shows no more than its own.

        Who may list projects on the system sees them all, also where they may read nothing else.
        """
        permission, limits = action.permission.name, principal.limits
        only = None if limits is None or limits.projects is None else sorted(limits.projects)
        asker = _anywhere(principal)
        if action is ReadProject and await self._lists_all(asker):
            return Sight(action, Viewer(_named(asker), everything=True, only_projects=only))
        within = asker.limits is None or asker.limits.allow(permission, "")
        if asker.must_change_password or not within:
            return Sight(action, _BLIND)
        viewer = await self._viewer(asker, permission)
        if viewer is None:
            return Sight(action, _BLIND)
        return Sight(
            action, replace(viewer, only_projects=only, sees_public=permission in PUBLIC_PERMISSIONS)
        )

    async def _lists_all(self, asker: Principal) -> bool:
        if asker.kind == "anonymous":
            return False
        return ListProjects.permission.name in await self._decisions.on_registry(asker)

    async def _viewer(self, asker: Principal, permission: str) -> Viewer | None:
        if asker.kind == "robot":
            return await self._robot(asker, permission)
        return await self._person(asker, permission) if asker.kind == "user" else Viewer()

    async def _person(self, person: Principal, permission: str) -> Viewer | None:
        """Return what a person may see; nothing when they are not there any more, or their password is due."""
        facts = await self._standings.on_system(person.subject)
        if facts is None or facts.must_change_password:
            return None
        everything = permission in await self._decisions.in_every_project(person)
        roles = () if everything else await self._roles_with(permission)
        return Viewer(person.subject, person.subject, everything=everything, roles=roles)

    async def _robot(self, robot: Principal, permission: str) -> Viewer | None:
        """Return what both the robot and whoever answers for it may see, and nothing where nobody does."""
        facts, sponsor = await self._standings.on_system(robot.subject), robot.sponsor
        if facts is None or sponsor is None:
            return None
        names = robot_reach(robot.name, facts, permission)
        reach = None if names is None else sorted(names)
        if sponsor.is_host:
            return Viewer(everything=True, reach=reach)
        seen = await self._person(person_asking(sponsor, robot), permission)
        return None if seen is None else replace(seen, subject="", reach=reach)

    async def _roles_with(self, permission: str) -> Sequence[str]:
        return [role.name for role in await self._roles.list_all() if permission in role.project]


def _anywhere(principal: Principal) -> Principal:
    """Return the principal without the limit to some projects, which the rows apply."""
    limits = principal.limits
    if limits is None or limits.projects is None:
        return principal
    return msgspec.structs.replace(principal, limits=msgspec.structs.replace(limits, projects=None))


def _named(asker: Principal) -> str:
    return asker.subject if asker.kind == "user" else ""
