"""``entrepot import``: brings images from a tree, an archive or another registry into this one."""

from __future__ import annotations

import asyncio
import contextlib
import os
from dataclasses import dataclass
from pathlib import Path  # noqa: TC003  # the command line reads the annotations of ImportSource
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from entrepot.auth.people.adoption import adopt_projects
from entrepot.kernel.errors import EntrepotError
from entrepot.observability.logging import configure_logging
from entrepot.ops.command_stores import open_command_services, require_owner_of_storage
from entrepot.ops.errors import EXIT_CHECK_FAILED, EXIT_INTERRUPTED, EXIT_OK, EXIT_USAGE, CommandError
from entrepot.ops.import_report import render_report, report_as_json
from entrepot.ops.options import ConfigOption, DataOption, load_command_settings, make_flags
from entrepot.ops.output import OutputOption, format_json
from entrepot.ops.progress import Progress
from entrepot.transfer.distribution_tree import DistributionTree
from entrepot.transfer.errors import SourceUnusableError
from entrepot.transfer.importing import Importer, ImportOptions
from entrepot.transfer.layout_collection import open_docker_archive, open_layouts
from entrepot.transfer.selection import Selection, parse_renaming
from entrepot.transfer.target import RegistryServices, RegistryTarget, RehearsedTarget

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from entrepot.services import Services
    from entrepot.settings import Settings
    from entrepot.transfer.report import ImportReport
    from entrepot.transfer.source import ImageSource

__all__ = ["ImportChoice", "ImportSource", "import_images"]

_MOST_PARALLEL = 64


@dataclass(frozen=True, slots=True)
class ImportSource:
    """Where images come from: exactly one of the first four, and how to get at it."""

    from_: Annotated[
        str | None, Parameter(name="--from", help="A running registry, as https://registry.example.com.")
    ] = None
    from_distribution: Annotated[
        Path | None,
        Parameter(
            name="--from-distribution",
            help="The storage directory of Distribution (docker-registry, registry:2), running or stopped.",
        ),
    ] = None
    from_oci_layout: Annotated[
        Path | None,
        Parameter(
            name="--from-oci-layout",
            help="An OCI image layout, a tar archive of one, or a directory with one per repository.",
        ),
    ] = None
    from_docker_archive: Annotated[
        Path | None,
        Parameter(name="--from-docker-archive", help="What docker save or podman save wrote, uncompressed."),
    ] = None
    into: Annotated[
        str | None,
        Parameter(
            name="--into", help="The repository for images of a layout or archive, whatever their names say."
        ),
    ] = None
    username: Annotated[
        str | None, Parameter(name="--username", help="Who to log in as at the registry.")
    ] = None
    password_file: Annotated[
        Path | None, Parameter(name="--password-file", help="File with the password or token for it.")
    ] = None
    auth_file: Annotated[
        Path | None,
        Parameter(
            name="--auth-file",
            help="File that docker login or podman login wrote. Default: where those keep theirs.",
        ),
    ] = None
    ca_file: Annotated[
        Path | None, Parameter(name="--ca-file", help="Authorities to believe instead of the system's, PEM.")
    ] = None
    token_host: Annotated[
        tuple[str, ...],
        Parameter(
            name="--token-host",
            help="A host of another domain that hands out tokens for the registry and may get the login.",
            negative="",
        ),
    ] = ()
    insecure_http: Annotated[
        bool, Parameter(name="--insecure-http", negative="", help="Allow http:// to another machine.")
    ] = False


@dataclass(frozen=True, slots=True)
class ImportChoice:
    """What is imported, and under which names."""

    repository: Annotated[
        tuple[str, ...],
        Parameter(
            name="--repository", negative="", help="Repositories, or globs of such as 'team/*'. Repeatable."
        ),
    ] = ()
    tag: Annotated[
        tuple[str, ...],
        Parameter(name="--tag", negative="", help="Tags, or globs of such as 'v1.*'; nothing untagged then."),
    ] = ()
    exclude: Annotated[
        tuple[str, ...],
        Parameter(
            name="--exclude", negative="", help="Globs of repositories or of repository:tag to leave out."
        ),
    ] = ()
    rename: Annotated[
        tuple[str, ...],
        Parameter(
            name="--rename", negative="", help="old=new, leading segments of names; the first that fits."
        ),
    ] = ()
    prefix: Annotated[str, Parameter(name="--prefix", help="Leading segments that every name gets.")] = ""
    tagged_only: Annotated[
        bool,
        Parameter(
            name="--tagged-only",
            negative="",
            help="Leave out manifests that have no tag and are attached to none that has.",
        ),
    ] = False


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
    source: Annotated[ImportSource, Parameter(name="*")] = ImportSource(),  # frozen
    choice: Annotated[ImportChoice, Parameter(name="*")] = ImportChoice(),  # frozen
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
        selection = _selection(choice)
        report = asyncio.run(_run(settings, source, selection, options, link, progress, dry_run=dry_run))
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


def _selection(choice: ImportChoice) -> Selection:
    return Selection(
        repositories=choice.repository,
        tags=choice.tag,
        exclude=choice.exclude,
        renamings=tuple(map(parse_renaming, choice.rename)),
        prefix=choice.prefix,
    )


async def _run(
    settings: Settings,
    place: ImportSource,
    selection: Selection,
    options: ImportOptions,
    link: Literal["auto", "always", "never"],
    progress: Progress,
    *,
    dry_run: bool,
) -> ImportReport:
    require_owner_of_storage(settings)
    async with (
        _opened(place, options.parallel) as source,
        open_command_services(settings, make_new=True) as (stores, services),
    ):
        registry = RegistryTarget(_services(services), link, os.geteuid())
        target = RehearsedTarget(registry) if dry_run else registry
        importer = Importer(source, target, selection, options, progress.advance)
        progress.say(f"from {source.description}")
        report = await importer.run()
        progress.finish()
        if not dry_run:
            await adopt_projects(stores.metadata)
            await importer.compare()
        return report


def _services(services: Services) -> RegistryServices:
    return RegistryServices(
        manifests=services.manifests,
        manifest_pushes=services.manifest_pushes,
        blobs=services.blobs,
        mounts=services.mounts,
        uploads=services.uploads,
        file_pushes=services.file_pushes,
    )


@contextlib.asynccontextmanager
async def _opened(place: ImportSource, parallel: int) -> AsyncIterator[ImageSource]:
    source = await _open(place, parallel)
    try:
        yield source
    finally:
        await source.aclose()


async def _open(place: ImportSource, parallel: int) -> ImageSource:
    given = [
        one
        for one in (place.from_, place.from_distribution, place.from_oci_layout, place.from_docker_archive)
        if one is not None
    ]
    if len(given) != 1:
        raise SourceUnusableError(
            "give one of --from, --from-distribution, --from-oci-layout and --from-docker-archive"
        )
    if place.from_distribution is not None:
        return await asyncio.to_thread(DistributionTree, place.from_distribution)
    if place.from_oci_layout is not None:
        return await open_layouts(place.from_oci_layout, place.into)
    if place.from_docker_archive is not None:
        return await open_docker_archive(place.from_docker_archive, place.into)
    return _open_registry(place, place.from_ or "", parallel)


def _open_registry(place: ImportSource, address: str, parallel: int) -> ImageSource:
    # Only an import from a running registry pays for the HTTP library.
    from entrepot.transfer.remote.connection import ConnectionOptions  # noqa: PLC0415  # see above
    from entrepot.transfer.remote.credentials import find_credentials  # noqa: PLC0415  # see above
    from entrepot.transfer.remote.registry import RemoteRegistry, parse_registry_url  # noqa: PLC0415  # see above

    url = parse_registry_url(address, insecure_http=place.insecure_http)
    credentials = find_credentials(
        url.authority, place.username, place.password_file, place.auth_file, os.environ
    )
    options = ConnectionOptions(
        credentials=credentials,
        ca_file=place.ca_file,
        token_hosts=frozenset(place.token_host),
        connections=2 * parallel,
    )
    return RemoteRegistry(url, options)
