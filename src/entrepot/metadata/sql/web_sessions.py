"""Logins in a browser: what makes one good is asked in the statement that finds it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from entrepot.metadata.session_store import LEEWAY_MILLISECONDS, EndedSession, SessionRow
from entrepot.metadata.sql.statements import Statement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from entrepot.metadata.session_store import NewSession
    from entrepot.metadata.sql.statements import Executor, ReadExecutor, Row

__all__ = ["STATEMENTS", "SqlSessionReader", "SqlSessionWriterRows"]

_REMOVED_AT_ONCE: Final = 20

_COLUMNS: Final = """w.id, w.public_id, s.id, s.public_id, s.name, w.address, w.user_agent, w.created_at,
           w.last_seen_at, w.expires_at, {now} - w.last_seen_at, u.must_change_password,
           {now} - u.password_changed_at, w.subject_epoch"""
# What makes a session good: its person is there and has not changed since, and it is in time and in use. Whether a
# clock that was ahead dated it is told apart by whoever finds it, who ends it then (F27). Lists show those, too, so
# that somebody can end them.
_OWNER: Final = (
    "JOIN subjects s ON s.id = w.subject_id AND s.epoch = w.subject_epoch AND s.disabled_at IS NULL"
)
_LASTS: Final = "w.expires_at > {now} AND w.last_seen_at > {now} - :idle"
_POSSIBLE: Final = "w.created_at <= {now} + [leeway] AND w.last_seen_at <= {now} + [leeway]".replace(
    "[leeway]", str(LEEWAY_MILLISECONDS)
)

FIND: Final = Statement(
    "web_sessions.find",
    """
    SELECT [columns]
    FROM web_sessions w
    [owner]
    JOIN users u ON u.subject_id = s.id
    WHERE w.secret_hash = :secret_hash AND [lasts]
    """.replace("[columns]", _COLUMNS)
    .replace("[owner]", _OWNER)
    .replace("[lasts]", _LASTS),
)
LIST_OF: Final = Statement(
    "web_sessions.list_of",
    """
    SELECT [columns]
    FROM web_sessions w
    [owner]
    JOIN users u ON u.subject_id = s.id
    WHERE w.subject_id = :person AND [lasts]
    ORDER BY w.id
    """.replace("[columns]", _COLUMNS)
    .replace("[owner]", _OWNER)
    .replace("[lasts]", _LASTS),
)
LIST_ALL: Final = Statement(
    "web_sessions.list_all",
    """
    SELECT [columns]
    FROM web_sessions w
    [owner]
    JOIN users u ON u.subject_id = s.id
    WHERE w.id > 0 AND [lasts]
    ORDER BY w.id LIMIT :rows OFFSET :skip
    """.replace("[columns]", _COLUMNS)
    .replace("[owner]", _OWNER)
    .replace("[lasts]", _LASTS),
)
COUNT_ALL: Final = Statement(
    "web_sessions.count_all",
    """
    SELECT count(*) FROM web_sessions w
    [owner]
    WHERE w.id > 0 AND [lasts]
    """.replace("[owner]", _OWNER).replace("[lasts]", _LASTS),
)
FIND_PUBLIC: Final = Statement(
    "web_sessions.find_public",
    """
    SELECT [columns]
    FROM web_sessions w
    JOIN subjects s ON s.id = w.subject_id
    JOIN users u ON u.subject_id = s.id
    WHERE w.public_id = :public_id
    """.replace("[columns]", _COLUMNS),
)
INSERT: Final = Statement(
    "web_sessions.insert",
    """
    INSERT INTO web_sessions (public_id, secret_hash, subject_id, subject_epoch, address, user_agent, created_at,
                              last_seen_at, expires_at)
    VALUES (:public_id, :secret_hash, :person, :epoch, :address, :user_agent, {now}, {now}, {now} + :lifetime)
    ON CONFLICT (public_id) DO NOTHING
    """,
)
DELETE_OLDEST: Final = Statement(
    "web_sessions.delete_oldest",
    """
    DELETE FROM web_sessions WHERE subject_id = :person AND id NOT IN
        (SELECT w.id FROM web_sessions w WHERE w.subject_id = :person AND [possible] ORDER BY w.id DESC LIMIT :kept)
    """.replace("[possible]", _POSSIBLE),
)
DELETE_OVER: Final = Statement(
    "web_sessions.delete_over",
    """
    DELETE FROM web_sessions WHERE id IN
        (SELECT w.id FROM web_sessions w WHERE w.expires_at <= {now} ORDER BY w.expires_at LIMIT :rows)
    """,
)
# What ends later than one that begins now does; where its beginning is possible, it began when more time was set.
DELETE_DATED_AHEAD: Final = Statement(
    "web_sessions.delete_dated_ahead",
    """
    DELETE FROM web_sessions WHERE id IN
        (SELECT w.id FROM web_sessions w WHERE w.expires_at > {now} + :lifetime AND NOT ([possible])
         ORDER BY w.expires_at DESC LIMIT :rows)
    """.replace("[possible]", _POSSIBLE),
)
# The conditions stand twice, as with uploads; the first one leads the engines along the primary key.
REMOVE_DATED_AHEAD: Final = Statement(
    "web_sessions.remove_dated_ahead",
    """
    DELETE FROM web_sessions
    WHERE id IN (
        SELECT w.id FROM web_sessions w WHERE w.id > 0 AND NOT ([possible]) ORDER BY w.id LIMIT :rows
    ) AND NOT ([still])
    RETURNING public_id,
        CASE WHEN created_at > last_seen_at THEN created_at ELSE last_seen_at END - {now}
    """.replace("[possible]", _POSSIBLE).replace("[still]", _POSSIBLE.replace("w.", "")),
)
# That it is in use is noted beside this lock.
HOLD_GOOD: Final = Statement(
    "web_sessions.hold_good",
    """
    SELECT w.id FROM web_sessions w
    WHERE w.public_id = :public_id AND w.expires_at > {now} AND [possible] {for_key_share}
    """.replace("[possible]", _POSSIBLE),
)
TOUCH: Final = Statement("web_sessions.touch", "UPDATE web_sessions SET last_seen_at = {now} WHERE id = :id")
DELETE: Final = Statement("web_sessions.delete", "DELETE FROM web_sessions WHERE id = :id")

STATEMENTS: Final = (
    FIND,
    LIST_OF,
    LIST_ALL,
    COUNT_ALL,
    FIND_PUBLIC,
    INSERT,
    DELETE_OLDEST,
    DELETE_OVER,
    DELETE_DATED_AHEAD,
    REMOVE_DATED_AHEAD,
    HOLD_GOOD,
    TOUCH,
    DELETE,
)


class SqlSessionReader:
    """Implements :class:`entrepot.metadata.session_store.SessionReader`."""

    def __init__(self, executor: ReadExecutor) -> None:
        self._executor = executor

    async def find(self, secret_hash: str, idle_milliseconds: int) -> SessionRow | None:
        """See the protocol."""
        rows = await self._executor.fetch_rows(FIND, secret_hash=secret_hash, idle=idle_milliseconds)
        return _session_from_row(rows[0]) if rows else None

    async def find_public(self, public_id: str) -> SessionRow | None:
        """See the protocol."""
        rows = await self._executor.fetch_rows(FIND_PUBLIC, public_id=public_id)
        return _session_from_row(rows[0]) if rows else None

    async def list_all(self, idle_milliseconds: int, limit: int, skip: int) -> Sequence[SessionRow]:
        """See the protocol."""
        rows = await self._executor.fetch_rows(LIST_ALL, idle=idle_milliseconds, rows=limit, skip=skip)
        return [_session_from_row(row) for row in rows]

    async def count_all(self, idle_milliseconds: int) -> int:
        """See the protocol."""
        ((count,),) = await self._executor.fetch_rows(COUNT_ALL, idle=idle_milliseconds)
        return int(count)

    async def list_of(self, person_id: int, idle_milliseconds: int) -> Sequence[SessionRow]:
        """See the protocol."""
        rows = await self._executor.fetch_rows(LIST_OF, person=person_id, idle=idle_milliseconds)
        return [_session_from_row(row) for row in rows]


class SqlSessionWriterRows:
    """Implements :class:`entrepot.metadata.session_store.SessionWriterRows`."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def insert(self, session: NewSession, kept: int) -> None:
        """See the protocol."""
        lifetime = session.lifetime_milliseconds
        await self._executor.execute(DELETE_OVER, rows=_REMOVED_AT_ONCE)
        await self._executor.execute(DELETE_DATED_AHEAD, lifetime=lifetime, rows=_REMOVED_AT_ONCE)
        await self._executor.execute(
            INSERT,
            public_id=session.public_id,
            secret_hash=session.secret_hash,
            person=session.person_id,
            epoch=session.epoch,
            address=session.address,
            user_agent=session.user_agent,
            lifetime=lifetime,
        )
        await self._executor.execute(DELETE_OLDEST, person=session.person_id, kept=kept)

    async def touch(self, session_id: int) -> None:
        """See the protocol."""
        await self._executor.execute(TOUCH, id=session_id)

    async def find(self, public_id: str) -> SessionRow | None:
        """See the protocol."""
        row = await self._executor.fetch_row(FIND_PUBLIC, public_id=public_id)
        return None if row is None else _session_from_row(row)

    async def hold_good(self, public_id: str) -> bool:
        """See the protocol."""
        return await self._executor.fetch_row(HOLD_GOOD, public_id=public_id) is not None

    async def remove_dated_ahead(self, limit: int) -> list[EndedSession]:
        """See the protocol."""
        rows = await self._executor.fetch_rows(REMOVE_DATED_AHEAD, rows=limit)
        return [EndedSession(str(public_id), int(ahead)) for public_id, ahead in rows]

    async def delete(self, session_id: int) -> None:
        """See the protocol."""
        await self._executor.execute(DELETE, id=session_id)


def _session_from_row(row: Row) -> SessionRow:
    *known, must_change, password_age, epoch = row
    values: list[Any] = [*known, bool(must_change), password_age, epoch]
    return SessionRow(*values)
