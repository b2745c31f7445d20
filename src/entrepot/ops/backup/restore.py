"""``entrepot backup restore``: the whole registry, its database, lost blobs, or single repositories."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from entrepot.ops.backup.options import (
    BackupChoice,
    ConfigOption,
    DataOption,
    FromOption,
    OutputOption,
    ParallelOption,
    PassphraseOption,
    RateOption,
    SnapshotOption,
    rate_of,
)
from entrepot.ops.backup.restore_parts import RestoreOrder, heal_blobs, restore_repositories
from entrepot.ops.backup.restore_whole import restore_whole
from entrepot.ops.errors import EXIT_USAGE, CommandError
from entrepot.ops.running import run_to_its_end

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["restore_backup"]

_DatabaseOption = Annotated[
    bool,
    Parameter(
        name="--database-only",
        negative="",
        help="Only the database, onto the blob store it had; then run entrepot rebuild --catch-up.",
    ),
]
_BlobsOption = Annotated[
    bool,
    Parameter(
        name="--blobs-only",
        negative="",
        help="Only blobs whose bytes this registry has lost; it may run meanwhile.",
    ),
]
_RepositoryOption = Annotated[
    tuple[str, ...],
    Parameter(
        name="--repository",
        help="A repository, or a pattern with * and ?, into this registry, which may run; may be given again.",
    ),
]
_AllOption = Annotated[
    bool, Parameter(name="--all-repositories", negative="", help="The same as --repository '*'.")
]
_AsOption = Annotated[str, Parameter(name="--as", help="What the only repository is called here.")]
_OverwriteOption = Annotated[
    bool, Parameter(name="--overwrite", negative="", help="Move tags that point at something else here.")
]
_ForceOption = Annotated[
    bool,
    Parameter(
        name="--force",
        negative="",
        help="With --blobs-only: fill the storage even if it lacks so much that it may be a wrong one.",
    ),
]
_DryRunOption = Annotated[
    bool, Parameter(name="--dry-run", negative="", help="Change nothing; say what would be restored.")
]


@dataclass(frozen=True, slots=True)
class _Modes:
    database_only: bool
    blobs_only: bool
    patterns: tuple[str, ...]
    new_name: str
    overwrite: bool
    force: bool


def restore_backup(
    *,
    source: FromOption = "",
    snapshot: SnapshotOption = "",
    database_only: _DatabaseOption = False,
    blobs_only: _BlobsOption = False,
    repository: _RepositoryOption = (),
    all_repositories: _AllOption = False,
    new_name: _AsOption = "",
    overwrite: _OverwriteOption = False,
    force: _ForceOption = False,
    dry_run: _DryRunOption = False,
    parallel: ParallelOption = 4,
    rate: RateOption = "",
    passphrase_file: PassphraseOption = None,
    config: ConfigOption = None,
    data: DataOption = None,
    output: OutputOption = "text",
) -> int:
    """Restore a snapshot, by default whole into an empty registry that is stopped; exit 1 if something is missing."""
    patterns = (*repository, *(("*",) if all_repositories else ()))
    modes = _Modes(database_only, blobs_only, patterns, new_name, overwrite, force)
    _require_sense(modes)
    choice = BackupChoice.of(config, data, source, passphrase_file)
    order = RestoreOrder(snapshot, dry_run, max(1, parallel), rate_of(rate), output)
    if blobs_only:
        return run_to_its_end(heal_blobs(choice, order, force=force))
    if patterns:
        return run_to_its_end(
            restore_repositories(choice, order, patterns, new_name=new_name, overwrite=overwrite)
        )
    return run_to_its_end(restore_whole(choice, order, database_only=database_only))


def _require_sense(modes: _Modes) -> None:
    chosen: Sequence[str] = [
        name
        for name, given in (
            ("--database-only", modes.database_only),
            ("--blobs-only", modes.blobs_only),
            ("--repository", bool(modes.patterns)),
        )
        if given
    ]
    if len(chosen) > 1:
        raise CommandError(EXIT_USAGE, f"entrepot: {chosen[0]} and {chosen[1]} can't be had in one run")
    if (modes.new_name or modes.overwrite) and not modes.patterns:
        raise CommandError(EXIT_USAGE, "entrepot: --as and --overwrite belong to --repository")
    if modes.force and not modes.blobs_only:
        raise CommandError(EXIT_USAGE, "entrepot: --force belongs to --blobs-only")
