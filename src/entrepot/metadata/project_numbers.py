"""Where numbers of projects go on in a database that does not know which of them were given.

Notes of pulls and refusals name their project by its number, and wait in a node's files, which outlive a database. One
that is made from the storage, or from an older copy, would give the numbers again, and the lead of one project would
read what was done in another. So a deleted project that never was has a number greater than all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from entrepot.kernel.ids import new_public_id

__all__ = ["LastProjectNumber"]

_BEGINNING_SECONDS: Final = 1_704_067_200
"""2024-01-01T00:00Z, before there was any registry. Until 2092 numbers fit into the 32 bits that clients may have."""


@dataclass(frozen=True, slots=True)
class LastProjectNumber:
    """The row of that project: its number, and what else a row must have. No project can have such a name."""

    number: int
    public_id: str

    @classmethod
    def at(cls, milliseconds: int) -> LastProjectNumber:
        """Return one that no project had at that time (since 1970): a registry makes less than one a second."""
        return cls(max(milliseconds // 1000 - _BEGINNING_SECONDS, 1), new_public_id())

    @property
    def name(self) -> str:
        """What its row has for a name."""
        return f"#{self.number}"
