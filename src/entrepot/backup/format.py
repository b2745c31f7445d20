"""The documents of a backup repository, as docs/reference/backup-format.md describes them.

Fields may be added, with defaults; readers leave alone what they do not know. What exists keeps its meaning for ever.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from entrepot.metadata.dumps import DumpedColumn

__all__ = [
    "FORMAT_VERSION",
    "BegunSnapshot",
    "Chunk",
    "DamagedBlob",
    "KeySlot",
    "ListedBlob",
    "RepositoryHeader",
    "RowsHeader",
    "SnapshotManifest",
    "SnapshotPlace",
    "place_of",
]

FORMAT_VERSION: Final = 1


class KeySlot(msgspec.Struct, frozen=True, kw_only=True):
    """One way to the repository's key: today always a passphrase; several slots may wrap the same key.

    Attributes:
        n, r, p: the parameters of scrypt (RFC 7914).
        wrapped: the key, sealed with AES-256-GCM under what scrypt makes of the passphrase; the repository's id is
            authenticated with it.
    """

    kind: Literal["passphrase"] = "passphrase"
    kdf: Literal["scrypt"] = "scrypt"
    n: int
    r: int
    p: int
    salt: bytes
    nonce: bytes
    wrapped: bytes


class RepositoryHeader(msgspec.Struct, frozen=True, kw_only=True):
    """What a repository is. Without key slots nothing in it is encrypted."""

    format: Literal["entrepot-backup"] = "entrepot-backup"
    version: int = FORMAT_VERSION
    id: str
    keys: tuple[KeySlot, ...] = ()


class BegunSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """The first object of a snapshot: whose it is, so that a later backup of the same database can clear it away."""

    incarnation: str
    taken_at: int


class Chunk(msgspec.Struct, frozen=True, kw_only=True):
    """One object of a snapshot.

    Attributes:
        table: the table whose rows it holds, empty for a part of the list of blobs.
        size_bytes, sha256: of the object as it lies in the repository, sealed or not.
    """

    key: str
    table: str = ""
    rows: int
    size_bytes: int
    sha256: str


class RowsHeader(msgspec.Struct, frozen=True, kw_only=True):
    """The first line of a chunk of rows."""

    table: str
    columns: tuple[DumpedColumn, ...]


class ListedBlob(msgspec.Struct, frozen=True, array_like=True):
    """A line of the list of blobs; `storage_key` is where the registry had the bytes, for people to know."""

    digest: str
    size_bytes: int
    storage_key: str


class DamagedBlob(msgspec.Struct, frozen=True):
    """A blob or manifest that could not be backed up, and why."""

    digest: str
    size_bytes: int
    reason: str


class SnapshotManifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a snapshot consists of.

    Attributes:
        created_at: milliseconds since 1970, by the clock of the database, when the snapshot was taken.
        behind_milliseconds: how much later than `created_at` the time is that `id` bears: the clock was behind the
            newest snapshot that was there, and so `id` comes right after that one's (F27). Else 0.
        overtaken: ids that are later than its own, of snapshots that were there before, finished or not: a clock was
            ahead when they were made, or behind when this one was (F27). There are as many as the clock passed.
        counts: rows by table.
        blobs, blob_bytes: what the rows mention.
        new_blobs, new_blob_bytes: how much of it no earlier snapshot had.
        complete: whether all bytes are there; otherwise `damaged` tells what is not.
    """

    format: Literal["entrepot-snapshot"] = "entrepot-snapshot"
    version: int = FORMAT_VERSION
    id: str
    created_at: int
    program: str
    engine: str
    schema_version: int
    incarnation: str
    last_fact: int
    label: str = ""
    previous: str | None = None
    counts: dict[str, int]
    rows: tuple[Chunk, ...]
    lists: tuple[Chunk, ...]
    blobs: int
    blob_bytes: int
    new_blobs: int
    new_blob_bytes: int
    complete: bool
    damaged: tuple[DamagedBlob, ...] = ()
    behind_milliseconds: int = 0
    overtaken: tuple[str, ...] = ()


class SnapshotPlace(msgspec.Struct, frozen=True, kw_only=True):
    """What of a manifest tells whether another snapshot is newer; a manifest of many rows is long."""

    id: str
    incarnation: str
    last_fact: int
    complete: bool
    overtaken: tuple[str, ...] = ()


def place_of(manifest: SnapshotManifest) -> SnapshotPlace:
    """Return what of a manifest tells whether another snapshot is newer."""
    return SnapshotPlace(
        id=manifest.id,
        incarnation=manifest.incarnation,
        last_fact=manifest.last_fact,
        complete=manifest.complete,
        overtaken=manifest.overtaken,
    )
