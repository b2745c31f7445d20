"""Rows of the audit log as somebody writes them who owns the database."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from entrepot.metadata.audit_store import NewAuditRecord
    from tests.drivers.metadata.raw_database import RawDatabase

__all__ = ["FORGED", "any_numbers", "forge", "go_back_to", "literal"]

FORGED: Final = "forged"
"""The id of the record that :func:`forge` makes."""


@asynccontextmanager
async def any_numbers(database: RawDatabase) -> AsyncGenerator[None]:
    """Let rows have any number, which PostgreSQL takes an owner for."""
    alter = "ALTER TABLE audit_records ALTER COLUMN id SET GENERATED"
    if not database.is_sqlite:
        await database.fetch(f"{alter} BY DEFAULT")
    try:
        yield
    finally:
        if not database.is_sqlite:
            await database.fetch(f"{alter} ALWAYS")


def literal(database: RawDatabase, content: bytes) -> str:
    """Return bytes as the engine writes them."""
    return f"x'{content.hex()}'" if database.is_sqlite else f"'\\x{content.hex()}'::bytea"


async def forge(
    database: RawDatabase,
    record: NewAuditRecord,
    *,
    key: int,
    sequence: int | None,
    body: bytes | None = None,
) -> None:
    """Put a row there with this number and this place, which says what a record says; its body may be another."""
    record_body = record.body if body is None else body
    place = "NULL" if sequence is None else str(sequence)
    async with any_numbers(database):
        await database.fetch(
            "INSERT INTO audit_records (id, record_id, at, action, outcome, subject, user_name, address, project, "
            "object_kind, object_name, request_id, body, disclosure, sequence, chain_hash) "
            f"VALUES ({key}, '{FORGED}', 1790000000000, '{record.action}', '{record.outcome}', '{record.subject}', "
            f"'{record.user_name}', '{record.address}', '{record.project}', '{record.object_kind}', "
            f"'{record.object_name}', '{record.request_id}', {literal(database, record_body)}, "
            f"{literal(database, record.disclosure)}, {place}, {'NULL' if sequence is None else repr('0' * 64)})"
        )


async def go_back_to(database: RawDatabase, sequence: int) -> None:
    """Put an older copy in the place of the database."""
    await database.fetch(f"DELETE FROM audit_checkpoints WHERE sequence > {sequence}")
    await database.fetch(f"DELETE FROM audit_records WHERE sequence > {sequence} OR sequence IS NULL")
    await database.fetch(
        f"UPDATE audit_chain SET sequence = {sequence}, "
        f"chain_hash = (SELECT chain_hash FROM audit_records WHERE sequence = {sequence})"
    )
