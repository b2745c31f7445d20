"""Repositories and the projects that own them: found or made by the unit that first writes to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from entrepot.kernel.ids import new_public_id
from entrepot.metadata.errors import MetadataUnavailableError
from entrepot.metadata.records import RepositoryRow
from entrepot.metadata.sql.project_changes import GIVE_UP_NAME
from entrepot.metadata.sql.statements import Statement

if TYPE_CHECKING:
    from entrepot.metadata.sql.statements import Executor

__all__ = ["STATEMENTS", "SqlRepositoryWriterRows"]

_CREATION_ATTEMPTS: Final = 5

FIND: Final = Statement(
    "repositories.find",
    "SELECT id FROM repositories WHERE name = :name AND deleted_at IS NULL {for_share}",
)
INSERT_PROJECT: Final = Statement(
    "repositories.insert_project",
    """
    INSERT INTO projects (public_id, name, epoch, epoch_changed_at, created_at, creator, audit_mark)
    VALUES (:public_id, :project, CAST(:epoch AS bigint), CASE WHEN CAST(:epoch AS bigint) > 0 THEN {now} END,
            {now}, :creator, (SELECT coalesce(max(a.id), 0) FROM audit_records a))
    ON CONFLICT (name) DO NOTHING
    """,
)
INSERT: Final = Statement(
    "repositories.insert",
    """
    INSERT INTO repositories (public_id, project_id, name, created_at, creator)
    SELECT CAST(:public_id AS text), p.id, CAST(:name AS text), {now}, CAST(:creator AS text)
    FROM projects p WHERE p.name = :project AND p.deleted_at IS NULL {for_share}
    ON CONFLICT (name) WHERE deleted_at IS NULL DO NOTHING
    RETURNING id
    """,
)

STATEMENTS: Final = (FIND, INSERT_PROJECT, INSERT)


class SqlRepositoryWriterRows:
    """Implements :class:`entrepot.metadata.store.RepositoryWriterRows`."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def ensure(self, name: str, project: str, creator: str) -> RepositoryRow:
        """See the protocol."""
        epoch = 0
        for _ in range(_CREATION_ATTEMPTS):
            found = await self.find(name)
            if found is not None:
                return found
            await self._executor.execute(
                INSERT_PROJECT, public_id=new_public_id(), project=project, epoch=epoch, creator=creator
            )
            row = await self._executor.fetch_row(
                INSERT, public_id=new_public_id(), project=project, name=name, creator=creator
            )
            if row is not None:
                return RepositoryRow(row[0], name, created=True)
            former = await self._executor.fetch_row(GIVE_UP_NAME, name=project)
            epoch = epoch if former is None else int(former[0]) + 1
        raise MetadataUnavailableError(f"repository {name} is being removed")

    async def find(self, name: str) -> RepositoryRow | None:
        """See the protocol."""
        row = await self._executor.fetch_row(FIND, name=name)
        return None if row is None else RepositoryRow(row[0], name, created=False)
