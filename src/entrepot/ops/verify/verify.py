"""``entrepot verify``: proves that what is stored is what was pushed, beside a running registry or a stopped one."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import traceback
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from entrepot.auth.audit_actions import AuditAction
from entrepot.auth.audit_records import AuditObject
from entrepot.auth.host import host_operator
from entrepot.kernel.errors import EntrepotError
from entrepot.lifecycle.scrub.job import SCRUB_SWEEP, VERIFY_SWEEP
from entrepot.lifecycle.scrub.ledger import Ledger, read_findings, read_progress
from entrepot.lifecycle.scrub.options import Mode, ScrubGround, ScrubOptions
from entrepot.lifecycle.scrub.scrub import Scrub
from entrepot.lifecycle.scrub.standing import read_standing_damage
from entrepot.metadata.records import Missing
from entrepot.observability.logging import configure_logging
from entrepot.ops.command_records import record_act_on
from entrepot.ops.command_stores import open_command_stores
from entrepot.ops.errors import EXIT_CHECK_FAILED, EXIT_OK, EXIT_USAGE, CommandError
from entrepot.ops.options import ConfigOption, DataOption, load_command_settings, make_flags
from entrepot.ops.output import OutputOption  # noqa: TC001  # read at run time
from entrepot.ops.verify.options import (  # noqa: TC001  # read at run time
    DryRunOption,
    FastOption,
    ForceOption,
    HealOption,
    LastOption,
    ParallelOption,
    RateOption,
    RepairOption,
    RepositoryOption,
    ResumeOption,
)
from entrepot.ops.verify.report import ProgressWatcher, VerifyReport, print_report
from entrepot.ops.verify.sources import opened_sources, require_source_address
from entrepot.registry.hashing import HashingPool
from entrepot.settings.sizes import parse_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from entrepot.bootstrap import Stores
    from entrepot.lifecycle.recovery import BlobRecovery
    from entrepot.lifecycle.scrub.ledger import Progress
    from entrepot.settings import Settings

__all__ = ["EXIT_INCOMPLETE", "EXIT_INTERRUPTED", "verify"]

EXIT_INCOMPLETE: Final = 3
EXIT_INTERRUPTED: Final = 4

_EXIT_CODES: Final = {
    "sound": EXIT_OK,
    "damaged": EXIT_CHECK_FAILED,
    "running": EXIT_INCOMPLETE,
    "never": EXIT_INCOMPLETE,
    "interrupted": EXIT_INTERRUPTED,
}
_DEFECT: Final = (
    "entrepot: the verification broke off by a defect of this program: report it with what is above"
)
_PATIENCE_SECONDS: Final = 75.0
"""Longer than the lease of a verification that was killed."""


@dataclass(frozen=True, slots=True)
class _Request:
    """What was asked for, apart from how each object is examined."""

    settings: Settings
    options: ScrubOptions
    heal_from: tuple[str, ...]
    resume: bool
    silent: bool


def verify(  # the options are the interface
    *,
    config: ConfigOption = None,
    data: DataOption = None,
    repair: RepairOption = False,
    dry_run: DryRunOption = False,
    resume: ResumeOption = False,
    last: LastOption = False,
    fast: FastOption = False,
    repository: RepositoryOption = (),
    parallel: ParallelOption = 2,
    rate: RateOption = "100MiB",
    heal_from: HealOption = (),
    force: ForceOption = False,
    output: OutputOption = "text",
) -> int:
    """Prove that everything stored is what was pushed; set aside or heal what is not.

    Exit codes: 0 sound, 1 damage found or left, 2 settings or usage can't be used, 3 not completed, 4 interrupted
    (go on with --resume).
    """
    settings = load_command_settings(config, make_flags(data)).settings
    _require_sense(
        (dry_run and not repair, "--dry-run says what --repair would do; give both"),
        (
            resume and (fast or bool(repository)),
            "--resume goes on as it began; leave out --fast and --repository",
        ),
        (last and (repair or resume), "--last only shows; leave out --repair and --resume"),
        (not 1 <= parallel <= 64, "--parallel is a number from 1 to 64"),
    )
    options = ScrubOptions(
        mode=Mode.REPORT if not repair else Mode.REHEARSE if dry_run else Mode.REPAIR,
        fast=fast,
        repositories=repository,
        parallel=parallel,
        bytes_per_second=_parse_rate(rate),
        force=force,
        operator=host_operator().subject,
    )
    sources = heal_from or ((settings.verify.heal_from,) if settings.verify.heal_from else ())
    for source in sources:
        require_source_address(source)
    request = _Request(settings, options, sources, resume, silent=output == "json")
    _keep_log_away()
    try:
        report = asyncio.run(_show_last(request) if last else _verify(request))
    except CommandError:
        raise
    except EntrepotError as error:
        raise CommandError(EXIT_INCOMPLETE, f"entrepot: {error}") from error
    except Exception as error:  # where the log goes nowhere, nobody else tells of it
        traceback.print_exc()
        raise CommandError(EXIT_INCOMPLETE, _DEFECT) from error
    print_report(report, output)
    return _EXIT_CODES[report.result]


def _keep_log_away() -> None:
    """Send the log nowhere: the report tells the same, once and in order."""
    configure_logging("error", "json", "verify", Path(os.devnull).open("wb"))  # noqa: SIM115  # for the whole process


def _require_sense(*rules: tuple[bool, str]) -> None:
    for broken, sentence in rules:
        if broken:
            raise CommandError(EXIT_USAGE, f"entrepot: {sentence}")


def _parse_rate(text: str) -> int:
    try:
        return parse_size(text.removesuffix("/s"))
    except ValueError as error:
        raise CommandError(EXIT_USAGE, f"entrepot: --rate: {error}") from error


async def _show_last(request: _Request) -> VerifyReport:
    async with open_command_stores(request.settings, look_only=True) as stores:
        progress = await read_progress(stores.metadata, SCRUB_SWEEP)
        findings = [finding async for finding in read_findings(stores.metadata, SCRUB_SWEEP)]
        standing = await read_standing_damage(stores.metadata)
        return VerifyReport(progress, tuple(findings), standing, resumed=False, interrupted=False)


async def _verify(request: _Request) -> VerifyReport:
    options = request.options
    look_only = options.mode is not Mode.REPAIR
    async with (
        open_command_stores(request.settings, look_only=look_only, is_right_store=options.force) as stores,
        opened_sources(request.settings, request.heal_from) as sources,
    ):
        with _stopping() as stopped:
            try:
                resumed = await _examine(request, stores, sources)
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if not stopped or task is None:
                    raise
                task.uncancel()
                resumed = request.resume
        progress = await read_progress(stores.metadata, VERIFY_SWEEP)
        findings = [finding async for finding in read_findings(stores.metadata, VERIFY_SWEEP)]
        standing = await read_standing_damage(stores.metadata)
        return VerifyReport(progress, tuple(findings), standing, resumed=resumed, interrupted=bool(stopped))


def _say_waiting(reason: str) -> None:
    print(f"entrepot: waiting: {reason}", file=sys.stderr)


async def _examine(request: _Request, stores: Stores, sources: tuple[BlobRecovery, ...]) -> bool:
    """Come to the end of a pass; return whether it is one that was gone on with."""
    ledger = await Ledger.take(
        stores.metadata, VERIFY_SWEEP, patience_seconds=_PATIENCE_SECONDS, on_overlong=_say_waiting
    )
    try:
        resumed = request.resume and ledger.progress.running
        if not resumed:
            await _require_repositories(stores, request.options.repositories)
            if request.resume:
                print("entrepot: there is nothing to go on with; beginning anew", file=sys.stderr)
            scheduled = await read_progress(stores.metadata, SCRUB_SWEEP)
            await ledger.begin(
                fast=request.options.fast,
                repositories=request.options.repositories,
                scheduled_before=scheduled.completed_at_milliseconds,
            )
        if request.options.mode is Mode.REPAIR:
            asked = {"repositories": list(ledger.progress.repositories), "fast": ledger.progress.fast}
            about = AuditObject("registry", "")
            await record_act_on(stores.metadata, AuditAction.REGISTRY_REPAIR, about, asked)
        await _run(request, stores, ledger, sources)
    except BaseException:
        with contextlib.suppress(EntrepotError):
            await ledger.release(0)
        raise
    await ledger.complete(0)
    if _counts_as_scheduled(ledger.progress):
        await ledger.copy_to(SCRUB_SWEEP, request.settings.verify.period_seconds)
    return resumed


async def _require_repositories(stores: Stores, names: tuple[str, ...]) -> None:
    """Refuse a mistyped name, under which nothing would be found, and so nothing damaged."""
    for name in names:
        if isinstance(await stores.metadata.tags.list_names(name, "", 1), Missing):
            raise CommandError(EXIT_USAGE, f"entrepot: there is no repository {name}")


def _counts_as_scheduled(progress: Progress) -> bool:
    """Tell whether everything was examined in full: then the alarms know the state as it is now."""
    return not progress.fast and not progress.repositories


async def _run(request: _Request, stores: Stores, ledger: Ledger, sources: tuple[BlobRecovery, ...]) -> None:
    begun = ledger.progress
    options = replace(request.options, fast=begun.fast, repositories=begun.repositories, sources=sources)
    watcher = ProgressWatcher(silent=request.silent)
    with ThreadPoolExecutor(options.parallel, thread_name_prefix="hashing") as executor:
        ground = ScrubGround(stores.metadata, stores.blobs, HashingPool(executor))
        try:
            await Scrub(ground, options, watcher).run(ledger)
        finally:
            watcher.finish()


@contextlib.contextmanager
def _stopping() -> Iterator[list[int]]:
    """Cancel the task inside on SIGINT or SIGTERM; the list is not empty then."""
    stopped: list[int] = []
    loop, task = asyncio.get_running_loop(), asyncio.current_task()

    def stop(number: int) -> None:
        stopped.append(number)
        if task is not None and len(stopped) == 1:
            task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop, number)
    try:
        yield stopped
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
