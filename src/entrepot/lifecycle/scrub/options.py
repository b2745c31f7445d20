"""What a verification works on, and how."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from entrepot.blobstore.driver import BlobStore
    from entrepot.lifecycle.recovery import BlobRecovery
    from entrepot.lifecycle.scrub.findings import Finding
    from entrepot.metadata.store import Metadata
    from entrepot.registry.hashing import HashingPool

__all__ = ["Mode", "ScrubGround", "ScrubOptions", "Watcher"]


class Mode(Enum):
    """What is done about damage."""

    REPORT = "report"
    REPAIR = "repair"
    REHEARSE = "rehearse"
    """Say what a repair would do."""


@dataclass(frozen=True, slots=True)
class ScrubGround:
    """The stores and the threads to hash on."""

    metadata: Metadata
    blobs: BlobStore
    hashing: HashingPool


@dataclass(frozen=True, slots=True)
class ScrubOptions:
    """How a verification goes about it.

    Attributes:
        fast: look whether things are there and as long as they should be, without reading them.
        repositories: only what these repositories link to and hold; empty for everything.
        parallel: how many objects are read at once.
        bytes_per_second: what is read altogether, at most; 0 is without limit.
        force: repair even if most of what is looked at is damaged.
        sources: where sound bytes may come from, in the order in which they are asked.
        operator: who does it, as the creator of what healing stores.
    """

    mode: Mode = Mode.REPORT
    fast: bool = False
    repositories: tuple[str, ...] = ()
    parallel: int = 2
    bytes_per_second: int = 0
    force: bool = False
    sources: tuple[BlobRecovery, ...] = field(default=())
    operator: str = "verify"


class Watcher(Protocol):
    """Somebody who is told how far a verification has come."""

    def begin(self, phase: str, total: int | None, *, in_bytes: bool) -> None:
        """A phase begins, with so much to do where that is known."""

    def advance(self, count: int) -> None:
        """So many bytes or things more are done."""

    def found(self, finding: Finding) -> None:
        """Something is wrong, and this was done about it."""
