"""Which reading of the journal ends what another one found, on each engine (F11, F47)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from entrepot.registry.journal.readings import (
    NumbersRead,
    begin_reading,
    end_reading,
    note_rebuilt,
    read_readings,
)

if TYPE_CHECKING:
    from entrepot.metadata.store import Metadata
    from tests.drivers.metadata.raw_database import RawDatabase


async def _end(metadata: Metadata, begun: int, *, lost: int = 0, lacking: int = 0) -> tuple[int, int]:
    """End a reading, and return what stands: lost and lacking."""
    await end_reading(metadata, begun, lost=lost, lacking=lacking, settled={})
    readings = await read_readings(metadata)
    assert readings.has_ended
    return readings.lost, readings.lacking


async def test_f11_what_a_reading_found_stands_until_one_ends_that_began_later(metadata: Metadata) -> None:
    early = await begin_reading(metadata)
    finder = await begin_reading(metadata)
    beside = await begin_reading(metadata)
    assert not (await read_readings(metadata)).has_ended

    assert await _end(metadata, finder, lost=1, lacking=2) == (1, 2)
    assert await _end(metadata, early) == (1, 2)
    assert await _end(metadata, beside) == (1, 2)
    assert await _end(metadata, await begin_reading(metadata)) == (0, 0)


async def test_f11_what_is_found_again_counts_from_then(metadata: Metadata) -> None:
    """A reading beside the second one that found it refutes neither."""
    assert await _end(metadata, await begin_reading(metadata), lost=2) == (2, 0)
    again, beside = await begin_reading(metadata), await begin_reading(metadata)

    assert await _end(metadata, again, lost=1) == (1, 0)
    assert await _end(metadata, beside, lacking=1) == (1, 1)


async def test_f11_a_rebuild_adds_to_what_stands_and_refutes_nothing(metadata: Metadata) -> None:
    begun = await begin_reading(metadata)
    told = {"aaa": NumbersRead(3, 7)}

    await metadata.write(lambda tx: note_rebuilt(tx, lost=1, settled=told))
    assert await _end(metadata, begun) == (1, 0)
    await metadata.write(lambda tx: note_rebuilt(tx, lost=0, settled={}))

    readings = await read_readings(metadata)
    assert (readings.lost, readings.settled) == (1, told)
    assert await _end(metadata, await begin_reading(metadata)) == (0, 0)
    assert (await read_readings(metadata)).settled == told


async def test_f11_readings_that_begin_at_once_are_told_apart(metadata: Metadata) -> None:
    begun = await asyncio.gather(*(begin_reading(metadata) for _ in range(12)))

    assert sorted(begun) == list(range(1, 13))


async def test_f11_a_row_of_another_version_tells_nothing(metadata: Metadata, database: RawDatabase) -> None:
    await _end(metadata, await begin_reading(metadata), lost=1)
    await database.fetch("UPDATE sweeps SET progress = '[]' WHERE name = 'readings'")

    assert not (await read_readings(metadata)).has_ended
    assert await _end(metadata, await begin_reading(metadata), lost=1) == (1, 0)
