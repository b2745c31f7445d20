"""Roles that people and groups have on the system."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from entrepot.metadata.assignment_store import Assignee, SystemAssignment
from entrepot.metadata.sql.statements import Statement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from entrepot.metadata.sql.statements import Executor, ReadExecutor

__all__ = ["STATEMENTS", "SqlAssignmentReader", "SqlAssignmentRows"]

_ASSIGNMENTS: Final = """SELECT a.id, a.role, s.id, s.kind, s.name, a.created_at, a.creator
    FROM role_assignments a JOIN subjects s ON s.id = a.subject_id"""

LIST_SYSTEM: Final = Statement(
    "role_assignments.list_system",
    """
    [assignments]
    WHERE a.project_id IS NULL
    ORDER BY a.id LIMIT :rows OFFSET :skip
    """.replace("[assignments]", _ASSIGNMENTS),
)
COUNT_SYSTEM: Final = Statement(
    "role_assignments.count_system", "SELECT count(*) FROM role_assignments WHERE project_id IS NULL"
)
HOLD_ASSIGNEE: Final = Statement(
    "role_assignments.hold_assignee",
    "SELECT id, kind, name FROM subjects WHERE id = :subject AND kind IN ('user', 'group') {for_update}",
)
ADD_SYSTEM: Final = Statement(
    "role_assignments.add_system",
    """
    INSERT INTO role_assignments (subject_id, project_id, role, created_at, creator)
    VALUES (:subject, NULL, :role, {now}, :creator)
    ON CONFLICT (subject_id, role) WHERE project_id IS NULL DO NOTHING
    RETURNING id
    """,
)
_FIND_SYSTEM: Final = f"{_ASSIGNMENTS} WHERE a.id = :assignment AND coalesce(a.project_id, 0) = 0"
FIND_SYSTEM: Final = Statement("role_assignments.find_system", _FIND_SYSTEM)
HOLD_SYSTEM: Final = Statement("role_assignments.hold_system", _FIND_SYSTEM + " {for_update}")
REMOVE_SYSTEM: Final = Statement(
    "role_assignments.remove_system",
    "DELETE FROM role_assignments WHERE id = :assignment AND project_id IS NULL",
)
HOLD_HOLDERS: Final = Statement(
    "role_assignments.hold_holders",
    "SELECT id FROM role_assignments WHERE role = :role AND project_id IS NULL ORDER BY id {for_update}",
)
ACTIVE_HOLDERS: Final = Statement(
    "role_assignments.active_holders",
    """
    SELECT s.id FROM role_assignments a JOIN subjects s ON s.id = a.subject_id
    WHERE a.role = :role AND a.project_id IS NULL AND s.kind = 'user' AND s.disabled_at IS NULL
    UNION
    SELECT s.id
    FROM role_assignments a
    JOIN subjects g ON g.id = a.subject_id AND g.disabled_at IS NULL
    JOIN group_members m ON m.group_id = g.id
    JOIN subjects s ON s.id = m.user_id
    WHERE a.role = :role AND a.project_id IS NULL AND s.kind = 'user' AND s.disabled_at IS NULL
    """,
)

STATEMENTS: Final = (
    LIST_SYSTEM,
    COUNT_SYSTEM,
    HOLD_ASSIGNEE,
    ADD_SYSTEM,
    FIND_SYSTEM,
    HOLD_SYSTEM,
    REMOVE_SYSTEM,
    HOLD_HOLDERS,
    ACTIVE_HOLDERS,
)


class SqlAssignmentReader:
    """Implements :class:`entrepot.metadata.assignment_store.AssignmentReader`."""

    def __init__(self, executor: ReadExecutor) -> None:
        self._executor = executor

    async def list_system(self, limit: int, skip: int) -> Sequence[SystemAssignment]:
        """See the protocol."""
        rows = await self._executor.fetch_rows(LIST_SYSTEM, rows=limit, skip=skip)
        return [_assignment(row) for row in rows]

    async def count_system(self) -> int:
        """See the protocol."""
        ((count,),) = await self._executor.fetch_rows(COUNT_SYSTEM)
        return int(count)

    async def find_system(self, assignment_id: int) -> SystemAssignment | None:
        """See the protocol."""
        rows = await self._executor.fetch_rows(FIND_SYSTEM, assignment=assignment_id)
        return _assignment(rows[0]) if rows else None


class SqlAssignmentRows:
    """Implements :class:`entrepot.metadata.assignment_store.AssignmentRows`."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def hold_assignee(self, subject_id: int) -> Assignee | None:
        """See the protocol."""
        row = await self._executor.fetch_row(HOLD_ASSIGNEE, subject=subject_id)
        return None if row is None else Assignee(*row)

    async def add_system(self, subject_id: int, role: str, creator: str) -> int | None:
        """See the protocol."""
        row = await self._executor.fetch_row(ADD_SYSTEM, subject=subject_id, role=role, creator=creator)
        return None if row is None else int(row[0])

    async def hold_system(self, assignment_id: int) -> SystemAssignment | None:
        """See the protocol."""
        row = await self._executor.fetch_row(HOLD_SYSTEM, assignment=assignment_id)
        return None if row is None else _assignment(row)

    async def remove_system(self, assignment_id: int) -> None:
        """See the protocol."""
        await self._executor.execute(REMOVE_SYSTEM, assignment=assignment_id)

    async def active_holders(self, role: str) -> frozenset[int]:
        """See the protocol."""
        return frozenset(row[0] for row in await self._executor.fetch_rows(ACTIVE_HOLDERS, role=role))

    async def hold_holders(self, role: str) -> None:
        """See the protocol. What was given while this waited is seen only by a statement that begins afterwards."""
        held = None
        while held != (found := await self._executor.fetch_rows(HOLD_HOLDERS, role=role)):
            held = found


def _assignment(row: tuple[Any, ...]) -> SystemAssignment:
    assignment_id, role, subject_id, kind, name, created_at, creator = row
    return SystemAssignment(assignment_id, role, Assignee(subject_id, kind, name), created_at, creator)
