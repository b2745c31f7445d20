"""Upload sessions: leased by one request at a time, changed only by the holder of the current fence (F30)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from entrepot.metadata.records import ExpiredUpload, Missing, TimesAhead, UploadLease, UploadSession
from entrepot.metadata.sql.statements import Statement

if TYPE_CHECKING:
    from entrepot.metadata.records import NewUploadSession, UploadProgress
    from entrepot.metadata.sql.statements import Executor, ReadExecutor

__all__ = ["POINT_READS", "STATEMENTS", "SqlUploadSessionReader", "SqlUploadSessionWriterRows"]

_MILLISECONDS: Final = 1000
_SHORTENED_AT_ONCE: Final = 1000

FIND: Final = Statement(
    "upload_sessions.find",
    """
    SELECT s.public_id, s.byte_offset
    FROM repositories r
    LEFT JOIN upload_sessions s ON s.public_id = :public_id AND s.repository_id = r.id
        AND s.creator = :creator AND s.expires_at > {now}
    WHERE r.name = :repository AND r.deleted_at IS NULL
    """,
)
LEASE_OWNERS: Final = Statement(
    "upload_sessions.lease_owners",
    """
    SELECT DISTINCT lease_owner FROM upload_sessions
    WHERE lease_owner >= :prefix AND substr(lease_owner, 1, length(:prefix)) = :prefix
    ORDER BY lease_owner
    """,
)
CREATE: Final = Statement(
    "upload_sessions.create",
    """
    INSERT INTO upload_sessions (public_id, repository_id, creator, algorithm, created_at, updated_at, expires_at)
    VALUES (:public_id, :repository_id, :creator, :algorithm, {now}, {now}, {now} + :time_to_live)
    ON CONFLICT (public_id) DO NOTHING
    """,
)
LEASE: Final = Statement(
    "upload_sessions.lease",
    """
    UPDATE upload_sessions
    SET fence = fence + 1, lease_owner = :owner, lease_until = {now} + :lease_time, updated_at = {now}
    WHERE public_id = :public_id AND creator = :creator AND expires_at > {now}
        AND repository_id = (SELECT r.id FROM repositories r WHERE r.name = :repository AND r.deleted_at IS NULL)
        AND (lease_owner IS NULL OR lease_until <= {now})
    RETURNING repository_id, fence, byte_offset, algorithm, digest_so_far, state
    """,
)
RENEW: Final = Statement(
    "upload_sessions.renew",
    """
    UPDATE upload_sessions SET lease_until = {now} + :lease_time
    WHERE public_id = :public_id AND fence = :fence AND lease_owner IS NOT NULL
    """,
)
# The second alternative is this very change, done before: the same holder recorded it and the reply was lost.
RECORD: Final = Statement(
    "upload_sessions.record",
    """
    UPDATE upload_sessions
    SET byte_offset = :byte_offset, algorithm = :algorithm, digest_so_far = :digest_so_far, state = :state,
        lease_owner = NULL, lease_until = NULL, updated_at = {now}, expires_at = {now} + :time_to_live
    WHERE public_id = :public_id AND fence = :fence
        AND (lease_owner IS NOT NULL AND byte_offset = :expected_offset
             OR lease_owner IS NULL AND byte_offset = :byte_offset AND state = :state)
    """,
)
RELEASE: Final = Statement(
    "upload_sessions.release",
    """
    UPDATE upload_sessions SET lease_owner = NULL, lease_until = NULL
    WHERE public_id = :public_id AND fence = :fence
    """,
)
REMOVE: Final = Statement(
    "upload_sessions.remove",
    "DELETE FROM upload_sessions WHERE public_id = :public_id AND fence = :fence AND lease_owner IS NOT NULL",
)
# The conditions stand twice: a session that somebody leases between the two steps is left alone on PostgreSQL too.
REMOVE_EXPIRED: Final = Statement(
    "upload_sessions.remove_expired",
    """
    DELETE FROM upload_sessions
    WHERE public_id IN (
        SELECT s.public_id FROM upload_sessions s
        WHERE s.expires_at <= {now} AND (s.lease_owner IS NULL OR s.lease_until <= {now})
        ORDER BY s.expires_at LIMIT :rows
    ) AND expires_at <= {now} AND (lease_owner IS NULL OR lease_until <= {now})
    RETURNING public_id, fence, byte_offset, state
    """,
)
# Each side is one step along an index; the comparisons hold for every row that counts, and lead the engines there.
TIMES: Final = Statement(
    "upload_sessions.times",
    """
    SELECT coalesce((SELECT max(lease_until) FROM upload_sessions WHERE lease_owner > ''), 0) - {now},
        coalesce((SELECT max(expires_at) FROM upload_sessions WHERE expires_at > 0), 0) - {now}
    FROM instance WHERE id = 1
    """,
)
SHORTEN_LEASES: Final = Statement(
    "upload_sessions.shorten_leases",
    """
    UPDATE upload_sessions SET lease_until = {now} + :lease_time
    WHERE lease_owner > '' AND lease_until > {now} + :lease_time
    """,
)
# The last ones along their index: PostgreSQL searches none for a time that moves on while it searches.
SHORTEN_LIVES: Final = Statement(
    "upload_sessions.shorten_lives",
    """
    UPDATE upload_sessions SET expires_at = {now} + :time_to_live
    WHERE public_id IN (
        SELECT s.public_id FROM upload_sessions s WHERE s.expires_at > 0 ORDER BY s.expires_at DESC LIMIT :rows
    ) AND expires_at > {now} + :time_to_live
    """,
)
RELEASE_OWNER: Final = Statement(
    "upload_sessions.release_owner",
    "UPDATE upload_sessions SET lease_owner = NULL, lease_until = NULL WHERE lease_owner = :owner",
)

POINT_READS: Final = (FIND,)
STATEMENTS: Final = (
    *POINT_READS,
    LEASE_OWNERS,
    CREATE,
    LEASE,
    RENEW,
    RECORD,
    RELEASE,
    REMOVE,
    REMOVE_EXPIRED,
    TIMES,
    SHORTEN_LEASES,
    SHORTEN_LIVES,
    RELEASE_OWNER,
)


class SqlUploadSessionReader:
    """Implements :class:`entrepot.metadata.upload_store.UploadSessionReader`."""

    def __init__(self, executor: ReadExecutor) -> None:
        self._executor = executor

    async def find(self, repository: str, public_id: str, creator: str) -> UploadSession | Missing:
        """See the protocol."""
        return await _find(self._executor, repository, public_id, creator)

    async def lease_owners(self, prefix: str) -> list[str]:
        """See the protocol."""
        return [str(row[0]) for row in await self._executor.fetch_rows(LEASE_OWNERS, prefix=prefix)]

    async def furthest(self) -> TimesAhead:
        """See the protocol."""
        ((lease, end),) = await self._executor.fetch_rows(TIMES)
        return TimesAhead(max(int(lease), 0), max(int(end), 0))


class SqlUploadSessionWriterRows:
    """Implements :class:`entrepot.metadata.upload_store.UploadSessionWriterRows`."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def create(self, session: NewUploadSession) -> None:
        """See the protocol."""
        await self._executor.execute(
            CREATE,
            public_id=session.public_id,
            repository_id=session.repository_id,
            creator=session.creator,
            algorithm=session.algorithm,
            time_to_live=session.time_to_live_seconds * _MILLISECONDS,
        )

    async def lease(
        self, repository: str, public_id: str, creator: str, owner: str, lease_seconds: int
    ) -> UploadLease | Missing | None:
        """See the protocol. A lease that its own owner holds is held too: two requests of one process also collide."""
        row = await self._executor.fetch_row(
            LEASE,
            repository=repository,
            public_id=public_id,
            creator=creator,
            owner=owner,
            lease_time=lease_seconds * _MILLISECONDS,
        )
        if row is None:
            found = await _find(self._executor, repository, public_id, creator)
            return found if isinstance(found, Missing) else None
        repository_id, fence, offset, algorithm, digest_so_far, state = row
        return UploadLease(public_id, repository_id, fence, offset, algorithm, digest_so_far, state)

    async def renew(self, public_id: str, fence: int, lease_seconds: int) -> bool:
        """See the protocol. A lease past its time that nobody took meanwhile is still its holder's."""
        lease_time = lease_seconds * _MILLISECONDS
        return (
            await self._executor.execute(RENEW, public_id=public_id, fence=fence, lease_time=lease_time) == 1
        )

    async def record(self, progress: UploadProgress) -> bool:
        """See the protocol."""
        changed = await self._executor.execute(
            RECORD,
            public_id=progress.public_id,
            fence=progress.fence,
            expected_offset=progress.expected_offset,
            byte_offset=progress.offset,
            algorithm=progress.algorithm,
            digest_so_far=progress.digest_so_far,
            state=progress.state,
            time_to_live=progress.time_to_live_seconds * _MILLISECONDS,
        )
        return changed == 1

    async def release(self, public_id: str, fence: int) -> None:
        """See the protocol."""
        await self._executor.execute(RELEASE, public_id=public_id, fence=fence)

    async def remove(self, public_id: str, fence: int) -> bool:
        """See the protocol."""
        return await self._executor.execute(REMOVE, public_id=public_id, fence=fence) == 1

    async def remove_expired(self, limit: int) -> list[ExpiredUpload]:
        """See the protocol."""
        return [ExpiredUpload(*row) for row in await self._executor.fetch_rows(REMOVE_EXPIRED, rows=limit)]

    async def shorten(self, lease_seconds: int, life_seconds: int) -> None:
        """See the protocol."""
        await self._executor.execute(SHORTEN_LEASES, lease_time=lease_seconds * _MILLISECONDS)
        await self._executor.execute(
            SHORTEN_LIVES, time_to_live=life_seconds * _MILLISECONDS, rows=_SHORTENED_AT_ONCE
        )

    async def release_owner(self, owner: str) -> int:
        """See the protocol."""
        return await self._executor.execute(RELEASE_OWNER, owner=owner)


async def _find(
    executor: ReadExecutor, repository: str, public_id: str, creator: str
) -> UploadSession | Missing:
    row = await executor.fetch_row(FIND, repository=repository, public_id=public_id, creator=creator)
    if row is None:
        return Missing.REPOSITORY
    found_id, offset = row
    return Missing.CONTENT if found_id is None else UploadSession(found_id, offset)
