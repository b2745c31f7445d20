"""``entrepot backup list``: the snapshots of a backup repository."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from entrepot.backup.dates import part_by_date, part_doubtful
from entrepot.backup.errors import BackupDamagedError
from entrepot.backup.format import place_of
from entrepot.backup.snapshots import is_finished, list_ids, read_manifest
from entrepot.ops.backup.options import (
    BackupChoice,
    ConfigOption,
    DataOption,
    FromOption,
    PassphraseOption,
    warn,
)
from entrepot.ops.backup.target import opened_repository
from entrepot.ops.errors import EXIT_CHECK_FAILED, EXIT_OK
from entrepot.ops.output import OutputOption, format_table, print_json
from entrepot.ops.progress import format_bytes
from entrepot.ops.running import run_to_its_end

if TYPE_CHECKING:
    from entrepot.backup.dates import DatedSnapshots
    from entrepot.backup.format import SnapshotPlace

__all__ = ["ListedSnapshot", "list_backups"]


@dataclass(frozen=True, slots=True)
class ListedSnapshot:
    """A line of the list; of a snapshot that is not finished only its id is known.

    Attributes:
        state: complete, incomplete (some blobs were lost already), unfinished or damaged (its manifest).
        created_at: by the clock of the registry's database, ISO 8601.
        dated_ahead: whether its id is later than this host's clock allows (F27).
        doubtful: whether it is older than one of its registry whose id is earlier (F27).
    """

    id: str
    state: str
    created_at: str = ""
    label: str = ""
    repositories: int = 0
    manifests: int = 0
    tags: int = 0
    blobs: int = 0
    blob_bytes: int = 0
    new_blob_bytes: int = 0
    schema_version: int = 0
    encrypted: bool = False
    dated_ahead: bool = False
    doubtful: bool = False


def list_backups(
    *,
    source: FromOption = "",
    passphrase_file: PassphraseOption = None,
    config: ConfigOption = None,
    data: DataOption = None,
    output: OutputOption = "text",
) -> int:
    """List all snapshots, oldest first; exit 1 if the newest one that is finished is not complete.

    One that is dated ahead of this host's clock, or after a newer one, is not taken for the newest.
    """
    rows, dated = run_to_its_end(_list(BackupChoice.of(config, data, source, passphrase_file)))
    if dated.set_aside:
        warn(f"{dated.explain()}. `entrepot backup prune --snapshot ID` removes one")
    if output == "json":
        print_json(rows)
    else:
        print(_render(rows))
    finished = [row for row in rows if row.state != "unfinished" and row.id in dated.past]
    return EXIT_OK if finished and finished[-1].state == "complete" else EXIT_CHECK_FAILED


def _told_by_date(
    rows: list[ListedSnapshot], places: list[SnapshotPlace]
) -> tuple[list[ListedSnapshot], DatedSnapshots]:
    dated = part_doubtful(part_by_date(row.id for row in rows), places)
    told = [
        replace(row, dated_ahead=row.id in dated.ahead, doubtful=row.id in dated.doubtful) for row in rows
    ]
    return told, dated


async def _list(choice: BackupChoice) -> tuple[list[ListedSnapshot], DatedSnapshots]:
    rows: list[ListedSnapshot] = []
    places: list[SnapshotPlace] = []
    async with opened_repository(choice) as repository:
        for snapshot in await list_ids(repository.store):
            if not await is_finished(repository.store, snapshot):
                rows.append(ListedSnapshot(snapshot, "unfinished", encrypted=repository.encrypted))
                continue
            try:
                manifest = await read_manifest(repository, snapshot)
            except BackupDamagedError:
                rows.append(ListedSnapshot(snapshot, "damaged", encrypted=repository.encrypted))
                continue
            places.append(place_of(manifest))
            rows.append(
                ListedSnapshot(
                    snapshot,
                    "complete" if manifest.complete else "incomplete",
                    datetime.fromtimestamp(manifest.created_at // 1000, UTC).isoformat(),
                    manifest.label,
                    manifest.counts.get("repositories", 0),
                    manifest.counts.get("manifests", 0),
                    manifest.counts.get("tags", 0),
                    manifest.blobs,
                    manifest.blob_bytes,
                    manifest.new_blob_bytes,
                    manifest.schema_version,
                    repository.encrypted,
                )
            )
    return _told_by_date(rows, places)


def _state_of(row: ListedSnapshot) -> str:
    doubt = ", ahead" if row.dated_ahead else ", doubtful" if row.doubtful else ""
    return f"{row.state}{doubt}"


def _render(rows: list[ListedSnapshot]) -> str:
    if not rows:
        return "There is no snapshot."
    header = ("ID", "TAKEN", "STATE", "REPOSITORIES", "TAGS", "BLOBS", "SIZE", "NEW", "SEALED", "LABEL")
    return format_table(
        header,
        [
            (
                row.id,
                row.created_at,
                _state_of(row),
                str(row.repositories),
                str(row.tags),
                str(row.blobs),
                format_bytes(row.blob_bytes),
                format_bytes(row.new_blob_bytes),
                "yes" if row.encrypted else "no",
                row.label,
            )
            for row in rows
        ],
    )
