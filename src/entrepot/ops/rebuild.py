"""``entrepot rebuild``: makes the database again from the storage, or brings an older copy of it up to date."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import Parameter

from entrepot.auth.host import HostAuthorizer, host_operator
from entrepot.bootstrap import Stores, open_blobs
from entrepot.kernel.errors import EntrepotError
from entrepot.metadata.errors import MetadataError
from entrepot.metadata.sql.migrate import initialise_if_empty, schema_version
from entrepot.metadata.sql.opening import open_metadata
from entrepot.metadata.sql.schema import require_current
from entrepot.metadata.sql.work_file import SqliteWorkFile
from entrepot.ops.command_stores import alone_on_data_directory, open_command_stores
from entrepot.ops.database_file import has_no_database, require_registry
from entrepot.ops.errors import (
    EXIT_CHECK_FAILED,
    EXIT_OK,
    EXIT_USAGE,
    CommandError,
    RegistryUnusableError,
)
from entrepot.ops.options import ConfigOption, DataOption, load_command_settings, make_flags
from entrepot.ops.output import OutputOption  # noqa: TC001 - the command line reads the annotation
from entrepot.ops.progress import Progress
from entrepot.ops.rebuild_output import DryRun, keep_result, print_choice, print_result
from entrepot.rebuild.errors import ChoiceNeededError
from entrepot.rebuild.position import find_position
from entrepot.rebuild.rebuild import Rebuild, RebuildOptions, RebuildProgress
from entrepot.rebuild.survey import count_facts, summarise_journal
from entrepot.registry.hashing import HashingPool
from entrepot.registry.journal_reader import find_incarnations
from entrepot.registry.store_hold import StoreHold
from entrepot.settings import Settings, metadata_path, metadata_url, uses_postgresql

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from entrepot.blobstore.driver import BlobStore
    from entrepot.metadata.store import Metadata
    from entrepot.rebuild.report import RebuildReport

__all__ = ["rebuild"]

_HASHING_THREADS: Final = 4
_WORK_DIRECTORY: Final = "rebuild"
_STATEMENT_SECONDS: Final = 60.0
"""Nobody waits for a reply here, and a unit of a few hundred facts may meet a slow disk."""

_CatchUpOption = Annotated[
    bool,
    Parameter(
        name="--catch-up",
        negative="",
        help="Bring a database that is an older copy of the storage's own up to date, instead of filling an empty one.",
    ),
]
_IncarnationOption = Annotated[
    list[str] | None,
    Parameter(
        name="--incarnation",
        negative="",
        help="Which database's journal, where the storage holds several. Given more than once, they are replayed in "
        "this order, and the rebuilt database is the last one.",
    ),
]
_VerifyOption = Annotated[
    bool,
    Parameter(
        name="--verify", negative="", help="Read and hash every blob instead of comparing its size only."
    ),
]
_DryRunOption = Annotated[
    bool,
    Parameter(
        name="--dry-run",
        negative="",
        help="Change nothing: read everything, say what would come out and what is damaged. A registry may be running.",
    ),
]


def rebuild(
    *,
    config: ConfigOption = None,
    data: DataOption = None,
    catch_up: _CatchUpOption = False,
    incarnation: _IncarnationOption = None,
    verify: _VerifyOption = False,
    dry_run: _DryRunOption = False,
    output: OutputOption = "text",
) -> int:
    """Make the metadata database again from the storage; stop the registry first, on every node.

    Exit codes: 0 everything there is was rebuilt; 1 something had to be left out and is listed, or the work could not
    be done; 2 several databases have written to the storage and none was chosen, or the usage is wrong.
    """
    if catch_up and incarnation:
        raise CommandError(EXIT_USAGE, "entrepot: --catch-up knows its journal; leave --incarnation out")
    settings = load_command_settings(config, make_flags(data)).settings
    options = RebuildOptions(
        tuple(incarnation or ()), catch_up, verify, settings.registry.sparse_indexes == "accept"
    )
    try:
        if dry_run:
            return asyncio.run(_dry_run(settings, options, output))
        if catch_up:
            require_registry(settings)
        with alone_on_data_directory(settings):
            return asyncio.run(_rebuild(settings, options, output))
    except EntrepotError as error:
        if isinstance(error, CommandError):
            raise
        raise CommandError(EXIT_CHECK_FAILED, f"entrepot: {error}") from error


async def _rebuild(settings: Settings, options: RebuildOptions, output: str) -> int:
    path = settings.data.directory / _WORK_DIRECTORY / "work.db"
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not options.catch_up:
        await _make_schema(settings)
    async with open_command_stores(settings) as stores, contextlib.AsyncExitStack() as stack:
        if not options.catch_up and await stores.metadata.replay.unfinished() is None:
            _forget_earlier_run(path)
        if uses_postgresql(settings):
            # A SQLite file has no other node that could sweep, and the lock of the data directory keeps this one away.
            await stack.enter_async_context(StoreHold(stores.metadata).held(_say_waiting))
        work = SqliteWorkFile(path)
        try:
            report = await _run(
                stores, work, options, lambda report: keep_result(report, work, path.with_name("report.json"))
            )
        except ChoiceNeededError as choice:
            work.remove()
            return await _offer_choice(stores.blobs, choice, output)
        except BaseException:
            work.close()
            raise
        print_result(report, work, None, output)
        work.remove()
    return EXIT_OK if report.is_whole else EXIT_CHECK_FAILED


async def _make_schema(settings: Settings) -> None:
    """Make the schema of a new database without a line in a log, which would be on standard output here."""
    if not uses_postgresql(settings):
        metadata_path(settings).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    await initialise_if_empty(metadata_url(settings), _unheard)


def _unheard(_: str) -> None:
    """Leave the steps of a schema untold: there is nothing to migrate in a new database."""


def _forget_earlier_run(path: Path) -> None:
    for left in path.parent.glob(f"{path.name}*"):
        left.unlink()


def _say_waiting() -> None:
    Progress("waiting").say("Waiting for a sweep of orphans, a backup or a verification to end…")


async def _run(
    stores: Stores, work: SqliteWorkFile, options: RebuildOptions, keep: Callable[[RebuildReport], None]
) -> RebuildReport:
    grant = await HostAuthorizer().authorize_registry(host_operator())
    with _hashing_pool() as hashing, _shown_progress() as progress:
        made = Rebuild(stores.metadata, stores.blobs, work, hashing, options)
        return await made.run(grant, progress, keep)


@contextlib.contextmanager
def _hashing_pool() -> Iterator[HashingPool]:
    with ThreadPoolExecutor(_HASHING_THREADS, thread_name_prefix="hashing") as executor:
        yield HashingPool(executor)


@contextlib.contextmanager
def _shown_progress() -> Iterator[RebuildProgress]:
    """Show two bars, one after the other."""
    bars = [Progress("listing the storage")]

    def advance(count: int) -> None:
        bars[-1].advance(count)

    def begin_journal(total: int) -> None:
        bars[-1].finish()
        bars.append(Progress("replaying the journal", total=total or None))

    yield RebuildProgress(on_objects=advance, on_journal=begin_journal, on_facts=advance)
    bars[-1].finish()


async def _offer_choice(blobs: BlobStore, choice: ChoiceNeededError, output: str) -> int:
    print_choice([await summarise_journal(blobs, name) for name in choice.incarnations], output)
    return EXIT_USAGE


async def _dry_run(settings: Settings, options: RebuildOptions, output: str) -> int:
    """Rebuild into a scratch database, and compare the real one, if there is any, with the storage."""
    settings.data.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    async with contextlib.AsyncExitStack() as stack:
        scratch = Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="dry-run-", dir=settings.data.directory))
        )
        blobs = await open_blobs(settings)
        stack.push_async_callback(blobs.aclose)
        found = await _examine_database(settings, blobs)
        work = SqliteWorkFile(scratch / "work.db")
        stack.callback(work.remove)
        metadata = await stack.enter_async_context(_scratch_database(scratch / "metadata.db"))
        known = found.position.incarnation if found.position is not None else ""
        chosen = options.incarnations
        if not chosen and known in await find_incarnations(blobs):
            chosen = (known,)
        whole = replace(options, incarnations=chosen, catch_up=False)
        try:
            report = await _run(Stores(metadata, blobs), work, whole, lambda _: None)
        except ChoiceNeededError as choice:
            return await _offer_choice(blobs, choice, output)
        print_result(report, work, found, output)
    storage_is_behind = found.position is not None and found.position.storage_is_behind
    return EXIT_OK if report.is_whole and not storage_is_behind else EXIT_CHECK_FAILED


@contextlib.asynccontextmanager
async def _scratch_database(path: Path) -> AsyncIterator[Metadata]:
    url = f"sqlite://{path}"
    await initialise_if_empty(url, _unheard)
    metadata = await open_metadata(url, 1, _STATEMENT_SECONDS)
    try:
        yield metadata
    finally:
        await metadata.aclose()


async def _examine_database(settings: Settings, blobs: BlobStore) -> DryRun:
    """Look at the real database without making one; whether it can be read is part of the answer."""
    try:
        if has_no_database(settings):
            return DryRun(None, 0)
        version, newest = await schema_version(metadata_url(settings))
        if version == 0:
            return DryRun(None, 0)
        require_current(version, newest)
        metadata = await open_metadata(metadata_url(settings), 1, _STATEMENT_SECONDS)
        try:
            position = await find_position(metadata, blobs)
        finally:
            await metadata.aclose()
    except (MetadataError, RegistryUnusableError) as error:
        return DryRun(None, 0, str(error))
    return DryRun(position, await count_facts(blobs, position.incarnation, position.database_last))
