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
    from entrepot.settings import Settings

__all__ = ["check_storage_match"]

_PATIENCE_SECONDS: Final = 20.0
_REMEDY: Final = (
    "Push nothing until it is settled. Is data.directory, storage.root or storage.s3.bucket the right one? Was the "
    "database restored from a copy older than the storage? Put the right pair together; the runbook, under "
    "sweep.refused, says how."
)


def check_storage_match(settings: Settings) -> Finding:
    """Look for facts in the blob store's journal that this database can't have written."""
    if not uses_postgresql(settings) and not metadata_path(settings).exists():
        if settings.storage.driver == "filesystem" and _holds_journal(storage_root(settings)):
            message = f"there is no database, but {storage_root(settings)} holds the journal of one"
            remedy = (
                "A start would make an empty database beside it: restore the database, or rebuild it, first."
            )
            return failed("storage-match", message, remedy)
        return passed("storage-match", "there is nothing to compare yet")
    if settings.storage.driver == "filesystem" and not storage_root(settings).is_dir():
        return passed("storage-match", f"{storage_root(settings)} does not exist yet")
    try:
        foreign = asyncio.run(_compare(settings))
    except TimeoutError:
        return failed(
            "storage-match", f"no answer within {_PATIENCE_SECONDS:g} s", "See metadata and blobs above."
        )
    except (EntrepotError, OSError) as error:
        return failed("storage-match", f"can't be told: {error}", "See metadata and blobs above.")
    if foreign is None:
        return passed("storage-match", "the database has no schema to compare with yet")
    if foreign:
        return failed("storage-match", foreign, _REMEDY)
    return passed("storage-match", "the blob store holds nothing that this database does not know of")


def _holds_journal(root: Path) -> bool:
    journal = root / JOURNAL
    return journal.is_dir() and any(journal.iterdir())


async def _compare(settings: Settings) -> str | None:
    from entrepot.registry.store_ownership import find_foreign_facts  # noqa: PLC0415 - loads drivers; only when asked

    async with asked_database(settings, _PATIENCE_SECONDS) as metadata:
        if metadata is None:
            return None
        async with _opened_blobs(settings) as blobs:
            return await find_foreign_facts(metadata, blobs)


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
