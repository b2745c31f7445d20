"""Which checkpoints one was signed behind: each names the one before by what was signed there.

A time says when something was signed by a clock that may have been wrong, a sequence says where. An older copy of the
database that goes on has both, later times on earlier sequences, as has a clock that was put back. Only that what is
named was there before can't be made up afterwards.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from entrepot.audit.checkpoints import name_of_signed, read_signed_content

if TYPE_CHECKING:
    from collections.abc import Iterable

    from entrepot.metadata.audit_store import CheckpointRow

__all__ = ["TimesBefore"]


class _Known(NamedTuple):
    sequence: int
    at: int
    key: bytes
    latest_before: int


class TimesBefore:
    """Finds the latest time of the checkpoints that one is shown to have been signed behind.

    Where one between is missing, or was signed with another key that nobody vouches for, nothing is shown of those
    before it.
    """

    def __init__(self, checkpoints: Iterable[CheckpointRow], until: int, *, any_key: bool) -> None:
        """Take checkpoints whose signatures were verified.

        Args:
            checkpoints: in any order, wherever they were kept.
            until: later times than that (milliseconds) do not count.
            any_key: whether all their keys are trusted; if not, those of one key say nothing of another's.
        """
        self._until = until
        self._any_key = any_key
        self._known: dict[str, _Known] = {}
        for checkpoint in sorted(checkpoints, key=lambda one: one.sequence):
            self._known[name_of_signed(checkpoint.signed)] = self._placed(checkpoint)

    def of(self, checkpoint: CheckpointRow) -> int:
        """Return the latest time before one of those taken, in milliseconds, 0 where nothing is shown of any."""
        known = self._known.get(name_of_signed(checkpoint.signed))
        return 0 if known is None else known.latest_before

    def _placed(self, checkpoint: CheckpointRow) -> _Known:
        content = read_signed_content(checkpoint.signed)
        before = None if content is None else self._known.get(content.previous)
        latest = 0
        if (
            before is not None
            and before.sequence < checkpoint.sequence
            and (self._any_key or before.key == checkpoint.public_key)
        ):
            latest = max(before.latest_before, before.at if before.at <= self._until else 0)
        return _Known(checkpoint.sequence, checkpoint.at, checkpoint.public_key, latest)
