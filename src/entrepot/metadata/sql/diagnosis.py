"""What an operator's examination asks: the database's clock, and how fast the store grows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from entrepot.metadata.diagnosis import RecentGrowth, StoppedRobot, SweepTimes
from entrepot.metadata.sql.statements import Statement

if TYPE_CHECKING:
    from entrepot.metadata.sql.statements import ReadExecutor

__all__ = ["STATEMENTS", "SqlDiagnosisReader"]

_MILLISECONDS: Final = 1000

CLOCK: Final = Statement("diagnosis.clock", "SELECT {now} FROM instance WHERE id = 1")
# Along the primary key from its end: the cost is bounded by :rows, not by the size of the registry.
RECENT_GROWTH: Final = Statement(
    "diagnosis.recent_growth",
    """
    SELECT count(*), coalesce(sum(size_bytes), 0), coalesce(min(created_at), 0)
    FROM (SELECT size_bytes, created_at FROM blobs WHERE id > 0 ORDER BY id DESC LIMIT :rows) AS page
    WHERE created_at > {now} - :age
    """,
)

# By the subjects of operators of the host ("host:" and a login name) robots are bound to their own permissions only.
STOPPED_ROBOTS: Final = Statement(
    "diagnosis.stopped_robots",
    """
    SELECT s.name, c.name
    FROM subjects s
    JOIN robots r ON r.subject_id = s.id
    LEFT JOIN subjects c ON c.public_id = r.creator AND c.kind = 'user'
    LEFT JOIN projects p ON p.id = r.project_id
    WHERE s.kind = 'robot' AND s.disabled_at IS NULL AND (r.expires_at IS NULL OR r.expires_at > {now})
        AND p.deleted_at IS NULL AND r.creator NOT LIKE 'host:%' AND (c.id IS NULL OR c.disabled_at IS NOT NULL)
    ORDER BY r.subject_id
    LIMIT :rows
    """,
)

# The condition holds for every row, and lets the engines walk along the primary key, here and below.
SWEEP_TIMES: Final = Statement(
    "diagnosis.sweep_times",
    "SELECT name, lease_until - {now}, due_at - {now} FROM sweeps WHERE name > '' ORDER BY name",
)
YOUNGEST_ORPHAN: Final = Statement(
    "diagnosis.youngest_orphan",
    "SELECT coalesce(max(seen_at - {now}), 0) FROM orphans WHERE storage_key > ''",
)

STATEMENTS: Final = (CLOCK, RECENT_GROWTH, STOPPED_ROBOTS, SWEEP_TIMES, YOUNGEST_ORPHAN)


class SqlDiagnosisReader:
    """Implements :class:`entrepot.metadata.diagnosis.DiagnosisReader`."""

    def __init__(self, executor: ReadExecutor) -> None:
        self._executor = executor

    async def clock_milliseconds(self) -> int:
        """See the protocol."""
        ((milliseconds,),) = await self._executor.fetch_rows(CLOCK)
        return int(milliseconds)

    async def stopped_robots(self, most: int) -> list[StoppedRobot]:
        """See the protocol."""
        rows = await self._executor.fetch_rows(STOPPED_ROBOTS, rows=most)
        return [StoppedRobot(name, sponsor) for name, sponsor in rows]

    async def sweep_times(self) -> list[SweepTimes]:
        """See the protocol."""
        return [SweepTimes(*row) for row in await self._executor.fetch_rows(SWEEP_TIMES)]

    async def youngest_orphan(self) -> int:
        """See the protocol."""
        ((ahead,),) = await self._executor.fetch_rows(YOUNGEST_ORPHAN)
        return max(int(ahead), 0)

    async def recent_growth(self, seconds: int, most_blobs: int) -> RecentGrowth:
        """See the protocol."""
        ((blobs, size_bytes, since),) = await self._executor.fetch_rows(
            RECENT_GROWTH, age=seconds * _MILLISECONDS, rows=most_blobs
        )
        return RecentGrowth(int(blobs), int(size_bytes), int(since))
