"""Why a rebuild does not begin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from entrepot.kernel.errors import EntrepotError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["ChoiceNeededError", "RebuildRefusedError"]


class RebuildRefusedError(EntrepotError):
    """Database and storage are not in a state that this kind of rebuild can begin with; nothing was changed."""

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(f"{reason}; {remedy}")
        self.reason = reason
        self.remedy = remedy


class ChoiceNeededError(EntrepotError):
    """Several databases have written to the storage, and nobody said which of them is meant."""

    def __init__(self, incarnations: Sequence[str]) -> None:
        super().__init__("the storage holds the journals of several databases; choose with --incarnation")
        self.incarnations = tuple(incarnations)
