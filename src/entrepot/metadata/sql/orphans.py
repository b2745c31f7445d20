"""What the sweep of orphans needs to know and to remember: owners of bytes, candidates, and how far it has come."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from entrepot.metadata.records import Candidate, Owners, SweepClaim, TimesAhead
from entrepot.metadata.sql.statements import Statement

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from entrepot.metadata.sql.statements import Executor, ReadExecutor

__all__ = ["STATEMENTS", "SqlOrphanReader", "SqlOrphanRows"]

_MILLISECONDS: Final = 1000

# One statement on purpose: a push ends its session and adopts its blob in one unit, so one snapshot shows one of both.
OWNERS: Final = Statement(
    "orphans.owners",
    """
    SELECT 0, public_id FROM upload_sessions WHERE public_id IN {texts:uploads}
    UNION ALL
    SELECT 1, storage_key FROM blobs WHERE storage_key IN {texts:keys}
    UNION ALL
    SELECT 1, storage_key FROM manifest_bodies WHERE storage_key IN {texts:keys}
    """,
)
CANDIDATES: Final = Statement(
    "orphans.candidates",
    """
    SELECT storage_key, size_bytes, CASE WHEN seen_at <= {now} - :grace THEN 1 ELSE 0 END,
        CASE WHEN seen_at > {now} THEN seen_at - {now} ELSE 0 END
    FROM orphans WHERE storage_key > :after AND storage_key <= :last
    ORDER BY storage_key
    """,
)
# The condition holds for every key, and lets the engines walk along the primary key.
COUNT: Final = Statement(
    "orphans.count",
    "SELECT count(*), coalesce(sum(size_bytes), 0) FROM orphans WHERE storage_key > ''",
)
LAST_FACT: Final = Statement("orphans.last_fact", "SELECT coalesce(max(id), 0) FROM outbox")
REMEMBER: Final = Statement(
    "orphans.remember",
    """
    INSERT INTO orphans (storage_key, size_bytes, seen_at) VALUES (:storage_key, :size_bytes, {now})
    ON CONFLICT (storage_key) DO NOTHING
    """,
)
REDATE: Final = Statement(
    "orphans.redate",
    "UPDATE orphans SET seen_at = {now} WHERE storage_key IN {texts:keys} AND seen_at > {now}",
)
FORGET: Final = Statement("orphans.forget", "DELETE FROM orphans WHERE storage_key IN {texts:keys}")
PREPARE: Final = Statement(
    "sweeps.prepare",
    "INSERT INTO sweeps (name, progress, fence, due_at) VALUES (:name, '', 0, 0) ON CONFLICT (name) DO NOTHING",
)
TIMES: Final = Statement(
    "sweeps.times",
    "SELECT lease_until - {now}, due_at - {now} FROM sweeps WHERE name = :name {for_update}",
)
SHORTEN: Final = Statement(
    "sweeps.shorten",
    "UPDATE sweeps SET lease_until = {now} + :lease_time WHERE name = :name AND lease_until > {now} + :lease_time",
)
FALL_DUE: Final = Statement(
    "sweeps.fall_due", "UPDATE sweeps SET due_at = {now} WHERE name = :name AND due_at > {now} + :period"
)
CLAIM: Final = Statement(
    "sweeps.claim",
    """
    UPDATE sweeps SET fence = fence + 1, lease_until = {now} + :lease_time
    WHERE name = :name AND due_at <= {now} AND (lease_until IS NULL OR lease_until <= {now})
    RETURNING fence, progress
    """,
)
HOLD: Final = Statement(
    "sweeps.hold",
    """
    UPDATE sweeps SET fence = fence + 1, lease_until = {now} + :lease_time
    WHERE name = :name AND (lease_until IS NULL OR lease_until <= {now})
    RETURNING fence, progress
    """,
)
SAVE: Final = Statement(
    "sweeps.save",
    """
    UPDATE sweeps SET progress = :progress, lease_until = {now} + :lease_time WHERE name = :name AND fence = :fence
    """,
)
RELEASE: Final = Statement(
    "sweeps.release",
    """
    UPDATE sweeps SET progress = :progress, lease_until = NULL, due_at = {now} + :pause
    WHERE name = :name AND fence = :fence
    """,
)

STATEMENTS: Final = (
    OWNERS,
    CANDIDATES,
    COUNT,
    LAST_FACT,
    REMEMBER,
    REDATE,
    FORGET,
    PREPARE,
    TIMES,
    SHORTEN,
    FALL_DUE,
    CLAIM,
    HOLD,
    SAVE,
    RELEASE,
)


class SqlOrphanReader:
    """Implements :class:`entrepot.metadata.orphan_store.OrphanReader`."""

    def __init__(self, executor: ReadExecutor) -> None:
        self._executor = executor

    async def owners(self, uploads: Sequence[str], keys: Sequence[str]) -> Owners:
        """See the protocol."""
        rows = await self._executor.fetch_rows(
            OWNERS, uploads=json.dumps(list(uploads)), keys=json.dumps(list(keys))
        )
        return Owners(
            uploads=frozenset(str(name) for kind, name in rows if kind == 0),
            keys=frozenset(str(name) for kind, name in rows if kind == 1),
        )

    async def candidates(self, after: str, last: str, grace_seconds: int) -> Sequence[Candidate]:
        """See the protocol."""
        rows = await self._executor.fetch_rows(
            CANDIDATES, after=after, last=last, grace=grace_seconds * _MILLISECONDS
        )
        return [Candidate(key, size, due == 1, int(ahead)) for key, size, due, ahead in rows]

    async def count(self) -> tuple[int, int]:
        """See the protocol."""
        ((number, size),) = await self._executor.fetch_rows(COUNT)
        return int(number), int(size)

    async def last_fact(self) -> int:
        """See the protocol."""
        ((sequence,),) = await self._executor.fetch_rows(LAST_FACT)
        return int(sequence)


class SqlOrphanRows:
    """Implements :class:`entrepot.metadata.orphan_store.OrphanRows`."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def remember(self, sizes: Mapping[str, int]) -> None:
        """See the protocol."""
        await self._executor.execute_many(
            REMEMBER, [{"storage_key": key, "size_bytes": size} for key, size in sizes.items()]
        )

    async def redate(self, keys: Sequence[str]) -> None:
        """See the protocol."""
        if keys:
            await self._executor.execute(REDATE, keys=json.dumps(list(keys)))

    async def forget(self, keys: Sequence[str]) -> None:
        """See the protocol."""
        await self._executor.execute(FORGET, keys=json.dumps(list(keys)))

    async def put_right(self, name: str, lease_seconds: int, period_seconds: int | None) -> TimesAhead:
        """See the protocol."""
        row = await self._executor.fetch_row(TIMES, name=name)
        if row is None:
            return TimesAhead()
        lease_ahead, due_ahead = int(row[0] or 0), int(row[1])
        lease_time = lease_seconds * _MILLISECONDS
        if lease_ahead > lease_time:
            await self._executor.execute(SHORTEN, name=name, lease_time=lease_time)
        else:
            lease_ahead = 0
        if period_seconds is not None and due_ahead > period_seconds * _MILLISECONDS:
            await self._executor.execute(FALL_DUE, name=name, period=period_seconds * _MILLISECONDS)
        else:
            due_ahead = 0
        return TimesAhead(lease_ahead, due_ahead)

    async def claim(self, name: str, lease_seconds: int) -> SweepClaim | None:
        """See the protocol."""
        await self._executor.execute(PREPARE, name=name)
        row = await self._executor.fetch_row(CLAIM, name=name, lease_time=lease_seconds * _MILLISECONDS)
        return None if row is None else SweepClaim(name, *row)

    async def hold(self, name: str, lease_seconds: int) -> SweepClaim | None:
        """See the protocol."""
        await self._executor.execute(PREPARE, name=name)
        row = await self._executor.fetch_row(HOLD, name=name, lease_time=lease_seconds * _MILLISECONDS)
        return None if row is None else SweepClaim(name, *row)

    async def save(self, claim: SweepClaim, lease_seconds: int) -> bool:
        """See the protocol."""
        saved = await self._executor.execute(
            SAVE,
            name=claim.name,
            fence=claim.fence,
            progress=claim.progress,
            lease_time=lease_seconds * _MILLISECONDS,
        )
        return saved == 1

    async def release(self, claim: SweepClaim, pause_seconds: int) -> None:
        """See the protocol."""
        await self._executor.execute(
            RELEASE,
            name=claim.name,
            fence=claim.fence,
            progress=claim.progress,
            pause=pause_seconds * _MILLISECONDS,
        )
