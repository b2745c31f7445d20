"""The operator at the machine itself: whoever may open the stores may do everything with them.

Commands on the host act with these grants. They change nothing about who may do what over the network, and modes such
as `registry.read_only` do not bind them: an operator who closed the registry to writes does so to work on it.
"""

from __future__ import annotations

import os
import pwd
from typing import TYPE_CHECKING, TypeVar

from entrepot.auth.decisions import NO_STANDING, ProjectStanding, RepositoryStanding
from entrepot.auth.errors import ProjectUnknownError
from entrepot.auth.grants import (
    Action,
    CatalogGrant,
    Grant,
    OwnCredentialGrant,
    OwnPasswordGrant,
    ProjectGrant,
    RegistryGrant,
    SelfGrant,
    SystemGrant,
)
from entrepot.auth.permissions import PROJECT_PERMISSIONS, SYSTEM_PERMISSIONS
from entrepot.auth.principals import Principal
from entrepot.auth.project_actions import ProjectAction
from entrepot.auth.rights_of_others import RightsOfOthers
from entrepot.auth.role_decisions import REPOSITORY_ACTIONS
from entrepot.auth.system_actions import SystemAction

if TYPE_CHECKING:
    from entrepot.metadata.standing_store import StandingReader
    from entrepot.oci.names import RepositoryName

__all__ = [
    "HostAuthorizer",
    "HostControlAuthorizer",
    "HostDecisions",
    "host_operator",
    "host_rights",
    "host_system_grant",
]

A = TypeVar("A", bound=Action)
P = TypeVar("P", bound=ProjectAction)
S = TypeVar("S", bound=SystemAction)


class HostAuthorizer:
    """Allows every action to the operator of this machine; never given to an edge."""

    async def authorize(self, principal: Principal, action: type[A], repository: RepositoryName) -> Grant[A]:
        """Return the grant."""
        return Grant(action, repository, principal, may_create=True, may_overwrite=True)

    async def authorize_registry(self, principal: Principal) -> RegistryGrant:
        """Return the grant."""
        return RegistryGrant(principal)

    async def authorize_catalog(self, principal: Principal) -> CatalogGrant:
        """Return the grant."""
        return CatalogGrant(principal)

    async def authorize_system(self, principal: Principal, action: type[S]) -> SystemGrant[S]:
        """Return the grant."""
        return SystemGrant(action, principal)


class HostControlAuthorizer(HostAuthorizer):
    """The same for the control plane, where projects are named and must exist."""

    def __init__(self, standings: StandingReader) -> None:
        self._standings = standings

    async def authorize_project(
        self, principal: Principal, action: type[P], project: str | int
    ) -> ProjectGrant[P]:
        """Return the grant, or raise `ProjectUnknownError`."""
        facts = (await self._standings.in_project(principal.subject, project)).project
        if facts is None:
            raise ProjectUnknownError(project)
        return ProjectGrant(action, facts.project_id, facts.name, principal)

    async def authorize_self(self, principal: Principal) -> SelfGrant:
        """Return the grant."""
        return SelfGrant(principal)

    async def authorize_own_credential(self, principal: Principal) -> OwnCredentialGrant:
        """Return the grant."""
        return OwnCredentialGrant(principal)

    async def authorize_own_password(self, principal: Principal) -> OwnPasswordGrant:
        """Return the grant."""
        return OwnPasswordGrant(principal)


class HostDecisions:
    """Implements :class:`entrepot.auth.decisions.Decisions` for services that ask what their caller may give away."""

    def __init__(self, standings: StandingReader) -> None:
        self._standings = standings

    async def on_repository(self, principal: Principal, repository: RepositoryName) -> RepositoryStanding:
        """Return all actions in a project that exists."""
        facts = (await self._standings.in_project(principal.subject, repository.project)).project
        if facts is None:
            return NO_STANDING
        return RepositoryStanding(facts.name, facts.epoch, frozenset(REPOSITORY_ACTIONS))

    async def on_registry(self, principal: Principal) -> frozenset[str]:  # noqa: ARG002  # all may
        """Return all permissions."""
        return frozenset(SYSTEM_PERMISSIONS)

    async def in_every_project(self, principal: Principal) -> frozenset[str]:  # noqa: ARG002  # all may
        """Return all permissions."""
        return frozenset(PROJECT_PERMISSIONS)

    async def on_project(self, principal: Principal, project: str | int) -> ProjectStanding | None:
        """Return all permissions in a project that exists."""
        facts = (await self._standings.in_project(principal.subject, project)).project
        if facts is None:
            return None
        return ProjectStanding(facts.project_id, facts.name, facts.epoch, frozenset(PROJECT_PERMISSIONS))


def host_rights(standings: StandingReader) -> RightsOfOthers:
    """Return the judgement by which the operator of this machine may act on everybody."""
    return RightsOfOthers(standings, HostDecisions(standings))


def host_operator() -> Principal:
    """Return the principal of whoever runs this process: `host:` and the login name, or the number without one."""
    user = os.getuid()
    try:
        name = pwd.getpwuid(user).pw_name
    except KeyError:
        name = str(user)
    return Principal(subject=f"host:{name}", address="", forwarded=False, name=name, kind="host")


def host_system_grant(action: type[S]) -> SystemGrant[S]:
    """Return the grant of whoever runs this process for something on the registry as a whole."""
    return SystemGrant(action, host_operator())
