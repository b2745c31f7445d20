"""``entrepot import``: brings images from a tree, an archive or another registry into this one."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from entrepot.auth.people.adoption import adopt_projects
from entrepot.kernel.errors import EntrepotError
from entrepot.observability.logging import configure_logging
from entrepot.ops.command_stores import (
    is_without_registry,
    open_command_services,
    require_owner_of_storage,
)
from entrepot.ops.database_file import say_rehearsed_on_nothing
from entrepot.ops.errors import EXIT_CHECK_FAILED, EXIT_INTERRUPTED, EXIT_OK, EXIT_USAGE, CommandError
from entrepot.ops.images.import_choice import ImportChoice
from entrepot.ops.images.import_report import render_report, report_as_json
from entrepot.ops.images.import_source import ImportSource, opened_source
from entrepot.ops.options import ConfigOption, DataOption, load_command_settings, make_flags
from entrepot.ops.output import OutputOption, format_json
from entrepot.ops.progress import Progress
from entrepot.ops.watched_work import run_watched
from entrepot.transfer.errors import SourceUnusableError
from entrepot.transfer.importing import Importer, ImportOptions
from entrepot.transfer.rehearsal import NoRegistry, RehearsedTarget
from entrepot.transfer.target import RegistryServices, RegistryTarget

if TYPE_CHECKING:
    from entrepot.services import Services
    from entrepot.settings import Settings
    from entrepot.transfer.report import ImportReport
    from entrepot.transfer.selection import Selection
    from entrepot.transfer.source import ImageSource
    from entrepot.transfer.target import LinkPolicy

__all__ = ["import_images"]

_MOST_PARALLEL = 64
_NOWHERE = ImportSource()
_EVERYTHING = ImportChoice()

_ConflictOption = Annotated[
    Literal["keep", "overwrite", "fail"],
    Parameter(name="--on-conflict", help="What to do with a tag that points elsewhere here."),
]
_LinkOption = Annotated[
    Literal["auto", "always", "never"],
    Parameter(
        name="--link",
        help="Hard-link files instead of copying. auto: those of a Distribution tree that belong to this user.",
    ),
]
_ParallelOption = Annotated[
    int, Parameter(name="--parallel", help="How many images, and how many blobs, are under way at once.")
]
_DryRunOption = Annotated[
    bool, Parameter(name="--dry-run", negative="", help="Say what would be imported, and change nothing.")
]


def import_images(
    *,
    source: Annotated[ImportSource, Parameter(name="*")] = _NOWHERE,
    choice: Annotated[ImportChoice, Parameter(name="*")] = _EVERYTHING,
    on_conflict: _ConflictOption = "keep",
    link: _LinkOption = "auto",
    parallel: _ParallelOption = 4,
    dry_run: _DryRunOption = False,
    config: ConfigOption = None,
    data: DataOption = None,
    output: OutputOption = "text",
) -> int:
    """Import images, beside a running registry or with it stopped; exit 1 if something is missing afterwards."""
    if not 1 <= parallel <= _MOST_PARALLEL:
        raise CommandError(EXIT_USAGE, f"entrepot: --parallel is 1 to {_MOST_PARALLEL}")
    settings = load_command_settings(config, make_flags(data)).settings
    configure_logging("warning", "console", "import")
    options = ImportOptions(parallel=parallel, conflicts=on_conflict, untagged=not choice.tagged_only)
    progress = Progress("import", unit="bytes", silent=dry_run or output == "json")
    try:
        work = (
            _rehearse(settings, source, choice.selection(), options)
            if dry_run
            else _run(settings, source, choice.selection(), options, link, progress)
        )
        report = asyncio.run(work)
    except SourceUnusableError as error:
        raise CommandError(EXIT_USAGE, f"entrepot: {error}") from error
    except CommandError:
        raise
    except (EntrepotError, KeyboardInterrupt) as error:
        progress.finish()
        stopped = isinstance(error, KeyboardInterrupt)
        lines = [f"entrepot: {'interrupted' if stopped else error}"]
        if not dry_run:
            lines.append("What was imported so far stays; run the same command again to go on.")
        raise CommandError(EXIT_INTERRUPTED if stopped else EXIT_CHECK_FAILED, *lines) from error
    if output == "json":
        print(format_json(report_as_json(report, rehearsal=dry_run)))
    else:
        print(render_report(report, rehearsal=dry_run))
    return EXIT_OK if report.is_complete else EXIT_CHECK_FAILED


async def _run(
    settings: Settings,
    place: ImportSource,
    selection: Selection,
    options: ImportOptions,
    link: LinkPolicy,
    progress: Progress,
) -> ImportReport:
    require_owner_of_storage(settings)
    async with (
        opened_source(place, options.parallel) as source,
        open_command_services(settings, make_new=True) as (stores, services),
    ):
        target = RegistryTarget(_services(services), link, os.geteuid())
        importer = Importer(source, target, selection, options, progress.advance)
        progress.say(f"from {source.description}")

        async def work() -> ImportReport:
            report = await importer.run()
            progress.finish()
            await adopt_projects(stores.metadata)
            await importer.compare()
            return report

        try:
            return await run_watched(services.store_watch, work())
        except CommandError:
            progress.finish()
            raise


async def _rehearse(
    settings: Settings, place: ImportSource, selection: Selection, options: ImportOptions
) -> ImportReport:
    """Tell what an import would do, and make nothing: no registry either, where there is none yet."""
    require_owner_of_storage(settings)
    async with opened_source(place, options.parallel) as source:
        if await is_without_registry(settings):
            say_rehearsed_on_nothing(settings)
            return await _rehearse_on(RehearsedTarget(NoRegistry()), source, selection, options)
        async with open_command_services(settings, look_only=True) as (_, services):
            registry = RegistryTarget(_services(services), "never", os.geteuid())
            return await _rehearse_on(RehearsedTarget(registry), source, selection, options)


async def _rehearse_on(
    target: RehearsedTarget, source: ImageSource, selection: Selection, options: ImportOptions
) -> ImportReport:
    return await Importer(source, target, selection, options, lambda _bytes, _name: None).run()


def _services(services: Services) -> RegistryServices:
    return RegistryServices(
        manifests=services.manifests,
        manifest_pushes=services.manifest_pushes,
        blobs=services.blobs,
        mounts=services.mounts,
        uploads=services.uploads,
        file_pushes=services.file_pushes,
    )
