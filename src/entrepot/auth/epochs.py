"""Epochs: the counters that let what was issued or remembered die when what it was decided by changes.

Every subject and every project has one. The unit that disables a person, changes a role or a member moves it, and every
process watches for those that moved. A subject's ends what was issued to it; a project's, which moves for the sake of
anybody's rights, only has all that was decided about the project decided anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from entrepot.auth.principals import ANONYMOUS

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from entrepot.metadata.epoch_store import EpochsNamed

__all__ = ["WITHOUT_EPOCH", "Epochs"]

WITHOUT_EPOCH: Final = frozenset({"", ANONYMOUS})
"""Subjects that have none: operators of the host, and nobody."""


class Epochs(Protocol):
    """Which epochs moved of late. Synchronous, as it is asked for each request; refreshed in the background."""

    def require_fresh(self) -> None:
        """Refuse to vouch for anything when the database was not heard of for 60 s (I6).

        Raises:
            MetadataUnavailableError: what moved since is not known.
        """

    def is_current(self, subject: str, subject_epoch: int, projects: Mapping[str, int]) -> bool:
        """Whether neither the subject (public id) nor any of the projects (by name) has moved beyond its epoch."""
        ...

    async def ask(self, subjects: Collection[str], projects: Collection[str]) -> EpochsNamed:
        """Ask the database for the epochs of these subjects (public ids) and projects (names), whatever is known.

        A project has settled when it moved so long ago that no token is older, unless its time was none (F27).

        Raises:
            MetadataError: the database did not answer.
        """
        ...

    def moves(self) -> int:
        """Return a number that grows whenever any epoch was seen to move: memories keyed by it forget all at once."""
        ...
