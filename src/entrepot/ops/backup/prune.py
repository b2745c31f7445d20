"""``entrepot backup prune``: removes old snapshots and the blobs that only they needed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from entrepot.auth.audit_actions import AuditAction
from entrepot.auth.audit_records import AuditObject
from entrepot.backup.pruning import Pruning
from entrepot.ops.backup.options import (
    BackupChoice,
    ConfigOption,
    DataOption,
    FromOption,
    OutputOption,
    PassphraseOption,
    ProgressObserver,
)
from entrepot.ops.backup.target import opened_repository
from entrepot.ops.command_records import record_act
from entrepot.ops.errors import EXIT_OK, EXIT_USAGE, CommandError
from entrepot.ops.output import print_json
from entrepot.ops.progress import format_bytes
from entrepot.ops.running import run_to_its_end

if TYPE_CHECKING:
    from entrepot.backup.pruning import PruneReport

__all__ = ["prune_backups"]

_KeepOption = Annotated[int, Parameter(name="--keep", help="How many of the newest finished snapshots stay.")]
_DiscardOption = Annotated[
    bool,
    Parameter(
        name="--discard-unfinished",
        negative="",
        help="Remove unfinished snapshots, too: only when no backup to this target is running.",
    ),
]
_DryRunOption = Annotated[
    bool, Parameter(name="--dry-run", negative="", help="Remove nothing; say what would be removed.")
]


def prune_backups(
    *,
    keep: _KeepOption,
    source: FromOption = "",
    discard_unfinished: _DiscardOption = False,
    dry_run: _DryRunOption = False,
    passphrase_file: PassphraseOption = None,
    config: ConfigOption = None,
    data: DataOption = None,
    output: OutputOption = "text",
) -> int:
    """Remove all but the newest snapshots, and blobs that none of those needs; backups wait meanwhile."""
    if keep < 1:
        raise CommandError(
            EXIT_USAGE, "entrepot: --keep must be 1 at least; to end a repository, delete its place"
        )
    choice = BackupChoice.of(config, data, source, passphrase_file)
    report = run_to_its_end(_prune(choice, keep, discard_unfinished=discard_unfinished, dry_run=dry_run))
    if output == "json":
        print_json(report)
    else:
        verb = "would be removed" if dry_run else "removed"
        print(
            f"{len(report.removed)} snapshots, {len(report.unfinished)} unfinished ones and {report.blobs} blobs "
            f"({format_bytes(report.blob_bytes)}) {verb}; {len(report.kept)} snapshots stay"
        )
    return EXIT_OK


async def _prune(choice: BackupChoice, keep: int, *, discard_unfinished: bool, dry_run: bool) -> PruneReport:
    observer = ProgressObserver()
    async with opened_repository(choice) as repository:
        if not dry_run:
            after = {"keep": keep, "discard_unfinished": discard_unfinished}
            await record_act(choice.settings, AuditAction.BACKUP_PRUNE, AuditObject("backup", ""), after)
        pruning = Pruning(repository, observer, keep=keep, discard_unfinished=discard_unfinished)
        try:
            return await (pruning.plan() if dry_run else pruning.run())
        finally:
            observer.end()
