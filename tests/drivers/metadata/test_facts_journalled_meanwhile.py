"""Facts that somebody writes into the journal while somebody else dates them anew, as two workers do (F27)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import asyncpg
import pytest

from tests.drivers.metadata.material import fact

if TYPE_CHECKING:
    from entrepot.metadata.store import Metadata
    from tests.drivers.metadata.raw_database import RawDatabase

_YEARS: Final = 14 * 365 * 86_400_000
_WAITING: Final = (
    "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'UPDATE outbox%'"
)


@pytest.fixture
def engine() -> str:
    """Return the only engine whose statements meet rows that were changed since they began."""
    return "postgresql"


async def test_a_fact_that_is_journalled_meanwhile_keeps_its_date_f27(
    metadata: Metadata, database: RawDatabase
) -> None:
    """The journal has it with that one; another one that waits is dated anew by the same statement."""
    written, waiting = [
        await metadata.write(lambda tx, kind=kind: tx.outbox.append(fact(kind)))  # type: ignore[misc]  # binds the name
        for kind in ("a", "b")
    ]
    await database.fetch(f"UPDATE outbox SET at = at + {_YEARS}")
    before = dict(await database.fetch("SELECT id, at FROM outbox"))
    other = await asyncpg.connect(database.url)
    try:
        async with other.transaction():
            await other.execute(f"UPDATE outbox SET journalled_at = 1 WHERE id = {written}")
            redating = asyncio.create_task(metadata.write(lambda tx: tx.journal.redate(1000, 10)))
            while await database.value(_WAITING) == 0:
                assert not redating.done()
        await redating
    finally:
        await other.close()

    after = dict(await database.fetch("SELECT id, at FROM outbox"))
    assert after[written] == before[written]
    assert after[waiting] < before[waiting] - _YEARS // 2
