"""Repositories as people see them, by project; the statements of pushes are in `repositories`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from entrepot.metadata.project_repository_store import DeletedContent, ListedRepository, ListedRepositoryPage
from entrepot.metadata.sql.patterns import filter_containing
from entrepot.metadata.sql.projects import VISIBLE_PROJECT, viewer_values
from entrepot.metadata.sql.statements import Statement

if TYPE_CHECKING:
    from entrepot.metadata.project_repository_store import RepositoryQuery
    from entrepot.metadata.project_store import Viewer
    from entrepot.metadata.sql.statements import Executor, ReadExecutor, Row, Value

__all__ = ["STATEMENTS", "SqlProjectRepositoryReader", "SqlProjectRepositoryRows"]

_COLUMNS: Final = """r.id, r.project_id, r.name, r.description,
        (SELECT count(*) FROM manifests m WHERE m.repository_id = r.id AND m.state = 'live'),
        (SELECT coalesce(sum(d.count), 0) FROM pull_days d WHERE d.repository_id = r.id),
        r.created_at,
        coalesce((SELECT max(t.updated_at) FROM tags t WHERE t.repository_id = r.id), r.updated_at, r.created_at)"""
_EVERYWHERE: Final = "r.name > ''"
_IN_PROJECT: Final = "r.project_id = CAST(:project_id AS bigint)"
_FILTER: Final = """[scope] AND r.deleted_at IS NULL AND [visible]
        AND (:name = '' OR r.name = :name)
        AND (:part = '' OR lower(r.name) LIKE :part ESCAPE '!')""".replace("[visible]", VISIBLE_PROJECT)

# What a page costs beside its rows is the sort; counts are read for its rows only.
_LIST: Final = """
    SELECT [columns] FROM (
        SELECT r.* FROM repositories r JOIN projects p ON p.id = r.project_id
        WHERE [filter]
        ORDER BY
            CASE WHEN :sort = 'name' THEN r.name END,
            CASE WHEN :sort = '-name' THEN r.name END DESC,
            CASE WHEN :sort = 'creation_time' THEN r.created_at END,
            CASE WHEN :sort = '-creation_time' THEN r.created_at END DESC,
            CASE WHEN :sort = 'update_time' THEN coalesce(r.updated_at, r.created_at) END,
            CASE WHEN :sort = '-update_time' THEN coalesce(r.updated_at, r.created_at) END DESC,
            CASE WHEN :sort = '-id' THEN r.id END DESC,
            r.id
        LIMIT CAST(:rows AS bigint) OFFSET CAST(:skipped AS bigint)
    ) AS page
    """.replace("[columns]", _COLUMNS.replace("r.", "page.")).replace("[filter]", _FILTER)
_COUNT: Final = (
    "SELECT count(*) FROM repositories r JOIN projects p ON p.id = r.project_id WHERE [filter]".replace(
        "[filter]", _FILTER
    )
)

LIST: Final = Statement("project_repositories.list", _LIST.replace("[scope]", _EVERYWHERE))
COUNT: Final = Statement("project_repositories.count", _COUNT.replace("[scope]", _EVERYWHERE))
LIST_OF_PROJECT: Final = Statement(
    "project_repositories.list_of_project", _LIST.replace("[scope]", _IN_PROJECT)
)
COUNT_OF_PROJECT: Final = Statement(
    "project_repositories.count_of_project", _COUNT.replace("[scope]", _IN_PROJECT)
)
FIND: Final = Statement(
    "project_repositories.find",
    """
    SELECT [columns] FROM repositories r
    WHERE r.name = :name AND r.deleted_at IS NULL AND r.project_id = :project_id
    """.replace("[columns]", _COLUMNS),
)
INSERT: Final = Statement(
    "project_repositories.insert",
    """
    INSERT INTO repositories (public_id, project_id, name, created_at, updated_at, creator)
    VALUES (:public_id, :project_id, :name, {now}, {now}, :creator)
    ON CONFLICT (name) WHERE deleted_at IS NULL DO NOTHING
    RETURNING id
    """,
)
HOLD: Final = Statement(
    "project_repositories.hold",
    """
    SELECT id, description FROM repositories
    WHERE name = :name AND deleted_at IS NULL AND project_id = :project_id {for_update}
    """,
)
HOLD_NAMED: Final = Statement(
    "project_repositories.hold_named",
    "SELECT id FROM repositories WHERE name = :name AND deleted_at IS NULL {for_update}",
)
DESCRIBE: Final = Statement(
    "project_repositories.describe",
    "UPDATE repositories SET description = :description, updated_at = {now} WHERE id = :repository_id",
)
NOTE_TAGS: Final = Statement(
    "project_repositories.note_tags",
    """
    INSERT INTO tag_history (repository_id, name, digest, previous_digest, actor, at)
    SELECT t.repository_id, t.name, NULL, m.digest, :actor, {now}
    FROM tags t JOIN manifests m ON m.id = t.manifest_id
    WHERE t.repository_id = :repository_id
    """,
)
DELETE_TAGS: Final = Statement(
    "project_repositories.delete_tags", "DELETE FROM tags WHERE repository_id = :repository_id"
)
CONDEMN_MANIFESTS: Final = Statement(
    "project_repositories.condemn_manifests",
    """
    UPDATE manifests
    SET state = 'condemned', condemned_at = {now}, quarantined_at = NULL, quarantine_reason = NULL
    WHERE repository_id = :repository_id AND (state = 'live' OR quarantined_at IS NOT NULL)
    """,
)
DELETE: Final = Statement(
    "project_repositories.delete",
    "UPDATE repositories SET deleted_at = {now}, updated_at = {now} WHERE id = :repository_id",
)

STATEMENTS: Final = (
    LIST,
    COUNT,
    LIST_OF_PROJECT,
    COUNT_OF_PROJECT,
    FIND,
    INSERT,
    HOLD,
    HOLD_NAMED,
    DESCRIBE,
    NOTE_TAGS,
    DELETE_TAGS,
    CONDEMN_MANIFESTS,
    DELETE,
)


class SqlProjectRepositoryReader:
    """Implements :class:`entrepot.metadata.project_repository_store.ProjectRepositoryReader`."""

    def __init__(self, executor: ReadExecutor) -> None:
        self._executor = executor

    async def list_page(self, viewer: Viewer, query: RepositoryQuery) -> ListedRepositoryPage:
        """See the protocol."""
        values: dict[str, Value] = {
            **viewer_values(viewer),
            "name": query.name,
            "part": filter_containing(query.name_part),
        }
        count, listing = COUNT, LIST
        if query.project_id:
            values["project_id"] = query.project_id
            count, listing = COUNT_OF_PROJECT, LIST_OF_PROJECT
        total = await self._executor.fetch_rows(count, **values)
        rows = await self._executor.fetch_rows(
            listing, **values, sort=query.sort, rows=query.limit, skipped=query.offset
        )
        return ListedRepositoryPage([_listed(row) for row in rows], int(total[0][0]))

    async def find(self, project_id: int, name: str) -> ListedRepository | None:
        """See the protocol."""
        rows = await self._executor.fetch_rows(FIND, project_id=project_id, name=name)
        return _listed(rows[0]) if rows else None


class SqlProjectRepositoryRows:
    """Implements :class:`entrepot.metadata.project_repository_store.ProjectRepositoryRows`."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def insert(self, project_id: int, name: str, public_id: str, creator: str) -> int | None:
        """See the protocol."""
        row = await self._executor.fetch_row(
            INSERT, project_id=project_id, name=name, public_id=public_id, creator=creator
        )
        return None if row is None else int(row[0])

    async def hold(self, project_id: int, name: str) -> tuple[int, str] | None:
        """See the protocol."""
        row = await self._executor.fetch_row(HOLD, project_id=project_id, name=name)
        return None if row is None else (int(row[0]), str(row[1]))

    async def hold_named(self, name: str) -> int | None:
        """See the protocol."""
        row = await self._executor.fetch_row(HOLD_NAMED, name=name)
        return None if row is None else int(row[0])

    async def describe(self, repository_id: int, description: str) -> None:
        """See the protocol."""
        await self._executor.execute(DESCRIBE, repository_id=repository_id, description=description)

    async def delete(self, repository_id: int, actor: str) -> DeletedContent:
        """See the protocol."""
        tags = await self._executor.execute(NOTE_TAGS, repository_id=repository_id, actor=actor)
        await self._executor.execute(DELETE_TAGS, repository_id=repository_id)
        manifests = await self._executor.execute(CONDEMN_MANIFESTS, repository_id=repository_id)
        await self._executor.execute(DELETE, repository_id=repository_id)
        return DeletedContent(manifests, tags)


def _listed(row: Row) -> ListedRepository:
    number, project_id, name, description, artifacts, pulls, created_at, updated_at = row
    # Sums come as decimal numbers from PostgreSQL.
    return ListedRepository(
        number, project_id, name, description, int(artifacts), int(pulls), created_at, updated_at
    )
