"""Picks repositories out of a snapshot: their manifests, tags and blobs, without loading the snapshot anywhere."""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from entrepot.backup.rows import read_table

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from entrepot.backup.format import SnapshotManifest
    from entrepot.backup.repository import BackupRepository
    from entrepot.metadata.dumps import DumpedValue

__all__ = ["SavedManifest", "SavedRepository", "read_bodies", "select_repositories"]


@dataclass(frozen=True, slots=True)
class SavedManifest:
    """A live manifest of a snapshot; its tags are those that pointed at it."""

    digest: str
    media_type: str
    size_bytes: int
    tags: list[str] = field(default_factory=list[str])


@dataclass(frozen=True, slots=True)
class SavedRepository:
    """A repository of a snapshot; `blobs` are sizes by digest."""

    name: str
    manifests: list[SavedManifest] = field(default_factory=list[SavedManifest])
    blobs: dict[str, int] = field(default_factory=dict[str, int])


async def select_repositories(
    repository: BackupRepository, manifest: SnapshotManifest, patterns: Sequence[str]
) -> list[SavedRepository]:
    """Return the repositories whose names match a pattern (`*`, `?`, `[…]`, where `*` takes slashes, too), by name.

    Raises:
        BackupDamagedError: rows can't be read.
    """
    chosen: dict[DumpedValue, SavedRepository] = {}
    async for number, name, deleted in _columns(
        repository, manifest, "repositories", "id", "name", "deleted_at"
    ):
        if deleted is None and any(fnmatch.fnmatchcase(str(name), pattern) for pattern in patterns):
            chosen[number] = SavedRepository(str(name))
    await _add_manifests(repository, manifest, chosen)
    await _add_blobs(repository, manifest, chosen)
    return sorted(chosen.values(), key=lambda saved: saved.name)


async def read_bodies(
    repository: BackupRepository, manifest: SnapshotManifest, digests: set[str]
) -> dict[str, bytes]:
    """Return the bytes of these manifests, by digest.

    Raises:
        BackupDamagedError: rows can't be read.
    """
    return {
        str(digest): body
        async for digest, body in _columns(repository, manifest, "manifest_bodies", "digest", "body")
        if digest in digests and isinstance(body, bytes)
    }


async def _add_manifests(
    repository: BackupRepository, manifest: SnapshotManifest, chosen: dict[DumpedValue, SavedRepository]
) -> None:
    by_number: dict[DumpedValue, SavedManifest] = {}
    columns = ("id", "repository_id", "digest", "media_type", "size_bytes", "state")
    async for number, owner, digest, media_type, size, state in _columns(
        repository, manifest, "manifests", *columns
    ):
        if owner in chosen and state == "live" and isinstance(size, int):
            by_number[number] = SavedManifest(str(digest), str(media_type), size)
            chosen[owner].manifests.append(by_number[number])
    async for name, number in _columns(repository, manifest, "tags", "name", "manifest_id"):
        if number in by_number:
            by_number[number].tags.append(str(name))


async def _add_blobs(
    repository: BackupRepository, manifest: SnapshotManifest, chosen: dict[DumpedValue, SavedRepository]
) -> None:
    owners: dict[DumpedValue, list[SavedRepository]] = {}
    async for owner, blob in _columns(repository, manifest, "repository_blobs", "repository_id", "blob_id"):
        if owner in chosen:
            owners.setdefault(blob, []).append(chosen[owner])
    columns = ("id", "digest", "size_bytes", "state")
    async for number, digest, size, state in _columns(repository, manifest, "blobs", *columns):
        if state != "trash" and isinstance(size, int):
            for saved in owners.get(number, ()):
                saved.blobs[str(digest)] = size


async def _columns(
    repository: BackupRepository, manifest: SnapshotManifest, table: str, *names: str
) -> AsyncGenerator[list[DumpedValue]]:
    async for batch in read_table(repository, manifest, table):
        positions = [batch.position(name) for name in names]
        for row in batch.rows:
            yield [row[position] for position in positions]
