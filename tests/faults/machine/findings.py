"""What the faults did, gathered while they are tried and written down at the end of a long run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Findings"]


@dataclass(frozen=True, slots=True)
class Findings:
    """By row of the fault matrix and by case: how often it was tried, which answers were seen, how long things took."""

    cases: dict[str, dict[str, dict[str, list[Any]]]] = field(
        default_factory=dict[str, dict[str, dict[str, list[Any]]]]
    )

    def note(self, row: str, case: str, *, statuses: Sequence[int | str] = (), **seen: float) -> None:
        """Take one try into account.

        Args:
            row: `F5`.
            case: what was done, in words.
            statuses: the answers that the fault caused.
            seen: `..._seconds` are durations, everything else counts.
        """
        noted = self.cases.setdefault(row, {}).setdefault(case, {"tries": []})
        noted["tries"].append(1)
        if statuses:
            noted.setdefault("statuses", []).extend(statuses)
        for name, value in seen.items():
            noted.setdefault(name, []).append(value)

    def facts(self) -> dict[str, Any]:
        """Return the summary for an evidence file."""
        return {
            row: {case: _summary(noted) for case, noted in sorted(cases.items())}
            for row, cases in sorted(self.cases.items(), key=lambda item: int(item[0].removeprefix("F")))
        }


def _summary(noted: Mapping[str, list[Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, values in noted.items():
        if name.endswith("_seconds"):
            found[name] = {"least": round(min(values), 3), "most": round(max(values), 3)}
        elif name == "statuses":
            found[name] = sorted(set(values), key=str)
        else:
            found[name] = sum(values)
    return found
