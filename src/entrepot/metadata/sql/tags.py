"""Tags and their history: listed in byte order, moved by pushes, removed by deletes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from entrepot.metadata.errors import UnknownManifestError
from entrepot.metadata.records import Missing, NamePage
from entrepot.metadata.sql.rows import digest_from_text
from entrepot.metadata.sql.statements import Statement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from entrepot.metadata.sql.statements import Executor, ReadExecutor
    from entrepot.oci.digest import Digest

__all__ = ["STATEMENTS", "SqlTagReader", "SqlTagWriterRows"]

# The names come from a subquery of their own, so that PostgreSQL stops after one page of the index instead of sorting
# all tags; the last row, without a name, tells an empty repository from an unknown one, and the project.
LIST_NAMES: Final = Statement(
    "tags.list_names",
    """
    SELECT page.name, NULL FROM (
        SELECT t.name FROM tags t
        WHERE t.repository_id = (SELECT r.id FROM repositories r WHERE r.name = :repository AND r.deleted_at IS NULL)
            AND t.name > :after
        ORDER BY t.name LIMIT :rows
    ) AS page
    UNION ALL
    SELECT NULL, r.project_id FROM repositories r WHERE r.name = :repository AND r.deleted_at IS NULL
    """,
)
FIND_TARGET: Final = Statement(
    "tags.find_target",
    """
    SELECT id FROM manifests
    WHERE repository_id = :repository_id AND digest = :digest AND state = 'live' {for_share}
    """,
)
INSERT: Final = Statement(
    "tags.insert",
    """
    INSERT INTO tags (repository_id, name, manifest_id, created_at, updated_at, updated_by)
    VALUES (:repository_id, :name, :manifest_id, {now}, {now}, :actor)
    ON CONFLICT (repository_id, name) DO NOTHING
    """,
)
LOCK: Final = Statement(
    "tags.lock",
    "SELECT manifest_id FROM tags WHERE repository_id = :repository_id AND name = :name {for_update}",
)
FIND_DIGEST: Final = Statement("tags.find_digest", "SELECT digest FROM manifests WHERE id = :manifest_id")
MOVE: Final = Statement(
    "tags.move",
    """
    UPDATE tags SET manifest_id = :manifest_id, updated_at = {now}, updated_by = :actor
    WHERE repository_id = :repository_id AND name = :name
    """,
)
APPEND_HISTORY: Final = Statement(
    "tags.append_history",
    """
    INSERT INTO tag_history (repository_id, name, digest, previous_digest, actor, at)
    VALUES (:repository_id, :name, :digest, :previous_digest, :actor, {now})
    """,
)
LOCK_ALL_OF: Final = Statement(
    "tags.lock_all_of",
    "SELECT name FROM tags WHERE manifest_id = :manifest_id ORDER BY name {for_update}",
)
DELETE: Final = Statement(
    "tags.delete",
    "DELETE FROM tags WHERE repository_id = :repository_id AND name IN {texts:names}",
)

STATEMENTS: Final = (
    LIST_NAMES,
    FIND_TARGET,
    INSERT,
    LOCK,
    FIND_DIGEST,
    MOVE,
    APPEND_HISTORY,
    LOCK_ALL_OF,
    DELETE,
)


class SqlTagReader:
    """Implements :class:`entrepot.metadata.store.TagReader`."""

    def __init__(self, executor: ReadExecutor) -> None:
        self._executor = executor

    async def list_names(self, repository: str, after: str, limit: int) -> NamePage | Missing:
        """See the protocol."""
        rows = await self._executor.fetch_rows(LIST_NAMES, repository=repository, after=after, rows=limit + 1)
        if not rows:
            return Missing.REPOSITORY
        # SQL promises no order across UNION ALL; on names that are in order already this costs nothing.
        names = sorted(name for name, _ in rows if name is not None)
        (project_id,) = (number for name, number in rows if name is None)
        return NamePage(tuple(names[:limit]), more=len(names) > limit, project_id=project_id)


class SqlTagWriterRows:
    """Implements :class:`entrepot.metadata.manifest_store.TagWriterRows`."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def put(self, repository_id: int, tag: str, digest: Digest, actor: str) -> Digest | None:
        """See the protocol. Pointing a tag where it points already changes nothing and leaves no history."""
        target = await self._executor.fetch_row(FIND_TARGET, repository_id=repository_id, digest=str(digest))
        if target is None:
            raise UnknownManifestError(tag, str(digest))
        manifest_id: int = target[0]
        previous_id = await self._insert_or_lock(repository_id, tag, manifest_id, actor)
        if previous_id is None:
            await self._append_history(repository_id, tag, digest, None, actor)
            return None
        if previous_id == manifest_id:
            return digest
        previous = await self._executor.fetch_row(FIND_DIGEST, manifest_id=previous_id)
        previous_digest = None if previous is None else digest_from_text(previous[0])
        await self._executor.execute(
            MOVE, repository_id=repository_id, name=tag, manifest_id=manifest_id, actor=actor
        )
        await self._append_history(repository_id, tag, digest, previous_digest, actor)
        return previous_digest

    async def remove(self, repository_id: int, tag: str, actor: str) -> Digest | None:
        """See the protocol."""
        row = await self._executor.fetch_row(LOCK, repository_id=repository_id, name=tag)
        if row is None:
            return None
        found = await self._executor.fetch_row(FIND_DIGEST, manifest_id=row[0])
        if found is None:
            return None
        previous = digest_from_text(found[0])
        await self._delete(repository_id, [tag], previous, actor)
        return previous

    async def remove_all_of(
        self, repository_id: int, manifest_id: int, digest: Digest, actor: str
    ) -> Sequence[str]:
        """See the protocol. The rows are locked in the order of their names, as a push of several tags does."""
        rows = await self._executor.fetch_rows(LOCK_ALL_OF, manifest_id=manifest_id)
        names = [str(name) for (name,) in rows]
        if names:
            await self._delete(repository_id, names, digest, actor)
        return names

    async def _delete(self, repository_id: int, names: list[str], previous: Digest, actor: str) -> None:
        await self._executor.execute(DELETE, repository_id=repository_id, names=json.dumps(names))
        for name in names:
            await self._append_history(repository_id, name, None, previous, actor)

    async def _insert_or_lock(self, repository_id: int, tag: str, manifest_id: int, actor: str) -> int | None:
        """Insert the tag and return `None`, or lock the row that is there and return the manifest it points at."""
        while True:
            row = await self._executor.fetch_row(LOCK, repository_id=repository_id, name=tag)
            if row is not None:
                return int(row[0])
            inserted = await self._executor.execute(
                INSERT, repository_id=repository_id, name=tag, manifest_id=manifest_id, actor=actor
            )
            if inserted == 1:
                return None

    async def _append_history(
        self, repository_id: int, tag: str, digest: Digest | None, previous: Digest | None, actor: str
    ) -> None:
        await self._executor.execute(
            APPEND_HISTORY,
            repository_id=repository_id,
            name=tag,
            digest=None if digest is None else str(digest),
            previous_digest=None if previous is None else str(previous),
            actor=actor,
        )
