"""Check of times in the database that lie further ahead of its clock than anybody writes them (F27)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from entrepot.ops.checks.finding import Finding, passed, warned

if TYPE_CHECKING:
    from collections.abc import Sequence

    from entrepot.metadata.outbox_store import Backlog
    from entrepot.metadata.store import Metadata
    from entrepot.settings import Settings

__all__ = ["TimeAhead", "find_times_ahead", "judge_times_ahead"]

_MILLISECONDS: Final = 1000
_JITTER_MILLISECONDS: Final = 1000
"""The statements of this check run one after another, and clocks of machines that take over from one another differ."""

_DAY_SECONDS: Final = 86400


@dataclass(frozen=True, slots=True)
class TimeAhead:
    """Something that is dated by `seconds` ahead of the database's clock, which is further than it can be."""

    what: str
    seconds: float


async def find_times_ahead(metadata: Metadata, settings: Settings, backlog: Backlog) -> list[TimeAhead]:
    """Return all of them.

    Raises:
        MetadataError: the database can't be asked.
    """
    from entrepot.lifecycle.scrub.job import SCRUB_SWEEP, longest_pause  # noqa: PLC0415 - loads much; only when asked
    from entrepot.lifecycle.scrub.ledger import read_dated_progress  # noqa: PLC0415 - as above
    from entrepot.registry.pushes.leases import LONGEST_LEASE_SECONDS  # noqa: PLC0415 - as above
    from entrepot.registry.sweeps.orphans import SWEEP_NAME  # noqa: PLC0415 - as above
    from entrepot.registry.sweeps.turns import LONGEST_TURN_SECONDS  # noqa: PLC0415 - as above
    from entrepot.registry.sweeps.upload_expiry import HEALING_SESSION_SECONDS  # noqa: PLC0415 - as above

    times = _Times()
    pauses = {SWEEP_NAME: settings.housekeeping.orphan_sweep_period_seconds}
    if settings.verify.period_seconds:
        pauses[SCRUB_SWEEP] = longest_pause(settings.verify.period_seconds)
    for sweep in await metadata.diagnosis.sweep_times():
        times.look(f"the lease of the sweep {sweep.name}", sweep.lease or 0, LONGEST_TURN_SECONDS)
        if sweep.name in pauses:
            times.look(f"the next turn of the sweep {sweep.name}", sweep.due, pauses[sweep.name])
        elif sweep.name == "backup":
            times.look("the end of the last backup", sweep.due, 0)
    progress, now = await read_dated_progress(metadata, SCRUB_SWEEP)
    times.look("the end of the last scheduled verification", progress.completed_at_milliseconds - now, 0)
    uploads = await metadata.upload_sessions.furthest()
    longest_life = max(settings.uploads.session_ttl_seconds, HEALING_SESSION_SECONDS)
    times.look("the lease of an upload", uploads.lease, LONGEST_LEASE_SECONDS)
    times.look("the end of an unfinished upload", uploads.end, longest_life)
    times.look("an orphan", await metadata.diagnosis.youngest_orphan(), 0)
    times.look("a fact that waits for the journal", backlog.furthest_milliseconds, 0)
    return times.found


class _Times:
    def __init__(self) -> None:
        self.found: list[TimeAhead] = []

    def look(self, what: str, ahead_milliseconds: int, longest_seconds: int) -> None:
        if ahead_milliseconds > longest_seconds * _MILLISECONDS + _JITTER_MILLISECONDS:
            self.found.append(TimeAhead(what, ahead_milliseconds / _MILLISECONDS))


def judge_times_ahead(found: Sequence[TimeAhead]) -> Finding:
    """Judge them: they do no lasting harm, and tell that a clock was wrong."""
    if not found:
        return passed("times-ahead", "no time in the database lies further ahead of its clock than it can")
    listed = "; ".join(f"{one.what} by {_describe(one.seconds)}" for one in found)
    remedy = (
        "The database's clock was ahead and was put right, it is behind now, or a period in the settings was "
        "shortened. See that it is right (chrony, systemd-timesyncd). A running registry puts the rest right by "
        "itself, once it has seen that clock run steadily for ten minutes: turns, leases and facts within another "
        "minute, orphans with the next pass. A command that needs a lease waits as long, and puts it right itself. For "
        "a backup, make one."
    )
    return warned("times-ahead", f"dated further ahead of the database's clock than can be: {listed}", remedy)


def _describe(seconds: float) -> str:
    return f"{seconds / _DAY_SECONDS:.1f} days" if seconds >= _DAY_SECONDS else f"{seconds:.0f} s"
