"""The protocols of what a verification asks about single rows, and of how it sets damaged content aside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from entrepot.metadata.inventory import InventoryBlob, InventoryBody
    from entrepot.metadata.records import JournalFact, ReferenceKind
    from entrepot.oci.digest import Digest

__all__ = [
    "BrokenTag",
    "HeldManifest",
    "QuarantineRows",
    "RecordedReference",
    "ScrubFindingRow",
    "StoredTotals",
    "SweepState",
    "TargetState",
    "VerificationReader",
]

TargetState = Literal["live", "condemned", "trash", "quarantined", "missing"]


@dataclass(frozen=True, slots=True)
class StoredTotals:
    """How much there is to examine."""

    blobs: int
    blob_bytes: int


@dataclass(frozen=True, slots=True)
class HeldManifest:
    """A manifest of a repository that was not deleted, with the state it is in.

    Attributes:
        quarantined: whether it was set aside; then nobody can pull it.
    """

    id: int
    repository: str
    digest: Digest
    quarantined: bool = False


@dataclass(frozen=True, slots=True)
class RecordedReference:
    """One reference of a live manifest, and what became of the thing it names in the same repository.

    Attributes:
        kind: `None` for a manifest without any reference; then nothing else means anything.
        resolved: whether the repository had the thing when the manifest came.
        target: the state of the thing now; `missing` when there is none, or none that the repository links to.
    """

    manifest_id: int
    kind: ReferenceKind | None
    digest: Digest | None
    resolved: bool
    target: TargetState


@dataclass(frozen=True, slots=True)
class BrokenTag:
    """A tag that points at a manifest which can't be pulled, though nobody set that aside."""

    repository: str
    name: str
    digest: Digest
    state: str


@dataclass(frozen=True, slots=True)
class ScrubFindingRow:
    """What a pass found, as it is kept: `finding` is the verification's own JSON."""

    kind: str
    subject: str
    finding: str
    damage: bool


@dataclass(frozen=True, slots=True)
class SweepState:
    """The row of a sweep: what it recorded, and the database's time, in milliseconds since 1970."""

    progress: str
    now_milliseconds: int


class VerificationReader(Protocol):
    """Questions of a verification; each is one statement, and sees one state of the database."""

    async def totals(self) -> StoredTotals:
        """Return how many blobs there are, and their bytes."""
        ...

    async def totals_of(self, repository: str) -> StoredTotals:
        """Return how many blobs a repository links to, and their bytes."""
        ...

    async def blob(self, blob_id: int) -> InventoryBlob | None:
        """Return a blob's row as it is now."""
        ...

    async def body(self, digest: Digest) -> InventoryBody | None:
        """Return the row of a manifest's bytes as it is now."""
        ...

    async def bodies(self, digests: Sequence[Digest]) -> Mapping[Digest, bytes]:
        """Return the bytes of manifests; of those that have none, nothing."""
        ...

    async def repositories_of_blob(self, blob_id: int, limit: int) -> Sequence[str]:
        """Return names of repositories that link to the blob."""
        ...

    async def manifests_of_blob(self, blob_id: int, limit: int) -> Sequence[HeldManifest]:
        """Return live manifests of all repositories that refer to the blob."""
        ...

    async def manifests_of_body(self, digest: Digest, limit: int) -> Sequence[HeldManifest]:
        """Return manifests of all repositories with this body that are live or were set aside."""
        ...

    async def quarantined(self, digests: Sequence[Digest]) -> frozenset[Digest]:
        """Return those of `digests` under which some repository has a manifest that was set aside."""
        ...

    async def indexes_above(self, manifest_ids: Sequence[int], limit: int) -> Sequence[HeldManifest]:
        """Return live indexes that list one of these manifests."""
        ...

    async def tags_of(self, manifest_ids: Sequence[int], limit: int) -> Sequence[tuple[str, str]]:
        """Return repository and name of tags that point at one of these manifests."""
        ...

    async def references_of(self, manifest_ids: Sequence[int]) -> Sequence[RecordedReference]:
        """Return the references of those manifests that are live; each live one has a row at least."""
        ...

    async def broken_tags(self, after_manifest_id: int, last_manifest_id: int) -> Sequence[BrokenTag]:
        """Return tags of manifests with numbers in `(after, last]` that are neither live nor set aside."""
        ...

    async def journalled(self, after: int, limit: int) -> Sequence[JournalFact]:
        """Return facts with numbers greater than `after` that a segment of the journal must hold, in their order."""
        ...

    async def recorded(self, sequences: Sequence[int]) -> frozenset[int]:
        """Return under which of these numbers a fact was recorded, whether the journal holds it or not."""
        ...

    async def sweep(self, name: str) -> SweepState:
        """Return what a sweep recorded last; an empty text when it never ran."""
        ...

    async def findings(self, sweep: str, after: tuple[str, str], limit: int) -> Sequence[ScrubFindingRow]:
        """Return what a pass found, ordered by kind and subject, after those two texts."""
        ...


class QuarantineRows(Protocol):
    """Setting damaged content aside, and putting sound content in its place, within a unit.

    Whatever names a storage key is a compare-and-swap: when the row has another key by now, nothing is changed.
    """

    async def isolate_blob(self, blob_id: int, storage_key: str, reason: str) -> bool:
        """Make a blob invisible and mark it; `False` when the row changed meanwhile."""
        ...

    async def restore_blob(self, blob_id: int, storage_key: str) -> bool:
        """Make a blob that was set aside visible again, as it was; `False` when it is not set aside any more."""
        ...

    async def repoint_blob(self, blob_id: int, storage_key: str, new_key: str) -> bool:
        """Let a blob's row name sound bytes of the same size and digest; one that was set aside is live again.

        `True` also when it names them already.
        """
        ...

    async def isolate_manifests(self, digest: Digest, body: bytes, reason: str) -> int:
        """Make every live manifest with this digest invisible, while the database holds this damaged body."""
        ...

    async def restore_manifests(self, digest: Digest) -> int:
        """Make manifests that were set aside visible again; return how many."""
        ...

    async def replace_body(self, digest: Digest, body: bytes) -> bool:
        """Put the right bytes in the place of damaged ones; `False` when there was nothing to replace."""
        ...

    async def reopen_facts(self, sequences: Sequence[int]) -> None:
        """Forget that the journal holds these facts, so that the background worker writes them again."""

    async def clear_findings(self, sweep: str) -> None:
        """Forget what a pass found."""

    async def copy_findings(self, sweep: str, target: str) -> None:
        """Replace what another sweep found by what this one found."""

    async def add_findings(self, sweep: str, findings: Sequence[ScrubFindingRow]) -> None:
        """Keep what a pass found; a finding of the same kind and subject is replaced."""
