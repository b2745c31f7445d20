"""What became of an import, in figures and in names."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from entrepot.oci.digest import Digest
    from entrepot.oci.names import RepositoryName, TagName
    from entrepot.transfer.target import BlobTransfer

__all__ = ["Amount", "Difference", "ImportReport", "KeptTag", "Problem"]


@dataclass(slots=True)
class Amount:
    """A number of things and their bytes."""

    count: int = 0
    bytes: int = 0

    def add(self, size: int) -> None:
        """Count one more."""
        self.count += 1
        self.bytes += size


@dataclass(frozen=True, slots=True)
class Problem:
    """Something of the source that did not arrive.

    Attributes:
        reference: a tag, a digest, or empty for a whole repository.
    """

    repository: str
    reference: str
    reason: str


@dataclass(frozen=True, slots=True)
class KeptTag:
    """A tag that pointed elsewhere in the target and was left so."""

    repository: str
    tag: str
    source: Digest
    target: Digest


@dataclass(frozen=True, slots=True)
class Difference:
    """A tag or manifest that was imported and is not there, or is another one, afterwards."""

    repository: str
    reference: str
    expected: Digest
    found: Digest | None


@dataclass(slots=True)
class ImportReport:
    """Figures of one run; `expected` is what the final comparison looks at.

    Attributes:
        blobs: those that their repositories did not have, by how they got there.
    """

    repositories: int = 0
    tags_set: int = 0
    tags_present: int = 0
    manifests_stored: int = 0
    manifests_present: int = 0
    blobs: dict[BlobTransfer, Amount] = field(default_factory=dict["BlobTransfer", Amount])
    kept: list[KeptTag] = field(default_factory=list[KeptTag])
    problems: list[Problem] = field(default_factory=list[Problem])
    differences: list[Difference] = field(default_factory=list[Difference])
    expected: dict[tuple[RepositoryName, TagName | Digest], Digest] = field(
        default_factory=dict["tuple[RepositoryName, TagName | Digest]", "Digest"]
    )
    compared: int = 0

    def count_blob(self, transfer: BlobTransfer, size: int) -> None:
        """Count a blob."""
        self.blobs.setdefault(transfer, Amount()).add(size)

    @property
    def stored_bytes(self) -> int:
        """Bytes of blobs that were not in the registry before, whichever way they came."""
        return sum(amount.bytes for transfer, amount in self.blobs.items() if transfer != "mounted")

    @property
    def is_complete(self) -> bool:
        """Whether everything that was chosen is there, or was there under another digest and was to be kept."""
        return not self.problems and not self.differences
