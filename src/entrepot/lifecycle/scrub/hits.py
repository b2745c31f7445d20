"""Finds out who is hit: from a damaged blob or manifest upwards through manifests and indexes to tags."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from entrepot.metadata.store import Metadata
    from entrepot.metadata.verification import HeldManifest
    from entrepot.oci.digest import Digest

__all__ = ["Hits", "hits_of_blob", "hits_of_manifest"]

_MOST_MANIFESTS: Final = 5000
_MOST_NAMES: Final = 100
_DEEPEST: Final = 8
"""Indexes within indexes that are followed upwards; nobody nests them deeper."""


@dataclass(frozen=True, slots=True)
class Hits:
    """Who is hit: names of repositories, tags as `repository:tag`, and how many manifests, as far as was counted."""

    repositories: tuple[str, ...]
    tags: tuple[str, ...]
    more: bool
    manifests: int


async def hits_of_blob(metadata: Metadata, blob_id: int) -> Hits:
    """Return who needs a blob."""
    linked = await metadata.verification.repositories_of_blob(blob_id, _MOST_NAMES + 1)
    manifests = await metadata.verification.manifests_of_blob(blob_id, _MOST_MANIFESTS)
    return await _hits(metadata, manifests, linked)


async def hits_of_manifest(metadata: Metadata, digest: Digest) -> Hits:
    """Return who needs a manifest."""
    manifests = await metadata.verification.manifests_of_body(digest, _MOST_MANIFESTS)
    return await _hits(metadata, manifests, ())


async def _hits(metadata: Metadata, manifests: Sequence[HeldManifest], linked: Iterable[str]) -> Hits:
    known = {manifest.id: manifest for manifest in manifests}
    above: Sequence[HeldManifest] = manifests
    for _ in range(_DEEPEST):
        if not above or len(known) >= _MOST_MANIFESTS:
            break
        found = await metadata.verification.indexes_above(
            [manifest.id for manifest in above], _MOST_MANIFESTS
        )
        above = [manifest for manifest in found if manifest.id not in known]
        known.update({manifest.id: manifest for manifest in above})
    tags = await metadata.verification.tags_of(list(known), _MOST_NAMES + 1) if known else ()
    repositories = sorted({*linked, *(manifest.repository for manifest in known.values())})
    return Hits(
        tuple(repositories[:_MOST_NAMES]),
        tuple(sorted(f"{repository}:{tag}" for repository, tag in tags)[:_MOST_NAMES]),
        more=len(repositories) > _MOST_NAMES or len(tags) > _MOST_NAMES,
        manifests=len(known),
    )
