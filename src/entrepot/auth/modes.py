"""Modes of the whole registry, kept where every grant is made, so that no path leads round them (S12)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from entrepot.auth.errors import ActionDisabledError
from entrepot.auth.grants import Action, Delete, Push

if TYPE_CHECKING:
    from collections.abc import Callable

    from entrepot.auth.grants import Authorizer, CatalogGrant, Grant, RegistryGrant
    from entrepot.auth.principals import Principal
    from entrepot.oci.names import RepositoryName

__all__ = ["ModeAuthorizer", "ModeGate", "Modes", "ReadOnlySwitch"]

A = TypeVar("A", bound=Action)

_CHANGES: Final = (Push, Delete)


@dataclass(frozen=True, slots=True)
class Modes:
    """What the settings forbid to everybody."""

    read_only: bool = False
    allow_delete: bool = True


class ReadOnlySwitch(Protocol):
    """Tells whether an administrator closed the registry to writes while it runs."""

    async def is_read_only(self) -> bool:
        """Whether nothing may be pushed or deleted at present; known at most five seconds late, without waiting.

        Raises:
            MetadataUnavailableError: nobody can tell (I6).
        """
        ...


class ModeGate:
    """Refuses what the modes forbid; every path that changes content asks it (S12)."""

    def __init__(self, modes: Modes, switch: ReadOnlySwitch | None, obstacle: Callable[[], str]) -> None:
        """Take the modes; `obstacle` says why nothing may be written although no setting says so, empty without cause.

        It is asked for each change, since a registry may get into such a state while it runs. Without accounts there is
        no `switch`.
        """
        self._modes = modes
        self._switch = switch
        self._obstacle = obstacle

    async def require_enabled(self, action: type[Action]) -> None:
        """Refuse a push or a delete that nobody may do at present.

        Raises:
            ActionDisabledError: it is forbidden to everybody.
            MetadataUnavailableError: whether it is can't be told.
        """
        if not issubclass(action, _CHANGES):
            return
        if obstacle := self._obstacle():
            raise ActionDisabledError(obstacle)
        if self._modes.read_only:
            raise ActionDisabledError("this registry is read-only at present", "registry.read_only")
        if self._switch is not None and await self._switch.is_read_only():
            raise ActionDisabledError("this registry is read-only at present", "configuration read_only")
        if not self._modes.allow_delete and issubclass(action, Delete):
            raise ActionDisabledError("deleting is switched off on this registry", "registry.allow_delete")


class ModeAuthorizer:
    """Asks another authorizer first, so that a stranger learns nothing of the mode, and then the gate."""

    def __init__(self, inner: Authorizer, gate: ModeGate) -> None:
        self._inner = inner
        self._gate = gate

    async def authorize(self, principal: Principal, action: type[A], repository: RepositoryName) -> Grant[A]:
        """Return the grant.

        Raises:
            AccessDeniedError: the principal may not.
            ActionDisabledError: nobody may at present.
        """
        grant = await self._inner.authorize(principal, action, repository)
        await self._gate.require_enabled(action)
        return grant

    async def authorize_registry(self, principal: Principal) -> RegistryGrant:
        """Return the grant of the inner authorizer: talking to the registry changes nothing."""
        return await self._inner.authorize_registry(principal)

    async def authorize_catalog(self, principal: Principal) -> CatalogGrant:
        """Return the grant of the inner authorizer: listing changes nothing."""
        return await self._inner.authorize_catalog(principal)
