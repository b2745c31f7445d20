"""What a rebuild has met of a second history, known also to the run that goes on after one that was killed.

Whoever goes on reads the whole journal again and finds all that still lies there. But the database has taken in what
lay there at first: if the files of one history were moved away meanwhile, it is a mixture all the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from entrepot.metadata.rebuild_work import Spot
from entrepot.registry.journal.rival_histories import RivalHistories

if TYPE_CHECKING:
    from collections.abc import Iterator

    from entrepot.metadata.rebuild_work import RebuildWork
    from entrepot.registry.journal.reader import Rivals

__all__ = ["NotedRivals"]

_MOST_NOTED: Final = 50
"""Pairs of files; one is enough to know that there were two histories."""
_TWO_HISTORIES: Final = (
    "two databases wrote under one name, and what is rebuilt is a mixture of both; move the files of the history that "
    "is not wanted out of the journal and rebuild again, see the guide to entrepot rebuild, under two histories"
)


class NotedRivals:
    """Gathers the rivals of one journal, and notes them in the scratch file, which is saved with each unit."""

    def __init__(self, work: RebuildWork, incarnation: str) -> None:
        """Take the scratch file, with what an earlier run noted there, and whose journal is read."""
        self._work = work
        self._name = f"rivals in {incarnation}"
        self._found = RivalHistories()
        self._noted = msgspec.json.decode(work.note(self._name) or "[]", type=list[tuple[str, str, int]])

    def add(self, rivals: Rivals) -> None:
        """Take in one number; they come in their order."""
        pair = (rivals.kept, rivals.other)
        is_known = pair in self._found or any(pair == (kept, other) for kept, other, _ in self._noted)
        if not is_known and len(self._noted) < _MOST_NOTED:
            self._noted.append((*pair, rivals.sequence))
            self._work.write_down(self._name, msgspec.json.encode(self._noted).decode())
        self._found.add(rivals)

    def spots(self) -> Iterator[Spot]:
        """Yield each pair of files once, also those of an earlier run that tell of nothing else any more."""
        for key, reason in self._found.described():
            yield Spot(key, f"{reason}: {_TWO_HISTORIES}")
        for kept, other, sequence in self._noted:
            if (kept, other) not in self._found:
                reason = f"told of another fact {sequence} than {kept} when this rebuild began"
                yield Spot(other, f"{reason}: {_TWO_HISTORIES}")
