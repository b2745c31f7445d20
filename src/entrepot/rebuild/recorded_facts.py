"""Looks up what a database has recorded of the facts that a journal tells of, in their order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from entrepot.metadata.records import JournalFact
    from entrepot.metadata.store import Metadata

__all__ = ["RecordedFacts"]

_PAGE: Final = 2000


class RecordedFacts:
    """Finds facts of a database by ascending numbers, a page to a statement."""

    def __init__(self, metadata: Metadata) -> None:
        self._metadata = metadata
        self._page: Sequence[JournalFact] = ()
        self._place = 0

    async def find(self, sequence: int) -> JournalFact | None:
        """Return the fact of a number that is greater than the last one asked for."""
        if not self._page or self._page[-1].sequence < sequence:
            self._page, self._place = await self._metadata.replay.recorded(sequence - 1, _PAGE), 0
        while self._place < len(self._page) and self._page[self._place].sequence < sequence:
            self._place += 1
        following = self._page[self._place : self._place + 1]
        if not following or following[0].sequence > sequence:
            # A unit that was open when the page was read may have ended, and be in the journal by now.
            following = await self._metadata.replay.recorded(sequence - 1, 1)
        return following[0] if following and following[0].sequence == sequence else None
