"""Repositories and the projects that own them: found or made by the unit that first writes to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from entrepot.kernel.ids import new_public_id
from entrepot.metadata.errors import MetadataUnavailableError
from entrepot.metadata.records import RepositoryRow
from entrepot.metadata.sql.statements import Statement

if TYPE_CHECKING:
    from entrepot.metadata.sql.statements import Executor

__all__ = ["STATEMENTS", "SqlRepositoryWriterRows"]

_CREATION_ATTEMPTS: Final = 5

FIND: Final = Statement(
    "repositories.find",
    "SELECT id FROM repositories WHERE name = :name AND deleted_at IS NULL",
)
INSERT_PROJECT: Final = Statement(
    "repositories.insert_project",
    """
    INSERT INTO projects (public_id, name, created_at, creator)
    VALUES (:public_id, :project, {now}, :creator)
    ON CONFLICT (name) DO NOTHING
    """,
)
INSERT: Final = Statement(
    "repositories.insert",
    """
    INSERT INTO repositories (public_id, project_id, name, created_at, creator)
    VALUES (:public_id, (SELECT id FROM projects WHERE name = :project), :name, {now}, :creator)
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
        for _ in range(_CREATION_ATTEMPTS):
            found = await self.find(name)
            if found is not None:
                return found
            await self._executor.execute(
                INSERT_PROJECT, public_id=new_public_id(), project=project, creator=creator
            )
            row = await self._executor.fetch_row(
                INSERT, public_id=new_public_id(), project=project, name=name, creator=creator
            )
            if row is not None:
                return RepositoryRow(row[0], name, created=True)
        raise MetadataUnavailableError(f"repository {name} is being removed")

    async def find(self, name: str) -> RepositoryRow | None:
        """See the protocol."""
        row = await self._executor.fetch_row(FIND, name=name)
        return None if row is None else RepositoryRow(row[0], name, created=False)
