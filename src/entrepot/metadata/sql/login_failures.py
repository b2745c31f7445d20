"""Failed logins by account and address: counted, locked and forgotten by the database's clock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from entrepot.metadata.sql.statements import Statement

if TYPE_CHECKING:
    from entrepot.metadata.login_store import LockoutRule
    from entrepot.metadata.sql.statements import Executor, ReadExecutor

__all__ = ["STATEMENTS", "SqlLoginFailureReader", "SqlLoginFailureRows"]

_REMOVED_AT_ONCE: Final = 20

LOCKED: Final = Statement(
    "login_failures.locked",
    """
    SELECT locked_until - {now} FROM login_failures
    WHERE account = :account AND address = :address AND locked_until > {now}
    """,
)
# A window that is over begins anew, and so does one whose lock is over.
COUNT: Final = Statement(
    "login_failures.count",
    """
    INSERT INTO login_failures (account, address, failures, window_started_at, locked_until)
    VALUES (:account, :address, 1, {now}, CASE WHEN :attempts <= 1 THEN {now} + :lock END)
    ON CONFLICT (account, address) DO UPDATE SET
        failures = CASE WHEN login_failures.window_started_at <= {now} - :window OR login_failures.locked_until <= {now}
            THEN 1 ELSE login_failures.failures + 1 END,
        window_started_at = CASE
            WHEN login_failures.window_started_at <= {now} - :window OR login_failures.locked_until <= {now}
            THEN {now} ELSE login_failures.window_started_at END,
        locked_until = CASE
            WHEN login_failures.window_started_at <= {now} - :window OR login_failures.locked_until <= {now}
            THEN CASE WHEN :attempts <= 1 THEN {now} + :lock END
            WHEN login_failures.locked_until IS NULL AND login_failures.failures + 1 >= :attempts THEN {now} + :lock
            ELSE login_failures.locked_until END
    RETURNING failures
    """,
)
SHORTEN: Final = Statement(
    "login_failures.shorten",
    """
    UPDATE login_failures SET locked_until = {now} + :lock
    WHERE account = :account AND address = :address AND locked_until > {now} + :lock
    """,
)
FORGET: Final = Statement(
    "login_failures.forget",
    """
    DELETE FROM login_failures
    WHERE account = :account AND address = :address AND (locked_until IS NULL OR locked_until <= {now})
    """,
)
UNLOCK: Final = Statement("login_failures.unlock", "DELETE FROM login_failures WHERE account = :account")
# Names that nobody has are counted, too, so somebody could fill the table: each failure makes room for others.
REMOVE_OVER: Final = Statement(
    "login_failures.remove_over",
    """
    DELETE FROM login_failures WHERE (account, address) IN (
        SELECT f.account, f.address FROM login_failures f
        WHERE f.window_started_at <= {now} - :window AND (f.locked_until IS NULL OR f.locked_until <= {now})
        ORDER BY f.window_started_at LIMIT :rows)
    """,
)

STATEMENTS: Final = (LOCKED, COUNT, SHORTEN, FORGET, UNLOCK, REMOVE_OVER)


class SqlLoginFailureReader:
    """Implements :class:`entrepot.metadata.login_store.LoginFailureReader`."""

    def __init__(self, executor: ReadExecutor) -> None:
        self._executor = executor

    async def locked_milliseconds(self, account: str, address: str) -> int:
        """See the protocol."""
        rows = await self._executor.fetch_rows(LOCKED, account=account, address=address)
        return int(rows[0][0]) if rows else 0


class SqlLoginFailureRows(SqlLoginFailureReader):
    """Implements :class:`entrepot.metadata.login_store.LoginFailureRows`."""

    def __init__(self, executor: Executor) -> None:
        super().__init__(executor)
        self._writer = executor

    async def count(self, account: str, address: str, rule: LockoutRule) -> int:
        """See the protocol."""
        window = rule.window_milliseconds
        await self._writer.execute(REMOVE_OVER, window=window, rows=_REMOVED_AT_ONCE)
        row = await self._writer.fetch_row(
            COUNT,
            account=account,
            address=address,
            attempts=rule.attempts,
            window=window,
            lock=rule.lock_milliseconds,
        )
        return 1 if row is None else int(row[0])

    async def shorten(self, account: str, address: str, rule: LockoutRule) -> None:
        """See the protocol."""
        await self._writer.execute(SHORTEN, account=account, address=address, lock=rule.lock_milliseconds)

    async def forget(self, account: str, address: str) -> None:
        """See the protocol."""
        await self._writer.execute(FORGET, account=account, address=address)

    async def unlock(self, account: str) -> int:
        """See the protocol."""
        return await self._writer.execute(UNLOCK, account=account)
