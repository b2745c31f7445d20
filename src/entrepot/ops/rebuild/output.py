"""Prints what a rebuild made, what it had to leave out, and what to do next."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final

from entrepot.ops.output import format_json, format_table
from entrepot.ops.progress import format_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from entrepot.metadata.rebuild_work import RebuildWork
    from entrepot.rebuild.position import Position
    from entrepot.rebuild.report import JournalSummary, RebuildReport

__all__ = ["DryRun", "keep_result", "print_choice", "print_result"]

_SHOWN: Final = 50
"""Lines of each kind that people are shown; JSON has them all."""
_NOT_REBUILT: Final = (
    "people, groups, roles, members, robots, tokens, labels, which projects are public, settings made over the API, "
    "the audit log and the keys that sign, upload sessions, statistics of pulls, and whatever else no push or delete "
    "has written down"
)
_ANOTHER_LOG: Final = (
    "The audit log begins anew: before that, move the files of audit/checkpoints in the data directory of each node to "
    "where the exports of the old log are kept. entrepot audit verify calls them FOREIGN here."
)


@dataclass(frozen=True, slots=True)
class DryRun:
    """What a dry run found of the database as it is: nothing, or where it stands, and the facts it has not seen.

    `earlier_facts` says how many of those have smaller numbers than its last one, `first_unseen` the number of the
    first of all. `problem` says why it can't be read, if so: that is what a rebuild is for. `refusal` says why
    `--catch-up` would do nothing with it, if so.
    """

    position: Position | None
    unseen_facts: int = 0
    earlier_facts: int = 0
    first_unseen: int = 0
    problem: str = ""
    refusal: str = ""


def print_choice(journals: Sequence[JournalSummary], output: str) -> None:
    """Print what lies in the storage, for somebody who has to choose."""
    if output == "json":
        print(format_json({"finished": False, "journals": [asdict(one) for one in journals]}))
        return
    print(
        "The storage holds the journals of several databases. Choose with --incarnation; given more than once,"
    )
    print("they are replayed in that order, the oldest first.")
    rows = [
        (
            one.incarnation,
            f"{one.facts:,}",
            _moment(one.first_at_milliseconds),
            _moment(one.last_at_milliseconds),
            f"{one.repository_count:,}: {', '.join(one.repositories)}",
        )
        for one in journals
    ]
    print(format_table(("incarnation", "facts", "first", "last", "repositories"), rows))


def _moment(milliseconds: int | None) -> str:
    from datetime import UTC, datetime  # noqa: PLC0415  # only here, and costly at the start of every command

    if milliseconds is None:
        return "-"
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def print_result(report: RebuildReport, work: RebuildWork, dry_run: DryRun | None, output: str) -> None:
    """Print everything that is known."""
    if output == "json":
        print(format_json(_as_json(report, work, dry_run)))
        return
    for line in _lines(report, work, dry_run):
        print(line)


def keep_result(report: RebuildReport, work: RebuildWork, path: Path) -> None:
    """Write everything that is known to a file, durably, as `-o json` prints it."""
    with path.open("w", encoding="utf-8") as file:
        file.write(format_json(_as_json(report, work, None)) + "\n")
        file.flush()
        os.fsync(file.fileno())


def _as_json(report: RebuildReport, work: RebuildWork, dry_run: DryRun | None) -> dict[str, object]:
    result: dict[str, object] = {"finished": True, "dry_run": dry_run is not None, **asdict(report)}
    result["losses"] = [asdict(one) for one in work.losses()]
    result["lost_tags"] = [asdict(one) for one in work.lost_tags()]
    result["spots"] = [asdict(one) for one in work.spots()]
    if dry_run is not None and (position := dry_run.position) is not None:
        result["database"] = {
            **asdict(position),
            "unseen_facts": dry_run.unseen_facts,
            "earlier_facts": dry_run.earlier_facts,
            "first_unseen": dry_run.first_unseen,
            "database_is_behind": position.database_is_behind or dry_run.earlier_facts > 0,
            "storage_is_behind": position.storage_is_behind,
            "refusal": dry_run.refusal,
        }
    if dry_run is not None and dry_run.problem:
        result["database"] = {"problem": dry_run.problem}
    return result


def _lines(report: RebuildReport, work: RebuildWork, dry_run: DryRun | None) -> Iterator[str]:
    yield "Nothing was changed. A rebuild would bring:" if dry_run is not None else "The rebuild is finished."
    yield f"  database      {' → '.join((*report.ancestors, report.incarnation))}"
    yield f"  facts         {report.facts:,} read, {report.applied:,} applied"
    if (totals := report.totals) is not None:
        yield f"  repositories  {totals.repositories:,}"
        yield f"  tags          {totals.tags:,}"
        yield f"  manifests     {totals.manifests:,}"
        yield f"  blobs         {totals.blobs:,} ({format_bytes(totals.blob_bytes)})"
    yield from (
        f"  unused        {gaps.described()}: numbers in the journal of {gaps.incarnation} that no fact has, as pushes "
        "that were rolled back leave them, or whole files of the journal that are gone"
        for gaps in report.gaps
    )
    yield from _leftovers(report)
    yield from _damage(report, work)
    if dry_run is not None:
        yield from _comparison(dry_run)
        if report.totals is not None:
            yield f"Not in the storage, so a rebuild would not bring: {_NOT_REBUILT}."
        return
    place = "as they were in this database" if report.totals is None else "not in the database"
    yield f"Not in the storage, so {place}: {_NOT_REBUILT}."
    yield "Next: entrepot serve" if report.is_whole else "Next: read what was left out, then entrepot serve"
    if report.totals is not None:
        yield _ANOTHER_LOG


def _leftovers(report: RebuildReport) -> Iterator[str]:
    left = report.leftovers
    if not (left.blobs or left.manifests or left.staged):
        return
    if report.lost_parts:
        fate = (
            "some may be what only the lost parts of the journal told of: the sweep of orphans removes none before "
            "these are mended or given up, as entrepot verify says, and it has run again."
        )
    else:
        fate = "the sweep of orphans removes them after housekeeping.orphan_grace_seconds"
        # What a verification found before a catch-up keeps it away until another one.
        fate += (
            "."
            if report.totals is not None
            else ", once no verification knows of any damage that forbids it."
        )
    yield (
        f"No row mentions {left.blobs:,} blobs ({format_bytes(left.blob_bytes)}), {left.manifests:,} manifests and "
        f"{left.staged:,} objects of unfinished uploads ({format_bytes(left.staged_bytes)}); {fate}"
    )


def _damage(report: RebuildReport, work: RebuildWork) -> Iterator[str]:
    if report.lost_tags:
        yield f"Tags left out ({report.lost_tags:,}):"
        yield from (
            f"  {one.repository}:{one.tag} -> {one.digest}" for one in islice(work.lost_tags(), _SHOWN)
        )
    if report.losses:
        yield f"Left out ({report.losses:,}):"
        for one in islice(work.losses(), _SHOWN):
            named = f"{one.repository}@{one.digest}" if one.digest else one.repository
            yield f"  {one.what} {named}: {one.reason}"
    if report.spots:
        yield f"Parts of the journal that can't be read, or contradict others ({report.spots:,}):"
        yield from (f"  {one.key}: {one.reason}" for one in islice(work.spots(), _SHOWN))
    if max(report.lost_tags, report.losses, report.spots) > _SHOWN:
        yield f"Only {_SHOWN} of each kind are shown; -o json shows all."


def _comparison(dry_run: DryRun) -> Iterator[str]:
    position = dry_run.position
    if dry_run.problem:
        yield f"The database can't be read ({dry_run.problem}). Move it away, then entrepot rebuild makes a new one."
    elif position is None:
        yield "There is no database yet, or an empty one: entrepot rebuild makes it."
    elif position.storage_is_behind:
        yield (
            f"The storage is older than the database: facts {position.journal_last + 1} to {position.surely_written} "
            "are not in its journal. What was pushed since can't be pulled. Do not rebuild: put the newer storage in "
            "place, or let entrepot verify --repair --force take this one as it is."
        )
    elif dry_run.refusal:
        yield f"The database can't be brought up to date, entrepot rebuild --catch-up refuses: {dry_run.refusal}."
    elif dry_run.earlier_facts:
        behind = dry_run.unseen_facts - dry_run.earlier_facts
        yield (
            f"The database lacks {dry_run.earlier_facts:,} facts of the journal, from {dry_run.first_unseen} on, "
            f"though it knows later ones, and {behind:,} behind those, as where a file of the journal was away when it "
            "was rebuilt. Bring it up to date with entrepot rebuild --catch-up. That leaves what later facts changed "
            "as it is, and names what it could not do therefore; what is shown above is a rebuild of an empty database."
        )
    elif position.database_is_behind:
        yield (
            f"The database is older than the storage: it has not seen {dry_run.unseen_facts:,} facts after "
            f"{position.database_last}. Bring it up to date with entrepot rebuild --catch-up."
        )
    elif position.database_last == 0:
        yield "The database is empty: entrepot rebuild fills it."
    elif position.waiting:
        yield (
            f"The database knows everything that the journal tells, and {position.waiting:,} facts that are not in a "
            "segment of it yet: there is nothing to rebuild. A running registry writes them within seconds; until then "
            "a rebuild may lack some."
        )
    else:
        yield "The database knows everything that the journal tells: there is nothing to rebuild."
