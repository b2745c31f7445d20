"""All roles there are, built-in and custom, by the numbers and names that APIs use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from entrepot.auth.decisions import NOTHING
from entrepot.auth.roles import BUILT_IN_ROLES, FIRST_CUSTOM_ROLE_ID, ROLES_BY_ID, Role
from entrepot.auth.stored_permissions import known_permissions
from entrepot.metadata.unit_guard import watch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from entrepot.metadata.role_store import RoleReader, StoredRole
    from entrepot.metadata.store import Transaction

__all__ = ["RoleCatalog", "custom_role", "row_number"]


class RoleCatalog:
    """Finds roles. Custom ones are read anew for each call, by one statement.

    What is done with one that was found is done with it as it was found: units look whether it permits the same.
    """

    def __init__(self, roles: RoleReader) -> None:
        self._roles = roles

    async def list_all(self) -> Sequence[Role]:
        """Return all roles, the built-in ones first, by number."""
        return [*ROLES_BY_ID.values(), *(custom_role(stored) for stored in await self._roles.list_all())]

    async def find(self, role_id: int) -> Role | None:
        """Return a role by the number that APIs use."""
        if role_id < FIRST_CUSTOM_ROLE_ID:
            return ROLES_BY_ID.get(role_id)
        stored = await self._roles.find(row_number(role_id))
        if stored is None:
            return None
        _watch_role(stored.name, stored)
        return custom_role(stored)

    async def find_by_name(self, name: str) -> Role | None:
        """Return a role by the name that is stored with those who have it."""
        built_in = BUILT_IN_ROLES.get(name)
        if built_in is not None:
            return built_in
        stored = await self._roles.find_by_name(name)
        _watch_role(name, stored)
        return None if stored is None else custom_role(stored)


def _watch_role(name: str, stored: StoredRole | None) -> None:
    """Have units look whether a role permits what was found, or still is not there."""

    async def look(tx: Transaction) -> bytes | None:
        held = await tx.roles.hold_by_name(name)
        return None if held is None else held.permissions

    watch(("role", name), look, None if stored is None else stored.permissions)


def custom_role(stored: StoredRole) -> Role:
    """Return a stored role in the form of the built-in ones; its number is that of its row, moved out of their way.

    It has the permissions that count: names that this version does not know permit nothing.
    """
    permissions = known_permissions(stored.level, stored.permissions)
    in_project = stored.level == "project"
    return Role(
        FIRST_CUSTOM_ROLE_ID + stored.id,
        stored.name,
        stored.name,
        stored.description,
        permissions if in_project else NOTHING,
        NOTHING if in_project else permissions,
        assignable_in_project=in_project,
        assignable_on_system=not in_project,
    )


def row_number(role_id: int) -> int:
    """Return the number of the row of a custom role; none has it where the role is a built-in one."""
    return max(role_id - FIRST_CUSTOM_ROLE_ID, 0)
