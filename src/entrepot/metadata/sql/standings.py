"""What a subject may be, in a project and on the system: the facts of a decision by one statement."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from entrepot.metadata.sql.statements import Statement
from entrepot.metadata.standing_store import AskedProject, GivenRole, HeldRole, ProjectFacts, SubjectFacts

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from entrepot.metadata.sql.statements import ReadExecutor

__all__ = ["STATEMENTS", "SqlStandingReader"]

# The roles of a subject, its own and those of its groups.
_HELD: Final = """held (role, on_system) AS (
        SELECT a.role, CASE WHEN a.project_id IS NULL THEN 1 ELSE 0 END
        FROM subjects s JOIN role_assignments a ON a.subject_id = s.id
        WHERE s.public_id = :subject AND [where given]
        UNION
        SELECT a.role, CASE WHEN a.project_id IS NULL THEN 1 ELSE 0 END
        FROM subjects s
        JOIN group_members m ON m.user_id = s.id
        JOIN subjects g ON g.id = m.group_id AND g.disabled_at IS NULL
        JOIN role_assignments a ON a.subject_id = g.id
        WHERE s.public_id = :subject AND [where given]
    )"""
_ON_SYSTEM: Final = "a.project_id IS NULL"
_IN_PROJECT: Final = "(a.project_id IS NULL OR a.project_id = [project])"
# A robot that has expired is no subject any more, like one that is disabled.
_PRESENT: Final = """s.public_id = :subject AND s.disabled_at IS NULL
        AND NOT EXISTS (SELECT 1 FROM robots x WHERE x.subject_id = s.id AND x.expires_at <= {now})"""
_FACTS: Final = """LEFT JOIN users u ON u.subject_id = s.id
    LEFT JOIN robots b ON b.subject_id = s.id
    LEFT JOIN held h ON s.id IS NOT NULL
    LEFT JOIN roles r ON r.name = h.role"""
_COLUMNS: Final = """s.kind, u.must_change_password, b.permissions, b.project_id, h.role, h.on_system, r.level,
        r.permissions"""

# One row for each role, or a single one, also where there is no project: what is missing takes as long as what is there
# and somebody else's (S19).
_STANDING_IN_PROJECT: Final = (
    """
    WITH [held]
    SELECT p.id, p.name, p.epoch, p.is_public, p.repository_creation, [columns]
    FROM (SELECT 1) AS asked
    LEFT JOIN projects p ON [this project] AND p.deleted_at IS NULL
    LEFT JOIN subjects s ON [present]
    [facts]
    """.replace("[held]", _HELD.replace("[where given]", _IN_PROJECT))
    .replace("[columns]", _COLUMNS)
    .replace("[present]", _PRESENT)
    .replace("[facts]", _FACTS)
)

IN_PROJECT_BY_NAME: Final = Statement(
    "standings.in_project_by_name",
    _STANDING_IN_PROJECT.replace("[project]", "(SELECT id FROM projects WHERE name = :project)").replace(
        "[this project]", "p.name = :project"
    ),
)
IN_PROJECT_BY_NUMBER: Final = Statement(
    "standings.in_project_by_number",
    _STANDING_IN_PROJECT.replace("[project]", ":project").replace("[this project]", "p.id = :project"),
)
ON_SYSTEM: Final = Statement(
    "standings.on_system",
    """
    WITH [held]
    SELECT [columns]
    FROM subjects s
    [facts]
    WHERE [present]
    """.replace("[held]", _HELD.replace("[where given]", _ON_SYSTEM))
    .replace("[columns]", _COLUMNS)
    .replace("[facts]", _FACTS)
    .replace("[present]", _PRESENT),
)

EPOCHS_OF: Final = Statement(
    "standings.epochs_of", "SELECT id, epoch FROM subjects WHERE id IN {integers:subjects}"
)

# Also of who is disabled: whoever is let in again, or given a password, has them all.
ROLES_OF: Final = Statement(
    "standings.roles_of",
    """
    SELECT a.role, a.project_id, r.level, r.permissions
    FROM role_assignments a
    LEFT JOIN projects p ON p.id = a.project_id
    LEFT JOIN roles r ON r.name = a.role
    WHERE a.subject_id = :subject AND p.deleted_at IS NULL
    UNION ALL
    SELECT a.role, a.project_id, r.level, r.permissions
    FROM group_members m
    JOIN role_assignments a ON a.subject_id = m.group_id
    LEFT JOIN projects p ON p.id = a.project_id
    LEFT JOIN roles r ON r.name = a.role
    WHERE m.user_id = :subject AND p.deleted_at IS NULL
    """,
)

# Each role once, since a group has thousands of members.
_ROLES_OF_CONCERNED: Final = """
    SELECT a.role, a.project_id, r.level, r.permissions
    FROM role_assignments a
    LEFT JOIN projects p ON p.id = a.project_id
    LEFT JOIN roles r ON r.name = a.role
    WHERE a.subject_id IN (
        [concerned]
        UNION SELECT group_id FROM group_members WHERE user_id IN ([concerned])
    ) AND p.deleted_at IS NULL
    GROUP BY a.role, a.project_id, r.level, r.permissions
    """
ROLES_OF_ALL: Final = Statement(
    "standings.roles_of_all",
    _ROLES_OF_CONCERNED.replace(
        "[concerned]",
        """
        SELECT id FROM subjects WHERE id IN {integers:subjects}
        UNION SELECT user_id FROM group_members WHERE group_id IN {integers:subjects}
        """,
    ),
)
ROLES_OF_HOLDERS: Final = Statement(
    "standings.roles_of_holders",
    _ROLES_OF_CONCERNED.replace(
        "[concerned]",
        """
        SELECT subject_id FROM role_assignments WHERE role = :role
        UNION
        SELECT m.user_id FROM role_assignments a CROSS JOIN group_members m
        WHERE a.role = :role AND m.group_id = a.subject_id
        """,
    ),
)

STATEMENTS: Final = (
    IN_PROJECT_BY_NAME,
    IN_PROJECT_BY_NUMBER,
    ON_SYSTEM,
    EPOCHS_OF,
    ROLES_OF,
    ROLES_OF_ALL,
    ROLES_OF_HOLDERS,
)


class SqlStandingReader:
    """Implements :class:`entrepot.metadata.standing_store.StandingReader`."""

    def __init__(self, executor: ReadExecutor) -> None:
        self._executor = executor

    async def in_project(self, subject: str, project: str | int) -> AskedProject:
        """See the protocol."""
        statement = IN_PROJECT_BY_NAME if isinstance(project, str) else IN_PROJECT_BY_NUMBER
        rows = await self._executor.fetch_rows(statement, subject=subject, project=project)
        return AskedProject(_project(rows[0][:5]), _subject([row[5:] for row in rows]))

    async def on_system(self, subject: str) -> SubjectFacts | None:
        """See the protocol."""
        return _subject(await self._executor.fetch_rows(ON_SYSTEM, subject=subject))

    async def epochs_of(self, subject_ids: Collection[int]) -> Mapping[int, int]:
        """See the protocol."""
        rows = await self._executor.fetch_rows(EPOCHS_OF, subjects=json.dumps(sorted(subject_ids)))
        return {int(subject): int(epoch) for subject, epoch in rows}

    async def roles_of(self, subject_id: int) -> Sequence[GivenRole]:
        """See the protocol."""
        rows = await self._executor.fetch_rows(ROLES_OF, subject=subject_id)
        return [GivenRole(*row) for row in rows]

    async def roles_of_all(self, subject_ids: Collection[int]) -> Sequence[GivenRole]:
        """See the protocol."""
        rows = await self._executor.fetch_rows(ROLES_OF_ALL, subjects=json.dumps(sorted(subject_ids)))
        return [GivenRole(*row) for row in rows]

    async def roles_of_holders(self, role: str) -> Sequence[GivenRole]:
        """See the protocol."""
        return [GivenRole(*row) for row in await self._executor.fetch_rows(ROLES_OF_HOLDERS, role=role)]


def _project(columns: tuple[Any, ...]) -> ProjectFacts | None:
    project_id, name, epoch, is_public, repository_creation = columns
    if project_id is None:
        return None
    return ProjectFacts(project_id, name, epoch, is_public == 1, repository_creation)


def _subject(rows: Sequence[tuple[Any, ...]]) -> SubjectFacts | None:
    if not rows or rows[0][0] is None:
        return None
    kind, must_change_password, robot_permissions, robot_project_id = rows[0][:4]
    roles = tuple(
        HeldRole(role, on_system == 1, level, permissions)
        for *_, role, on_system, level, permissions in rows
        if role is not None
    )
    return SubjectFacts(kind, must_change_password == 1, roles, robot_permissions, robot_project_id)
