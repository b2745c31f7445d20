"""Access tokens of people: made, listed and removed by them, or removed by an administrator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from entrepot.metadata.access_token_store import StoredAccessToken
from entrepot.metadata.sql.statements import Statement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from entrepot.metadata.access_token_store import NewAccessTokenRow
    from entrepot.metadata.sql.statements import Executor, ReadExecutor, Row

__all__ = ["STATEMENTS", "SqlAccessTokenReader", "SqlAccessTokenWriterRows"]

LIST_OF_SUBJECT: Final = Statement(
    "access_tokens.list_of_subject",
    """
    SELECT t.public_id, t.name, t.scopes, t.created_at, t.expires_at, t.last_used_at
    FROM subjects s
    JOIN access_tokens t ON t.subject_id = s.id
    WHERE s.public_id = :subject
    ORDER BY t.name
    """,
)
LIST_OF_PERSON: Final = Statement(
    "access_tokens.list_of_person",
    """
    SELECT t.public_id, t.name, t.scopes, t.created_at, t.expires_at, t.last_used_at
    FROM users u
    LEFT JOIN access_tokens t ON t.subject_id = u.subject_id
    WHERE u.subject_id = :person_id
    ORDER BY t.name
    """,
)
FIND: Final = Statement(
    "access_tokens.find",
    """
    SELECT t.public_id, t.name, t.scopes, t.created_at, t.expires_at, t.last_used_at
    FROM access_tokens t
    WHERE t.public_id = :public_id
    """,
)
HOLD_SUBJECT: Final = Statement(
    "access_tokens.hold_subject",
    """
    SELECT s.id FROM subjects s
    WHERE s.public_id = :subject AND s.kind = 'user' AND s.disabled_at IS NULL
    {for_update}
    """,
)
# A statement of its own: the one above waits for a unit that sets a password and still sees what was before it.
FIND_DUE_PASSWORD: Final = Statement(
    "access_tokens.find_due_password",
    """
    SELECT u.subject_id FROM subjects s
    JOIN users u ON u.subject_id = s.id
    WHERE s.public_id = :subject AND u.must_change_password = 1
    """,
)
FIND_PERSON: Final = Statement(
    "access_tokens.find_person",
    """
    SELECT s.public_id FROM users u
    JOIN subjects s ON s.id = u.subject_id
    WHERE u.subject_id = :person_id
    """,
)
# Its last use is noted beside this lock.
HOLD_GOOD: Final = Statement(
    "access_tokens.hold_good",
    """
    SELECT t.id FROM access_tokens t
    WHERE t.public_id = :public_id AND (t.expires_at IS NULL OR t.expires_at > {now})
    {for_key_share}
    """,
)
COUNT_GOOD: Final = Statement(
    "access_tokens.count_good",
    """
    SELECT count(*) FROM subjects s
    JOIN access_tokens t ON t.subject_id = s.id
    WHERE s.public_id = :subject AND (t.expires_at IS NULL OR t.expires_at > {now})
    """,
)
INSERT: Final = Statement(
    "access_tokens.insert",
    """
    INSERT INTO access_tokens (public_id, subject_id, name, secret_hash, scopes, created_at, expires_at)
    VALUES (:public_id, (SELECT s.id FROM subjects s WHERE s.public_id = :subject), :name, :secret_hash, :scopes,
            {now}, {now} + :lifetime)
    ON CONFLICT (subject_id, name) DO NOTHING
    """,
)
DELETE: Final = Statement(
    "access_tokens.delete",
    """
    DELETE FROM access_tokens
    WHERE public_id = :public_id AND subject_id = (SELECT s.id FROM subjects s WHERE s.public_id = :subject)
    RETURNING public_id, name, scopes, created_at, expires_at, last_used_at
    """,
)
MOVE_EPOCH: Final = Statement(
    "access_tokens.move_epoch",
    "UPDATE subjects SET epoch = epoch + 1, epoch_changed_at = {now} WHERE public_id = :subject",
)
NOTE_USES: Final = Statement(
    "access_tokens.note_uses",
    "UPDATE access_tokens SET last_used_at = {now} WHERE public_id IN {texts:public_ids}",
)

STATEMENTS: Final = (
    LIST_OF_SUBJECT,
    LIST_OF_PERSON,
    FIND,
    HOLD_SUBJECT,
    FIND_DUE_PASSWORD,
    FIND_PERSON,
    HOLD_GOOD,
    COUNT_GOOD,
    INSERT,
    DELETE,
    MOVE_EPOCH,
    NOTE_USES,
)


class SqlAccessTokenReader:
    """Implements :class:`entrepot.metadata.access_token_store.AccessTokenReader`."""

    def __init__(self, executor: ReadExecutor) -> None:
        self._executor = executor

    async def list_of_subject(self, subject: str) -> list[StoredAccessToken]:
        """See the protocol."""
        return [_token(row) for row in await self._executor.fetch_rows(LIST_OF_SUBJECT, subject=subject)]

    async def list_of_person(self, person_id: int) -> list[StoredAccessToken] | None:
        """See the protocol."""
        rows = await self._executor.fetch_rows(LIST_OF_PERSON, person_id=person_id)
        return [_token(row) for row in rows if row[0] is not None] if rows else None

    async def find_person(self, person_id: int) -> str | None:
        """See the protocol."""
        row = await self._executor.fetch_row(FIND_PERSON, person_id=person_id)
        return None if row is None else row[0]


class SqlAccessTokenWriterRows:
    """Implements :class:`entrepot.metadata.access_token_store.AccessTokenWriterRows`."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def hold_subject(self, subject: str) -> bool:
        """See the protocol."""
        if await self._executor.fetch_row(HOLD_SUBJECT, subject=subject) is None:
            return False
        return await self._executor.fetch_row(FIND_DUE_PASSWORD, subject=subject) is None

    async def hold_good(self, public_id: str) -> bool:
        """See the protocol."""
        return await self._executor.fetch_row(HOLD_GOOD, public_id=public_id) is not None

    async def count_good(self, subject: str) -> int:
        """See the protocol."""
        row = await self._executor.fetch_row(COUNT_GOOD, subject=subject)
        return 0 if row is None else int(row[0])

    async def create(self, token: NewAccessTokenRow) -> StoredAccessToken | None:
        """See the protocol."""
        await self._executor.execute(
            INSERT,
            public_id=token.public_id,
            subject=token.subject,
            name=token.name,
            secret_hash=token.secret_hash,
            scopes=token.scopes,
            lifetime=token.lifetime_milliseconds,
        )
        row = await self._executor.fetch_row(FIND, public_id=token.public_id)
        return None if row is None else _token(row)

    async def remove(self, subject: str, public_id: str) -> StoredAccessToken | None:
        """See the protocol."""
        row = await self._executor.fetch_row(DELETE, subject=subject, public_id=public_id)
        if row is None:
            return None
        await self._executor.execute(MOVE_EPOCH, subject=subject)
        return _token(row)

    async def note_uses(self, public_ids: Sequence[str]) -> None:
        """See the protocol."""
        await self._executor.execute(NOTE_USES, public_ids=msgspec.json.encode(public_ids).decode())


def _token(row: Row) -> StoredAccessToken:
    public_id, name, scopes, created_at, expires_at, last_used_at = row
    return StoredAccessToken(public_id, name, bytes(scopes), created_at, expires_at, last_used_at)
