"""The chain of the audit log: its end, its links, its signed checkpoints, and how far local files were read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
from msgspec.structs import astuple

from entrepot.metadata.audit_store import ChainLink, ChainState, UnsealedRecord
from entrepot.metadata.errors import MetadataUnavailableError
from entrepot.metadata.sql.statements import Statement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from entrepot.metadata.audit_store import CheckpointRow, SealedNewRecord
    from entrepot.metadata.sql.statements import Executor, Value

__all__ = ["LINKS", "STATEMENTS", "SqlAuditChainRows"]

HOLD: Final = Statement(
    "audit_chain.hold",
    """
    SELECT chain_id, algorithm, sequence, chain_hash, purged_sequence, purged_hash, {now}
    FROM audit_chain WHERE id = 1 {for_update}
    """,
)
BEGIN: Final = Statement(
    "audit_chain.begin",
    """
    INSERT INTO audit_chain (id, chain_id, algorithm, sequence, chain_hash, purged_sequence, purged_hash)
    VALUES (1, :chain_id, :algorithm, 0, :start, 0, :start)
    ON CONFLICT (id) DO NOTHING
    """,
)
UNSEALED: Final = Statement(
    "audit_chain.unsealed",
    "SELECT id, record_id, at, body FROM audit_records WHERE sequence IS NULL ORDER BY id LIMIT :rows",
)
KNOWN: Final = Statement(
    "audit_chain.known", "SELECT record_id FROM audit_records WHERE record_id IN {texts:record_ids}"
)
# The values are a record's, in the order of its fields, and its place in the chain.
APPEND: Final = Statement(
    "audit_chain.append",
    """
    INSERT INTO audit_records
        (record_id, action, outcome, subject, user_name, address, project, object_kind, object_name, request_id, body,
         disclosure, at, project_id, sequence, chain_hash)
    VALUES
        (:record_id, :action, :outcome, :subject, :user_name, :address, :project, :object_kind, :object_name,
         :request_id, :body, :disclosure, :at_milliseconds, :project_id, :sequence, :chain_hash)
    """,
)
SEAL: Final = Statement(
    "audit_chain.seal",
    "UPDATE audit_records SET sequence = :sequence, chain_hash = :chain_hash WHERE id = :id AND sequence IS NULL",
)
MOVE_END: Final = Statement(
    "audit_chain.move_end",
    "UPDATE audit_chain SET sequence = :sequence, chain_hash = :chain_hash WHERE id = 1",
)
LINKS: Final = Statement(
    "audit_chain.links",
    "SELECT sequence, at, chain_hash FROM audit_records WHERE sequence > :after ORDER BY sequence LIMIT :rows",
)
PURGE: Final = Statement(
    "audit_chain.purge",
    "DELETE FROM audit_records WHERE sequence >= :first AND sequence <= :last",
)
MOVE_BEGINNING: Final = Statement(
    "audit_chain.move_beginning",
    "UPDATE audit_chain SET purged_sequence = :sequence, purged_hash = :chain_hash WHERE id = 1",
)
ERASE: Final = Statement(
    "audit_chain.erase",
    """
    UPDATE audit_records SET disclosure = NULL, user_name = '', address = ''
    WHERE id > :after AND id <= :upto AND subject = :subject AND disclosure IS NOT NULL
    """,
)
ADD_CHECKPOINT: Final = Statement(
    "audit_chain.add_checkpoint",
    """
    INSERT INTO audit_checkpoints (sequence, chain_hash, algorithm, key_id, public_key, signed, signature, at)
    VALUES (:sequence, :chain_hash, :algorithm, :key_id, :public_key, :signed, :signature, :at)
    ON CONFLICT (sequence) DO NOTHING
    """,
)
REMOVE_CHECKPOINT: Final = Statement(
    "audit_chain.remove_checkpoint",
    "DELETE FROM audit_checkpoints WHERE sequence = :sequence AND signed = :signed AND signature = :signature",
)
MOVE_CURSOR: Final = Statement(
    "audit_spools.move",
    """
    INSERT INTO audit_spools (node, segment, byte_offset, updated_at) VALUES (:node, :segment, :byte_offset, {now})
    ON CONFLICT (node, segment) DO UPDATE SET byte_offset = excluded.byte_offset, updated_at = excluded.updated_at
    """,
)
FORGET_SPOOL: Final = Statement(
    "audit_spools.forget",
    "DELETE FROM audit_spools WHERE node = :node AND segment = :segment",
)

STATEMENTS: Final = (
    HOLD,
    BEGIN,
    UNSEALED,
    KNOWN,
    APPEND,
    SEAL,
    MOVE_END,
    LINKS,
    PURGE,
    MOVE_BEGINNING,
    ERASE,
    ADD_CHECKPOINT,
    REMOVE_CHECKPOINT,
    MOVE_CURSOR,
    FORGET_SPOOL,
)


class SqlAuditChainRows:
    """Implements :class:`entrepot.metadata.audit_store.AuditChainRows`."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def hold(self, chain_id: str, algorithm: str, start: str) -> ChainState:
        """See the protocol."""
        row = await self._executor.fetch_row(HOLD)
        if row is None:
            await self._executor.execute(BEGIN, chain_id=chain_id, algorithm=algorithm, start=start)
            row = await self._executor.fetch_row(HOLD)
        if row is None:
            raise MetadataUnavailableError("the chain of the audit log is being removed")
        return ChainState(*row)

    async def unsealed(self, limit: int) -> Sequence[UnsealedRecord]:
        """See the protocol."""
        rows = await self._executor.fetch_rows(UNSEALED, rows=limit)
        return [UnsealedRecord(key, record_id, at, bytes(body)) for key, record_id, at, body in rows]

    async def links(self, after: int, limit: int) -> Sequence[ChainLink]:
        """See the protocol."""
        return [ChainLink(*row) for row in await self._executor.fetch_rows(LINKS, after=after, rows=limit)]

    async def known(self, record_ids: Sequence[str]) -> frozenset[str]:
        """See the protocol."""
        rows = await self._executor.fetch_rows(KNOWN, record_ids=msgspec.json.encode(record_ids).decode())
        return frozenset(record_id for (record_id,) in rows)

    async def extend(self, records: Sequence[SealedNewRecord]) -> None:
        """See the protocol."""
        if not records:
            return
        rows = [(*astuple(one.record), one.sequence, one.chain_hash) for one in records]
        await self._executor.execute_rows(APPEND, rows)
        await self._executor.execute(
            MOVE_END, sequence=records[-1].sequence, chain_hash=records[-1].chain_hash
        )

    def others_wait(self) -> bool:
        """See the protocol."""
        return self._executor.others_wait()

    async def seal(self, places: Sequence[tuple[int, int, str]]) -> None:
        """See the protocol."""
        if not places:
            return
        rows: list[dict[str, Value]] = [
            {"id": key, "sequence": sequence, "chain_hash": link} for key, sequence, link in places
        ]
        await self._executor.execute_many(SEAL, rows)
        _, sequence, link = places[-1]
        await self._executor.execute(MOVE_END, sequence=sequence, chain_hash=link)

    async def purge(self, first: int, last: ChainLink) -> None:
        """See the protocol."""
        await self._executor.execute(PURGE, first=first, last=last.sequence)
        await self._executor.execute(MOVE_BEGINNING, sequence=last.sequence, chain_hash=last.chain_hash)

    async def erase_disclosures(self, subject: str, after: int, upto: int) -> int:
        """See the protocol."""
        return await self._executor.execute(ERASE, subject=subject, after=after, upto=upto)

    async def add_checkpoint(self, checkpoint: CheckpointRow) -> bool:
        """See the protocol."""
        added = await self._executor.execute(
            ADD_CHECKPOINT,
            sequence=checkpoint.sequence,
            chain_hash=checkpoint.chain_hash,
            algorithm=checkpoint.algorithm,
            key_id=checkpoint.key_id,
            public_key=checkpoint.public_key,
            signed=checkpoint.signed,
            signature=checkpoint.signature,
            at=checkpoint.at,
        )
        return added == 1

    async def remove_checkpoint(self, checkpoint: CheckpointRow) -> None:
        """See the protocol."""
        await self._executor.execute(
            REMOVE_CHECKPOINT,
            sequence=checkpoint.sequence,
            signed=checkpoint.signed,
            signature=checkpoint.signature,
        )

    async def move_spool_cursor(self, node: str, segment: str, offset: int) -> None:
        """See the protocol."""
        await self._executor.execute(MOVE_CURSOR, node=node, segment=segment, byte_offset=offset)

    async def forget_spool(self, node: str, segment: str) -> None:
        """See the protocol."""
        await self._executor.execute(FORGET_SPOOL, node=node, segment=segment)
