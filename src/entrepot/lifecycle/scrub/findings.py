"""What a verification can find, and what became of it. The JSON form of a finding is documented and stays as it is."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, Literal

import msgspec

from entrepot.metadata.verification import ScrubFindingRow

__all__ = ["NOTES", "Finding", "Kind", "Outcome", "as_row", "from_row"]


class Kind(StrEnum):
    """What is wrong with something."""

    MISSING = "missing"
    """No bytes lie under the key of a blob, or a manifest has neither a sound body nor a sound copy."""
    TRUNCATED = "truncated"
    """Fewer bytes are stored than were pushed, possibly none."""
    OVERLONG = "overlong"
    """More bytes are stored than were pushed."""
    CORRUPT = "corrupt"
    """As many bytes as were pushed, but other ones."""
    UNREADABLE = "unreadable"
    """The store could not read it, repeatedly (EIO): nothing is known of the bytes, so nothing is set aside."""
    QUARANTINED = "quarantined"
    """Set aside by an earlier verification, still damaged, and something needs it."""
    COPY_MISSING = "copy-missing"
    """A manifest can be pulled, but a rebuild from storage would lack it."""
    COPY_DAMAGED = "copy-damaged"
    """As `copy-missing`: there is a copy, with other bytes."""
    UNPARSABLE = "unparsable"
    """The bytes of a manifest are the ones that were pushed, and this program can't read them."""
    REFERENCE_BROKEN = "reference-broken"
    """A manifest that can be pulled needs something that its repository does not have (I2)."""
    REFERENCES_DIFFER = "references-differ"
    """What the rows say that a manifest refers to is not what its bytes say."""
    TAG_BROKEN = "tag-broken"
    """A tag points at a manifest that can't be pulled."""
    JOURNAL_GAP = "journal-gap"
    """The journal lacks a fact that the database counts as written: a rebuild would not know of it."""
    JOURNAL_UNREADABLE = "journal-unreadable"
    """Part of the journal can't be read; if that is the only place of a fact, there is a `journal-gap` as well."""
    JOURNAL_LOST = "journal-lost"
    """As `journal-unreadable`, and the database may not know all that it told of: only somebody who mends it would."""
    JOURNAL_FOREIGN = "journal-foreign"
    """The journal tells of what this database does not know: another database's store, or an old copy of this one."""
    JOURNAL_DIVERGED = "journal-diverged"
    """Objects of the journal, or one and the database, tell of different facts under one number: two histories."""
    DATABASE_GAP = "database-gap"
    """The journal tells of facts before the database's last one that it lacks, as one that was rebuilt without them."""


NOTES: Final = frozenset({Kind.JOURNAL_UNREADABLE})
"""Kinds that are no damage in themselves."""


class Outcome(StrEnum):
    """What was done about it."""

    FOUND = "found"
    """Nothing."""
    HEALED = "healed"
    """Sound bytes, hashed before, are in the place of the damaged ones."""
    RESTORED = "restored"
    """It had been set aside and is sound again, so it is served again."""
    QUARANTINED = "quarantined"
    """It is set aside: 404 instead of damaged bytes, and a push of the same content heals it."""
    WOULD_HEAL = "would-heal"
    """A dry run; a source says that it has the bytes."""
    WOULD_RESTORE = "would-restore"
    """A dry run."""
    WOULD_QUARANTINE = "would-quarantine"
    """A dry run."""


_SOUND_AGAIN: Final = frozenset({Outcome.HEALED, Outcome.RESTORED})


class Finding(msgspec.Struct, frozen=True, omit_defaults=False):
    """One thing that is wrong.

    Attributes:
        about: what kind of thing `name` names: a blob or manifest by digest, a tag as `repository:tag`, a part of the
            journal.
        key: where its bytes lie in the blob store, empty where that means nothing.
        repositories, tags: who is hit, tags as `repository:tag`; up to a hundred each, `more` says that there are more.
        needed: whether anybody could miss it: a repository links to it, or a live manifest refers to it.
        source: what it was healed from.
    """

    kind: Kind
    about: Literal["blob", "manifest", "tag", "journal"]
    name: str
    key: str = ""
    expected_bytes: int | None = None
    found_bytes: int | None = None
    detail: str = ""
    repositories: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    more: bool = False
    needed: bool = True
    outcome: Outcome = Outcome.FOUND
    source: str = ""

    @property
    def is_damage(self) -> bool:
        """Whether something is left that somebody may miss."""
        return self.needed and self.kind not in NOTES and self.outcome not in _SOUND_AGAIN

    @property
    def subject(self) -> str:
        """What tells it from others of its kind."""
        return f"{self.about} {self.name}"


def as_row(finding: Finding) -> ScrubFindingRow:
    """Return the finding as it is kept."""
    text = msgspec.json.encode(finding).decode()
    return ScrubFindingRow(finding.kind, finding.subject, text, finding.is_damage)


def from_row(row: ScrubFindingRow) -> Finding:
    """Return what :func:`as_row` made a row of."""
    return msgspec.json.decode(row.finding, type=Finding)
