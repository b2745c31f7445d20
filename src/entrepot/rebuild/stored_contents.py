"""Writes down what lies in a blob store: where the bytes of each digest are, and how many."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from entrepot.blobstore.keys import BLOBS, INDEX, MANIFESTS, stated_digest, stored_key_of
from entrepot.metadata.rebuild_work import Content

if TYPE_CHECKING:
    from collections.abc import Callable

    from entrepot.blobstore.driver import BlobStore
    from entrepot.metadata.rebuild_work import RebuildWork

__all__ = ["take_inventory"]

_PAGE: Final = 1000


async def take_inventory(blobs: BlobStore, work: RebuildWork, on_objects: Callable[[int], None]) -> None:
    """List blobs, markers and manifests, and forget what an earlier run found.

    On a disk the key of a blob states its digest; in a bucket its marker does. Bytes without a marker are an upload
    that was not finished. `on_objects` is told how many objects were seen since it was last called.

    Raises:
        BlobStoreError: the store can't be listed.
    """
    work.clear_contents()
    for area in (BLOBS, INDEX, MANIFESTS):
        page: list[tuple[str, int]] = []
        async for found in blobs.list_objects(area):
            page.append((found.key, found.size_bytes))
            if len(page) == _PAGE:
                _keep(work, area, page)
                on_objects(len(page))
                page = []
        _keep(work, area, page)
        on_objects(len(page))
    work.save()


def _keep(work: RebuildWork, area: str, page: list[tuple[str, int]]) -> None:
    if area == INDEX:
        named = [(stored_key_of(key), stated_digest(key)) for key, _ in page]
        work.name_contents([(key, digest) for key, digest in named if digest is not None])
        return
    stated = [(key, stated_digest(key), size) for key, size in page]
    work.add_contents([Content(key, digest, size) for key, digest, size in stated if digest is not None])
    work.add_sizes([(key, size) for key, digest, size in stated if digest is None])
