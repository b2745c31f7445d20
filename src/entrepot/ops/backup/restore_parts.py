"""Restores parts of a snapshot into a registry that runs: single repositories, or bytes it has lost."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from entrepot.auth.audit_actions import AuditAction
from entrepot.auth.audit_records import AuditObject
from entrepot.auth.host import HostAuthorizer, host_operator
from entrepot.auth.people.adoption import adopt_projects
from entrepot.backup.errors import BackupError
from entrepot.backup.healing import BlobHealing
from entrepot.backup.merging import MergeOptions, MergeParts, RepositoryMerge
from entrepot.backup.selection import select_repositories
from entrepot.backup.snapshots import find_snapshot
from entrepot.bootstrap import build_services
from entrepot.ops.backup.options import ProgressObserver, warn
from entrepot.ops.backup.target import opened_repository
from entrepot.ops.command_records import record_act_on
from entrepot.ops.command_stores import open_command_stores, require_match
from entrepot.ops.errors import EXIT_CHECK_FAILED, EXIT_OK, EXIT_USAGE, CommandError
from entrepot.ops.output import print_json
from entrepot.ops.progress import format_bytes
from entrepot.ops.watched_work import run_watched
from entrepot.registry.hashing import HashingPool
from entrepot.registry.store_match.ownership import find_lack

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

    from entrepot.backup.healing import HealingReport
    from entrepot.backup.merging import MergeReport
    from entrepot.bootstrap import Stores
    from entrepot.ops.backup.options import BackupChoice
    from entrepot.services import Services
    from entrepot.settings import Settings

__all__ = ["RestoreOrder", "heal_blobs", "restore_repositories"]

_HASHING_THREADS = 4


@dataclass(frozen=True, slots=True)
class RestoreOrder:
    """What all ways of restoring are told."""

    snapshot: str
    dry_run: bool
    parallel: int
    rate: int | None
    output: Literal["text", "json"]


async def restore_repositories(
    choice: BackupChoice, order: RestoreOrder, patterns: Sequence[str], *, new_name: str, overwrite: bool
) -> int:
    """Push what the chosen repositories had in the snapshot and this registry has not.

    Raises:
        CommandError: no repository, or too many for --as, match; or storage and database don't belong together, which
            is looked at as long as it lasts.
        EntrepotError: a store or the repository can't be used.
    """
    observer = ProgressObserver()
    options = MergeOptions(new_name, overwrite, order.dry_run, order.parallel, order.rate)
    async with (
        opened_repository(choice) as repository,
        open_command_stores(choice.settings, look_only=order.dry_run) as stores,
    ):
        if not order.dry_run:
            await require_match(stores)
        manifest = await find_snapshot(repository, order.snapshot, warn)
        chosen = await select_repositories(repository, manifest, patterns)
        if not chosen:
            raise BackupError(f"snapshot {manifest.id} has no repository {', '.join(patterns)}")
        if new_name and len(chosen) > 1:
            raise CommandError(EXIT_USAGE, f"entrepot: --as names one repository, {len(chosen)} were chosen")
        with ThreadPoolExecutor(_HASHING_THREADS, thread_name_prefix="hashing") as executor:
            services = await _services(
                choice.settings, stores, HashingPool(executor), look_only=order.dry_run
            )
            parts = _parts(stores, services)
            merge = RepositoryMerge(parts, repository, manifest, options, observer).run(chosen)
            try:
                report = await (merge if order.dry_run else _run_watched(stores, services, merge))
            finally:
                observer.end()
    if order.output == "json":
        print_json({"snapshot": manifest.id, "report": report})
    else:
        print(_render_merge(report, dry_run=order.dry_run))
    return EXIT_CHECK_FAILED if report.failed else EXIT_OK


async def _run_watched(
    stores: Stores, services: Services, merge: Coroutine[Any, Any, MergeReport]
) -> MergeReport:
    async def work() -> MergeReport:
        report = await merge
        await adopt_projects(stores.metadata)
        return report

    return await run_watched(services.store_watch, work())


async def _services(settings: Settings, stores: Stores, hashing: HashingPool, *, look_only: bool) -> Services:
    """Build the services of pushes. What the registry once took in must come back, so sparse indexes are accepted."""
    registry = msgspec.structs.replace(settings.registry, sparse_indexes="accept")
    settings = msgspec.structs.replace(settings, registry=registry)
    return await build_services(settings, stores, hashing, look_only=look_only)


def _parts(stores: Stores, services: Services) -> MergeParts:
    return MergeParts(
        stores.metadata,
        services.uploads,
        services.mounts,
        services.manifest_pushes,
        HostAuthorizer(),
        host_operator(),
    )


async def heal_blobs(choice: BackupChoice, order: RestoreOrder, *, force: bool) -> int:
    """Bring back the bytes of blobs that this registry has lost, from whatever snapshot has them.

    Raises:
        CommandError: its journal is lost, too, as that of a wrong storage is, and nobody says that it is none.
        EntrepotError: a store or the repository can't be used.
    """
    observer = ProgressObserver()
    async with (
        opened_repository(choice) as repository,
        open_command_stores(choice.settings, look_only=order.dry_run, is_right_store=force) as stores,
    ):
        if not force:
            await _require_own_storage(stores, look_only=order.dry_run)
        if not order.dry_run:
            about = AuditObject("backup", "")
            await record_act_on(stores.metadata, AuditAction.BACKUP_RESTORE, about, {"blobs_only": True})
        healing = BlobHealing(
            stores.metadata,
            stores.blobs,
            repository,
            observer,
            dry_run=order.dry_run,
            parallel=order.parallel,
            bytes_per_second=order.rate,
        )
        try:
            report = await healing.run()
        finally:
            observer.end()
    if order.output == "json":
        print_json(report)
    else:
        print(_render_healing(report, dry_run=order.dry_run))
    return EXIT_CHECK_FAILED if report.lost else EXIT_OK


async def _require_own_storage(stores: Stores, *, look_only: bool) -> None:
    """Fill no storage of which the database can't be sure; where nothing is changed, say so only (F47).

    The rows of blobs would lead away from bytes that are sound in the right one, which would then go as orphans.
    """
    lack = await find_lack(stores.metadata, stores.blobs)
    if not lack:
        return
    what = f"this storage may be a wrong one: {lack}"
    way_out = "Put the right storage in place; if this is the right one and has lost things, say --force"
    if look_only:
        warn(f"{what}. {way_out}")
    else:
        raise CommandError(EXIT_CHECK_FAILED, f"entrepot: {what}", f"Nothing was restored. {way_out}.")


def _render_merge(report: MergeReport, *, dry_run: bool) -> str:
    verb = "would be pushed" if dry_run else "pushed"
    blobs = f"{report.blobs} blobs ({format_bytes(report.blob_bytes)})"
    pushed = f"{blobs}, {report.manifests} manifests and {report.tags} tags {verb}"
    lines = [f"{report.repositories} repositories: {pushed}"]
    lines += [f"  kept as it is here (--overwrite moves it): {tag}" for tag in report.kept_tags]
    lines += [f"  not restored: {what}: {reason}" for what, reason in report.failed.items()]
    return "\n".join(lines)


def _render_healing(report: HealingReport, *, dry_run: bool) -> str:
    verb = "would be brought back" if dry_run else "brought back"
    healed = f"{len(report.healed)} {verb} ({format_bytes(report.healed_bytes)})"
    lines = [f"{report.examined} blobs and manifests looked at, {healed}, {len(report.lost)} lost"]
    return "\n".join(lines + [f"  {digest}: {reason}" for digest, reason in sorted(report.lost.items())])
