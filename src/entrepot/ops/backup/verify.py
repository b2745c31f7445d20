"""``entrepot backup verify``: whether snapshots can be restored, by sizes and checksums or by every byte."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from cyclopts import Parameter

from entrepot.backup.blob_index import index_blobs
from entrepot.backup.snapshots import find_snapshot, is_finished, list_ids
from entrepot.backup.verification import SnapshotVerification, VerificationReport
from entrepot.ops.backup.options import (
    BackupChoice,
    ConfigOption,
    DataOption,
    FromOption,
    OutputOption,
    ParallelOption,
    PassphraseOption,
    ProgressObserver,
    RateOption,
    SnapshotOption,
    rate_of,
    warn,
)
from entrepot.ops.backup.target import opened_repository
from entrepot.ops.errors import EXIT_CHECK_FAILED, EXIT_OK
from entrepot.ops.output import print_json
from entrepot.ops.progress import format_bytes
from entrepot.ops.running import run_to_its_end

__all__ = ["verify_backup"]

_FastOption = Annotated[
    bool,
    Parameter(
        name="--fast", negative="", help="Read rows only; of blobs look at name and size, not at their bytes."
    ),
]
_AllOption = Annotated[bool, Parameter(name="--all", negative="", help="Every finished snapshot.")]


@dataclass(frozen=True, slots=True)
class _Outcome:
    snapshot: str
    report: VerificationReport


@dataclass(frozen=True, slots=True)
class _How:
    fast: bool
    every: bool
    parallel: int
    rate: int | None


def verify_backup(
    *,
    source: FromOption = "",
    snapshot: SnapshotOption = "",
    every: _AllOption = False,
    fast: _FastOption = False,
    parallel: ParallelOption = 4,
    rate: RateOption = "",
    passphrase_file: PassphraseOption = None,
    config: ConfigOption = None,
    data: DataOption = None,
    output: OutputOption = "text",
) -> int:
    """Check that everything a snapshot needs is there and, unless --fast, hashes to its digest; exit 1 if not."""
    choice = BackupChoice.of(config, data, source, passphrase_file)
    how = _How(fast=fast, every=every, parallel=max(1, parallel), rate=rate_of(rate))
    outcomes = run_to_its_end(_verify(choice, snapshot, how))
    if output == "json":
        print_json(outcomes)
    else:
        print("\n".join(line for outcome in outcomes for line in _render(outcome, fast=fast)))
    return EXIT_CHECK_FAILED if any(outcome.report.problems for outcome in outcomes) else EXIT_OK


async def _verify(choice: BackupChoice, snapshot: str, how: _How) -> list[_Outcome]:
    observer = ProgressObserver()
    async with opened_repository(choice) as repository:
        index = await index_blobs(repository.store)
        verification = SnapshotVerification(
            repository,
            index,
            observer,
            fast=how.fast,
            parallel=how.parallel,
            bytes_per_second=how.rate,
        )
        chosen = [snapshot]
        if how.every:
            ids = await list_ids(repository.store)
            chosen = [one for one in ids if await is_finished(repository.store, one)]
        outcomes: list[_Outcome] = []
        try:
            for one in chosen:
                manifest = await find_snapshot(repository, one, warn)
                outcomes.append(_Outcome(manifest.id, await verification.run(manifest)))
        finally:
            observer.end()
        return outcomes


def _render(outcome: _Outcome, *, fast: bool) -> list[str]:
    report = outcome.report
    verb = "seen" if fast else "read"
    blobs = f"{report.blobs} blobs ({format_bytes(report.blob_bytes)}) {verb}"
    lines = [
        f"snapshot {outcome.snapshot}: {report.chunks} chunks of rows read, {blobs}, {len(report.problems)} problems"
    ]
    return lines + [f"  {problem}" for problem in report.problems]
