"""``entrepot rebuild --dry-run``: what a rebuild would bring, and how the database that is there compares with it."""

from __future__ import annotations

import contextlib
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from entrepot.bootstrap import Stores, open_blob_store
from entrepot.metadata.errors import HistoryDivergedError, MetadataError
from entrepot.metadata.sql.migrate import initialise_if_empty, schema_version
from entrepot.metadata.sql.opening import open_metadata
from entrepot.metadata.sql.schema import require_current
from entrepot.metadata.sql.work_file import SqliteWorkFile
from entrepot.ops.command_stores import is_without_registry
from entrepot.ops.database_file import has_no_database
from entrepot.ops.errors import EXIT_CHECK_FAILED, EXIT_OK, RegistryUnusableError
from entrepot.ops.rebuild.output import DryRun, print_result
from entrepot.ops.rebuild.run import (
    is_without_storage,
    leave_untold,
    offer_choice,
    require_storage,
    run_rebuild,
)
from entrepot.rebuild.catching_up import find_catch_up_start
from entrepot.rebuild.errors import ChoiceNeededError, RebuildRefusedError
from entrepot.rebuild.position import find_position
from entrepot.registry.journal.reader import find_incarnations
from entrepot.settings import Settings, metadata_url

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from entrepot.blobstore.driver import BlobStore
    from entrepot.metadata.store import Metadata
    from entrepot.rebuild.position import Position
    from entrepot.rebuild.rebuild import RebuildOptions

__all__ = ["rehearse_rebuild"]

_STATEMENT_SECONDS: Final = 60.0
"""Nobody waits for a reply here, and a unit of a few hundred facts may meet a slow disk."""


async def rehearse_rebuild(settings: Settings, options: RebuildOptions, output: str) -> int:
    """Rebuild into a scratch database, and compare the real one, if there is any, with the storage.

    Raises:
        RegistryUnusableError: there is neither.
    """
    if is_without_storage(settings) and await is_without_registry(settings):
        require_storage(settings)
    async with contextlib.AsyncExitStack() as stack:
        scratch = stack.enter_context(_scratch_directory(settings.data.directory))
        blobs = await stack.enter_async_context(open_blob_store(settings, look_only=True))
        found = await _examine_database(settings, blobs, options)
        work = SqliteWorkFile(scratch / "work.db")
        stack.callback(work.remove)
        metadata = await stack.enter_async_context(_scratch_database(scratch / "metadata.db"))
        known = found.position.incarnation if found.position is not None else ""
        chosen = options.incarnations
        if not chosen and known in await find_incarnations(blobs):
            chosen = (known,)
        whole = replace(options, incarnations=chosen, catch_up=False)
        try:
            report = await run_rebuild(Stores(metadata, blobs), work, whole, lambda _: None)
        except ChoiceNeededError as choice:
            return await offer_choice(blobs, choice, output)
        print_result(report, work, found, output)
    storage_is_behind = found.position is not None and found.position.storage_is_behind
    is_well = report.is_whole and not storage_is_behind and not found.refusal
    return EXIT_OK if is_well else EXIT_CHECK_FAILED


@contextlib.contextmanager
def _scratch_directory(data: Path) -> Iterator[Path]:
    """Make a directory that goes again: on the disk of the data, as a scratch database may be large."""
    beside = data if data.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="dry-run-", dir=beside) as scratch:
        yield Path(scratch)


@contextlib.asynccontextmanager
async def _scratch_database(path: Path) -> AsyncIterator[Metadata]:
    url = f"sqlite://{path}"
    await initialise_if_empty(url, leave_untold)
    metadata = await open_metadata(url, 1, _STATEMENT_SECONDS)
    try:
        yield metadata
    finally:
        await metadata.aclose()


async def _examine_database(settings: Settings, blobs: BlobStore, options: RebuildOptions) -> DryRun:
    """Look at the real database without making one; whether it can be read is part of the answer."""
    try:
        if has_no_database(settings):
            return DryRun(None)
        version, newest = await schema_version(metadata_url(settings))
        if version == 0:
            return DryRun(None)
        require_current(version, newest)
        metadata = await open_metadata(metadata_url(settings), 1, _STATEMENT_SECONDS)
        try:
            position = await find_position(metadata, blobs)
            return await _compare(metadata, blobs, position, options)
        finally:
            await metadata.aclose()
    except (MetadataError, RegistryUnusableError) as error:
        return DryRun(None, problem=str(error))


async def _compare(
    metadata: Metadata, blobs: BlobStore, position: Position, options: RebuildOptions
) -> DryRun:
    """Tell what the database lacks, or why it can't be brought up to date where anybody would want that."""
    if not options.catch_up and position.incarnation not in await find_incarnations(blobs):
        return DryRun(position)
    try:
        start = await find_catch_up_start(metadata, blobs)
    except (RebuildRefusedError, HistoryDivergedError) as refused:
        return DryRun(position, refusal=str(refused))
    return DryRun(position, start.unseen, start.earlier, start.first)
