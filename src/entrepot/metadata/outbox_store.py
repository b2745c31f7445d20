"""The protocols of the outbox: facts recorded by the units that cause them, and read by their consumers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from entrepot.metadata.records import JournalFact, OutboxFact, WrittenJournal

__all__ = ["Backlog", "FactsAhead", "JournalRows", "OutboxReader", "OutboxWriterRows"]


@dataclass(frozen=True, slots=True)
class FactsAhead:
    """Facts with times ahead of the database's clock, and how far ahead the furthest lies."""

    count: int
    furthest_milliseconds: int


@dataclass(frozen=True, slots=True)
class Backlog:
    """Journal facts that have not been compacted yet.

    Attributes:
        oldest_milliseconds: the age of the oldest by the database's clock; 0 when there is none.
        furthest_milliseconds: how far ahead of that clock the time of any lies at most; 0 when none does.
    """

    count: int
    oldest_milliseconds: int
    furthest_milliseconds: int


class OutboxReader(Protocol):
    """Facts that wait for their consumers."""

    async def unjournalled(self, older_than_milliseconds: int, limit: int) -> Sequence[JournalFact]:
        """Return journal facts not compacted yet, in sequence order, up to the first that was written less long ago."""
        ...

    async def first_unjournalled(self) -> int | None:
        """Return the number of the first journal fact not compacted yet, whatever its time says; `None` without one."""
        ...

    async def ahead(self, further_milliseconds: int, limit: int) -> FactsAhead:
        """Return which of the first `limit` journal facts not compacted yet lie further ahead of the clock (F27)."""
        ...

    async def backlog(self) -> Backlog:
        """Return what has not been compacted yet, all of it: for a person's question, not for each few seconds."""
        ...

    async def unjournalled_count(self) -> int:
        """Return how many journal facts have not been compacted yet."""
        ...

    async def written(self) -> WrittenJournal:
        """Return what proves that a store is the one into which the journal was written."""
        ...


class OutboxWriterRows(Protocol):
    """Facts recorded by the unit that causes them."""

    async def append(self, fact: OutboxFact) -> int:
        """Record a fact and return its sequence number."""
        ...


class JournalRows(Protocol):
    """Book-keeping of the background worker that compacts the journal."""

    async def redate(self, further_milliseconds: int, limit: int) -> None:
        """Date facts now that :meth:`OutboxReader.ahead` counts: nobody knows any more how old they are."""

    async def mark_journalled(self, sequences: Sequence[int]) -> None:
        """Remember that these facts lie in a durable segment."""

    async def note_segment(self, key: str) -> None:
        """Remember the segment that was written last."""

    async def forget_segment(self) -> None:
        """Undo :meth:`note_segment`, for a store that was found to have lost it."""

    async def note_longest_segment(self, key: str) -> None:
        """Remember the segment that covers the most numbers, of those that former programs wrote."""
