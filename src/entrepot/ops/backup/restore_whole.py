"""Restores a whole registry, or its database: nobody else is on the data directory meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from functools import partial
from typing import TYPE_CHECKING

from entrepot.auth.audit_actions import AuditAction
from entrepot.auth.audit_records import AuditObject, audit_record
from entrepot.auth.host import host_operator
from entrepot.auth.keys.sealed_rows import sealing_master_keys
from entrepot.backup.restoration import (
    RestoreOptions,
    RestoreReport,
    WholeRestore,
    has_audit_log,
    require_empty_store,
)
from entrepot.backup.snapshots import find_snapshot
from entrepot.bootstrap import open_blob_store
from entrepot.kernel.failpoints import Failpoint, reach
from entrepot.metadata.sql.dumping import (
    is_reserved,
    open_load,
    require_known_schema,
    require_loadable,
    reserve_for_load,
)
from entrepot.metadata.sql.migrate import migrate
from entrepot.ops.backup.options import ProgressObserver, warn
from entrepot.ops.backup.target import opened_repository
from entrepot.ops.command_stores import (
    alone_on_data_directory,
    is_lockable,
    is_without_registry,
    open_command_metadata,
)
from entrepot.ops.database_file import say_rehearsed_on_nothing
from entrepot.ops.errors import EXIT_CHECK_FAILED, EXIT_OK
from entrepot.ops.keys.master_keys import present_master_keys
from entrepot.ops.output import print_json
from entrepot.ops.progress import format_bytes
from entrepot.settings import Settings, metadata_path, metadata_url, uses_postgresql

if TYPE_CHECKING:
    from collections.abc import Sequence

    from entrepot.backup.format import SnapshotManifest
    from entrepot.backup.repository import BackupRepository
    from entrepot.blobstore.driver import BlobStore
    from entrepot.metadata.audit_store import NewAuditRecord
    from entrepot.ops.backup.options import BackupChoice
    from entrepot.ops.backup.restore_parts import RestoreOrder

__all__ = ["restore_whole"]


async def restore_whole(choice: BackupChoice, order: RestoreOrder, *, database_only: bool) -> int:
    """Restore into the database and the store that the settings name, and migrate to this program's schema.

    Raises:
        CommandError: a registry runs on the data directory.
        EntrepotError: database or store are not empty, or can't be used.
    """
    settings = choice.settings
    async with opened_repository(choice) as repository:
        manifest = await find_snapshot(repository, order.snapshot, warn)
        require_known_schema(manifest.schema_version)
        with alone_on_data_directory(settings) if is_lockable(settings) else contextlib.nullcontext():
            resumed = await _require_empty_place(settings, database_only=database_only)
        if order.dry_run:
            return await _rehearse(settings, manifest, resumed=resumed, database_only=database_only)
        with alone_on_data_directory(settings):
            async with open_blob_store(settings) as store:
                resumed = await is_reserved(metadata_url(settings))  # again: only now nobody else begins
                if not database_only:
                    await require_empty_store(store, resumed=resumed)
                report = await _restore(
                    settings, repository, manifest, store, order, database_only=database_only
                )
        if not has_audit_log(manifest):
            await _record_late(settings, _record_of(manifest, report, database_only=database_only))
    missing = await _missing_master_keys(settings)
    return _report(manifest, report, order, missing, database_only=database_only)


async def _require_empty_place(settings: Settings, *, database_only: bool) -> bool:
    """Return whether a restore was begun there; nothing is made, be it the lock of the data directory.

    Raises:
        EntrepotError: database or store are not empty, or can't be used.
    """
    url = metadata_url(settings)
    if not database_only:
        async with open_blob_store(settings, look_only=True) as store:
            await require_empty_store(store, resumed=await is_reserved(url))
    return await require_loadable(url)


async def _rehearse(
    settings: Settings, manifest: SnapshotManifest, *, resumed: bool, database_only: bool
) -> int:
    if not resumed and await is_without_registry(settings):
        say_rehearsed_on_nothing(settings)
    print(_describe(manifest, database_only=database_only))
    return EXIT_OK


async def _restore(
    settings: Settings,
    repository: BackupRepository,
    manifest: SnapshotManifest,
    store: BlobStore,
    order: RestoreOrder,
    *,
    database_only: bool,
) -> RestoreReport:
    url = metadata_url(settings)
    if not uses_postgresql(settings):
        metadata_path(settings).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if await reserve_for_load(url, manifest.id):
        print("going on with a restore that was not finished", file=sys.stderr)
    reach(Failpoint.RESTORE_RESERVED)
    observer = ProgressObserver()
    options = RestoreOptions(
        database_only=database_only, parallel=order.parallel, bytes_per_second=order.rate
    )
    load, record = partial(open_load, url), partial(_record_of, manifest, database_only=database_only)
    try:
        report = await WholeRestore(repository, manifest, store, load, options, observer, record).run()
    finally:
        observer.end()
    await migrate(url, None, partial(print, file=sys.stderr))
    return report


def _record_of(manifest: SnapshotManifest, report: RestoreReport, *, database_only: bool) -> NewAuditRecord:
    """Return what the restored log tells: that it is that of a backup."""
    after: dict[str, object] = {
        "database_only": database_only,
        "rows": report.rows,
        "blobs": report.blobs,
        "missing": len(report.missing),
    }
    about = AuditObject("backup", manifest.id)
    return audit_record(host_operator(), AuditAction.BACKUP_RESTORE, about, after=after)


async def _record_late(settings: Settings, record: NewAuditRecord) -> None:
    """Record the restore of a snapshot that is older than the audit log, now that the migrations made one."""
    async with open_command_metadata(settings) as metadata:
        await metadata.write(lambda tx: tx.audit.append(record))


async def _missing_master_keys(settings: Settings) -> Sequence[str]:
    """Return the ids of those that sealed the keys in the database: no backup holds them."""
    async with open_command_metadata(settings) as metadata:
        needed = await sealing_master_keys(metadata)
    return sorted(needed - await asyncio.to_thread(present_master_keys, settings))


def _describe(manifest: SnapshotManifest, *, database_only: bool) -> str:
    bytes_too = "" if database_only else f" and {manifest.blobs} blobs, {format_bytes(manifest.blob_bytes)}"
    rows = sum(manifest.counts.values())
    return f"snapshot {manifest.id} would be restored: {rows} rows{bytes_too}; nothing was changed"


def _report(
    manifest: SnapshotManifest,
    report: RestoreReport,
    order: RestoreOrder,
    missing_keys: Sequence[str],
    *,
    database_only: bool,
) -> int:
    if order.output == "json":
        print_json({"snapshot": manifest.id, "report": report, "missing_master_keys": missing_keys})
    else:
        print(f"snapshot {manifest.id} restored: {report.rows} rows, {report.blobs} blobs", end="")
        print(f" ({format_bytes(report.blob_bytes)})" if report.blobs else "")
        for digest, reason in sorted(report.missing.items()):
            print(f"  without its bytes: {digest}: {reason}")
        if missing_keys:
            print(
                f"The backup does not hold the master key {', '.join(missing_keys)}, without which no registry with "
                "accounts starts on this database: copy secrets/master.key of the former data directory, or set "
                "secrets.master_key. If it is lost: entrepot keys renew."
            )
        if database_only:
            print(
                "Run entrepot rebuild --catch-up before the registry is started: the store may know of later pushes."
            )
    return EXIT_CHECK_FAILED if report.missing else EXIT_OK
