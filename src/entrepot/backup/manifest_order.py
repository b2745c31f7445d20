"""The order in which manifests are pushed: what an index lists before the index."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from entrepot.backup.selection import SavedManifest
    from entrepot.oci.manifest import ParsedManifest

__all__ = ["children_first", "in_groups"]

_GROUP_BYTES: Final = 64 * 1024 * 1024
"""Manifests that are held in memory at once."""


def in_groups(manifests: Iterable[SavedManifest]) -> list[list[SavedManifest]]:
    """Part manifests into groups that fit into memory, images before indexes, whose children must be there first."""
    groups: list[list[SavedManifest]] = [[]]
    size = 0
    for saved in sorted(manifests, key=lambda one: "index" in one.media_type or "list" in one.media_type):
        if size + saved.size_bytes > _GROUP_BYTES and groups[-1]:
            groups.append([])
            size = 0
        groups[-1].append(saved)
        size += saved.size_bytes
    return groups


def children_first(group: Sequence[SavedManifest], parsed: dict[str, ParsedManifest]) -> list[SavedManifest]:
    """Return the manifests that could be read, each after those of the group that it lists."""
    saved_by_digest = {saved.digest: saved for saved in group if saved.digest in parsed}
    ordered: dict[str, SavedManifest] = {}
    waiting = list(reversed(saved_by_digest))
    while waiting:
        digest = waiting[-1]
        children = [
            str(child.digest)
            for child in parsed[digest].children
            if str(child.digest) in saved_by_digest and str(child.digest) not in ordered
        ]
        # Digests can't go in circles, so this ends.
        if children:
            waiting.extend(children)
        else:
            ordered.setdefault(digest, saved_by_digest[digest])
            waiting.pop()
    return list(ordered.values())
