"""Opens what holds state, as the settings name it: the only place where drivers are chosen."""

from __future__ import annotations

import asyncio
import contextlib
import errno
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import structlog

from entrepot.blobstore.driver import PreparedPlace
from entrepot.blobstore.filesystem.store import FilesystemBlobStore
from entrepot.blobstore.keys import JOURNAL
from entrepot.kernel.durable_directories import create_directory, sync_directory
from entrepot.metadata.errors import MetadataUnavailableError, SchemaMismatchError
from entrepot.metadata.sql.migrate import initialise_if_empty, schema_version
from entrepot.metadata.sql.opening import open_metadata
from entrepot.metadata.sql.sqlite_files import ASIDE_REMEDY, logs_aside
from entrepot.registry.journal.reader import find_incarnations
from entrepot.registry.store_match.ownership import find_lack
from entrepot.settings import (
    Settings,
    metadata_path,
    metadata_url,
    storage_root,
    suspicion_marker,
    uses_postgresql,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from entrepot.blobstore.driver import BlobStore
    from entrepot.blobstore.s3.options import S3Options
    from entrepot.metadata.store import Metadata

__all__ = [
    "Stores",
    "open_blob_store",
    "open_blobs",
    "open_existing_stores",
    "open_served_stores",
    "open_stores",
    "prepare_metadata",
    "prepare_place",
    "s3_options",
    "tell_of_logs_aside",
]

_log: Any = structlog.get_logger()

_NONE_THERE: Final = (
    "holds no registry: it is missing or empty. Only the start of a node makes a new one, so that none takes the place "
    "of a database that is away for a while or about to be restored. Put it back, or finish the restore: this process "
    "tries again by itself"
)
_WAS_ONE: Final = (
    "the database is empty, and the storage holds the journal of a registry ({folder}): put its database back, or run "
    "`entrepot rebuild` or `entrepot backup restore`; if a new registry is meant, give it another storage"
)


@dataclass(frozen=True, slots=True)
class Stores:
    """The two things that hold state."""

    metadata: Metadata
    blobs: BlobStore


@contextlib.asynccontextmanager
async def open_stores(settings: Settings) -> AsyncIterator[Stores]:
    """Open metadata and blob store, making the schema of a new database first, and close them at the end.

    That is for a start; whoever comes later takes :func:`open_served_stores`.

    Raises:
        MetadataError, BlobStoreError: one of them can't be used, or :func:`prepare_metadata` refuses.
    """
    async with contextlib.AsyncExitStack() as stack:
        blobs = await open_blobs(settings, look_only=True)
        stack.push_async_callback(blobs.aclose)
        await prepare_metadata(settings, blobs)
        metadata = await _open_metadata(settings)
        stack.push_async_callback(metadata.aclose)
        await prepare_place(metadata, blobs)
        yield Stores(metadata, blobs)


@contextlib.asynccontextmanager
async def open_served_stores(settings: Settings) -> AsyncIterator[Stores]:
    """Open the stores of a registry that is served, as a process of a node does which is not the first of its start.

    A database that is not there is away: a new one in its place would be served as an empty registry, take pushes that
    nobody finds again, and stand in the way of a restore.

    Raises:
        MetadataUnavailableError: the database is missing, empty or out of reach; it may be back at the next try.
        MetadataError, BlobStoreError: one of them can't be used.
    """
    async with contextlib.AsyncExitStack() as stack:
        try:
            stores = await stack.enter_async_context(open_existing_stores(settings))
        except SchemaMismatchError as error:
            if error.found:
                raise
            raise MetadataUnavailableError(f"{_tell_where(settings)} {_NONE_THERE}") from error
        yield stores


@contextlib.asynccontextmanager
async def open_existing_stores(
    settings: Settings, *, look_only: bool = False, is_right_store: bool = False
) -> AsyncIterator[Stores]:
    """Open the stores of a registry that is there, the database first: where it is refused, nothing is made.

    Args:
        settings: name them.
        look_only: whether directories of the blob store that are missing stay so.
        is_right_store: whether somebody says so, though the database may have written what is not there.

    Raises:
        MetadataError: the database can't be used, or its schema is not that of this program.
        BlobStoreError: the blob store can't be used.
    """
    async with contextlib.AsyncExitStack() as stack:
        metadata = await _open_metadata(settings)
        stack.push_async_callback(metadata.aclose)
        blobs = await open_blobs(settings, look_only=True)
        stack.push_async_callback(blobs.aclose)
        if not look_only:
            await prepare_place(metadata, blobs, is_right_store=is_right_store)
        yield Stores(metadata, blobs)


async def prepare_place(metadata: Metadata, blobs: BlobStore, *, is_right_store: bool = False) -> None:
    """Make what a store on a disk lacks of directories, but none where it lacks what the database has written there.

    That is the mount point of a volume that is not mounted. Prepared, it would take pushes of every process that had
    the volume before, and lose them to it (F47); as it is, they fail. The watch closes writes, and ends that by itself.

    Raises:
        MetadataError, BlobStoreError: a store can't be used.
    """
    if not isinstance(blobs, PreparedPlace):
        return
    if is_right_store or await blobs.identify_place() or not await find_lack(metadata, blobs):
        await blobs.prepare()


async def _open_metadata(settings: Settings) -> Metadata:
    return await open_metadata(
        metadata_url(settings),
        settings.metadata.pool_size,
        settings.metadata.statement_timeout_seconds,
    )


async def prepare_metadata(settings: Settings, blobs: BlobStore) -> None:
    """Make the schema when the database has none; of nodes that start at the same time the first one wins.

    Not beside the journal of a registry, whose database is lost or not there yet: a new one would be served as an empty
    registry. Nobody writes a journal before there is a schema, so the database is asked again after it is found.

    Raises:
        SchemaMismatchError: the storage has such a journal, or the schema is of another version.
        MetadataError, BlobStoreError: database or blob store can't be used.
    """
    url = metadata_url(settings)
    if (await schema_version(url))[0]:
        return
    if journals := await find_incarnations(blobs):
        found, newest = await schema_version(url)
        if found:
            return
        raise SchemaMismatchError(found, newest, _WAS_ONE.format(folder=f"{JOURNAL}{journals[0]}/"))
    if not uses_postgresql(settings):
        await asyncio.to_thread(_prepare_metadata_directory, metadata_path(settings).parent)
    await initialise_if_empty(url, _log_migration)


def _tell_where(settings: Settings) -> str:
    """Return which database is meant, without the secrets of an address."""
    return "the PostgreSQL database" if uses_postgresql(settings) else str(metadata_path(settings))


async def tell_of_logs_aside(settings: Settings) -> None:
    """Warn of each log that was put aside and has not come back with its file; the stores are open."""
    if uses_postgresql(settings):
        return
    for log in await asyncio.to_thread(logs_aside, metadata_path(settings)):
        _log.warning("metadata.log_aside", file=str(log), remedy=ASIDE_REMEDY)


def _prepare_metadata_directory(directory: Path) -> None:
    create_directory(directory, 0o700)
    # Also when it is there: another process may have created it a moment ago, and its name be in doubt still.
    try:
        sync_directory(directory.parent)
    except OSError as error:
        if error.errno != errno.EROFS:  # on a volume that turned read-only pulls need nothing of it (F9)
            raise


def _log_migration(step: str) -> None:
    _log.info("metadata.schema.created", step=step)


@contextlib.asynccontextmanager
async def open_blob_store(settings: Settings, *, look_only: bool = False) -> AsyncIterator[BlobStore]:
    """Open the blob store alone, as work that comes before there is a database needs it, and close it.

    Raises:
        BlobStoreError: it can't be used.
    """
    blobs = await open_blobs(settings, look_only=look_only)
    try:
        yield blobs
    finally:
        await blobs.aclose()


async def open_blobs(settings: Settings, *, look_only: bool = False) -> BlobStore:
    """Open the blob store alone; whoever does so closes it.

    Args:
        settings: name it.
        look_only: whether directories that are missing stay so, as who only looks wants it.

    Raises:
        BlobStoreError: it can't be used.
    """
    if settings.storage.driver == "s3":
        return await _open_s3(settings)
    store = FilesystemBlobStore(
        storage_root(settings),
        min_free_bytes=settings.storage.min_free_bytes,
        suspicion_marker=suspicion_marker(settings),
    )
    if not look_only:
        await store.prepare()
    return store


async def _open_s3(settings: Settings) -> BlobStore:
    # A registry on a local disk need not pay for the SDK: 30 MB of memory and half a second at the start.
    from entrepot.blobstore.s3.store import S3BlobStore  # noqa: PLC0415  # see above

    store = S3BlobStore(s3_options(settings))
    await store.prepare()
    return store


def s3_options(settings: Settings) -> S3Options:
    """Return what the S3 driver needs to know, from the settings."""
    from entrepot.blobstore.s3.options import S3Options  # noqa: PLC0415  # its package loads the SDK

    chosen = settings.storage.s3
    return S3Options(
        bucket=chosen.bucket,
        endpoint_url=chosen.endpoint,
        region=chosen.region,
        access_key_id=chosen.access_key,
        secret_access_key=chosen.secret_key.reveal(),
        path_style=chosen.path_style,
        prefix=chosen.prefix,
        part_bytes=chosen.part_size_bytes,
    )
