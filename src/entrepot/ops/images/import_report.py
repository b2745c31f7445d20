"""Tells what became of an import: lines for people, one object for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from entrepot.ops.progress import format_bytes

if TYPE_CHECKING:
    from entrepot.transfer.report import ImportReport

__all__ = ["render_report", "report_as_json"]

_MOST_LINES: Final = 50
_TRANSFERS: Final = {
    "linked": "hard-linked",
    "cloned": "cloned",
    "copied": "copied",
    "received": "received",
    "mounted": "linked from other repositories",
}


def render_report(report: ImportReport, *, rehearsal: bool) -> str:
    """Return what happened, or would happen, and what is wrong, in lines."""
    lines = [
        "Nothing was changed. An import would do this:" if rehearsal else "",
        f"{'repositories':<14}{report.repositories}",
        f"{'tags':<14}{report.tags_set} set, {report.tags_present} there before, {len(report.kept)} kept as they are",
        f"{'manifests':<14}{report.manifests_stored} stored, {report.manifests_present} there before",
    ]
    lines += [
        f"{'blobs':<14}{amount.count} {_TRANSFERS[transfer]} ({format_bytes(amount.bytes)})"
        for transfer, amount in sorted(report.blobs.items())
    ]
    lines.append(f"{'new bytes':<14}{report.stored_bytes} ({format_bytes(report.stored_bytes)})")
    if not rehearsal:
        lines.append(f"{'compared':<14}{report.compared}, {len(report.differences)} differ")
    lines += _cut(
        [
            f"kept     {one.repository}:{one.tag}  here {one.target}, at the source {one.source}"
            for one in report.kept
        ]
    )
    lines += _cut(
        [
            f"missing  {one.repository}{':' if one.reference else ''}{one.reference}  {one.reason}"
            for one in report.problems
        ]
    )
    lines += _cut(
        [
            f"differs  {one.repository}:{one.reference}  {one.found or 'not there'} instead of {one.expected}"
            for one in report.differences
        ]
    )
    return "\n".join(line for line in lines if line)


def report_as_json(report: ImportReport, *, rehearsal: bool) -> dict[str, Any]:
    """Return all of it, nothing cut off."""
    return {
        "ok": report.is_complete,
        "dry_run": rehearsal,
        "repositories": report.repositories,
        "tags": {
            "set": report.tags_set,
            "present": report.tags_present,
            "kept": [
                {
                    "repository": one.repository,
                    "tag": one.tag,
                    "here": str(one.target),
                    "source": str(one.source),
                }
                for one in report.kept
            ],
        },
        "manifests": {"stored": report.manifests_stored, "present": report.manifests_present},
        "blobs": {
            transfer: {"count": amount.count, "bytes": amount.bytes}
            for transfer, amount in sorted(report.blobs.items())
        },
        "new_bytes": report.stored_bytes,
        "compared": report.compared,
        "problems": [
            {"repository": one.repository, "reference": one.reference, "reason": one.reason}
            for one in report.problems
        ],
        "differences": [
            {
                "repository": one.repository,
                "reference": one.reference,
                "expected": str(one.expected),
                "found": str(one.found) if one.found is not None else None,
            }
            for one in report.differences
        ],
    }


def _cut(lines: list[str]) -> list[str]:
    """Return no more lines than a person reads; programs get all."""
    if len(lines) <= _MOST_LINES:
        return lines
    return [*lines[:_MOST_LINES], f"… and {len(lines) - _MOST_LINES} more (-o json lists all)"]
