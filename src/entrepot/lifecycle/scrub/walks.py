"""Walks through blobs and manifests, all of them or those of some repositories, with a text to go on from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from entrepot.metadata.inventory import InventoryBlob, InventoryBody, InventoryManifest
    from entrepot.metadata.store import Metadata

__all__ = ["walk_blobs", "walk_bodies", "walk_manifests"]

_BLOBS: Final = 200
_BATCH_BYTES: Final = 256 * 1024 * 1024
"""After so many bytes progress is recorded; a larger blob is a batch of its own."""

_BODIES: Final = 16
"""Each may have 4 MiB."""

_MANIFESTS: Final = 100


async def walk_blobs(
    metadata: Metadata, repositories: Sequence[str], cursor: str
) -> AsyncGenerator[tuple[str, list[InventoryBlob]], None]:
    """Yield blobs in batches, each with the cursor behind it."""
    place, after = _read_cursor(cursor)
    last = int(after or 0)
    for index in range(place, max(len(repositories), 1)):
        while page := await (
            metadata.inventory.links_of(repositories[index], last, _BLOBS)
            if repositories
            else metadata.inventory.blobs(last, _BLOBS)
        ):
            for batch in _batches(page):
                last = batch[-1].id
                yield f"{index} {last}", batch
        last = 0


def _batches(page: Sequence[InventoryBlob]) -> list[list[InventoryBlob]]:
    batches: list[list[InventoryBlob]] = [[]]
    size = 0
    for blob in page:
        if batches[-1] and size + blob.size_bytes > _BATCH_BYTES:
            batches.append([])
            size = 0
        batches[-1].append(blob)
        size += blob.size_bytes
    return batches


async def walk_bodies(
    metadata: Metadata, repositories: Sequence[str], cursor: str
) -> AsyncGenerator[tuple[str, list[InventoryBody]], None]:
    """Yield bytes of manifests in batches, each with the cursor behind it."""
    place, last = _read_cursor(cursor)
    if not repositories:
        while page := await metadata.inventory.bodies(last, _BODIES):
            last = str(page[-1].digest)
            yield f"0 {last}", list(page)
        return
    for index in range(place, len(repositories)):
        while manifests := await metadata.inventory.manifests_of(repositories[index], last, _BODIES):
            last = str(manifests[-1].digest)
            found = [await metadata.verification.body(manifest.digest) for manifest in manifests]
            yield f"{index} {last}", [body for body in found if body is not None]
        last = ""


async def walk_manifests(
    metadata: Metadata, repositories: Sequence[str], cursor: str
) -> AsyncGenerator[tuple[str, list[InventoryManifest]], None]:
    """Yield live manifests in batches, each with the cursor behind it; those of all repositories by number."""
    place, last = _read_cursor(cursor)
    if not repositories:
        while page := await metadata.inventory.manifests(int(last or 0), _MANIFESTS):
            last = str(page[-1].id)
            yield f"0 {last}", list(page)
        return
    for index in range(place, len(repositories)):
        while page := await metadata.inventory.manifests_of(repositories[index], last, _MANIFESTS):
            last = str(page[-1].digest)
            yield f"{index} {last}", list(page)
        last = ""


def _read_cursor(cursor: str) -> tuple[int, str]:
    index, _, after = cursor.partition(" ")
    return int(index or 0), after
