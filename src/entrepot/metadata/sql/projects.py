"""Projects: listed for those who may see them, made, changed and deleted by units."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from entrepot.metadata.project_store import ListedProject, ProjectPage
from entrepot.metadata.sql.patterns import filter_containing
from entrepot.metadata.sql.statements import Statement
from entrepot.metadata.sql.wanted_rows import wanted_condition, wanted_values

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from entrepot.metadata.project_store import ProjectQuery, Viewer
    from entrepot.metadata.sql.statements import ReadExecutor, Row, Value

__all__ = [
    "POINT_READS",
    "STATEMENTS",
    "VISIBLE_PROJECT",
    "SqlProjectReader",
    "viewer_values",
]

# Somebody and their groups, by number.
_SUBJECTS: Final = """(
            SELECT v.id FROM subjects v WHERE v.public_id = [who] AND v.disabled_at IS NULL
            UNION ALL
            SELECT g.group_id FROM subjects v
            JOIN group_members g ON g.user_id = v.id
            JOIN subjects c ON c.id = g.group_id AND c.disabled_at IS NULL
            WHERE v.public_id = [who] AND v.disabled_at IS NULL)"""
VISIBLE_PROJECT: Final = """p.deleted_at IS NULL
        AND (:unlimited = 1 OR p.name IN {texts:only_projects})
        AND (:sees_public = 1 AND p.is_public = 1
            OR (:anywhere = 1 OR p.name IN {texts:reach})
            AND (:everything = 1 OR EXISTS (SELECT 1 FROM role_assignments a
                WHERE a.project_id = p.id AND a.subject_id IN [members] AND a.role IN {texts:roles})))""".replace(
    "[members]", _SUBJECTS.replace("[who]", ":member")
)
"""The condition that a viewer sees the project `p`; its parameters are those of :func:`viewer_values`."""

_FILTER: Final = """p.id > 0 AND [visible]
        AND (:name = '' OR p.name = :name)
        AND (:part = '' OR lower(p.name) LIKE :part ESCAPE '!')
        AND [wanted]
        AND (:public < 0 OR p.is_public = :public)
        AND (:owner = ''
            OR p.owner_id = (SELECT u.id FROM subjects u WHERE u.kind = 'user' AND u.name = :owner))""".replace(
    "[visible]", VISIBLE_PROJECT
).replace("[wanted]", wanted_condition("p.name", "p.created_at"))
_COLUMNS: Final = """p.id, p.name, p.owner_id, coalesce(o.name, ''), p.is_public, p.repository_creation, p.created_at,
        coalesce(p.updated_at, p.created_at),
        (SELECT count(*) FROM repositories r WHERE r.project_id = p.id AND r.deleted_at IS NULL)"""

LIST: Final = Statement(
    "projects.list",
    """
    SELECT [columns]
    FROM projects p LEFT JOIN subjects o ON o.id = p.owner_id
    WHERE [filter]
    ORDER BY
        CASE WHEN :sort = 'name' THEN p.name END,
        CASE WHEN :sort = '-name' THEN p.name END DESC,
        CASE WHEN :sort = 'creation_time' THEN p.created_at END,
        CASE WHEN :sort = '-creation_time' THEN p.created_at END DESC,
        CASE WHEN :sort = 'update_time' THEN coalesce(p.updated_at, p.created_at) END,
        CASE WHEN :sort = '-update_time' THEN coalesce(p.updated_at, p.created_at) END DESC,
        CASE WHEN :sort = '-id' THEN p.id END DESC,
        p.id
    LIMIT CAST(:rows AS bigint) OFFSET CAST(:skipped AS bigint)
    """.replace("[columns]", _COLUMNS).replace("[filter]", _FILTER),
)
COUNT: Final = Statement(
    "projects.count", "SELECT count(*) FROM projects p WHERE [filter]".replace("[filter]", _FILTER)
)
DESCRIBE: Final = Statement(
    "projects.describe",
    """
    SELECT [columns]
    FROM projects p LEFT JOIN subjects o ON o.id = p.owner_id
    WHERE p.id = :project_id AND p.deleted_at IS NULL
    """.replace("[columns]", _COLUMNS),
)
NUMBER_OF: Final = Statement("projects.number_of", "SELECT id FROM projects WHERE name = :name")
METADATA_OF: Final = Statement(
    "projects.metadata_of",
    """
    SELECT project_id, name, value FROM project_metadata
    WHERE project_id IN {integers:projects} ORDER BY project_id, name
    """,
)
HELD_ROLES: Final = Statement(
    "projects.held_roles",
    """
    SELECT DISTINCT a.project_id, a.role FROM role_assignments a
    WHERE a.subject_id IN [viewers] AND (a.project_id IS NULL OR a.project_id IN {integers:projects})
    """.replace("[viewers]", _SUBJECTS.replace("[who]", ":subject")),
)
MEMBER_COUNTS: Final = Statement(
    "projects.member_counts",
    "SELECT role, count(*) FROM role_assignments WHERE project_id = :project_id GROUP BY role",
)
USED_BYTES: Final = Statement(
    "projects.used_bytes",
    """
    SELECT coalesce(sum(b.size_bytes), 0) FROM blobs b
    WHERE b.state = 'live' AND b.id IN (
        SELECT l.blob_id FROM repositories r JOIN repository_blobs l ON l.repository_id = r.id
        WHERE r.project_id = :project_id AND r.deleted_at IS NULL)
    """,
)
POINT_READS: Final = (NUMBER_OF,)
STATEMENTS: Final = (
    *POINT_READS,
    LIST,
    COUNT,
    DESCRIBE,
    METADATA_OF,
    HELD_ROLES,
    MEMBER_COUNTS,
    USED_BYTES,
)


def viewer_values(viewer: Viewer) -> dict[str, Value]:
    """Return the parameters of :data:`VISIBLE_PROJECT`."""
    only, reach = viewer.only_projects, viewer.reach
    return {
        "sees_public": int(viewer.sees_public),
        "member": viewer.member,
        "everything": int(viewer.everything),
        "roles": json.dumps(list(viewer.roles)),
        "anywhere": int(reach is None),
        "reach": json.dumps(list(reach or ())),
        "unlimited": int(only is None),
        "only_projects": json.dumps(list(only or ())),
    }


class SqlProjectReader:
    """Implements :class:`entrepot.metadata.project_store.ProjectReader`."""

    def __init__(self, executor: ReadExecutor) -> None:
        self._executor = executor

    async def list_page(self, viewer: Viewer, query: ProjectQuery) -> ProjectPage:
        """See the protocol."""
        values: dict[str, Value] = {
            **viewer_values(viewer),
            "name": query.name,
            "part": filter_containing(query.name_part),
            "public": -1 if query.public is None else int(query.public),
            "owner": query.owner,
            **wanted_values(query.wanted),
        }
        total = await self._executor.fetch_rows(COUNT, **values)
        rows = await self._executor.fetch_rows(
            LIST, **values, sort=query.sort, rows=query.limit, skipped=query.offset
        )
        numbers: list[int] = [row[0] for row in rows]
        texts = await metadata_of(self._executor, numbers)
        roles = await self._held_roles(viewer.subject, numbers)
        listed = [_listed(row, texts.get(row[0], {}), roles.get(row[0], frozenset())) for row in rows]
        return ProjectPage(listed, int(total[0][0]))

    async def _held_roles(self, subject: str, projects: Sequence[int]) -> Mapping[int, frozenset[str]]:
        """Return the roles that a subject holds in each of some projects, those on the system in all of them."""
        if not subject or not projects:
            return {}
        rows = await self._executor.fetch_rows(
            HELD_ROLES, subject=subject, projects=json.dumps(list(projects))
        )
        everywhere = frozenset(role for project, role in rows if project is None)
        return {
            number: everywhere | frozenset(role for project, role in rows if project == number)
            for number in projects
        }

    async def describe(self, project_id: int) -> ListedProject | None:
        """See the protocol."""
        rows = await self._executor.fetch_rows(DESCRIBE, project_id=project_id)
        return _listed(rows[0], await self.metadata(project_id)) if rows else None

    async def metadata(self, project_id: int) -> Mapping[str, str]:
        """See the protocol."""
        return (await metadata_of(self._executor, [project_id])).get(project_id, {})

    async def number_of(self, name: str) -> int | None:
        """See the protocol."""
        row = await self._executor.fetch_row(NUMBER_OF, name=name)
        return None if row is None else int(row[0])

    async def member_counts(self, project_id: int) -> Mapping[str, int]:
        """See the protocol."""
        rows = await self._executor.fetch_rows(MEMBER_COUNTS, project_id=project_id)
        return {str(role): int(count) for role, count in rows}

    async def used_bytes(self, project_id: int) -> int:
        """See the protocol."""
        rows = await self._executor.fetch_rows(USED_BYTES, project_id=project_id)
        return int(rows[0][0])


async def metadata_of(executor: ReadExecutor, projects: Sequence[int]) -> Mapping[int, Mapping[str, str]]:
    """Return the metadata of projects by their numbers."""
    rows = await executor.fetch_rows(METADATA_OF, projects=json.dumps(list(projects)))
    found: dict[int, dict[str, str]] = {}
    for project_id, name, value in rows:
        found.setdefault(project_id, {})[name] = value
    return found


def _listed(row: Row, metadata: Mapping[str, str], roles: frozenset[str] = frozenset()) -> ListedProject:
    number, name, owner_id, owner, public, creation, created_at, updated_at, count = row
    public = bool(public)
    return ListedProject(
        number, name, owner_id, owner, public, creation, created_at, updated_at, int(count), metadata, roles
    )
