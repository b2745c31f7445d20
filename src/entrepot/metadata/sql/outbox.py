"""The outbox: facts written by the unit that causes them, consumed later by the journal and others."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from entrepot.metadata.records import JournalFact
from entrepot.metadata.sql.statements import Statement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from entrepot.metadata.records import OutboxFact
    from entrepot.metadata.sql.statements import Executor, ReadExecutor

__all__ = ["STATEMENTS", "SqlJournalRows", "SqlOutboxReader", "SqlOutboxWriterRows"]

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
    SELECT id, at, kind, repository, actor, payload FROM outbox
    WHERE journalled = 1 AND journalled_at IS NULL AND at <= {now} - :older_than
    ORDER BY id LIMIT :rows
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

STATEMENTS: Final = (APPEND, UNJOURNALLED, UNJOURNALLED_COUNT, MARK_JOURNALLED)


class SqlOutboxReader:
    """Implements :class:`entrepot.metadata.outbox_store.OutboxReader`."""

    def __init__(self, executor: ReadExecutor) -> None:
        self._executor = executor

    async def unjournalled(self, older_than_milliseconds: int, limit: int) -> Sequence[JournalFact]:
        """See the protocol."""
        rows = await self._executor.fetch_rows(UNJOURNALLED, older_than=older_than_milliseconds, rows=limit)
        return [JournalFact(*row) for row in rows]

    async def unjournalled_count(self) -> int:
        """See the protocol."""
        rows = await self._executor.fetch_rows(UNJOURNALLED_COUNT)
        return int(rows[0][0])


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

    async def mark_journalled(self, sequences: Sequence[int]) -> None:
        """See the protocol."""
        if sequences:
            await self._executor.execute(MARK_JOURNALLED, sequences=json.dumps(list(sequences)))
