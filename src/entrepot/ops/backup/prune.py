"""``entrepot backup prune``: removes old snapshots and the blobs that only they needed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from entrepot.auth.audit_actions import AuditAction
from entrepot.auth.audit_records import AuditObject
from entrepot.backup.dates import part_by_date
from entrepot.backup.pruning import PruneChoice, Pruning
from entrepot.ops.backup.options import (
    BackupChoice,
    ConfigOption,
    DataOption,
    FromOption,
    OutputOption,
    PassphraseOption,
    ProgressObserver,
    warn,
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

_KeepOption = Annotated[
    int | None, Parameter(name="--keep", help="How many of the newest finished snapshots stay.")
]
_SnapshotsOption = Annotated[
    tuple[str, ...],
    Parameter(
        name="--snapshot",
        negative="",
        help="Remove this snapshot, whatever its date, instead of the oldest; may be given again.",
    ),
]
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
    keep: _KeepOption = None,
    snapshot: _SnapshotsOption = (),
    source: FromOption = "",
    discard_unfinished: _DiscardOption = False,
    dry_run: _DryRunOption = False,
    passphrase_file: PassphraseOption = None,
    config: ConfigOption = None,
    data: DataOption = None,
    output: OutputOption = "text",
) -> int:
    """Remove all but the newest snapshots, or the named ones, and blobs that none of the others needs.

    Backups wait meanwhile. Snapshots that are dated ahead of this host's clock, or after a newer one, are not counted,
    and stay unless named.
    """
    _require_sense(keep, snapshot)
    choice = BackupChoice.of(config, data, source, passphrase_file)
    what = PruneChoice(keep or 1, snapshot, discard_unfinished)
    report = run_to_its_end(_prune(choice, what, dry_run=dry_run))
    dated = replace(part_by_date(report.ahead), doubtful=report.doubtful)
    if dated.set_aside:
        warn(f"{dated.explain()}. Not counted, and kept; `entrepot backup prune --snapshot ID` removes one")
    if output == "json":
        print_json(report)
    else:
        verb = "would be removed" if dry_run else "removed"
        print(
            f"{len(report.removed)} snapshots, {len(report.unfinished)} unfinished ones and {report.blobs} blobs "
            f"({format_bytes(report.blob_bytes)}) {verb}; {len(report.staying)} snapshots stay"
        )
    return EXIT_OK


def _require_sense(keep: int | None, snapshots: tuple[str, ...]) -> None:
    if keep is not None and keep < 1:
        raise CommandError(
            EXIT_USAGE, "entrepot: --keep must be 1 at least; to end a repository, delete its place"
        )
    if (keep is None) != bool(snapshots):
        raise CommandError(EXIT_USAGE, "entrepot: say --keep, how many stay, or --snapshot, which ones go")


async def _prune(choice: BackupChoice, what: PruneChoice, *, dry_run: bool) -> PruneReport:
    observer = ProgressObserver()
    async with opened_repository(choice) as repository:
        if not dry_run:
            about = AuditObject("backup", what.snapshots[0] if len(what.snapshots) == 1 else "")
            await record_act(choice.settings, AuditAction.BACKUP_PRUNE, about, _for_the_record(what))
        pruning = Pruning(repository, observer, what)
        try:
            return await (pruning.plan() if dry_run else pruning.run())
        finally:
            observer.end()


def _for_the_record(what: PruneChoice) -> dict[str, object]:
    chosen = {"snapshots": " ".join(what.snapshots)} if what.snapshots else {"keep": what.keep}
    return {**chosen, "discard_unfinished": what.discard_unfinished}
