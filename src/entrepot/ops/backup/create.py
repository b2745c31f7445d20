"""``entrepot backup create``: takes a snapshot of the registry, running or not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import Parameter

from entrepot.auth.audit_actions import AuditAction
from entrepot.auth.audit_records import AuditObject
from entrepot.backup.creation import BackupCreation, CreationOptions
from entrepot.backup.snapshots import fuller_ones, ids_by_date
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
    from entrepot.backup.dates import DatedSnapshots
    from entrepot.backup.format import SnapshotManifest

__all__ = ["create_backup", "render_snapshot"]

_TOLD_FROM_MILLISECONDS: Final = 1000
"""Clocks of several registries that share a target are less apart, and their backups may begin together."""

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
    manifest, dated, fuller = run_to_its_end(_create(choice, options))
    _warn_of_clocks(manifest, dated)
    _warn_of_fuller_ones(fuller)
    if output == "json":
        print_json(manifest)
    else:
        print(render_snapshot(manifest))
    return EXIT_OK if manifest.complete else EXIT_CHECK_FAILED


async def _create(
    choice: BackupChoice, options: CreationOptions
) -> tuple[SnapshotManifest, DatedSnapshots, tuple[str, ...]]:
    """Return the snapshot, which ids there are now, and which of them hold more of a registry that was set back."""
    observer = ProgressObserver()
    dump = partial(open_dump, metadata_url(choice.settings))
    async with open_command_stores(choice.settings) as stores, repository_to_write(choice) as repository:
        creation = BackupCreation(stores.metadata, stores.blobs, repository, dump, options, observer)
        about = AuditObject("backup", "")
        await record_act_on(stores.metadata, AuditAction.BACKUP_CREATE, about, {"label": options.label})
        try:
            manifest = await creation.run()
            dated = await ids_by_date(repository.store)
            return manifest, dated, await fuller_ones(repository, dated, manifest)
        finally:
            observer.end()


def _warn_of_clocks(manifest: SnapshotManifest, dated: DatedSnapshots) -> None:
    """Say what a clock that is wrong, or was, makes of the snapshot that was just taken (F27)."""
    if manifest.id in dated.ahead:
        warn(
            f"{dated.explain()}. Prunes and restores leave it out: mend the database's clock, or this host's"
        )
    elif dated.ahead:
        warn(
            f"{dated.explain()}. If this host's clock is behind, set it, and make another backup then; else remove "
            "them: `entrepot backup prune --snapshot ID`"
        )
    if manifest.behind_milliseconds >= _TOLD_FROM_MILLISECONDS:
        behind = timedelta(seconds=manifest.behind_milliseconds // 1000)
        taken = datetime.fromtimestamp(manifest.created_at // 1000, UTC)
        warn(
            f"the database's clock ({taken:%Y-%m-%dT%H:%M:%SZ}) is behind that of the last backup by {behind}; the "
            f"name of this one, {manifest.id}, bears a time right after that one's, so that it is the newest. Set "
            "the clock"
        )


def _warn_of_fuller_ones(fuller: tuple[str, ...]) -> None:
    """Say what becomes of snapshots of a history that the registry has left."""
    if fuller:
        holds = "1 earlier snapshot holds" if len(fuller) == 1 else f"{len(fuller)} earlier snapshots hold"
        warn(
            f"{holds} more of this registry, which was set back since then: {', '.join(fuller)}. Prunes and restores "
            "take the new one for the newest all the same; `entrepot backup restore --snapshot ID` takes another"
        )


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
