"""What `entrepot verify` shows: progress while it works, a table for people or JSON for programs at its end."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import msgspec

from entrepot.lifecycle.scrub.findings import Kind, Outcome
from entrepot.ops.output import format_json, format_table
from entrepot.ops.progress import Progress, format_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from entrepot.lifecycle.scrub import ledger
    from entrepot.lifecycle.scrub.findings import Finding

__all__ = ["ProgressWatcher", "VerifyReport", "print_report"]

_NAMED_TAGS = 3
_ASIDE = frozenset({Kind.QUARANTINED})
_MENDABLE = frozenset(
    {
        Kind.MISSING,
        Kind.TRUNCATED,
        Kind.OVERLONG,
        Kind.CORRUPT,
        Kind.COPY_MISSING,
        Kind.COPY_DAMAGED,
        Kind.JOURNAL_GAP,
    }
)


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """How a verification ended, or how far one has come.

    Attributes:
        standing: the damage that is known to stand, by kind, whoever found it.
    """

    progress: ledger.Progress
    findings: tuple[Finding, ...]
    standing: Mapping[str, int]
    resumed: bool
    interrupted: bool

    @property
    def result(self) -> Literal["sound", "damaged", "interrupted", "running", "never"]:
        """The result in a word; the last two are of scheduled verifications."""
        if self.interrupted:
            return "interrupted"
        if any(self.progress.damaged.values()):
            return "damaged"
        if self.progress.running:
            return "running"
        return "sound" if self.progress.completed_at_milliseconds else "never"


class ProgressWatcher:
    """Draws a line for each phase and tells of damage when it is found."""

    def __init__(self, *, silent: bool) -> None:
        self._silent = silent
        self._progress: Progress | None = None

    def begin(self, phase: str, total: int | None, *, in_bytes: bool) -> None:
        """A phase begins."""
        self.finish()
        unit: Literal["bytes", "items"] = "bytes" if in_bytes else "items"
        self._progress = Progress(phase, unit=unit, total=total, silent=self._silent)

    def advance(self, count: int) -> None:
        """So much more is done."""
        if self._progress is not None:
            self._progress.advance(count)

    def found(self, finding: Finding) -> None:
        """Show it above the line."""
        if self._progress is not None:
            self._progress.say(f"{finding.kind}: {finding.about} {finding.name}: {finding.detail}")

    def finish(self) -> None:
        """Leave the last line standing."""
        if self._progress is not None:
            self._progress.finish()
            self._progress = None


def print_report(report: VerifyReport, output: Literal["text", "json"]) -> None:
    """Print the result on standard output."""
    print(format_json(_as_document(report)) if output == "json" else _as_text(report))
    if report.interrupted:
        print("Interrupted. Go on with: entrepot verify --resume", file=sys.stderr)


def _as_document(report: VerifyReport) -> dict[str, object]:
    progress = report.progress
    return {
        "result": report.result,
        "resumed": report.resumed,
        "fast": progress.fast,
        "restricted_to": list(progress.repositories),
        "examined": progress.counts,
        "read_bytes": progress.read_bytes,
        "damaged": progress.damaged,
        "orphans": {"objects": progress.orphans, "bytes": progress.orphan_bytes},
        "completed_at_milliseconds": progress.completed_at_milliseconds or None,
        "findings_not_kept": max(progress.findings - len(report.findings), 0),
        "findings": [
            msgspec.to_builtins(finding) | {"damage": finding.is_damage} for finding in report.findings
        ],
    }


def _as_text(report: VerifyReport) -> str:
    progress = report.progress
    lines: list[str] = []
    if report.findings:
        rows = [
            (
                finding.kind.value,
                finding.about,
                finding.name,
                finding.outcome.value + (f" ({finding.source})" if finding.source else ""),
                _hit(finding),
            )
            for finding in report.findings
        ]
        lines += [format_table(("KIND", "ABOUT", "NAME", "DONE", "HIT"), rows), ""]
    examined = ", ".join(f"{count} {name}" for name, count in progress.counts.items() if count)
    lines.append(f"Examined {examined or 'nothing'}; {format_bytes(progress.read_bytes)} were hashed.")
    if progress.orphans:
        size = format_bytes(progress.orphan_bytes)
        lines.append(
            f"{progress.orphans} objects ({size}) belong to no row; {_fate_of_orphans(report.standing)}"
        )
    lines.append(_verdict(report))
    return "\n".join(lines)


def _fate_of_orphans(standing: Mapping[str, int]) -> str:
    if standing.get(Kind.DATABASE_GAP):
        return (
            "some may be what the database lacks: the sweep removes none before entrepot rebuild --catch-up, or what "
            "was found asks for, and another verification."
        )
    if standing.get(Kind.JOURNAL_LOST):
        return "some may be what only the lost part of the journal told of: the sweep removes none for now."
    return "the sweep removes them in time."


def _verdict(report: VerifyReport) -> str:
    left = sum(report.progress.damaged.values())
    mended = sum(finding.outcome in {Outcome.HEALED, Outcome.RESTORED} for finding in report.findings)
    said = f" {mended} healed." if mended else ""
    if report.interrupted:
        return f"Not complete: {left} damaged so far.{said}"
    if report.result == "never":
        return "No scheduled verification has come to its end yet."
    if report.result == "running":
        return "A scheduled verification is under way; what it examined so far is sound."
    if left == 0:
        return f"Everything that was examined is sound.{said}"
    return f"{left} damaged.{said} {_remedy(report.findings)}"


def _remedy(findings: tuple[Finding, ...]) -> str:
    untouched = [finding for finding in findings if finding.is_damage and finding.outcome is Outcome.FOUND]
    if any(finding.kind in _MENDABLE for finding in untouched):
        return "entrepot verify --repair heals what it can and sets the rest aside, so that a push brings it back."
    if all(finding.kind in _ASIDE or finding.outcome is Outcome.QUARANTINED for finding in findings):
        return "Push the images named above again, or run it with --repair --heal-from a store that has them."
    return "See the guide to entrepot verify for each kind."


def _hit(finding: Finding) -> str:
    """Return tags that are hit, or repositories where no tag is."""
    names = finding.tags or finding.repositories
    more = finding.more or len(names) > _NAMED_TAGS
    return ", ".join(names[:_NAMED_TAGS]) + (" …" if more else "") if names else "-"
