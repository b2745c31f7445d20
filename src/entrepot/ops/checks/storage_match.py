"""Check of whether blob store and database belong together, before somebody pushes to a pair that does not (F47)."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

from entrepot.blobstore.keys import JOURNAL
from entrepot.kernel.errors import EntrepotError
from entrepot.ops.checks.asked_database import asked_database
from entrepot.ops.checks.finding import Finding, failed, passed
from entrepot.settings import metadata_path, storage_root, uses_postgresql

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from entrepot.blobstore.driver import BlobStore
    from entrepot.registry.store_match.ownership import Discrepancy
    from entrepot.settings import Settings

__all__ = ["check_storage_match"]

_PATIENCE_SECONDS: Final = 20.0
_REMEDY: Final = (
    "Push nothing until it is settled. Are data.directory, storage.root or storage.s3.bucket and its prefix the right "
    "ones, and is the volume mounted? Was one of both restored from a copy older than the other? The runbook, under "
    "EntrepotDatabaseMismatch, says what then. In short: {remedy}."
)


def check_storage_match(settings: Settings) -> Finding:
    """Look for facts in the blob store's journal that this database can't have written, and for those it must have."""
    if not uses_postgresql(settings) and not metadata_path(settings).exists():
        if settings.storage.driver == "filesystem" and _holds_journal(storage_root(settings)):
            message = f"there is no database, but {storage_root(settings)} holds the journal of one"
            remedy = (
                "A start would make an empty database beside it: restore the database, or rebuild it, first."
            )
            return failed("storage-match", message, remedy)
        return passed("storage-match", "there is nothing to compare yet")
    try:
        known, found = asyncio.run(_compare(settings))
    except TimeoutError:
        return failed(
            "storage-match", f"no answer within {_PATIENCE_SECONDS:g} s", "See metadata and blobs above."
        )
    except (EntrepotError, OSError) as error:
        return failed("storage-match", f"can't be told: {error}", "See metadata and blobs above.")
    if not known:
        return passed("storage-match", "the database has no schema to compare with yet")
    if found is not None:
        return failed("storage-match", found.reason, _REMEDY.format(remedy=found.remedy))
    return passed("storage-match", "blob store and database know of one another what they must")


def _holds_journal(root: Path) -> bool:
    journal = root / JOURNAL
    return journal.is_dir() and any(journal.iterdir())


async def _compare(settings: Settings) -> tuple[bool, Discrepancy | None]:
    """Return whether there is a schema to compare with, and what does not fit."""
    from entrepot.registry.journal.overlap import ComparedObjects  # noqa: PLC0415 - loads drivers; only when asked
    from entrepot.registry.store_match.ownership import find_discrepancy  # noqa: PLC0415 - as above

    async with asked_database(settings, _PATIENCE_SECONDS) as metadata:
        if metadata is None:
            return False, None
        async with _opened_blobs(settings) as blobs:
            return True, await find_discrepancy(metadata, blobs, compared=ComparedObjects(None))


@contextlib.asynccontextmanager
async def _opened_blobs(settings: Settings) -> AsyncIterator[BlobStore]:
    """Open the blob store for reading, without making what it lacks."""
    if settings.storage.driver == "s3":
        from entrepot.blobstore.s3 import S3BlobStore  # noqa: PLC0415 - loads the client; only when asked
        from entrepot.bootstrap import s3_options  # noqa: PLC0415 - as above

        store: BlobStore = S3BlobStore(s3_options(settings))
    else:
        from entrepot.blobstore.filesystem.store import FilesystemBlobStore  # noqa: PLC0415 - as above

        store = FilesystemBlobStore(storage_root(settings))
    try:
        yield store
    finally:
        await store.aclose()
