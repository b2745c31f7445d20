"""The journal: facts about tags and manifests in the blob store, so that it alone can rebuild the registry.

A fact is numbered by the unit that records it, and its entry is written after that unit's commit and before the reply.
So entries never tell of something that did not happen, for each tag their order is that of the commits (the number is
drawn while the unit holds the tag's row), and what was acknowledged can be rebuilt when the database is lost. When an
entry can't be written, the push or delete still succeeds: the background worker finds the fact without a segment and
writes it (two faults would have to coincide to lose it).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import structlog

from entrepot.blobstore.errors import BlobStoreError, ObjectNotFoundError
from entrepot.blobstore.keys import journal_entry_key, journal_segment_key
from entrepot.kernel.failpoints import Failpoint, reach

if TYPE_CHECKING:
    from collections.abc import Sequence

    from entrepot.blobstore.driver import BlobStore
    from entrepot.metadata.records import JournalFact
    from entrepot.registry.facts import RecordedFact

__all__ = ["ENTRY_KINDS", "Journal"]

_log: Any = structlog.get_logger()

ENTRY_KINDS = frozenset(
    {"manifest.put", "manifest.delete", "tag.delete", "repository.create", "repository.delete"}
)
"""Kinds of facts that get an entry of their own at once; the others wait for the next segment."""


class _Line(msgspec.Struct, frozen=True, tag=False):
    """One fact as it stands in an entry or in a line of a segment. The format must stay readable for ever."""

    sequence: int
    kind: str
    repository: str
    actor: str
    payload: msgspec.Raw
    at_milliseconds: int | None = None


class Journal:
    """Writes entries and segments under this database's incarnation."""

    def __init__(self, blobs: BlobStore, incarnation: str) -> None:
        self._blobs = blobs
        self._incarnation = incarnation
        self._encoder = msgspec.json.Encoder()

    async def write_entry(self, recorded: RecordedFact) -> None:
        """Write one fact durably; a store that fails is logged and left to the background worker."""
        fact, key = recorded.fact, journal_entry_key(self._incarnation, recorded.sequence)
        line = _Line(recorded.sequence, fact.kind, fact.repository, fact.actor, msgspec.Raw(fact.payload))
        entry = self._encoder.encode(line)
        try:
            if not await self._blobs.put_new(key, entry) and await self._read(key) not in {entry, b""}:
                # Another database takes itself for this one. Its fact stays; this one goes into the next segment.
                _log.error("journal.conflict", sequence=recorded.sequence, key=key)
        except BlobStoreError as error:
            _log.warning("journal.entry.postponed", sequence=recorded.sequence, reason=str(error))
        reach(Failpoint.JOURNAL_WRITTEN)

    async def _read(self, key: str) -> bytes:
        """Return an entry; an empty one when it was compacted meanwhile."""
        try:
            return b"".join([chunk async for chunk in self._blobs.read(key)])
        except ObjectNotFoundError:
            return b""

    @property
    def blobs(self) -> BlobStore:
        """The store that it is in."""
        return self._blobs

    async def write_segment(self, facts: Sequence[JournalFact]) -> str:
        """Write facts, in sequence order, as one object of JSON lines, and return its key.

        Raises:
            BlobStoreError: when the store fails; nothing is marked then.
        """
        lines = [
            _Line(
                fact.sequence,
                fact.kind,
                fact.repository,
                fact.actor,
                msgspec.Raw(fact.payload),
                fact.at_milliseconds,
            )
            for fact in facts
        ]
        key = journal_segment_key(self._incarnation, facts[0].sequence, facts[-1].sequence)
        await self._blobs.put(key, self._encoder.encode_lines(lines))
        return key

    async def drop_entries(self, facts: Sequence[JournalFact]) -> None:
        """Delete the entries that a durable, recorded segment has made superfluous."""
        for fact in facts:
            if fact.kind in ENTRY_KINDS:
                await self._blobs.delete(journal_entry_key(self._incarnation, fact.sequence))
