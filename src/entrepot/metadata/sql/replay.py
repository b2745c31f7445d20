"""The statements of a rebuild: facts under their old numbers, times of long ago, and the marks it leaves for others."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from entrepot.metadata.errors import HistoryDivergedError
from entrepot.metadata.records import JournalFact
from entrepot.metadata.sql.rows import digest_from_text
from entrepot.metadata.sql.statements import Statement

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from entrepot.metadata.project_numbers import LastProjectNumber
    from entrepot.metadata.sql.statements import Executor, ReadExecutor, Row
    from entrepot.oci.digest import Digest

__all__ = ["STATEMENTS", "SqlReplayReader", "SqlReplayRows"]

_NO_KIND: Final = "none"
_UNFINISHED: Final = "rebuild"
_CATCHING_UP: Final = "catch-up"
_ENDED: Final = "rebuilt"
_SETTLED: Final = "journal/"
_AFTER_SETTLED: Final = "journal0"
"""The marks lie among the sweeps' rows: like those they say how far something has come, and there are few of them."""

MARK_OF: Final = Statement("replay.mark_of", "SELECT progress FROM sweeps WHERE name = :name")
MARKS_BETWEEN: Final = Statement(
    "replay.marks_between", "SELECT name, progress FROM sweeps WHERE name > :after AND name < :before"
)
BLOB_KEYS: Final = Statement(
    "replay.blob_keys", "SELECT digest, storage_key FROM blobs WHERE digest IN {texts:digests}"
)
RECORD: Final = Statement(
    "replay.record",
    """
    INSERT INTO outbox (id, at, kind, repository, actor, payload, journalled, journalled_at) {explicit_id}
    VALUES (:sequence, coalesce(:at, {now}), :kind, :repository, :actor, :payload, 1, {now})
    ON CONFLICT (id) DO NOTHING
    """,
)
RECORDED: Final = Statement(
    "replay.recorded", "SELECT kind, repository, actor, payload FROM outbox WHERE id = :sequence"
)
RECORDED_AFTER: Final = Statement(
    "replay.recorded_after",
    "SELECT id, at, kind, repository, actor, payload FROM outbox WHERE id > :after ORDER BY id LIMIT :rows",
)
NUMBER_ON: Final = Statement("replay.number_on", "SELECT {last_outbox_id} FROM outbox")
FORGET: Final = Statement("replay.forget", "DELETE FROM outbox WHERE id = :sequence AND kind = :kind")
TAKE_PROJECT_NUMBER: Final = Statement(
    "replay.take_project_number",
    """
    INSERT INTO projects (id, public_id, name, created_at, deleted_at, creator) {explicit_id}
    VALUES (:number, :public_id, :name, {now}, {now}, '')
    ON CONFLICT (id) DO NOTHING
    """,
)
NUMBER_PROJECTS_ON: Final = Statement("replay.number_projects_on", "SELECT {last_project_id} FROM projects")
TAKE_INCARNATION: Final = Statement(
    "replay.take_incarnation", "UPDATE instance SET incarnation = :incarnation WHERE id = 1"
)
MARK: Final = Statement(
    "replay.mark",
    """
    INSERT INTO sweeps (name, progress, fence, due_at) VALUES (:name, :progress, 0, 0)
    ON CONFLICT (name) DO UPDATE SET progress = excluded.progress
    """,
)
UNMARK: Final = Statement("replay.unmark", "DELETE FROM sweeps WHERE name = :name")
REPOINT_BLOB: Final = Statement(
    "replay.repoint_blob", "UPDATE blobs SET storage_key = :storage_key WHERE digest = :digest"
)
DATE_REPOSITORY: Final = Statement(
    "replay.date_repository",
    "UPDATE repositories SET created_at = :at WHERE id = :repository_id AND created_at > :at",
)
DATE_PROJECT: Final = Statement(
    "replay.date_project",
    """
    UPDATE projects SET created_at = :at
    WHERE id = (SELECT project_id FROM repositories WHERE id = :repository_id) AND created_at > :at
    """,
)
DATE_BLOB: Final = Statement(
    "replay.date_blob", "UPDATE blobs SET created_at = :at WHERE id = :blob_id AND created_at > :at"
)
DATE_LINK: Final = Statement(
    "replay.date_link",
    """
    UPDATE repository_blobs SET linked_at = :at
    WHERE repository_id = :repository_id AND blob_id = :blob_id AND linked_at > :at
    """,
)
DATE_MANIFEST: Final = Statement(
    "replay.date_manifest",
    """
    UPDATE manifests SET created_at = :at
    WHERE repository_id = :repository_id AND digest = :digest AND created_at > :at
    """,
)
DATE_TAG: Final = Statement(
    "replay.date_tag",
    """
    UPDATE tags SET updated_at = :at, created_at = CASE WHEN created_at > :at THEN :at ELSE created_at END
    WHERE repository_id = :repository_id AND name = :name
    """,
)
DATE_TAG_HISTORY: Final = Statement(
    "replay.date_tag_history",
    """
    UPDATE tag_history SET at = :at
    WHERE id = (SELECT max(id) FROM tag_history WHERE repository_id = :repository_id AND name = :name)
    """,
)

STATEMENTS: Final = (
    MARK_OF,
    MARKS_BETWEEN,
    BLOB_KEYS,
    RECORD,
    RECORDED,
    RECORDED_AFTER,
    NUMBER_ON,
    FORGET,
    TAKE_PROJECT_NUMBER,
    NUMBER_PROJECTS_ON,
    TAKE_INCARNATION,
    MARK,
    UNMARK,
    REPOINT_BLOB,
    DATE_REPOSITORY,
    DATE_PROJECT,
    DATE_BLOB,
    DATE_LINK,
    DATE_MANIFEST,
    DATE_TAG,
    DATE_TAG_HISTORY,
)


class SqlReplayReader:
    """Implements :class:`entrepot.metadata.replay_store.ReplayReader`."""

    def __init__(self, executor: ReadExecutor) -> None:
        self._executor = executor

    async def unfinished(self) -> str | None:
        """See the protocol."""
        return await self._mark(_UNFINISHED)

    async def catching_up(self) -> str | None:
        """See the protocol."""
        return await self._mark(_CATCHING_UP)

    async def ended_run(self) -> str | None:
        """See the protocol."""
        return await self._mark(_ENDED)

    async def settled(self) -> Mapping[str, int]:
        """See the protocol."""
        rows = await self._executor.fetch_rows(MARKS_BETWEEN, after=_SETTLED, before=_AFTER_SETTLED)
        return {str(name).removeprefix(_SETTLED): int(last) for name, last in rows}

    async def blob_keys(self, digests: Sequence[Digest]) -> Mapping[Digest, str]:
        """See the protocol."""
        wanted = json.dumps([str(digest) for digest in digests])
        rows = await self._executor.fetch_rows(BLOB_KEYS, digests=wanted)
        return {digest_from_text(digest): str(key) for digest, key in rows}

    async def recorded(self, after: int, limit: int) -> Sequence[JournalFact]:
        """See the protocol."""
        rows = await self._executor.fetch_rows(RECORDED_AFTER, after=after, rows=limit)
        return [JournalFact(*row) for row in rows]

    async def _mark(self, name: str) -> str | None:
        rows = await self._executor.fetch_rows(MARK_OF, name=name)
        return str(rows[0][0]) if rows else None


class SqlReplayRows:
    """Implements :class:`entrepot.metadata.replay_store.ReplayRows`."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def record(self, fact: JournalFact) -> bool:
        """See the protocol. A fact of which only an entry tells has no time; then it happened just now."""
        inserted = await self._executor.execute(
            RECORD,
            sequence=fact.sequence,
            at=fact.at_milliseconds or None,
            kind=fact.kind,
            repository=fact.repository,
            actor=fact.actor,
            payload=fact.payload,
        )
        if inserted == 1:
            return True
        found = await self._executor.fetch_row(RECORDED, sequence=fact.sequence)
        if found is None or not _tells_of(fact, found):
            raise HistoryDivergedError(fact.sequence)
        return False

    async def number_on(self, last: int) -> None:
        """See the protocol. Both engines go on after a number that a row had, even when the row is gone."""
        inserted = await self._executor.execute(
            RECORD, sequence=last, at=None, kind=_NO_KIND, repository="", actor="", payload=b"{}"
        )
        await self._executor.fetch_rows(NUMBER_ON)
        if inserted == 1:
            await self._executor.execute(FORGET, sequence=last, kind=_NO_KIND)

    async def number_projects_on(self, last: LastProjectNumber) -> None:
        """See the protocol."""
        await self._executor.execute(
            TAKE_PROJECT_NUMBER, number=last.number, public_id=last.public_id, name=last.name
        )
        await self._executor.fetch_rows(NUMBER_PROJECTS_ON)

    async def take_incarnation(self, incarnation: str) -> None:
        """See the protocol."""
        await self._executor.execute(TAKE_INCARNATION, incarnation=incarnation)

    async def mark_unfinished(self, progress: str) -> None:
        """See the protocol."""
        await self._executor.execute(MARK, name=_UNFINISHED, progress=progress)

    async def mark_finished(self) -> None:
        """See the protocol."""
        await self._executor.execute(UNMARK, name=_UNFINISHED)

    async def mark_catching_up(self, progress: str) -> None:
        """See the protocol."""
        await self._executor.execute(MARK, name=_CATCHING_UP, progress=progress)

    async def mark_caught_up(self) -> None:
        """See the protocol."""
        await self._executor.execute(UNMARK, name=_CATCHING_UP)

    async def mark_ended(self, run: str) -> None:
        """See the protocol."""
        await self._executor.execute(MARK, name=_ENDED, progress=run)

    async def settle(self, incarnation: str, last: int) -> None:
        """See the protocol."""
        await self._executor.execute(MARK, name=f"{_SETTLED}{incarnation}", progress=str(last))

    async def repoint_blob(self, digest: Digest, storage_key: str) -> None:
        """See the protocol."""
        await self._executor.execute(REPOINT_BLOB, digest=str(digest), storage_key=storage_key)

    async def date_repository(self, repository_id: int, at_milliseconds: int) -> None:
        """See the protocol."""
        for statement in (DATE_REPOSITORY, DATE_PROJECT):
            await self._executor.execute(statement, repository_id=repository_id, at=at_milliseconds)

    async def date_link(self, repository_id: int, blob_id: int, at_milliseconds: int) -> None:
        """See the protocol."""
        await self._executor.execute(DATE_BLOB, blob_id=blob_id, at=at_milliseconds)
        await self._executor.execute(
            DATE_LINK, repository_id=repository_id, blob_id=blob_id, at=at_milliseconds
        )

    async def date_manifest(self, repository_id: int, digest: Digest, at_milliseconds: int) -> None:
        """See the protocol."""
        await self._executor.execute(
            DATE_MANIFEST, repository_id=repository_id, digest=str(digest), at=at_milliseconds
        )

    async def date_tag(self, repository_id: int, tag: str, at_milliseconds: int) -> None:
        """See the protocol."""
        for statement in (DATE_TAG, DATE_TAG_HISTORY):
            await self._executor.execute(statement, repository_id=repository_id, name=tag, at=at_milliseconds)


def _tells_of(fact: JournalFact, row: Row) -> bool:
    """Whether a row that has the number of a fact is that fact's; the time may differ."""
    kind, repository, actor, payload = row
    return (kind, repository, actor) == (fact.kind, fact.repository, fact.actor) and _equal(fact, payload)


def _equal(fact: JournalFact, payload: bytes) -> bool:
    """Whether two payloads say the same: a journal that was copied by a program may be spaced differently."""
    return bool(fact.payload == bytes(payload) or json.loads(fact.payload) == json.loads(payload))
