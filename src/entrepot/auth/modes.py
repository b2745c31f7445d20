"""Modes of the whole registry, kept where every grant is made, so that no path leads round them (S12)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from entrepot.auth.errors import ActionDisabledError
from entrepot.auth.grants import Action, Delete, Push

if TYPE_CHECKING:
    from entrepot.auth.grants import Authorizer, CatalogGrant, Grant, RegistryGrant
    from entrepot.auth.principals import Principal
    from entrepot.oci.names import RepositoryName

__all__ = ["ModeAuthorizer", "Modes", "with_modes"]

A = TypeVar("A", bound=Action)


@dataclass(frozen=True, slots=True)
class Modes:
    """What the settings, or the state of the registry, forbid to everybody.

    Attributes:
        obstacle: why nothing may be written although no setting says so, for people; empty when nothing is wrong.
    """

    read_only: bool = False
    allow_delete: bool = True
    obstacle: str = ""


def with_modes(inner: Authorizer, modes: Modes) -> Authorizer:
    """Return an authorizer that keeps to the modes: `inner` itself when they forbid nothing."""
    return inner if modes == Modes() else ModeAuthorizer(inner, modes)


class ModeAuthorizer:
    """Asks another authorizer first, so that a stranger learns nothing of the mode, and then the mode."""

    def __init__(self, inner: Authorizer, modes: Modes) -> None:
        self._inner = inner
        self._modes = modes

    async def authorize(self, principal: Principal, action: type[A], repository: RepositoryName) -> Grant[A]:
        """Return the grant.

        Raises:
            AccessDeniedError: the principal may not.
            ActionDisabledError: nobody may at present.
        """
        grant = await self._inner.authorize(principal, action, repository)
        self._require_enabled(action)
        return grant

    async def authorize_registry(self, principal: Principal) -> RegistryGrant:
        """Return the grant of the inner authorizer: talking to the registry changes nothing."""
        return await self._inner.authorize_registry(principal)

    async def authorize_catalog(self, principal: Principal) -> CatalogGrant:
        """Return the grant of the inner authorizer: listing changes nothing."""
        return await self._inner.authorize_catalog(principal)

    def _require_enabled(self, action: type[Action]) -> None:
        if self._modes.obstacle and issubclass(action, Push | Delete):
            raise ActionDisabledError(self._modes.obstacle)
        if self._modes.read_only and issubclass(action, Push | Delete):
            raise ActionDisabledError("this registry is read-only at present", "registry.read_only")
        if not self._modes.allow_delete and issubclass(action, Delete):
            raise ActionDisabledError("deleting is switched off on this registry", "registry.allow_delete")
