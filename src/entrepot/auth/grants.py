"""Grants: the proof of a decision, which services demand as an argument and take what it is about from.

A service that needs `Grant[Push]` can't be called by code that forgot to ask: that is a type error, not a hole.
Only authorizers make grants.
"""

from __future__ import annotations

from typing import Generic, Protocol, TypeVar

import msgspec

from entrepot.auth.principals import Principal
from entrepot.auth.project_actions import ProjectAction
from entrepot.auth.system_actions import SystemAction
from entrepot.oci.names import RepositoryName

__all__ = [
    "Action",
    "Authorizer",
    "CatalogGrant",
    "ControlAuthorizer",
    "Delete",
    "Grant",
    "OwnCredentialGrant",
    "OwnPasswordGrant",
    "ProjectGrant",
    "Pull",
    "Push",
    "RegistryGrant",
    "SelfGrant",
    "SystemGrant",
]


class Action:
    """The root of everything one may be allowed to do with a repository; subclasses are only ever used as types."""


class Pull(Action):
    """Read manifests, blobs and tags."""


class Push(Action):
    """Upload blobs, put manifests and move tags."""


class Delete(Action):
    """Delete tags and manifests, and a repository's links to blobs."""


A_co = TypeVar("A_co", bound=Action, covariant=True)
A = TypeVar("A", bound=Action)
P_co = TypeVar("P_co", bound=ProjectAction, covariant=True)
P = TypeVar("P", bound=ProjectAction)
S_co = TypeVar("S_co", bound=SystemAction, covariant=True)
S = TypeVar("S", bound=SystemAction)


class Grant(msgspec.Struct, Generic[A_co], frozen=True):
    """Permission for one action on one repository.

    Attributes:
        may_create: whether a push may bring the repository into being.
        may_overwrite: whether a push may point a tag that exists at something else (S11).
    """

    action: type[A_co]
    repository: RepositoryName
    principal: Principal
    may_create: bool = False
    may_overwrite: bool = False


class RegistryGrant(msgspec.Struct, frozen=True):
    """Permission to talk to the registry at all, as `GET /v2/` asks."""

    principal: Principal


class CatalogGrant(msgspec.Struct, frozen=True):
    """Permission to list the repositories of the whole registry."""

    principal: Principal


class ProjectGrant(msgspec.Struct, Generic[P_co], frozen=True):
    """Permission for one thing in one project, which exists.

    Attributes:
        epoch: that of the project when this was decided; `None` where nothing was to be decided, as on the host.
    """

    action: type[P_co]
    project_id: int
    project: str
    principal: Principal
    epoch: int | None = None


class SystemGrant(msgspec.Struct, Generic[S_co], frozen=True):
    """Permission for one thing on the registry as a whole."""

    action: type[S_co]
    principal: Principal


class SelfGrant(msgspec.Struct, frozen=True):
    """Permission of a person or robot to what is their own: profile, access tokens, sessions, own permissions."""

    principal: Principal


class OwnCredentialGrant(msgspec.Struct, frozen=True):
    """Permission to give up what one came with, whatever its limits; what else it is good for, its service says."""

    principal: Principal


class OwnPasswordGrant(msgspec.Struct, frozen=True):
    """Permission to learn who one is and to choose a new password: all that is left to whose password is due."""

    principal: Principal


class Authorizer(Protocol):
    """Decides for the data plane. Fails closed."""

    async def authorize(self, principal: Principal, action: type[A], repository: RepositoryName) -> Grant[A]:
        """Return the grant.

        Raises:
            AuthenticationRequiredError, InsufficientScopeError: other credentials, or a token for more, might do.
            AccessDeniedError: the principal may not.
            ProjectMissingError: there is no such project, and the principal may see or make any.
        """
        ...

    async def authorize_registry(self, principal: Principal) -> RegistryGrant:
        """Return the grant to use the registry itself.

        Raises:
            AuthenticationRequiredError: nobody is known yet.
            AccessDeniedError: the principal may not.
        """
        ...

    async def authorize_catalog(self, principal: Principal) -> CatalogGrant:
        """Return the grant to list all repositories.

        Raises:
            AuthenticationRequiredError, InsufficientScopeError: other credentials, or a token for more, might do.
            AccessDeniedError: the principal may not.
        """
        ...


class ControlAuthorizer(Protocol):
    """Decides for the control plane, anew for each request. Fails closed."""

    async def authorize_project(
        self, principal: Principal, action: type[P], project: str | int
    ) -> ProjectGrant[P]:
        """Return the grant for a project by name or by number.

        Raises:
            AuthenticationRequiredError: nobody is known yet.
            PasswordChangeRequiredError: a new password has to be chosen first.
            AccessDeniedError: the principal may not, or there is no such project and it is not theirs to know (S19).
            ProjectUnknownError: there is none, and the principal may know.
        """
        ...

    async def authorize_system(self, principal: Principal, action: type[S]) -> SystemGrant[S]:
        """Return the grant.

        Raises:
            AuthenticationRequiredError: nobody is known yet.
            PasswordChangeRequiredError: a new password has to be chosen first.
            AccessDeniedError: the principal may not.
        """
        ...

    async def authorize_self(self, principal: Principal) -> SelfGrant:
        """Return the grant to what is one's own.

        Raises:
            AuthenticationRequiredError: nobody is known yet.
            AccessDeniedError: a credential with limits is not good for this.
            PasswordChangeRequiredError: a new password has to be chosen first.
        """
        ...

    async def authorize_own_credential(self, principal: Principal) -> OwnCredentialGrant:
        """Return the grant to give up what one came with, also if that has limits.

        Raises:
            AuthenticationRequiredError: nobody is known yet.
            PasswordChangeRequiredError: a new password has to be chosen first.
        """
        ...

    async def authorize_own_password(self, principal: Principal) -> OwnPasswordGrant:
        """Return the grant to see who one is and to change one's password; also where that has to be done first.

        Raises:
            AuthenticationRequiredError: nobody is known yet.
            AccessDeniedError: a credential with limits is not good for this.
        """
        ...
