"""A process killed anywhere in a unit leaves all of it or nothing, and the next one goes on (F1, I7)."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from entrepot.metadata.sql.opening import open_metadata
from tests.drivers.metadata.child import Child, push_unit

if TYPE_CHECKING:
    from tests.drivers.metadata.raw_database import RawDatabase

_TABLES = ("repositories", "blobs", "repository_blobs", "manifests", "manifest_references", "tags", "outbox")


async def _row_counts(database: RawDatabase) -> list[int]:
    return [await database.count(table) for table in _TABLES]


@pytest.mark.parametrize(
    ("place", "rows"),
    [("unit", 0), ("unit.before.commit", 0), ("unit.after.commit", 1)],
)
async def test_f1_i7_death_leaves_all_or_nothing_and_a_retry_converges(
    database: RawDatabase, place: str, rows: int
) -> None:
    child = await Child.start("push", database.url, place)
    child.go()
    assert await child.exit_code() == -signal.SIGKILL

    assert await _row_counts(database) == [rows] * len(_TABLES)
    metadata = await open_metadata(database.url, 2, 10.0)
    await metadata.write(push_unit)
    await metadata.aclose()
    assert await _row_counts(database) == [1] * len(_TABLES)
