"""The outbox: facts written by the unit that causes them, consumed later by the journal and others."""

from __future__ import annotations

import json
from itertools import takewhile
from typing import TYPE_CHECKING, Final

from entrepot.metadata.outbox_store import Backlog, FactsAhead
from entrepot.metadata.records import JournalFact, WrittenJournal
from entrepot.metadata.sql.statements import Statement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from entrepot.metadata.records import OutboxFact
    from entrepot.metadata.sql.statements import Executor, ReadExecutor

__all__ = ["STATEMENTS", "SqlJournalRows", "SqlOutboxReader", "SqlOutboxWriterRows"]

_NEWEST_SEGMENT: Final = "newest segment"
_LONGEST_SEGMENT: Final = "longest segment"
"""The marks lie among the sweeps' rows, as those of a rebuild do. A restore into another store leaves all these out."""

APPEND: Final = Statement(
    "outbox.append",
    """
    INSERT INTO outbox (at, kind, repository, actor, payload, journalled)
    VALUES ({now}, :kind, :repository, :actor, :payload, :journalled)
    RETURNING id
    """,
)
UNJOURNALLED: Final = Statement(
    "outbox.unjournalled",
    """
    SELECT CASE WHEN at <= {now} - :older_than THEN 1 ELSE 0 END, id, at, kind, repository, actor, payload
    FROM outbox
    WHERE journalled = 1 AND journalled_at IS NULL
    ORDER BY id LIMIT :rows
    """,
)
FIRST_UNJOURNALLED: Final = Statement(
    "outbox.first_unjournalled",
    "SELECT id FROM outbox WHERE journalled = 1 AND journalled_at IS NULL ORDER BY id LIMIT 1",
)
# Those that wait longest only: the next segment is made of them, however many more there are.
AHEAD: Final = Statement(
    "outbox.ahead",
    """
    SELECT count(*), coalesce(max(at - {now}), 0) FROM (
        SELECT at FROM outbox WHERE journalled = 1 AND journalled_at IS NULL ORDER BY id LIMIT :rows) AS page
    WHERE at > {now} + :further
    """,
)
BACKLOG: Final = Statement(
    "outbox.backlog",
    """
    SELECT count(*), coalesce(max({now} - at), 0), coalesce(max(at - {now}), 0) FROM outbox
    WHERE journalled = 1 AND journalled_at IS NULL
    """,
)
REDATE: Final = Statement(
    "outbox.redate",
    """
    UPDATE outbox SET at = {now}
    WHERE id IN (
        SELECT o.id FROM outbox o WHERE o.journalled = 1 AND o.journalled_at IS NULL ORDER BY o.id LIMIT :rows
    ) AND journalled_at IS NULL AND at > {now} + :further
    """,
)
UNJOURNALLED_COUNT: Final = Statement(
    "outbox.unjournalled_count",
    "SELECT count(*) FROM outbox WHERE journalled = 1 AND journalled_at IS NULL",
)
MARK_JOURNALLED: Final = Statement(
    "outbox.mark_journalled",
    "UPDATE outbox SET journalled_at = {now} WHERE id IN {integers:sequences} AND journalled_at IS NULL",
)
# Facts are never removed and the lowest are compacted first, so the first one of all tells as much as the first that
# is compacted, and is found without a walk over those that wait. That ids are above 0 leads the engines along them.
# PostgreSQL names a CASE after the column in its ELSE: an unqualified `ORDER BY id` would mean the CASE, and sort all.
WRITTEN: Final = Statement(
    "outbox.written",
    """
    SELECT
        coalesce((
            SELECT CASE WHEN outbox.journalled_at IS NULL THEN 0 ELSE outbox.id END
            FROM outbox WHERE outbox.id > 0 AND outbox.journalled = 1 ORDER BY outbox.id LIMIT 1
        ), 0),
        coalesce((SELECT sweeps.progress FROM sweeps WHERE sweeps.name = :name), ''),
        coalesce((SELECT sweeps.progress FROM sweeps WHERE sweeps.name = :longest), '')
    """,
)
NOTE_SEGMENT: Final = Statement(
    "outbox.note_segment",
    """
    INSERT INTO sweeps (name, progress, fence, due_at) VALUES (:name, :key, 0, 0)
    ON CONFLICT (name) DO UPDATE SET progress = excluded.progress
    """,
)
FORGET_SEGMENT: Final = Statement("outbox.forget_segment", "DELETE FROM sweeps WHERE name = :name")

STATEMENTS: Final = (
    APPEND,
    UNJOURNALLED,
    FIRST_UNJOURNALLED,
    AHEAD,
    BACKLOG,
    REDATE,
    UNJOURNALLED_COUNT,
    MARK_JOURNALLED,
    WRITTEN,
    NOTE_SEGMENT,
    FORGET_SEGMENT,
)


class SqlOutboxReader:
    """Implements :class:`entrepot.metadata.outbox_store.OutboxReader`."""

    def __init__(self, executor: ReadExecutor) -> None:
        self._executor = executor

    async def unjournalled(self, older_than_milliseconds: int, limit: int) -> Sequence[JournalFact]:
        """See the protocol."""
        rows = await self._executor.fetch_rows(UNJOURNALLED, older_than=older_than_milliseconds, rows=limit)
        return [JournalFact(*row) for _, *row in takewhile(lambda row: row[0] == 1, rows)]

    async def first_unjournalled(self) -> int | None:
        """See the protocol."""
        rows = await self._executor.fetch_rows(FIRST_UNJOURNALLED)
        return int(rows[0][0]) if rows else None

    async def ahead(self, further_milliseconds: int, limit: int) -> FactsAhead:
        """See the protocol."""
        ((count, furthest),) = await self._executor.fetch_rows(
            AHEAD, further=further_milliseconds, rows=limit
        )
        return FactsAhead(int(count), int(furthest))

    async def backlog(self) -> Backlog:
        """See the protocol."""
        ((count, oldest, furthest),) = await self._executor.fetch_rows(BACKLOG)
        return Backlog(int(count), max(int(oldest), 0), max(int(furthest), 0))

    async def unjournalled_count(self) -> int:
        """See the protocol."""
        rows = await self._executor.fetch_rows(UNJOURNALLED_COUNT)
        return int(rows[0][0])

    async def written(self) -> WrittenJournal:
        """See the protocol."""
        ((first, newest, longest),) = await self._executor.fetch_rows(
            WRITTEN, name=_NEWEST_SEGMENT, longest=_LONGEST_SEGMENT
        )
        return WrittenJournal(int(first), str(newest), str(longest))


class SqlOutboxWriterRows:
    """Implements :class:`entrepot.metadata.outbox_store.OutboxWriterRows`."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def append(self, fact: OutboxFact) -> int:
        """See the protocol."""
        rows = await self._executor.fetch_rows(
            APPEND,
            kind=fact.kind,
            repository=fact.repository,
            actor=fact.actor,
            payload=fact.payload,
            journalled=int(fact.journalled),
        )
        return int(rows[0][0])


class SqlJournalRows:
    """Implements :class:`entrepot.metadata.outbox_store.JournalRows`."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def redate(self, further_milliseconds: int, limit: int) -> None:
        """See the protocol."""
        await self._executor.execute(REDATE, further=further_milliseconds, rows=limit)

    async def mark_journalled(self, sequences: Sequence[int]) -> None:
        """See the protocol."""
        if sequences:
            await self._executor.execute(MARK_JOURNALLED, sequences=json.dumps(list(sequences)))

    async def note_segment(self, key: str) -> None:
        """See the protocol."""
        await self._executor.execute(NOTE_SEGMENT, name=_NEWEST_SEGMENT, key=key)

    async def forget_segment(self) -> None:
        """See the protocol."""
        await self._executor.execute(FORGET_SEGMENT, name=_NEWEST_SEGMENT)

    async def note_longest_segment(self, key: str) -> None:
        """See the protocol."""
        await self._executor.execute(NOTE_SEGMENT, name=_LONGEST_SEGMENT, key=key)
