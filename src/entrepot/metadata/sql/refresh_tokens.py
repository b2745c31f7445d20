"""Refresh tokens, found by the hash of their secret."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from entrepot.metadata.refresh_token_store import RefreshTokenRow
from entrepot.metadata.sql.statements import Statement

if TYPE_CHECKING:
    from entrepot.metadata.refresh_token_store import NewRefreshToken
    from entrepot.metadata.sql.statements import Executor, ReadExecutor

__all__ = ["STATEMENTS", "SqlRefreshTokenReader", "SqlRefreshTokenRows"]

FIND: Final = Statement(
    "refresh_tokens.find",
    """
    SELECT s.public_id, r.credential, r.service, r.subject_epoch, s.epoch, s.kind, s.name
    FROM refresh_tokens AS r JOIN subjects AS s ON s.id = r.subject_id
    WHERE r.secret_hash = :secret_hash AND s.disabled_at IS NULL
    """,
)
ADD: Final = Statement(
    "refresh_tokens.add",
    """
    INSERT INTO refresh_tokens
        (secret_hash, subject_id, credential, service, client_id, subject_epoch, created_at)
    SELECT :secret_hash, id, :credential, :service, :client_id, :subject_epoch, {now}
    FROM subjects WHERE public_id = :subject
    """,
)
# A clock that was ahead (F27) ends none, since none has an end that it could have moved. But those it dated would all
# outlast a new one: they count as used now, before it is added.
CLAMP: Final = Statement(
    "refresh_tokens.clamp",
    """
    UPDATE refresh_tokens SET last_used_at = {now}
    WHERE subject_id = (SELECT id FROM subjects WHERE public_id = :subject) AND credential = :credential
      AND coalesce(last_used_at, created_at) > {now}
    """,
)
# Clients ask for a new one at each login and never give one back. One that is in use must not go for those of jobs that
# logged in once, nor those of the person for those of an access token with limits.
DELETE_IDLEST: Final = Statement(
    "refresh_tokens.delete_idlest",
    """
    DELETE FROM refresh_tokens
    WHERE id IN (
        SELECT id FROM refresh_tokens
        WHERE subject_id = (SELECT id FROM subjects WHERE public_id = :subject) AND credential = :credential
        ORDER BY coalesce(last_used_at, created_at) DESC, id DESC LIMIT 1000 OFFSET :kept
    )
    """,
)
CARRY_OVER: Final = Statement(
    "refresh_tokens.carry_over",
    """
    UPDATE refresh_tokens SET subject_epoch = subject_epoch + 1
    WHERE subject_id = :subject_id
      AND subject_epoch + 1 = (SELECT epoch FROM subjects WHERE id = :subject_id)
    """,
)
TOUCH: Final = Statement(
    "refresh_tokens.touch", "UPDATE refresh_tokens SET last_used_at = {now} WHERE secret_hash = :secret_hash"
)
DELETE_ALL: Final = Statement(
    "refresh_tokens.delete_all",
    """
    DELETE FROM refresh_tokens WHERE subject_id = (SELECT id FROM subjects WHERE public_id = :subject)
    """,
)

STATEMENTS: Final = (FIND, ADD, CLAMP, DELETE_IDLEST, CARRY_OVER, TOUCH, DELETE_ALL)


class SqlRefreshTokenReader:
    """Implements :class:`entrepot.metadata.refresh_token_store.RefreshTokenReader`."""

    def __init__(self, executor: ReadExecutor) -> None:
        self._executor = executor

    async def find(self, secret_hash: str) -> RefreshTokenRow | None:
        """See the protocol."""
        rows = await self._executor.fetch_rows(FIND, secret_hash=secret_hash)
        return RefreshTokenRow(*rows[0]) if rows else None


class SqlRefreshTokenRows:
    """Implements :class:`entrepot.metadata.refresh_token_store.RefreshTokenRows`."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def add(self, token: NewRefreshToken, kept: int) -> bool:
        """See the protocol."""
        await self._executor.execute(CLAMP, subject=token.subject, credential=token.credential)
        added = await self._executor.execute(
            ADD,
            secret_hash=token.secret_hash,
            credential=token.credential,
            service=token.service,
            client_id=token.client_id,
            subject_epoch=token.subject_epoch,
            subject=token.subject,
        )
        await self._executor.execute(
            DELETE_IDLEST, subject=token.subject, credential=token.credential, kept=kept
        )
        return added == 1

    async def carry_over(self, subject_id: int) -> None:
        """See the protocol."""
        await self._executor.execute(CARRY_OVER, subject_id=subject_id)

    async def touch(self, secret_hash: str) -> bool:
        """See the protocol."""
        return await self._executor.execute(TOUCH, secret_hash=secret_hash) == 1

    async def delete_all(self, subject: str) -> int:
        """See the protocol."""
        return await self._executor.execute(DELETE_ALL, subject=subject)
