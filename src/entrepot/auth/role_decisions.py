"""Decides by the roles of people and the permissions of robots: facts by one statement, policies by Cedar.

A database that does not answer decides nothing: its error is raised, and no edge takes that for a yes (I6).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from entrepot.auth.decision_memory import DecisionMemory
from entrepot.auth.decisions import NO_STANDING, NOTHING, ProjectStanding, RepositoryStanding
from entrepot.auth.permissions import PROJECT_PERMISSIONS, SYSTEM_PERMISSIONS
from entrepot.auth.role_subjects import subject_in_project, subject_on_system
from entrepot.auth.unmoved import watch_project
from entrepot.metadata.standing_store import ProjectFacts

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable

    from entrepot.auth.cedar.engine import PolicyEngine
    from entrepot.auth.epochs import Epochs
    from entrepot.auth.principals import Principal
    from entrepot.metadata.standing_store import StandingReader, SubjectFacts
    from entrepot.oci.names import RepositoryName

__all__ = ["REPOSITORY_ACTIONS", "RoleDecisions"]

REPOSITORY_ACTIONS: Final = {
    "pull": "repository:pull",
    "push": "repository:push",
    "delete": "repository:delete",
    "create": "repository:create",
    "overwrite": "tag:overwrite",
}
"""The permission that each action of the data plane is."""

_MAY_CREATE_AS_WELL: Final = {
    "developers": frozenset({"push"}),
    "team-leads": frozenset({"push", "delete"}),
}
"""By a project's setting `repository_creation`: whoever may do all of this, may create by pushing."""


class RoleDecisions:
    """Implements :class:`entrepot.auth.decisions.Decisions`.

    Answers that permit something are remembered for 30 s; others are not, so that a role that was just given works at
    once. A credential's limits are part of what an answer is remembered by.
    """

    def __init__(
        self,
        standings: StandingReader,
        engine: PolicyEngine,
        epochs: Epochs,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._standings = standings
        self._engine = engine
        self._epochs = epochs
        self._repositories: DecisionMemory[RepositoryStanding] = DecisionMemory(epochs, clock=clock)
        self._sets: DecisionMemory[frozenset[str]] = DecisionMemory(epochs, clock=clock)
        self._projects: DecisionMemory[ProjectStanding] = DecisionMemory(epochs, clock=clock)

    async def on_repository(self, principal: Principal, repository: RepositoryName) -> RepositoryStanding:
        """See the protocol."""
        self._epochs.require_fresh()
        if principal.must_change_password:
            return NO_STANDING
        place = repository.text if self._engine.tells_repositories_apart else repository.project
        key = (*_asker(principal), place)
        if (remembered := self._repositories.find(key)) is not None:
            return remembered
        moves = self._repositories.moves()
        asked = await self._standings.in_project(principal.subject, repository.project)
        project = asked.project or _missing(repository.project)
        actions = self._decide_repository(principal, asked.subject, project, repository)
        if asked.project is None or not actions:
            return NO_STANDING
        standing = RepositoryStanding(project.name, project.epoch, actions)
        self._repositories.keep(key, standing, moves)
        return standing

    async def on_registry(self, principal: Principal) -> frozenset[str]:
        """See the protocol."""
        key = (*_asker(principal), "registry")
        if (remembered := self._recall(principal, key)) is not None:
            return remembered
        moves = self._sets.moves()
        subject = subject_on_system(principal, await self._standings.on_system(principal.subject), "system")
        if subject is None:
            return NOTHING
        allowed = self._engine.on_registry(subject, _within_limits(principal, SYSTEM_PERMISSIONS, ""))
        return self._keep(key, allowed, moves)

    async def in_every_project(self, principal: Principal) -> frozenset[str]:
        """See the protocol."""
        key = (*_asker(principal), "every project")
        if (remembered := self._recall(principal, key)) is not None:
            return remembered
        moves = self._sets.moves()
        subject = subject_on_system(principal, await self._standings.on_system(principal.subject), "project")
        if subject is None:
            return NOTHING
        asked = _within_limits(principal, PROJECT_PERMISSIONS, "")
        return self._keep(key, self._engine.in_project(subject, asked, "", is_public=False), moves)

    async def on_project(self, principal: Principal, project: str | int) -> ProjectStanding | None:
        """See the protocol."""
        self._epochs.require_fresh()
        key = (*_asker(principal), project)
        remembered = None if principal.must_change_password else self._projects.find(key)
        if remembered is not None:
            watch_project(remembered.project_id, remembered.epoch)
            return remembered
        moves = self._projects.moves()
        asked = await self._standings.in_project(principal.subject, project)
        standing = self._decide_project(principal, asked.subject, asked.project or _missing(project))
        if asked.project is None:
            return None
        watch_project(standing.project_id, standing.epoch)
        if standing.permissions:
            self._projects.keep(key, standing, moves)
        return standing

    def _decide_repository(
        self,
        principal: Principal,
        facts: SubjectFacts | None,
        project: ProjectFacts,
        repository: RepositoryName,
    ) -> frozenset[str]:
        subject = subject_in_project(principal, facts, project)
        if subject is None:
            return NOTHING
        asked = _within_limits(principal, REPOSITORY_ACTIONS.values(), project.name)
        allowed = self._engine.in_repository(
            subject, asked, project.name, repository.text, is_public=project.is_public
        )
        actions = {action for action, permission in REPOSITORY_ACTIONS.items() if permission in allowed}
        needed = _MAY_CREATE_AS_WELL.get(project.repository_creation)
        if needed is not None and needed <= actions:
            actions.add("create")
        return frozenset(actions)

    def _decide_project(
        self, principal: Principal, facts: SubjectFacts | None, project: ProjectFacts
    ) -> ProjectStanding:
        subject = None if principal.must_change_password else subject_in_project(principal, facts, project)
        if subject is None:
            return ProjectStanding(project.project_id, project.name, project.epoch, NOTHING)
        asked = _within_limits(principal, PROJECT_PERMISSIONS, project.name)
        return ProjectStanding(
            project.project_id,
            project.name,
            project.epoch,
            self._engine.in_project(subject, asked, project.name, is_public=project.is_public),
            subject.project_roles | subject.system_roles,
        )

    def _recall(self, principal: Principal, key: Hashable) -> frozenset[str] | None:
        self._epochs.require_fresh()
        return NOTHING if principal.must_change_password else self._sets.find(key)

    def _keep(self, key: Hashable, allowed: frozenset[str], moves: int) -> frozenset[str]:
        if allowed:
            self._sets.keep(key, allowed, moves)
        return allowed


def _missing(project: str | int) -> ProjectFacts:
    """Return what a missing project is decided as: a private one of others, so that no time tells which it is (S19).

    Nothing of what is decided counts.
    """
    return ProjectFacts(
        0, project if isinstance(project, str) else "", 0, is_public=False, repository_creation=""
    )


def _asker(principal: Principal) -> tuple[Hashable, ...]:
    # The epoch as well: who was changed, and logged in anew before this process heard of it, is decided anew.
    return principal.kind, principal.subject, principal.epoch, principal.limits


def _within_limits(principal: Principal, permissions: Iterable[str], project: str) -> frozenset[str]:
    """Return which permissions the credential that was presented may be good for (S15).

    Only these are asked about: what its limits leave out takes no time by which to tell that it is there (S19).
    """
    limits = principal.limits
    if limits is None:
        return frozenset(permissions)
    return frozenset(name for name in permissions if limits.allow(name, project))
