"""Members of projects: the role assignments that belong to one project."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from entrepot.metadata.member_store import MemberPage, MemberRow, SubjectRow
from entrepot.metadata.sql.patterns import filter_containing
from entrepot.metadata.sql.statements import Statement

if TYPE_CHECKING:
    from entrepot.metadata.member_store import MemberKind
    from entrepot.metadata.sql.statements import Executor, ReadExecutor, Row

__all__ = ["STATEMENTS", "SqlMemberReader", "SqlMemberRows"]

LIST: Final = Statement(
    "members.list",
    """
    SELECT a.id, a.project_id, s.id, s.kind, s.name, a.role
    FROM role_assignments a JOIN subjects s ON s.id = a.subject_id
    WHERE a.project_id = :project_id AND (:part = '' OR lower(s.name) LIKE :part ESCAPE '!')
    ORDER BY s.name, a.id LIMIT CAST(:rows AS bigint) OFFSET CAST(:skipped AS bigint)
    """,
)
COUNT: Final = Statement(
    "members.count",
    """
    SELECT count(*) FROM role_assignments a JOIN subjects s ON s.id = a.subject_id
    WHERE a.project_id = :project_id AND (:part = '' OR lower(s.name) LIKE :part ESCAPE '!')
    """,
)
FIND: Final = Statement(
    "members.find",
    """
    SELECT a.id, a.project_id, s.id, s.kind, s.name, a.role
    FROM role_assignments a JOIN subjects s ON s.id = a.subject_id
    WHERE a.id = :member_id AND a.project_id = :project_id
    """,
)
CUSTOM_ROLE_EXISTS: Final = Statement(
    "members.custom_role_exists",
    "SELECT id FROM roles WHERE name = :name AND level = 'project' {for_share}",
)
SUBJECT_BY_ID: Final = Statement(
    "members.subject_by_id",
    "SELECT id, kind, name FROM subjects WHERE id = :number AND kind = :kind AND disabled_at IS NULL {for_share}",
)
SUBJECT_BY_NAME: Final = Statement(
    "members.subject_by_name",
    "SELECT id, kind, name FROM subjects WHERE kind = :kind AND name = :name AND disabled_at IS NULL {for_share}",
)
COUNT_WITH_ROLE: Final = Statement(
    "members.count_with_role",
    "SELECT count(*) FROM role_assignments WHERE project_id = :project_id AND role = :role",
)
INSERT: Final = Statement(
    "members.insert",
    """
    INSERT INTO role_assignments (subject_id, project_id, role, created_at, creator)
    VALUES (:subject_id, :project_id, :role, {now}, :creator)
    ON CONFLICT (project_id, subject_id) WHERE project_id IS NOT NULL DO NOTHING
    RETURNING id
    """,
)
SET_ROLE: Final = Statement(
    "members.set_role",
    "UPDATE role_assignments SET role = :role WHERE id = :member_id AND project_id = :project_id",
)
REMOVE: Final = Statement(
    "members.remove", "DELETE FROM role_assignments WHERE id = :member_id AND project_id = :project_id"
)

STATEMENTS: Final = (
    LIST,
    COUNT,
    FIND,
    CUSTOM_ROLE_EXISTS,
    SUBJECT_BY_ID,
    SUBJECT_BY_NAME,
    COUNT_WITH_ROLE,
    INSERT,
    SET_ROLE,
    REMOVE,
)


class SqlMemberReader:
    """Implements :class:`entrepot.metadata.member_store.MemberReader`."""

    def __init__(self, executor: ReadExecutor) -> None:
        self._executor = executor

    async def list_page(self, project_id: int, name_part: str, limit: int, offset: int) -> MemberPage:
        """See the protocol."""
        part = filter_containing(name_part)
        total = await self._executor.fetch_rows(COUNT, project_id=project_id, part=part)
        rows = await self._executor.fetch_rows(
            LIST, project_id=project_id, part=part, rows=limit, skipped=offset
        )
        return MemberPage([_member(row) for row in rows], int(total[0][0]))

    async def find(self, project_id: int, member_id: int) -> MemberRow | None:
        """See the protocol."""
        rows = await self._executor.fetch_rows(FIND, project_id=project_id, member_id=member_id)
        return _member(rows[0]) if rows else None


class SqlMemberRows:
    """Implements :class:`entrepot.metadata.member_store.MemberRows`."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def subject_by_id(self, kind: MemberKind, number: int) -> SubjectRow | None:
        """See the protocol."""
        row = await self._executor.fetch_row(SUBJECT_BY_ID, kind=kind, number=number)
        return None if row is None else SubjectRow(*row)

    async def subject_by_name(self, kind: MemberKind, name: str) -> SubjectRow | None:
        """See the protocol."""
        row = await self._executor.fetch_row(SUBJECT_BY_NAME, kind=kind, name=name)
        return None if row is None else SubjectRow(*row)

    async def find(self, project_id: int, member_id: int) -> MemberRow | None:
        """See the protocol."""
        row = await self._executor.fetch_row(FIND, project_id=project_id, member_id=member_id)
        return None if row is None else _member(row)

    async def count_with_role(self, project_id: int, role: str) -> int:
        """See the protocol."""
        rows = await self._executor.fetch_rows(COUNT_WITH_ROLE, project_id=project_id, role=role)
        return int(rows[0][0])

    async def insert(self, project_id: int, subject_id: int, role: str, creator: str) -> int | None:
        """See the protocol."""
        row = await self._executor.fetch_row(
            INSERT, project_id=project_id, subject_id=subject_id, role=role, creator=creator
        )
        return None if row is None else int(row[0])

    async def set_role(self, project_id: int, member_id: int, role: str) -> None:
        """See the protocol."""
        await self._executor.execute(SET_ROLE, project_id=project_id, member_id=member_id, role=role)

    async def remove(self, project_id: int, member_id: int) -> None:
        """See the protocol."""
        await self._executor.execute(REMOVE, project_id=project_id, member_id=member_id)

    async def custom_role_exists(self, name: str) -> bool:
        """See the protocol."""
        return await self._executor.fetch_row(CUSTOM_ROLE_EXISTS, name=name) is not None


def _member(row: Row) -> MemberRow:
    member_id, project_id, subject_id, kind, name, role = row
    return MemberRow(member_id, project_id, SubjectRow(subject_id, kind, name), role)
