"""Gathers the numbers under which a journal tells of more than one fact, for a person who has to choose between two."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from entrepot.registry.journal.reader import Rivals

__all__ = ["THE_DATABASE", "RivalHistories"]

THE_DATABASE: Final = "the database"
"""Stands for a key where the facts of the database are those that count."""

_NAMED_RUNS: Final = 10
_NAMED_FILES: Final = 5


@dataclass(slots=True)
class RivalHistories:
    """Runs of numbers, by the object whose fact counts and the one that contradicts it."""

    _runs: dict[tuple[str, str], list[list[int]]] = field(
        default_factory=dict[tuple[str, str], list[list[int]]]
    )

    def add(self, rivals: Rivals) -> None:
        """Take in one number; they come in their order."""
        runs = self._runs.setdefault((rivals.kept, rivals.other), [])
        if runs and runs[-1][1] >= rivals.sequence - 1:
            runs[-1][1] = rivals.sequence
        else:
            runs.append([rivals.sequence, rivals.sequence])

    def __contains__(self, pair: tuple[str, str]) -> bool:
        """Whether the second of two objects contradicts the first."""
        return pair in self._runs

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._runs)

    def described(self) -> Iterator[tuple[str, str]]:
        """Yield for each pair the key of the object that lost, and which numbers of it and whose were taken."""
        for (kept, other), runs in self._runs.items():
            taken = "" if kept == THE_DATABASE else ", whose are taken"
            yield other, f"tells of other facts {_text(runs)} than {kept}{taken}"

    def summary(self) -> str:
        """Return it in a sentence that names the first few."""
        named = [f"{key} {reason}" for key, reason in islice(self.described(), _NAMED_FILES)]
        more = len(self._runs) - len(named)
        return "; ".join(named) + (f"; and {more} more" if more > 0 else "")


def _text(runs: list[list[int]]) -> str:
    texts = [str(first) if first == last else f"{first}-{last}" for first, last in runs[:_NAMED_RUNS]]
    return ", ".join(texts) + (" …" if len(runs) > _NAMED_RUNS else "")
