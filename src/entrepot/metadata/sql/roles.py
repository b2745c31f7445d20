"""Custom roles, read and changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from entrepot.metadata.role_store import StoredRole
from entrepot.metadata.sql.statements import Statement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from entrepot.metadata.role_store import NewRole
    from entrepot.metadata.sql.statements import Executor, ReadExecutor

__all__ = ["STATEMENTS", "SqlRoleReader", "SqlRoleRows"]

LIST_ALL: Final = Statement(
    "roles.list_all",
    """
    SELECT id, name, level, description, permissions, created_at, updated_at FROM roles WHERE id > :after ORDER BY id
    """,
)
FIND: Final = Statement(
    "roles.find",
    "SELECT id, name, level, description, permissions, created_at, updated_at FROM roles WHERE id = :role",
)
FIND_BY_NAME: Final = Statement(
    "roles.find_by_name",
    "SELECT id, name, level, description, permissions, created_at, updated_at FROM roles WHERE name = :name",
)
ADD: Final = Statement(
    "roles.add",
    """
    INSERT INTO roles (name, level, description, permissions, created_at, updated_at)
    VALUES (:name, :level, :description, :permissions, {now}, {now})
    ON CONFLICT (name) DO NOTHING
    RETURNING id, name, level, description, permissions, created_at, updated_at
    """,
)
HOLD: Final = Statement(
    "roles.hold",
    """
    SELECT id, name, level, description, permissions, created_at, updated_at FROM roles WHERE id = :role {for_update}
    """,
)
HOLD_BY_NAME: Final = Statement(
    "roles.hold_by_name",
    """
    SELECT id, name, level, description, permissions, created_at, updated_at FROM roles WHERE name = :name {for_share}
    """,
)
CHANGE: Final = Statement(
    "roles.change",
    "UPDATE roles SET description = :description, permissions = :permissions, updated_at = {now} WHERE id = :role",
)
FIND_ASSIGNMENT: Final = Statement(
    "roles.find_assignment", "SELECT id FROM role_assignments WHERE role = :name LIMIT 1"
)
REMOVE: Final = Statement("roles.remove", "DELETE FROM roles WHERE id = :role")

STATEMENTS: Final = (LIST_ALL, FIND, FIND_BY_NAME, ADD, HOLD, HOLD_BY_NAME, CHANGE, FIND_ASSIGNMENT, REMOVE)


class SqlRoleReader:
    """Implements :class:`entrepot.metadata.role_store.RoleReader`."""

    def __init__(self, executor: ReadExecutor) -> None:
        self._executor = executor

    async def list_all(self) -> Sequence[StoredRole]:
        """See the protocol."""
        return [StoredRole(*row) for row in await self._executor.fetch_rows(LIST_ALL, after=0)]

    async def find(self, role_id: int) -> StoredRole | None:
        """See the protocol."""
        rows = await self._executor.fetch_rows(FIND, role=role_id)
        return StoredRole(*rows[0]) if rows else None

    async def find_by_name(self, name: str) -> StoredRole | None:
        """See the protocol."""
        rows = await self._executor.fetch_rows(FIND_BY_NAME, name=name)
        return StoredRole(*rows[0]) if rows else None


class SqlRoleRows:
    """Implements :class:`entrepot.metadata.role_store.RoleRows`."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def add(self, role: NewRole) -> StoredRole | None:
        """See the protocol."""
        row = await self._executor.fetch_row(
            ADD,
            name=role.name,
            level=role.level,
            description=role.description,
            permissions=role.permissions,
        )
        return None if row is None else StoredRole(*row)

    async def hold(self, role_id: int) -> StoredRole | None:
        """See the protocol."""
        row = await self._executor.fetch_row(HOLD, role=role_id)
        return None if row is None else StoredRole(*row)

    async def hold_by_name(self, name: str) -> StoredRole | None:
        """See the protocol."""
        row = await self._executor.fetch_row(HOLD_BY_NAME, name=name)
        return None if row is None else StoredRole(*row)

    async def change(self, role_id: int, description: str, permissions: bytes) -> None:
        """See the protocol."""
        await self._executor.execute(CHANGE, role=role_id, description=description, permissions=permissions)

    async def is_assigned(self, name: str) -> bool:
        """See the protocol."""
        return await self._executor.fetch_row(FIND_ASSIGNMENT, name=name) is not None

    async def remove(self, role_id: int) -> None:
        """See the protocol."""
        await self._executor.execute(REMOVE, role=role_id)
