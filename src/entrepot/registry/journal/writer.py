"""The journal: facts about tags and manifests in the blob store, so that it alone can rebuild the registry.

A fact is numbered by the unit that records it, and its entry is written after that unit's commit and before the reply.
So entries never tell of something that did not happen, for each tag their order is that of the commits (the number is
drawn while the unit holds the tag's row), and what was acknowledged can be rebuilt when the database is lost. When an
entry can't be written, the push or delete still succeeds: the background worker finds the fact without a segment and
writes it (two faults would have to coincide to lose it).

Nothing that lies under a number is replaced by something else: whoever finds another fact there belongs to another
history than the one who wrote it, and both are needed to tell what was lost.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import structlog

from entrepot.blobstore.errors import BlobStoreError, ObjectNotFoundError
from entrepot.blobstore.keys import journal_entry_key, journal_segment_key
from entrepot.kernel.failpoints import Failpoint, reach
from entrepot.registry.journal.listing import SEGMENT_SPAN
from entrepot.registry.journal.reader import (
    RecordedLine,
    find_unread_parts,
    read_lines,
    sealed,
    tell_the_same,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from entrepot.blobstore.driver import BlobStore
    from entrepot.metadata.records import JournalFact
    from entrepot.registry.journal.facts import RecordedFact

__all__ = ["ENTRY_KINDS", "Journal", "JournalConflictError", "first_segment_of", "line_of"]

_log: Any = structlog.get_logger()

ENTRY_KINDS = frozenset(
    {"manifest.put", "manifest.delete", "tag.delete", "repository.create", "repository.delete"}
)
"""Kinds of facts that get an entry of their own at once; the others wait for the next segment."""


class JournalConflictError(BlobStoreError):
    """The journal holds another fact under a number than the one that is to be written there."""

    def __init__(self, key: str, sequence: int) -> None:
        super().__init__(f"{key} tells of another fact {sequence} than this database")
        self.key = key
        self.sequence = sequence


class Journal:
    """Writes entries and segments under this database's incarnation."""

    def __init__(
        self, blobs: BlobStore, incarnation: str, on_conflict: Callable[[], None] = lambda: None
    ) -> None:
        """Take a store and whose journal to write; `on_conflict` is called where another history's lies in the way."""
        self._blobs = blobs
        self._incarnation = incarnation
        self._on_conflict = on_conflict
        self._encoder = msgspec.json.Encoder()

    async def write_entry(self, recorded: RecordedFact) -> None:
        """Write one fact durably; a store that fails is logged and left to the background worker."""
        fact, key = recorded.fact, journal_entry_key(self._incarnation, recorded.sequence)
        line = RecordedLine(
            recorded.sequence, fact.kind, fact.repository, fact.actor, msgspec.Raw(fact.payload)
        )
        entry = self._encoder.encode(sealed(line))
        try:
            if not await self._blobs.put_new(key, entry) and await self._read(key) not in {entry, b""}:
                # Another database takes itself for this one. Its fact stays; this one goes into the next segment.
                _log.error("journal.conflict", sequence=recorded.sequence, key=key)
                self._on_conflict()
        except BlobStoreError as error:
            _log.warning("journal.entry.postponed", sequence=recorded.sequence, reason=str(error))
        reach(Failpoint.JOURNAL_WRITTEN)

    async def _read(self, key: str) -> bytes:
        """Return an entry; an empty one when it was compacted meanwhile."""
        try:
            return b"".join([chunk async for chunk in self._blobs.read(key)])
        except ObjectNotFoundError:
            return b""

    async def write_segment(self, facts: Sequence[JournalFact]) -> str:
        """Write facts, in sequence order, as one object of JSON lines, and return its key.

        What a worker that was killed has left under the key stays, as of :meth:`complete`. Where it is damaged and
        may have told of more than these facts, it stays as it is, and they go under several keys, of which the last one
        is returned.

        Raises:
            JournalConflictError: something else lies there under one of the numbers.
            BlobStoreError: when the store fails; nothing is marked then.
        """
        key = journal_segment_key(self._incarnation, facts[0].sequence, facts[-1].sequence)
        # Asked for beforehand, too: a store without conditional writes would replace it.
        whole = self._encoder.encode_lines([sealed(line_of(fact)) for fact in facts])
        if await self._read(key) or not await self._blobs.put_new(key, whole):
            if len(facts) > 1 and await self._may_tell_of_others(key, facts):
                await self.write_segment(facts[:-1])
                return await self.write_segment(facts[-1:])
            await self.complete(key, facts)
        return key

    async def _may_tell_of_others(self, key: str, facts: Sequence[JournalFact]) -> bool:
        """Whether an object that is damaged may be the last trace of other facts."""
        own = {fact.sequence for fact in facts}
        return any(
            not part.is_in_order
            or part.before - part.after > len(own) + 1  # numbers of a damaged line may be of any size
            or not own.issuperset((*part.legible, *range(part.after + 1, part.before)))
            for part in await find_unread_parts(self._blobs, key)
        )

    async def complete(self, key: str, facts: Sequence[JournalFact]) -> None:
        """Let an entry or a segment hold these facts; what can be read in it stays, and what can't is taken out.

        Raises:
            JournalConflictError: it tells of something else under one of the numbers; nothing was changed.
            BlobStoreError: when the store fails.
        """
        lacking = {fact.sequence: line_of(fact) for fact in facts}
        damage: list[str] = []
        there = await read_lines(self._blobs, key, lambda _, reason: damage.append(reason))
        for line in there:
            own = lacking.get(line.sequence)
            if own is not None and not tell_the_same(line, own):
                _log.error("journal.conflict", sequence=line.sequence, key=key)
                self._on_conflict()
                raise JournalConflictError(key, line.sequence)
        for line in there:
            lacking.pop(line.sequence, None)
        if lacking or damage:
            lines = sorted([*there, *map(sealed, lacking.values())], key=lambda line: line.sequence)
            await self._blobs.put(key, self._encoder.encode_lines(lines))

    async def drop_entries(self, facts: Sequence[JournalFact]) -> None:
        """Delete the entries that a durable, recorded segment has made superfluous."""
        for fact in facts:
            if fact.kind in ENTRY_KINDS:
                await self._blobs.delete(journal_entry_key(self._incarnation, fact.sequence))


def first_segment_of(facts: Sequence[JournalFact]) -> Sequence[JournalFact]:
    """Return those of facts in sequence order that go into one segment: it must not cover more numbers than one may."""
    return [fact for fact in facts if fact.sequence < facts[0].sequence + SEGMENT_SPAN]


def line_of(fact: JournalFact) -> RecordedLine:
    """Return a fact of the database as the journal tells of it."""
    return RecordedLine(
        fact.sequence,
        fact.kind,
        fact.repository,
        fact.actor,
        msgspec.Raw(fact.payload),
        fact.at_milliseconds,
    )
