"""What a verification is made of: phases that go through one kind of thing, in steps that can be recorded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from entrepot.lifecycle.scrub.findings import Finding

__all__ = ["Phase", "Step"]


@dataclass(frozen=True, slots=True)
class Step:
    """A part of a phase that is done.

    Attributes:
        cursor: the phase's own text from which it goes on after this step.
        examined: how many things were looked at.
        read_bytes: how many bytes were read for it.
        findings: what is wrong, with what was done about it.
        orphans, orphan_bytes: objects that no row mentions.
    """

    cursor: str
    examined: int
    read_bytes: int = 0
    findings: tuple[Finding, ...] = ()
    orphans: int = 0
    orphan_bytes: int = 0


class Phase(Protocol):
    """One kind of thing to go through."""

    @property
    def name(self) -> str:
        """What people and programs call it."""
        ...

    async def total(self) -> int | None:
        """Return how much there is to do, in bytes or things, where that is known."""
        ...

    @property
    def in_bytes(self) -> bool:
        """Whether progress is counted in bytes."""
        ...

    def steps(self, cursor: str) -> AsyncGenerator[Step, None]:
        """Go on after `cursor`, an empty text at the beginning; what a repair does is done when its step is yielded.

        Raises:
            MetadataError, BlobStoreError: rows or listings can't be read.
            MassDamageError: see there.
        """
        ...
