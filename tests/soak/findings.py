"""What came of one run of the soak, and what of it goes into the evidence."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tests.soak.client import MIX

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.soak.client import SoakClient
    from tests.soak.flatness import Verdict
    from tests.soak.sampling import Sampler

__all__ = ["SoakRun", "findings_of"]

_COURSE: Final = 12
"""About so many samples are kept in the evidence."""


@dataclass(slots=True)
class SoakRun:
    """What came of one run."""

    sampler: Sampler
    clients: Sequence[SoakClient]
    seconds: float
    log_errors: list[str]

    @property
    def requests(self) -> int:
        """How many requests were answered rightly."""
        return sum(len(client.record.latencies) for client in self.clients)

    @property
    def failures(self) -> list[str]:
        """The first failures of each client."""
        return [sentence for client in self.clients for sentence in client.record.failures]

    @property
    def failed_requests(self) -> int:
        """How many requests failed."""
        return sum(client.record.failed_requests for client in self.clients)

    @property
    def watched(self) -> int:
        """How many large bodies were watched while they were read."""
        return sum(client.large_blobs.watched for client in self.clients)

    @property
    def read_by_threads(self) -> int:
        """How many of these a thread was reading."""
        return sum(client.large_blobs.read_by_threads for client in self.clients)


def findings_of(
    run: SoakRun, rate: float, warm_up_seconds: float, verdicts: Sequence[Verdict]
) -> dict[str, Any]:
    """Return what a reader of the evidence is told."""
    operations: dict[str, list[float]] = {}
    for client in run.clients:
        for operation, seconds in client.record.latencies:
            operations.setdefault(operation, []).append(seconds)
    counted = [sample for sample in run.sampler.samples if "rows.links" in sample]
    return {
        "operations": run.requests,
        "setup": "sqlite+filesystem",
        "clients": len(run.clients),
        "requests_per_second": rate,
        "mix": MIX,
        "failed_requests": run.failed_requests,
        "failures": run.failures,
        "errors_in_the_log": run.log_errors,
        "large_bodies_watched": run.watched,
        "large_bodies_read_by_threads": run.read_by_threads,
        "most_seconds_behind_schedule": round(max(c.record.late_seconds for c in run.clients), 3),
        "requests": {name: len(found) for name, found in sorted(operations.items())},
        "milliseconds": {name: _percentiles(found) for name, found in sorted(operations.items())},
        "warm_up_seconds": warm_up_seconds,
        "flatness": {
            verdict.name: {
                "first": verdict.first,
                "last": verdict.last,
                "highest": verdict.highest,
                "growth_per_hour": round(verdict.growth_per_hour, 1),
                "growth": round(verdict.growth, 1),
                "allowed_growth": verdict.bound.growth,
                "allowed_maximum": verdict.bound.maximum,
                "holds": verdict.holds,
            }
            for verdict in verdicts
        },
        "rows_at_first": counted[0],
        "rows_after_warm_up": next(s for s in counted if s["seconds"] >= warm_up_seconds),
        "rows_at_last": counted[-1],
        "samples": len(run.sampler.samples),
        # A cache that fills bends, a leak is straight: the figures of start and end alone don't tell them apart.
        "course": counted[:: max(1, len(counted) // _COURSE)],
    }


def _percentiles(seconds: Sequence[float]) -> dict[str, float]:
    ordered = sorted(seconds)
    return {
        "median": round(statistics.median(ordered) * 1000, 2),
        "p99": round(ordered[int(len(ordered) * 0.99)] * 1000, 2),
        "highest": round(ordered[-1] * 1000, 2),
    }
