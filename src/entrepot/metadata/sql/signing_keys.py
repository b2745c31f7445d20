"""Signing keys: at most one of a purpose is active, and one is next; unique indexes see to that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from entrepot.metadata.key_store import SigningKeyRow, SigningKeyTable
from entrepot.metadata.sql.statements import Statement

if TYPE_CHECKING:
    from entrepot.metadata.key_store import KeyPurpose, KeyState, NewSigningKey
    from entrepot.metadata.sql.statements import Executor, ReadExecutor, Row

__all__ = ["STATEMENTS", "SqlSigningKeyReader", "SqlSigningKeyRows"]

READ: Final = Statement(
    "signing_keys.read",
    """
    SELECT {now}, key_id, purpose, algorithm, public_key, private_key_sealed, master_key_id, state, created_at,
           activated_at, retired_at
    FROM signing_keys WHERE purpose = :purpose ORDER BY id
    """,
)
HOLD: Final = Statement(
    "signing_keys.hold",
    """
    SELECT {now}, key_id, purpose, algorithm, public_key, private_key_sealed, master_key_id, state, created_at,
           activated_at, retired_at
    FROM signing_keys WHERE purpose = :purpose ORDER BY id {for_update}
    """,
)
# The conflict is one of the partial indexes: another node was first.
ADD: Final = Statement(
    "signing_keys.add",
    """
    INSERT INTO signing_keys
        (key_id, purpose, algorithm, public_key, private_key_sealed, master_key_id, state, created_at, activated_at)
    VALUES
        (:key_id, :purpose, :algorithm, :public_key, :private_key_sealed, :master_key_id, :state, {now},
         CASE WHEN :is_active = 1 THEN {now} END)
    ON CONFLICT DO NOTHING
    """,
)
ACTIVATE: Final = Statement(
    "signing_keys.activate",
    "UPDATE signing_keys SET state = 'active', activated_at = {now} WHERE key_id = :key_id",
)
END: Final = Statement(
    "signing_keys.end",
    "UPDATE signing_keys SET state = :state, retired_at = {now} WHERE key_id = :key_id",
)
REWRAP: Final = Statement(
    "signing_keys.rewrap",
    """
    UPDATE signing_keys SET private_key_sealed = :private_key_sealed, master_key_id = :master_key_id
    WHERE key_id = :key_id
    """,
)
CLAMP: Final = Statement(
    "signing_keys.clamp",
    """
    UPDATE signing_keys SET
        created_at = CASE WHEN created_at > {now} THEN {now} ELSE created_at END,
        activated_at = CASE WHEN activated_at > {now} THEN {now} ELSE activated_at END,
        retired_at = CASE WHEN retired_at > {now} THEN {now} ELSE retired_at END
    WHERE purpose = :purpose AND (created_at > {now} OR activated_at > {now} OR retired_at > {now})
    """,
)
DELETE_RETIRED: Final = Statement(
    "signing_keys.delete_retired",
    """
    DELETE FROM signing_keys
    WHERE purpose = :purpose AND state IN ('retired', 'revoked') AND retired_at < {now} - :kept
    """,
)

STATEMENTS: Final = (READ, HOLD, ADD, ACTIVATE, END, REWRAP, CLAMP, DELETE_RETIRED)


class SqlSigningKeyReader:
    """Implements :class:`entrepot.metadata.key_store.SigningKeyReader`."""

    def __init__(self, executor: ReadExecutor) -> None:
        self._executor = executor

    async def read(self, purpose: KeyPurpose) -> SigningKeyTable:
        """See the protocol."""
        return _table(await self._executor.fetch_rows(READ, purpose=purpose))


class SqlSigningKeyRows:
    """Implements :class:`entrepot.metadata.key_store.SigningKeyRows`."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def hold(self, purpose: KeyPurpose) -> SigningKeyTable:
        """See the protocol."""
        return _table(await self._executor.fetch_rows(HOLD, purpose=purpose))

    async def add(self, key: NewSigningKey, state: KeyState) -> bool:
        """See the protocol."""
        added = await self._executor.execute(
            ADD,
            key_id=key.key_id,
            purpose=key.purpose,
            algorithm=key.algorithm,
            public_key=key.public_key,
            private_key_sealed=key.private_key_sealed,
            master_key_id=key.master_key_id,
            state=state,
            is_active=int(state == "active"),
        )
        return added == 1

    async def set_state(self, key_id: str, state: KeyState) -> None:
        """See the protocol."""
        if state == "active":
            await self._executor.execute(ACTIVATE, key_id=key_id)
        else:
            await self._executor.execute(END, key_id=key_id, state=state)

    async def rewrap(self, key_id: str, private_key_sealed: bytes, master_key_id: str) -> None:
        """See the protocol."""
        await self._executor.execute(
            REWRAP, key_id=key_id, private_key_sealed=private_key_sealed, master_key_id=master_key_id
        )

    async def clamp(self, purpose: KeyPurpose) -> int:
        """See the protocol."""
        return await self._executor.execute(CLAMP, purpose=purpose)

    async def delete_retired(self, purpose: KeyPurpose, kept_milliseconds: int) -> int:
        """See the protocol."""
        return await self._executor.execute(DELETE_RETIRED, purpose=purpose, kept=kept_milliseconds)


def _table(rows: list[Row]) -> SigningKeyTable:
    return SigningKeyTable(int(rows[0][0]) if rows else 0, tuple(SigningKeyRow(*row[1:]) for row in rows))
