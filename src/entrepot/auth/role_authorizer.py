"""Makes grants of decisions: for the data plane from a token's list or anew, for the control plane always anew.

Whether something exists shows in no refusal: a missing project, a missing repository and a forbidden one get the same
text (S19). Who came with an access token that is good for something there is told where only its limits are in the way.
Only who may see or make any project is told that one is missing: docker and its like show nothing of a refusal, so they
would be told that they may not do what they may. Where everybody makes projects, nothing is given away by that: who
tries to make one is told that it is there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NoReturn, TypeVar

import msgspec

from entrepot.auth.decisions import NOTHING
from entrepot.auth.errors import (
    AccessDeniedError,
    AuthenticationRequiredError,
    InsufficientScopeError,
    PasswordChangeRequiredError,
    ProjectMissingError,
    ProjectUnknownError,
)
from entrepot.auth.grants import (
    Action,
    CatalogGrant,
    Delete,
    Grant,
    OwnCredentialGrant,
    OwnPasswordGrant,
    ProjectGrant,
    Pull,
    Push,
    RegistryGrant,
    SelfGrant,
    SystemGrant,
)
from entrepot.auth.limited_credentials import (
    tell_limits_in_project,
    tell_limits_on_repository,
    tell_limits_on_system,
)
from entrepot.auth.project_actions import ProjectAction
from entrepot.auth.system_actions import SystemAction

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from entrepot.auth.decisions import Decisions
    from entrepot.auth.principals import Principal
    from entrepot.oci.names import RepositoryName

__all__ = ["CATALOG_SCOPE", "RoleAuthorizer"]

A = TypeVar("A", bound=Action)
P = TypeVar("P", bound=ProjectAction)
S = TypeVar("S", bound=SystemAction)

CATALOG_SCOPE: Final = "registry:catalog:*"
_ON_REGISTRY: Final = "*"
"""Where a token's list has what it is good for on the registry as a whole."""
_CATALOG: Final = "catalog"
_CATALOG_PERMISSION: Final = "catalog:read"
_SEES_PROJECT: Final = "project:read"
_KNOWS_ALL_PROJECTS: Final = "project:list"
_MAKES_PROJECTS: Final = "project:create"

_NEEDED: Final[dict[type[Action], tuple[str, str]]] = {
    Pull: ("pull", "pull"),
    Push: ("push", "pull,push"),
    Delete: ("delete", "delete"),
}
"""By action: what must be allowed, and what a challenge asks for (T3: who pushes reads as well)."""

_DENIED_DATA: Final = (
    "there is no such repository, or you may not do this with it: ask an administrator of the project for a role that "
    "permits it; a new repository is made by whoever the project lets create repositories"
)
_DENIED_PROJECT: Final = (
    "there is no such project, or you may not do this in it: ask who administers it for a role"
)
_DENIED_MEMBER: Final = (
    "this takes {permission} in project {project}: ask who administers it for a role that permits it"
)
"""For whoever may know that the project is there."""
_DENIED_SYSTEM: Final = (
    "this takes {permission} on the system: ask an operations administrator for a role that permits it"
)
_DENIED_SELF: Final = (
    "an access token with limits can't be used for one's own account; log in with the password"
)


class RoleAuthorizer:
    """Implements :class:`entrepot.auth.grants.Authorizer` and :class:`entrepot.auth.grants.ControlAuthorizer`."""

    def __init__(
        self, decisions: Decisions, everybody_makes_projects: Callable[[], Awaitable[bool]] | None = None
    ) -> None:
        """Take how to ask whether people make projects without a permission for it; left out, they don't."""
        self._decisions = decisions
        self._everybody_makes_projects = everybody_makes_projects

    async def authorize(self, principal: Principal, action: type[A], repository: RepositoryName) -> Grant[A]:
        """See the protocol."""
        _require_own_password(principal)
        needed, asked = _NEEDED[action]
        access = principal.access
        if access is not None:
            allowed = access.get(repository.text, NOTHING)
        else:
            allowed = (await self._decisions.on_repository(principal, repository)).actions
        if needed not in allowed:
            await self._require_project(principal, repository.project)
            if (
                access is None and allowed
            ):  # or it would be told, by time, that a project of others is there (S19)
                await tell_limits_on_repository(self._decisions, principal, needed, repository)
            _refuse(principal, f"repository:{repository.text}:{asked}", _DENIED_DATA)
        return Grant(
            action,
            repository,
            principal,
            may_create="create" in allowed and action is Push,
            may_overwrite="overwrite" in allowed and action is Push,
        )

    async def _require_project(self, principal: Principal, project: str) -> None:
        """Tell who may know it that a project is missing.

        What a bearer token got of an access token does not carry that one's limits, so it is told nothing (S15).

        Raises:
            ProjectMissingError: it is.
        """
        is_limited = principal.access is not None and principal.limits is not None
        if principal.kind == "anonymous" or is_limited:
            return
        asker = msgspec.structs.replace(principal, access=None)
        held = await self._decisions.on_registry(asker)
        may_create = _MAKES_PROJECTS in held or await self._makes_projects_as_everybody(asker)
        if not may_create and _KNOWS_ALL_PROJECTS not in held:
            return
        if await self._decisions.on_project(asker, project) is None:
            raise ProjectMissingError(project, may_create=may_create)

    async def _makes_projects_as_everybody(self, asker: Principal) -> bool:
        """Whether somebody may make projects as all people may, which takes the password or a token without limits."""
        if self._everybody_makes_projects is None or asker.kind != "user" or asker.is_limited:
            return False
        return await self._everybody_makes_projects()

    async def authorize_registry(self, principal: Principal) -> RegistryGrant:
        """See the protocol; everybody who is known may, so that `docker login` tells right from wrong."""
        _require_own_password(principal)
        if principal.kind == "anonymous" and principal.access is None:
            raise AuthenticationRequiredError
        return RegistryGrant(principal)

    async def authorize_catalog(self, principal: Principal) -> CatalogGrant:
        """See the protocol."""
        _require_own_password(principal)
        if principal.access is not None:
            may = _CATALOG in principal.access.get(_ON_REGISTRY, NOTHING)
        else:
            may = _CATALOG_PERMISSION in await self._decisions.on_registry(principal)
        if not may:
            if principal.access is None:
                await tell_limits_on_system(self._decisions, principal, _CATALOG_PERMISSION)
            _refuse(principal, CATALOG_SCOPE, _DENIED_SYSTEM.format(permission=_CATALOG_PERMISSION))
        return CatalogGrant(principal)

    async def authorize_project(
        self, principal: Principal, action: type[P], project: str | int
    ) -> ProjectGrant[P]:
        """See the protocol."""
        _require_no_bearer(principal)
        _require_own_password(principal)
        standing = await self._decisions.on_project(principal, project)
        if standing is not None and action.permission.name in standing.permissions:
            return ProjectGrant(action, standing.project_id, standing.project, principal, standing.epoch)
        if principal.kind == "anonymous":
            raise AuthenticationRequiredError
        if standing is None or not standing.permissions:  # asked of both: no time tells which it is (S19)
            knows_all = _KNOWS_ALL_PROJECTS in await self._decisions.on_registry(principal)
            if standing is None and knows_all:
                raise ProjectUnknownError(project)
        if standing is not None and standing.permissions:  # or as above
            await tell_limits_in_project(self._decisions, principal, action.permission.name, project)
        if standing is not None and _SEES_PROJECT in standing.permissions:
            name = action.permission.name
            raise AccessDeniedError(_DENIED_MEMBER.format(permission=name, project=standing.project))
        raise AccessDeniedError(_DENIED_PROJECT)

    async def authorize_system(self, principal: Principal, action: type[S]) -> SystemGrant[S]:
        """See the protocol."""
        _require_somebody(principal)
        _require_own_password(principal)
        if action.permission.name not in await self._decisions.on_registry(principal):
            await tell_limits_on_system(self._decisions, principal, action.permission.name)
            raise AccessDeniedError(_DENIED_SYSTEM.format(permission=action.permission.name))
        return SystemGrant(action, principal)

    async def authorize_self(self, principal: Principal) -> SelfGrant:
        """See the protocol.

        Raises:
            AccessDeniedError: with an access token that has limits one could make another that has none (S15).
        """
        _require_account(principal)
        _require_own_password(principal)
        return SelfGrant(principal)

    async def authorize_own_credential(self, principal: Principal) -> OwnCredentialGrant:
        """See the protocol."""
        _require_somebody(principal)
        _require_own_password(principal)
        return OwnCredentialGrant(principal)

    async def authorize_own_password(self, principal: Principal) -> OwnPasswordGrant:
        """See the protocol."""
        _require_account(principal)
        return OwnPasswordGrant(principal)


def _refuse(principal: Principal, scope: str, reason: str) -> NoReturn:
    """T16: whoever could come back with more is told what to ask for; to all others it is forbidden."""
    if principal.access is not None:
        raise InsufficientScopeError(scope, of_access_token=principal.limits is not None)
    if principal.kind == "anonymous":
        raise AuthenticationRequiredError(scope)
    raise AccessDeniedError(reason)


def _require_own_password(principal: Principal) -> None:
    if principal.must_change_password:
        raise PasswordChangeRequiredError


def _require_no_bearer(principal: Principal) -> None:
    """A bearer token is good for repositories only; decided anew, it would be good for all its subject may do."""
    if principal.access is not None:
        raise AuthenticationRequiredError


def _require_somebody(principal: Principal) -> None:
    _require_no_bearer(principal)
    if principal.kind == "anonymous":
        raise AuthenticationRequiredError


def _require_account(principal: Principal) -> None:
    _require_somebody(principal)
    if principal.is_limited:
        raise AccessDeniedError(_DENIED_SELF)
