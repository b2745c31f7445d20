"""Counts: what journals tell, what a database holds, what in the store no row mentions."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Final

from entrepot.blobstore.keys import BLOBS, UPLOADS
from entrepot.rebuild.report import JournalSummary, Leftovers, Totals
from entrepot.registry.journal.reader import JournalReader

if TYPE_CHECKING:
    from entrepot.blobstore.driver import BlobStore
    from entrepot.metadata.rebuild_work import RebuildWork
    from entrepot.metadata.store import Metadata
    from entrepot.registry.journal.reader import Rivals

__all__ = ["count_leftovers", "count_totals", "summarise_journal"]

_PAGE: Final = 500
_NAMES: Final = 5
_MOST_REPOSITORIES: Final = 10_000


async def summarise_journal(blobs: BlobStore, incarnation: str) -> JournalSummary:
    """Read one journal through.

    Raises:
        BlobStoreError: the store can't be read.
    """
    summary = JournalSummary(incarnation)
    names: set[str] = set()
    async with aclosing(JournalReader(blobs, incarnation, _unheard, _unasked).facts()) as lines:
        async for line in lines:
            summary.facts += 1
            summary.first = summary.first or line.sequence
            summary.last = line.sequence
            if line.at_milliseconds is not None:
                summary.first_at_milliseconds = summary.first_at_milliseconds or line.at_milliseconds
                summary.last_at_milliseconds = line.at_milliseconds
            if line.repository and len(names) < _MOST_REPOSITORIES:
                names.add(line.repository)
    summary.repositories = sorted(names)[:_NAMES]
    summary.repository_count = len(names)
    return summary


def _unheard(key: str, reason: str) -> None:
    """Leave damage to the rebuild itself, which reports it."""


def _unasked(rivals: Rivals) -> None:
    """Count one fact to a number; the rebuild itself reports the others."""


async def count_totals(metadata: Metadata) -> Totals:
    """Walk through all rows.

    Raises:
        MetadataError: they can't be read.
    """
    totals = Totals()
    after, number = "", 0
    while (page := await metadata.catalog.list_names(after, _PAGE)).names:
        totals.repositories += len(page.names)
        for name in page.names:
            totals.tags += await _count_tags(metadata, name)
        after = page.names[-1]
    while manifests := await metadata.inventory.manifests(number, _PAGE):
        totals.manifests += len(manifests)
        number = manifests[-1].id
    number = 0
    while blobs := await metadata.inventory.blobs(number, _PAGE):
        totals.blobs += len(blobs)
        totals.blob_bytes += sum(blob.size_bytes for blob in blobs)
        number = blobs[-1].id
    return totals


async def _count_tags(metadata: Metadata, repository: str) -> int:
    count, after = 0, ""
    while tags := await metadata.inventory.tags_of(repository, after, _PAGE):
        count += len(tags)
        after = tags[-1].name
    return count


async def count_leftovers(metadata: Metadata, blobs: BlobStore, work: RebuildWork) -> Leftovers:
    """Ask for each object of the inventory whether a row mentions it, and count what uploads left.

    Raises:
        MetadataError, BlobStoreError: it can't be told.
    """
    left = Leftovers()
    after = ""
    while page := work.contents_after(after, _PAGE):
        owners = await metadata.orphans.owners((), [content.storage_key for content in page])
        for content in page:
            if content.storage_key in owners.keys:
                continue
            if content.storage_key.startswith(BLOBS):
                left.blobs += 1
                left.blob_bytes += content.size_bytes
            else:
                left.manifests += 1
        after = page[-1].storage_key
    async for found in blobs.list_objects(UPLOADS):
        left.staged += 1
        left.staged_bytes += found.size_bytes
    return left
