"""What a rebuild found and made, as values that a command prints."""

from __future__ import annotations

from dataclasses import dataclass, field

from entrepot.rebuild.number_gaps import NumberGaps  # noqa: TC001 - what decodes a report reads the annotation

__all__ = ["JournalSummary", "Leftovers", "RebuildReport", "Totals"]


@dataclass(slots=True)
class JournalSummary:
    """What one database's journal tells, for whoever has to choose between several.

    Attributes:
        repositories: names of repositories in it, a few of them.
        repository_count: how many different ones it names, up to a bound.
    """

    incarnation: str
    facts: int = 0
    first: int = 0
    last: int = 0
    first_at_milliseconds: int | None = None
    last_at_milliseconds: int | None = None
    repositories: list[str] = field(default_factory=list[str])
    repository_count: int = 0


@dataclass(slots=True)
class Totals:
    """What a database holds that can be pulled, and the blobs that its rows mention."""

    repositories: int = 0
    tags: int = 0
    manifests: int = 0
    blobs: int = 0
    blob_bytes: int = 0


@dataclass(slots=True)
class Leftovers:
    """Objects in the store that no row of the database mentions: the sweep of orphans removes them in its time."""

    manifests: int = 0
    blobs: int = 0
    blob_bytes: int = 0
    staged: int = 0
    staged_bytes: int = 0


@dataclass(slots=True)
class RebuildReport:
    """What became of a rebuild.

    Attributes:
        incarnation: the database that the rebuilt one is from now on.
        ancestors: other databases whose journals were replayed before.
        facts: facts read.
        applied: those that the database did not know.
        last_fact: the greatest number in the journal.
        resumed: whether it went on with a run that was interrupted.
        gaps: numbers that no fact has, of each journal that lacks any where it was read.
        totals: what the database holds now; absent after bringing one up to date, where only what is new was looked at.
        losses, lost_tags, spots: how many things were left out, and how many parts of the journal can't be read or
            contradict others.
        lost_parts: parts of the journal, files or facts, of which the database may not know all that they told of: as
            long as they stand, the sweep of orphans removes nothing.
    """

    incarnation: str
    ancestors: tuple[str, ...]
    facts: int
    applied: int
    last_fact: int
    resumed: bool
    gaps: tuple[NumberGaps, ...]
    totals: Totals | None
    leftovers: Leftovers
    losses: int = 0
    lost_tags: int = 0
    spots: int = 0
    lost_parts: int = 0

    @property
    def is_whole(self) -> bool:
        """Whether nothing had to be left out."""
        return not (self.losses or self.lost_tags or self.spots)
