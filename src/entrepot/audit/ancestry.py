"""Which checkpoints one was signed behind: each names the one before by what was signed there.

A time says when something was signed by a clock that may have been wrong, a sequence says where. An older copy of the
database that goes on has both, later times on earlier sequences, as has a clock that was put back. Only that what is
named was there before can't be made up afterwards.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from entrepot.audit.checkpoint_format import name_of_signed, read_signed_content

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from entrepot.metadata.audit_store import CheckpointRow

__all__ = ["Ancestry"]


class _Known(NamedTuple):
    sequence: int
    key: bytes
    is_sought: bool
    is_behind: bool


class Ancestry:
    """Tells of checkpoints whether they are shown to have been signed behind one of a kind.

    Where one between is missing, or was signed with another key that nobody vouches for, nothing is shown of those
    before it.
    """

    def __init__(
        self,
        checkpoints: Iterable[CheckpointRow],
        is_sought: Callable[[CheckpointRow], bool],
        *,
        any_key: bool,
    ) -> None:
        """Take checkpoints whose signatures were verified.

        Args:
            checkpoints: in any order, wherever they were kept.
            is_sought: whether one is of the kind.
            any_key: whether all their keys are trusted; if not, those of one key say nothing of another's.
        """
        self._is_sought = is_sought
        self._any_key = any_key
        self._known: dict[str, _Known] = {}
        for checkpoint in sorted(checkpoints, key=lambda one: one.sequence):
            self._known[name_of_signed(checkpoint.signed)] = self._placed(checkpoint)

    def is_behind(self, checkpoint: CheckpointRow) -> bool:
        """Whether one of those taken was signed behind one of the kind; `False` where that is not shown."""
        known = self._known.get(name_of_signed(checkpoint.signed))
        return known is not None and known.is_behind

    def _placed(self, checkpoint: CheckpointRow) -> _Known:
        content = read_signed_content(checkpoint.signed)
        before = None if content is None else self._known.get(content.previous)
        is_behind = (
            before is not None
            and before.sequence < checkpoint.sequence
            and (self._any_key or before.key == checkpoint.public_key)
            and (before.is_sought or before.is_behind)
        )
        return _Known(checkpoint.sequence, checkpoint.public_key, self._is_sought(checkpoint), is_behind)
