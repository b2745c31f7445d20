"""``entrepot backup create``: takes a snapshot of the registry, running or not."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from entrepot.auth.audit_actions import AuditAction
from entrepot.auth.audit_records import AuditObject
from entrepot.backup.creation import BackupCreation, CreationOptions
from entrepot.backup.dates import part_by_date
from entrepot.metadata.sql.dumping import open_dump
from entrepot.ops.backup.options import (
    BackupChoice,
    ConfigOption,
    DataOption,
    OutputOption,
    ParallelOption,
    PassphraseOption,
    ProgressObserver,
    RateOption,
    ToOption,
    rate_of,
    warn,
)
from entrepot.ops.backup.target import repository_to_write
from entrepot.ops.command_records import record_act_on
from entrepot.ops.command_stores import open_command_stores
from entrepot.ops.errors import EXIT_CHECK_FAILED, EXIT_OK
from entrepot.ops.output import print_json
from entrepot.ops.progress import format_bytes
from entrepot.ops.running import run_to_its_end
from entrepot.settings import metadata_url

if TYPE_CHECKING:
    from entrepot.backup.format import SnapshotManifest

__all__ = ["create_backup", "render_snapshot"]

_LabelOption = Annotated[str, Parameter(name="--label", help="A few words that the list will show.")]


def create_backup(
    *,
    to: ToOption = "",
    label: _LabelOption = "",
    parallel: ParallelOption = 4,
    rate: RateOption = "",
    passphrase_file: PassphraseOption = None,
    config: ConfigOption = None,
    data: DataOption = None,
    output: OutputOption = "text",
) -> int:
    """Take a snapshot; only blobs that no earlier snapshot has are copied. Exit 1 if some could not be read whole."""
    choice = BackupChoice.of(config, data, to, passphrase_file)
    options = CreationOptions(" ".join(label.split()), max(1, parallel), rate_of(rate))
    manifest = run_to_its_end(_create(choice, options))
    dated = part_by_date([manifest.id])
    if dated.ahead:
        warn(
            f"{dated.explain()}. Prunes and restores leave it out: mend the database's clock, or this host's"
        )
    if output == "json":
        print_json(manifest)
    else:
        print(render_snapshot(manifest))
    return EXIT_OK if manifest.complete else EXIT_CHECK_FAILED


async def _create(choice: BackupChoice, options: CreationOptions) -> SnapshotManifest:
    observer = ProgressObserver()
    dump = partial(open_dump, metadata_url(choice.settings))
    async with open_command_stores(choice.settings) as stores, repository_to_write(choice) as repository:
        creation = BackupCreation(stores.metadata, stores.blobs, repository, dump, options, observer)
        about = AuditObject("backup", "")
        await record_act_on(stores.metadata, AuditAction.BACKUP_CREATE, about, {"label": options.label})
        try:
            return await creation.run()
        finally:
            observer.end()


def render_snapshot(manifest: SnapshotManifest) -> str:
    """Return what a person wants to know of a snapshot that was just taken."""
    tables = ("repositories", "manifests", "tags")
    lines = [
        f"snapshot {manifest.id}",
        "  " + ", ".join(f"{manifest.counts.get(table, 0)} {table}" for table in tables),
        f"  {manifest.blobs} blobs, {format_bytes(manifest.blob_bytes)}",
        f"  new: {manifest.new_blobs} blobs, {format_bytes(manifest.new_blob_bytes)}",
    ]
    if not manifest.complete:
        lines.append(
            f"  INCOMPLETE: {len(manifest.damaged)} could not be backed up, since the registry lost them:"
        )
        lines += [f"    {blob.digest}: {blob.reason}" for blob in manifest.damaged]
        lines.append(
            "  Run entrepot verify; heal them from an older snapshot (restore --blobs-only) or push again."
        )
    return "\n".join(lines)
