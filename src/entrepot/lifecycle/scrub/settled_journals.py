"""Reads the journals of earlier databases that went into this one (F11).

Of their facts this database has no rows, so these files are the only copy of them, and nothing in them can be written
anew. What it has is how many facts the rebuild read, and checksums of their numbers and of what they tell.
"""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from entrepot.blobstore.keys import JOURNAL
from entrepot.lifecycle.scrub.findings import Finding, Kind
from entrepot.registry.journal.reader import JournalReader
from entrepot.registry.journal.readings import NumbersRead, read_readings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from entrepot.blobstore.driver import BlobStore
    from entrepot.lifecycle.scrub.mass_damage import MassDamageGuard
    from entrepot.metadata.store import Metadata
    from entrepot.registry.journal.reader import Rivals

__all__ = ["SettledJournals", "read_settled_journals"]


@dataclass(slots=True)
class SettledJournals:
    """What they told.

    Attributes:
        count: facts in them.
        numbers: what is to be noted of those that are as they should be.
    """

    count: int = 0
    findings: list[Finding] = field(default_factory=list[Finding])
    numbers: dict[str, NumbersRead] = field(default_factory=dict[str, NumbersRead])


async def read_settled_journals(
    metadata: Metadata, blobs: BlobStore, guard: MassDamageGuard, *, gives_up: bool
) -> SettledJournals:
    """Read each through, one that is not as it was a second time, once it is sure that the store is the right one.

    Args:
        gives_up: whether facts that are gone, with no part left that can't be read, are taken as given up.

    Raises:
        MassDamageError: the store is likely a wrong one.
        MetadataError, BlobStoreError: it can't be told.
    """
    found = SettledJournals()
    noted = (await read_readings(metadata)).settled
    for incarnation in await metadata.replay.settled():
        before = noted.get(incarnation)
        damaged: dict[str, str] = {}
        now = await _read(blobs, incarnation, damaged)
        if damaged or not (before is None or now.are_those_of(before)):
            await guard.require_right_store()
            damaged.clear()
            now = await _read(blobs, incarnation, damaged)
        found.count += now.count
        if damaged:
            found.findings += _lost(damaged)
        elif before is None or now.are_those_of(before):
            found.numbers[incarnation] = now  # a former program noted none, or not what they tell
        elif now.count >= before.count and not now.have_numbers_of(before):
            found.findings.append(_came_back(incarnation, before, now))
        elif gives_up:
            found.findings.append(_given_up(incarnation, before, now))
            found.numbers[incarnation] = now
        else:
            found.findings.append(_gone(incarnation, before, now))
    return found


async def _read(blobs: BlobStore, incarnation: str, damaged: dict[str, str]) -> NumbersRead:
    found = NumbersRead()
    reader = JournalReader(blobs, incarnation, damaged.__setitem__, _unasked)
    async with aclosing(reader.facts()) as lines:
        async for line in lines:
            found = found.and_of(line)
    return found


def _unasked(rivals: Rivals) -> None:
    """Count one fact to a number, as the rebuild did, which has named the others."""


def _lost(damaged: dict[str, str]) -> Iterator[Finding]:
    for key, reason in damaged.items():
        detail = (
            f"{reason}; this is an earlier database's journal, of whose facts this one has no rows: put a sound copy "
            "of the file in its place, as from a backup. To give up what only it told of, move the file away and run "
            "entrepot verify --repair --force"
        )
        yield Finding(Kind.JOURNAL_LOST, "journal", key, key, detail=detail)


def _gone(incarnation: str, before: NumbersRead, now: NumbersRead) -> Finding:
    remedy = (
        "put sound copies of its files in place, as from a backup; or, if what lies there now is right, rebuild anew, "
        "into an empty database from the same journals. To give up what they told before, run "
        if now.have_numbers_of(before)
        else "put back the files that are gone, as from a backup. To give up what only they told of, run "
    )
    detail = f"{_difference(before, now)}: {remedy}entrepot verify --repair --force"
    return Finding(Kind.JOURNAL_LOST, "journal", f"{JOURNAL}{incarnation}/", detail=detail)


def _given_up(incarnation: str, before: NumbersRead, now: NumbersRead) -> Finding:
    fate = "given up, so this database has what they changed, and another rebuild would not"
    detail = f"{_difference(before, now)}: {fate}"
    return Finding(Kind.JOURNAL_GAP, "journal", f"{JOURNAL}{incarnation}/", detail=detail, needed=False)


def _difference(before: NumbersRead, now: NumbersRead) -> str:
    if now.have_numbers_of(before):
        return (
            f"it is an earlier database's journal, and its {now.count} facts do not tell what those told that this one "
            "was made from, as where a byte is damaged"
        )
    return (
        f"it is an earlier database's journal, and tells of {now.count} facts instead of the {before.count} that this "
        "one was made from"
    )


def _came_back(incarnation: str, before: NumbersRead, now: NumbersRead) -> Finding:
    detail = (
        f"it is an earlier database's journal, and tells of {now.count} facts, others than the {before.count} that "
        "this one was made from: files of it came back, or the rebuild could not tell what they changed, and named "
        "them; a catch-up does not bring them in. Rebuild anew, into an empty database from the same journals, with "
        "sound copies of what is damaged, or the newer program where that wrote them; or move the files away to give "
        "up what only they tell of"
    )
    return Finding(Kind.DATABASE_GAP, "journal", f"{JOURNAL}{incarnation}/", detail=detail)
