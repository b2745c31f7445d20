"""Somebody is always left who administers the registry: one rule for every way by which the last one could go (S9).

People are deleted, disabled and demoted, groups lose members or go, roles are taken. Whichever it is, the unit that
does it asks here. Only people count who are not disabled, whether they have the role by name or by a group that is not
disabled either; robots never have it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from entrepot.auth.role_errors import LastOperationsAdminError

if TYPE_CHECKING:
    from types import TracebackType

    from entrepot.metadata.store import Transaction

__all__ = ["OPERATIONS_ADMIN", "AdministratorsKept"]

OPERATIONS_ADMIN: Final = "operations-admin"


class AdministratorsKept:
    """Undoes a unit that leaves nobody who administers; what could take somebody is done within, at its beginning.

    Units like it wait for one another, whichever node they are of. Where nobody administered before, as between a
    mishap and the command on the host that mends it, nothing is refused for it.

    Raises:
        LastOperationsAdminError: when it is left, there was somebody before and there is nobody now.
    """

    def __init__(self, tx: Transaction) -> None:
        self._holders = tx.role_assignments
        self._were_some = False

    async def __aenter__(self) -> None:
        await self._holders.hold_holders(OPERATIONS_ADMIN)
        self._were_some = bool(await self._holders.active_holders(OPERATIONS_ADMIN))

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None and self._were_some and not await self._holders.active_holders(OPERATIONS_ADMIN):
            raise LastOperationsAdminError
