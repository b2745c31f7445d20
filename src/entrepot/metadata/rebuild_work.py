"""What a rebuild keeps beside the database while it runs: what lies in the store, and what had to be left out.

It does not fit into memory, and has no place in the database that is being made. It outlives a rebuild that was killed,
so that the next run still knows what the first one left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from entrepot.oci.digest import Digest

__all__ = ["Content", "LaterChange", "Loss", "LostTag", "RebuildWork", "Spot"]


@dataclass(frozen=True, slots=True)
class Content:
    """An object of the store that holds, or should hold, what a digest names."""

    storage_key: str
    digest: Digest
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Loss:
    """A `manifest` or `blob` that is missing in its repository, or one whose `deletion` could not be repeated."""

    what: str
    repository: str
    digest: str
    reason: str


@dataclass(frozen=True, slots=True)
class LostTag:
    """A tag that would point at a manifest that was left out."""

    repository: str
    tag: str
    digest: str


@dataclass(frozen=True, slots=True)
class Spot:
    """An object of the journal that can't be read in full, or that another one contradicts, and why."""

    key: str
    reason: str


@dataclass(frozen=True, slots=True)
class LaterChange:
    """That a fact of this number changed something in a repository: `what` is its kind, `name` its digest or tag."""

    repository: str
    what: str
    name: str
    sequence: int


class RebuildWork(Protocol):
    """A scratch file. Calls block for as long as a local file takes, and belong to one task; all may be repeated.

    So they may be made within a unit, which may be begun again, and on whatever thread that runs.
    """

    def begin_anew(self) -> None:
        """Forget everything: what is there belongs to another run."""

    def note(self, key: str) -> str:
        """Return what was written down under a name, an empty text when nothing was."""
        ...

    def write_down(self, key: str, value: str) -> None:
        """Write something down that the next run must know."""

    def clear_contents(self) -> None:
        """Forget all objects."""

    def add_contents(self, contents: Sequence[Content]) -> None:
        """Remember objects whose keys or markers tell their digests."""

    def add_sizes(self, sizes: Sequence[tuple[str, int]]) -> None:
        """Remember objects by key and size in bytes, whose digests their markers tell later."""

    def name_contents(self, digests: Sequence[tuple[str, Digest]]) -> None:
        """Tell the digests of objects that were remembered by size; others are left out."""

    def find(self, digest: Digest) -> Sequence[Content]:
        """Return where bytes of this digest lie, those found to be damaged left out, in the order of their keys."""
        ...

    def holds(self, storage_key: str) -> bool:
        """Tell whether an object lies under the key and was not found to be damaged."""
        ...

    def is_verified(self, storage_key: str) -> bool:
        """Tell whether the object's bytes were hashed and are what its digest names."""
        ...

    def judge(self, storage_key: str, *, good: bool) -> None:
        """Remember whether an object's bytes are what its digest names."""

    def contents_after(self, storage_key: str, limit: int) -> Sequence[Content]:
        """Return a page of all objects with digests, by key."""
        ...

    def lose(self, loss: Loss) -> None:
        """Remember that something is left out; the last reason counts."""

    def regain(self, what: str, repository: str, digest: str) -> None:
        """Forget a loss: the thing came later, or was deleted."""

    def lose_tag(self, tag: LostTag) -> None:
        """Remember that a tag is left out."""

    def regain_tag(self, repository: str, tag: str) -> None:
        """Forget that: it was set again, or deleted."""

    def regain_tags_of(self, repository: str, digest: str) -> None:
        """Forget all lost tags of a manifest that was deleted."""

    def regain_repository(self, repository: str) -> None:
        """Forget everything that a repository lost: it was deleted as a whole."""

    def add_spot(self, spot: Spot) -> None:
        """Remember a part of the journal that can't be read."""

    def forget_spots(self, prefix: str) -> None:
        """Forget what was told of objects whose keys have a prefix: they are read again."""

    def clear_changes(self) -> None:
        """Forget all later changes."""

    def add_changes(self, changes: Sequence[LaterChange]) -> None:
        """Remember changes, in ascending order of their numbers; of each thing the last one counts."""

    def last_change(self, repository: str, what: str, name: str) -> int:
        """Return the number of the last change of something, 0 when there is none."""
        ...

    def losses(self) -> Iterator[Loss]:
        """Yield what is left out, by repository."""
        ...

    def lost_tags(self) -> Iterator[LostTag]:
        """Yield the tags that are left out, by repository."""
        ...

    def spots(self) -> Iterator[Spot]:
        """Yield what of the journal can't be read, by key."""
        ...

    def save(self) -> None:
        """Let everything so far outlive this process."""
