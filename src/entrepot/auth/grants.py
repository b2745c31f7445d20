"""Grants: the proof of a decision, which services demand as an argument and take the repository from.

A service that needs `Grant[Push]` can't be called by code that forgot to ask: that is a type error, not a hole.
Only authorizers make grants.
"""

from __future__ import annotations

from typing import Generic, Protocol, TypeVar

import msgspec

from entrepot.auth.principals import Principal
from entrepot.oci.names import RepositoryName

__all__ = ["Action", "Authorizer", "CatalogGrant", "Delete", "Grant", "Pull", "Push", "RegistryGrant"]


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


class Grant(msgspec.Struct, Generic[A_co], frozen=True):
    """Permission for one action on one repository."""

    action: type[A_co]
    repository: RepositoryName
    principal: Principal


class RegistryGrant(msgspec.Struct, frozen=True):
    """Permission to talk to the registry at all, as `GET /v2/` asks."""

    principal: Principal


class CatalogGrant(msgspec.Struct, frozen=True):
    """Permission to list the repositories of the whole registry."""

    principal: Principal


class Authorizer(Protocol):
    """Decides. Implementations are free of state that a request could change, and fail closed."""

    async def authorize(self, principal: Principal, action: type[A], repository: RepositoryName) -> Grant[A]:
        """Return the grant.

        Raises:
            AccessDeniedError: when the principal may not.
        """
        ...

    async def authorize_registry(self, principal: Principal) -> RegistryGrant:
        """Return the grant to use the registry itself.

        Raises:
            AccessDeniedError: when the principal may not.
        """
        ...

    async def authorize_catalog(self, principal: Principal) -> CatalogGrant:
        """Return the grant to list all repositories.

        Raises:
            AccessDeniedError: when the principal may not.
        """
        ...
