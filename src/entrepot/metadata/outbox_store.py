"""The protocols of the outbox: facts recorded by the units that cause them, and read by their consumers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from entrepot.metadata.records import JournalFact, OutboxFact

__all__ = ["JournalRows", "OutboxReader", "OutboxWriterRows"]


class OutboxReader(Protocol):
    """Facts that wait for their consumers."""

    async def unjournalled(self, older_than_milliseconds: int, limit: int) -> Sequence[JournalFact]:
        """Return journal facts not compacted yet, in sequence order, that were written at least so long ago."""
        ...

    async def unjournalled_count(self) -> int:
        """Return how many journal facts have not been compacted yet."""
        ...


class OutboxWriterRows(Protocol):
    """Facts recorded by the unit that causes them."""

    async def append(self, fact: OutboxFact) -> int:
        """Record a fact and return its sequence number."""
        ...


class JournalRows(Protocol):
    """Book-keeping of the background worker that compacts the journal."""

    async def mark_journalled(self, sequences: Sequence[int]) -> None:
        """Remember that these facts lie in a durable segment."""
