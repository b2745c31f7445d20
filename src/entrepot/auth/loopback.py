"""The authorizer of a registry without accounts: this machine may do everything, everybody else nothing.

It exists so that a first start is safe without any configuration. A request that a proxy on this machine passed on
comes from a loopback address too, and so does one that a web page sent by way of a name that was rebound to it: what
may have been passed on is not trusted (S18).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from entrepot.auth.errors import AccessDeniedError
from entrepot.auth.forwarding import is_loopback
from entrepot.auth.grants import Action, CatalogGrant, Grant, RegistryGrant

if TYPE_CHECKING:
    from entrepot.auth.principals import Principal
    from entrepot.oci.names import RepositoryName

__all__ = ["EveryoneAuthorizer", "LoopbackAuthorizer"]

A = TypeVar("A", bound=Action)

_REFUSAL = (
    "this registry has no accounts and serves only clients on its own machine that call it by a loopback address; turn "
    "them on (access.accounts), or start it with --insecure-anonymous to let everybody who reaches it read and write"
)


class LoopbackAuthorizer:
    """Allows every action to direct connections from a loopback address."""

    async def authorize(self, principal: Principal, action: type[A], repository: RepositoryName) -> Grant[A]:
        """Return the grant, or raise `AccessDeniedError` for a peer that is not on this machine."""
        _require_loopback(principal)
        return Grant(action, repository, principal, may_create=True, may_overwrite=True)

    async def authorize_registry(self, principal: Principal) -> RegistryGrant:
        """Return the grant, or raise `AccessDeniedError` for a peer that is not on this machine."""
        _require_loopback(principal)
        return RegistryGrant(principal)

    async def authorize_catalog(self, principal: Principal) -> CatalogGrant:
        """Return the grant, or raise `AccessDeniedError` for a peer that is not on this machine."""
        _require_loopback(principal)
        return CatalogGrant(principal)


class EveryoneAuthorizer:
    """Allows every action to everybody: what `--insecure-anonymous` asks for."""

    async def authorize(self, principal: Principal, action: type[A], repository: RepositoryName) -> Grant[A]:
        """Return the grant."""
        return Grant(action, repository, principal, may_create=True, may_overwrite=True)

    async def authorize_registry(self, principal: Principal) -> RegistryGrant:
        """Return the grant."""
        return RegistryGrant(principal)

    async def authorize_catalog(self, principal: Principal) -> CatalogGrant:
        """Return the grant."""
        return CatalogGrant(principal)


def _require_loopback(principal: Principal) -> None:
    if principal.forwarded or not is_loopback(principal.address):
        raise AccessDeniedError(_REFUSAL)
