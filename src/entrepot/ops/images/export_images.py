"""``entrepot export``: writes images of this registry as OCI layouts, directories or tar archives."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from entrepot.auth.audit_actions import AuditAction
from entrepot.auth.audit_records import AuditObject
from entrepot.auth.host import HostAuthorizer, host_operator
from entrepot.kernel.errors import EntrepotError
from entrepot.observability.logging import configure_logging
from entrepot.oci.digest import InvalidDigestError
from entrepot.oci.names import InvalidRepositoryNameError, InvalidTagNameError
from entrepot.ops.command_records import record_act_on
from entrepot.ops.command_stores import open_command_services
from entrepot.ops.errors import EXIT_CHECK_FAILED, EXIT_INTERRUPTED, EXIT_OK, EXIT_USAGE, CommandError
from entrepot.ops.options import ConfigOption, DataOption, load_command_settings, make_flags
from entrepot.ops.output import OutputOption, format_json
from entrepot.ops.progress import Progress, format_bytes
from entrepot.transfer.export_choice import ChosenImages, parse_chosen
from entrepot.transfer.exporting import Exporter, ExportReport, ExportServices
from entrepot.transfer.layout_directory import DirectoryLayout
from entrepot.transfer.layout_tar import TarLayout

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from entrepot.auth.grants import CatalogGrant
    from entrepot.oci.digest import Digest
    from entrepot.oci.names import RepositoryName
    from entrepot.services import Services
    from entrepot.settings import Settings
    from entrepot.transfer.layout_index import LayoutWriter

__all__ = ["export_images"]

_PAGE = 1000
_MOST_PARALLEL = 64

_ImagesArgument = Annotated[
    str,
    Parameter(
        help="REPOSITORY, REPOSITORY:TAG or REPOSITORY@DIGEST; names and tags may be globs.", negative=""
    ),
]
_ToOption = Annotated[
    Path,
    Parameter(
        name="--to", help="Where to: the layout itself for one repository, else what holds one for each."
    ),
]
_AllOption = Annotated[bool, Parameter(name="--all", negative="", help="Every tag of every repository.")]
_TarOption = Annotated[
    bool, Parameter(name="--tar", negative="", help="Tar archives instead of directories.")
]
_LinkOption = Annotated[
    bool,
    Parameter(
        name="--link",
        negative="",
        help="Hard-link blobs to the registry's own files: nobody may ever change the layout's files in place.",
    ),
]
_ReferrersOption = Annotated[
    bool,
    Parameter(
        name="--referrers", negative="", help="Also what is attached to the images: signatures and such."
    ),
]
_ParallelOption = Annotated[int, Parameter(name="--parallel", help="How many blobs are under way at once.")]


@dataclass(frozen=True, slots=True)
class _Destination:
    """Where layouts are written, and how."""

    path: Path
    as_tar: bool
    link: bool
    is_layout: bool
    """Whether `path` is the layout itself."""
    written: dict[Digest, Path] = field(default_factory=dict["Digest", Path])

    def layout_of(self, repository: RepositoryName) -> LayoutWriter:
        """Begin the layout of a repository. `+`, which no name has, stands for the slashes in its name."""
        path = self.path if self.is_layout else self.path / repository.text.replace("/", "+")
        if not self.as_tar:
            return DirectoryLayout(path, self.written, link=self.link)
        return TarLayout(path if self.is_layout else path.with_name(f"{path.name}.tar"))


def export_images(
    *images: _ImagesArgument,
    to: _ToOption,
    all_: _AllOption = False,
    tar: _TarOption = False,
    link: _LinkOption = False,
    referrers: _ReferrersOption = False,
    parallel: _ParallelOption = 4,
    config: ConfigOption = None,
    data: DataOption = None,
    output: OutputOption = "text",
) -> int:
    """Export images, beside a running registry or with it stopped; exit 1 if one of them is missing or damaged."""
    if bool(images) == all_:
        raise CommandError(EXIT_USAGE, "entrepot: name the images to export, or give --all")
    if tar and link:
        raise CommandError(EXIT_USAGE, "entrepot: an archive can't share files: leave out --tar or --link")
    if not 1 <= parallel <= _MOST_PARALLEL:
        raise CommandError(EXIT_USAGE, f"entrepot: --parallel is 1 to {_MOST_PARALLEL}")
    settings = load_command_settings(config, make_flags(data)).settings
    configure_logging("warning", "console", "export")
    progress = Progress("export", unit="bytes", silent=output == "json")
    try:
        chosen = parse_chosen(images)
        destination = _Destination(to, tar, link, is_layout=chosen.single_repository is not None)
        asked = {"images": list(images) or ["--all"], "to": str(to.absolute())}
        work = _run(settings, chosen, destination, parallel, progress, asked, referrers=referrers)
        report = asyncio.run(work)
    except (InvalidRepositoryNameError, InvalidTagNameError, InvalidDigestError) as error:
        raise CommandError(EXIT_USAGE, f"entrepot: {error.text!r}: {error}") from error
    except CommandError:
        raise
    except (EntrepotError, KeyboardInterrupt) as error:
        progress.finish()
        if isinstance(error, KeyboardInterrupt):
            raise CommandError(EXIT_INTERRUPTED, "entrepot: interrupted") from error
        raise CommandError(EXIT_CHECK_FAILED, f"entrepot: {error}") from error
    progress.finish()
    print(format_json(_as_json(report)) if output == "json" else _render(report, to))
    return EXIT_OK if not report.problems and report.images else EXIT_CHECK_FAILED


async def _run(
    settings: Settings,
    chosen: ChosenImages,
    destination: _Destination,
    parallel: int,
    progress: Progress,
    asked: Mapping[str, object],
    *,
    referrers: bool,
) -> ExportReport:
    async with open_command_services(settings) as (stores, services):
        await record_act_on(
            stores.metadata, AuditAction.IMAGE_EXPORT, AuditObject("registry", ""), dict(asked)
        )
        reading = ExportServices(services.manifests, services.blobs, services.referrers, stores.blobs)
        exporter = Exporter(reading, parallel, progress.advance, referrers=referrers)
        async for repository in _repositories(services, chosen):
            references = await chosen.references(repository, exporter.tags_of(repository))
            if not references:
                continue
            layout = destination.layout_of(repository)
            try:
                await exporter.export(repository, references, layout)
            finally:
                await layout.abandon()
        return exporter.report


async def _repositories(services: Services, chosen: ChosenImages) -> AsyncIterator[RepositoryName]:
    named = chosen.named_repositories
    if named is not None:
        for repository in named:
            yield repository
        return
    grant: CatalogGrant = await HostAuthorizer().authorize_catalog(host_operator())
    after, more = "", True
    while more:
        page = await services.catalog.list_repositories(grant, after, _PAGE)
        for name in chosen.choose(page.names):
            yield name
        after, more = (page.names[-1] if page.names else after), page.more


def _render(report: ExportReport, to: Path) -> str:
    lines: Sequence[str] = [
        f"{'images':<14}{report.images} of {report.repositories} repositories, in {to}",
        f"{'written':<14}{report.written.count} ({format_bytes(report.written.bytes)})",
        f"{'there before':<14}{report.present.count} ({format_bytes(report.present.bytes)})",
        *(f"missing  {one.repository}:{one.reference}  {one.reason}" for one in report.problems),
    ]
    if not report.images and not report.problems:
        lines = ["Nothing was exported: no repository and tag fits."]
    return "\n".join(lines)


def _as_json(report: ExportReport) -> dict[str, Any]:
    return {
        "ok": not report.problems and report.images > 0,
        "repositories": report.repositories,
        "images": report.images,
        "written": {"count": report.written.count, "bytes": report.written.bytes},
        "present": {"count": report.present.count, "bytes": report.present.bytes},
        "problems": [
            {"repository": one.repository, "reference": one.reference, "reason": one.reason}
            for one in report.problems
        ],
    }
