"""The damage that is known to stand, for those who must not go on as if all were well."""

from __future__ import annotations

from typing import TYPE_CHECKING

from entrepot.lifecycle.scrub.findings import Kind
from entrepot.lifecycle.scrub.job import SCRUB_SWEEP, VERIFY_SWEEP
from entrepot.lifecycle.scrub.ledger import read_progress
from entrepot.registry.journal.readings import read_readings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from entrepot.lifecycle.scrub.ledger import Progress
    from entrepot.metadata.store import Metadata

__all__ = ["read_standing_damage", "standing_in", "why_nothing_may_be_removed", "with_journal_damage"]


async def read_standing_damage(metadata: Metadata) -> dict[str, int]:
    """Return how much damage stands, by kind; kinds of which there is none are left out.

    That is the larger of what the scheduled verification and the command found. The command's is out of date once a
    scheduled pass has ended after it. What is lost of the journal, or lacking in the database, the readings of the
    journal tell, a rebuild's among them.

    Raises:
        MetadataError: the database can't be asked.
    """
    scheduled, asked = await read_progress(metadata, SCRUB_SWEEP), await read_progress(metadata, VERIFY_SWEEP)
    standing = standing_in(scheduled)
    if asked.running or asked.completed_at_milliseconds >= scheduled.completed_at_milliseconds:
        for kind, count in standing_in(asked).items():
            standing[kind] = max(count, standing.get(kind, 0))
    return await with_journal_damage(metadata, standing)


async def with_journal_damage(metadata: Metadata, standing: Mapping[str, int]) -> dict[str, int]:
    """Return the same with what the readings of the journal tell in the place of what passes counted of that.

    As long as no reading has ended, since a former program made them, the passes' own counts stand.

    Raises:
        MetadataError: the database can't be asked.
    """
    readings = await read_readings(metadata)
    if not readings.has_ended:
        return dict(standing)
    told = {Kind.JOURNAL_LOST.value: readings.lost, Kind.DATABASE_GAP.value: readings.lacking}
    return {kind: count for kind, count in (dict(standing) | told).items() if count}


def standing_in(progress: Progress) -> dict[str, int]:
    """Return what one of the two found; a pass under way has not refuted what the one before it found."""
    before = progress.damaged_before if progress.running else {}
    kinds = progress.damaged.keys() | before.keys()
    counts = {kind: max(progress.damaged.get(kind, 0), before.get(kind, 0)) for kind in kinds}
    return {kind: count for kind, count in counts.items() if count}


async def why_nothing_may_be_removed(metadata: Metadata) -> str:
    """Return why bytes that no row mentions may be needed all the same; empty when nothing is known that says so.

    Raises:
        MetadataError: the database can't be asked.
    """
    standing = await read_standing_damage(metadata)
    if standing.get(Kind.DATABASE_GAP):
        return (
            "a verification found facts in the journal that the database lacks, and only they may tell what some "
            "objects are for; stop the registry and run entrepot rebuild --catch-up, or what entrepot verify says of "
            "an earlier database's journal, then entrepot verify, which ends this"
        )
    if standing.get(Kind.JOURNAL_LOST):
        return (
            "a verification or a rebuild found a part of the journal that can't be read, and only that may tell what "
            "some objects are for; mend it or give it up as entrepot verify says, then run entrepot verify, which ends "
            "this"
        )
    return ""
