"""What the journal tells, as values: every kind of fact that registries ever wrote, and what it changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec

from entrepot.kernel.errors import EntrepotError
from entrepot.oci.digest import Digest, InvalidDigestError
from entrepot.oci.names import InvalidRepositoryNameError, InvalidTagNameError, RepositoryName, TagName

if TYPE_CHECKING:
    from entrepot.registry.journal.reader import RecordedLine

__all__ = [
    "BlobLinked",
    "BlobUnlinked",
    "Change",
    "ManifestDeleted",
    "ManifestPut",
    "Nothing",
    "RepositoryCreated",
    "RepositoryDeleted",
    "TagDeleted",
    "UnreadableFactError",
    "read_change",
]


class UnreadableFactError(EntrepotError):
    """A fact of a kind that this program does not know, or whose payload is not what its kind promises."""

    def __init__(self, sequence: int, kind: str, reason: str) -> None:
        super().__init__(f"fact {sequence} ({kind}): {reason}")
        self.sequence = sequence


class BlobLinked(msgspec.Struct, frozen=True, tag=False):
    """A repository got a blob."""

    digest: str
    size: int
    key: str


class BlobUnlinked(msgspec.Struct, frozen=True, tag=False):
    """A blob was deleted from a repository."""

    digest: str


class ManifestPut(msgspec.Struct, frozen=True, tag=False):
    """A manifest was pushed, and tags were pointed at it."""

    digest: str
    media_type: str
    key: str
    tags: tuple[str, ...] = ()


class ManifestDeleted(msgspec.Struct, frozen=True, tag=False):
    """A manifest was deleted, and every tag that pointed at it."""

    digest: str
    tags: tuple[str, ...] = ()


class TagDeleted(msgspec.Struct, frozen=True, tag=False):
    """A tag was deleted."""

    tag: str
    digest: str


class RepositoryCreated(msgspec.Struct, frozen=True, tag=False):
    """A repository was made that nothing had been pushed to yet."""


class RepositoryDeleted(msgspec.Struct, frozen=True, tag=False):
    """A repository was deleted with everything in it."""


class Nothing(msgspec.Struct, frozen=True, tag=False):
    """Something happened that left no content behind."""


Change: TypeAlias = (
    BlobLinked
    | BlobUnlinked
    | ManifestPut
    | ManifestDeleted
    | TagDeleted
    | RepositoryCreated
    | RepositoryDeleted
    | Nothing
)

_KINDS: Final[dict[str, type[Change]]] = {
    "blob.linked": BlobLinked,
    "blob.unlinked": BlobUnlinked,
    "manifest.put": ManifestPut,
    "manifest.delete": ManifestDeleted,
    "tag.delete": TagDeleted,
    "repository.create": RepositoryCreated,
    "repository.delete": RepositoryDeleted,
    "database.rebuilt": Nothing,
}


def read_change(line: RecordedLine) -> Change:
    """Return what a fact changed, with every name and digest in it checked: the store may have been tampered with.

    Raises:
        UnreadableFactError: it can't be told.
    """
    kind = _KINDS.get(line.kind)
    if kind is None:
        raise UnreadableFactError(line.sequence, line.kind, "a newer program wrote it; rebuild with that one")
    try:
        change: Change = msgspec.json.decode(line.payload, type=kind)
        _check(line, change)
    except (
        msgspec.MsgspecError,
        InvalidDigestError,
        InvalidRepositoryNameError,
        InvalidTagNameError,
    ) as error:
        raise UnreadableFactError(line.sequence, line.kind, str(error)) from error
    return change


def _check(line: RecordedLine, change: Change) -> None:
    if isinstance(change, Nothing):
        return
    RepositoryName.parse(line.repository)
    if isinstance(change, RepositoryCreated | RepositoryDeleted):
        return
    Digest.parse(change.digest)
    tags = (change.tag,) if isinstance(change, TagDeleted) else getattr(change, "tags", ())
    for tag in tags:
        TagName.parse(tag)
