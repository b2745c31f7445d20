"""``entrepot rebuild``: makes the database again from the storage, or brings an older copy of it up to date."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import Parameter

from entrepot.bootstrap import open_blob_store
from entrepot.kernel.errors import EntrepotError
from entrepot.metadata.sql.migrate import initialise_if_empty
from entrepot.metadata.sql.work_file import SqliteWorkFile
from entrepot.ops.command_stores import (
    alone_on_data_directory,
    open_command_stores,
    require_usable_schema,
)
from entrepot.ops.errors import EXIT_CHECK_FAILED, EXIT_OK, EXIT_USAGE, CommandError
from entrepot.ops.options import ConfigOption, DataOption, load_command_settings, make_flags
from entrepot.ops.output import OutputOption  # noqa: TC001 - the command line reads the annotation
from entrepot.ops.progress import Progress
from entrepot.ops.rebuild.output import keep_result, print_result
from entrepot.ops.rebuild.rehearsal import rehearse_rebuild
from entrepot.ops.rebuild.run import leave_untold, offer_choice, require_storage, run_rebuild
from entrepot.rebuild.errors import ChoiceNeededError
from entrepot.rebuild.rebuild import RebuildOptions, choose_journals, find_untold_report
from entrepot.registry.sweeps.store_hold import StoreHold
from entrepot.settings import Settings, metadata_path, metadata_url, uses_postgresql

if TYPE_CHECKING:
    from pathlib import Path

    from entrepot.bootstrap import Stores
    from entrepot.rebuild.report import RebuildReport

__all__ = ["rebuild"]

_WORK_DIRECTORY: Final = "rebuild"
_TOLD_LATE: Final = (
    "entrepot: the last run came to its end, and was killed before it could say so. This is what it said; nothing was "
    "done now."
)

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
            return asyncio.run(rehearse_rebuild(settings, options, output))
        asyncio.run(_require_what_it_needs(settings, options))
        with alone_on_data_directory(settings):
            return asyncio.run(_rebuild(settings, options, output))
    except EntrepotError as error:
        if isinstance(error, CommandError):
            raise
        raise CommandError(EXIT_CHECK_FAILED, f"entrepot: {error}") from error


async def _require_what_it_needs(settings: Settings, options: RebuildOptions) -> None:
    """Refuse what can't come to anything before a lock or a directory is made."""
    if options.catch_up:
        await require_usable_schema(settings)
        return
    require_storage(settings)
    async with open_blob_store(settings, look_only=True) as blobs:
        with contextlib.suppress(ChoiceNeededError):  # a rebuild that was interrupted has chosen
            await choose_journals(blobs, options.incarnations)


async def _rebuild(settings: Settings, options: RebuildOptions, output: str) -> int:
    path = settings.data.directory / _WORK_DIRECTORY / "work.db"
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not options.catch_up:
        await _make_schema(settings)
    was_there = path.exists()
    async with open_command_stores(settings) as stores:
        # It is opened as it is: another run may want what it tells, whatever becomes of this one.
        work = SqliteWorkFile(path)
        try:
            report = await _go_on(settings, stores, work, options, path.with_name("report.json"))
        except ChoiceNeededError as choice:
            (work.close if was_there else work.remove)()
            return await offer_choice(stores.blobs, choice, output)
        except BaseException:
            work.close()
            raise
        print_result(report, work, None, output)
        sys.stdout.flush()  # before what tells of it is gone
        work.remove()
    return EXIT_OK if report.is_whole else EXIT_CHECK_FAILED


async def _go_on(
    settings: Settings, stores: Stores, work: SqliteWorkFile, options: RebuildOptions, kept: Path
) -> RebuildReport:
    """Rebuild, or return what a run came to that was killed behind its last unit, before it could print that."""
    untold = await find_untold_report(stores.metadata, work)
    if untold is not None:
        print(_TOLD_LATE, file=sys.stderr)
        return untold
    async with contextlib.AsyncExitStack() as stack:
        if uses_postgresql(settings):
            # A SQLite file has no other node that could sweep, and the lock of the data directory keeps this one away.
            await stack.enter_async_context(StoreHold(stores.metadata).held(_say_waiting, _say_overlong))
        return await run_rebuild(stores, work, options, lambda report: keep_result(report, work, kept))


async def _make_schema(settings: Settings) -> None:
    """Make the schema of a new database without a line in a log, which would be on standard output here."""
    if not uses_postgresql(settings):
        metadata_path(settings).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    await initialise_if_empty(metadata_url(settings), leave_untold)


def _say_overlong(reason: str) -> None:
    Progress("waiting").say(f"Waiting: {reason}")


def _say_waiting() -> None:
    Progress("waiting").say("Waiting for a sweep of orphans, a backup or a verification to end…")
