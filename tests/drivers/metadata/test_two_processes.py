"""Two processes on one database: both get on, and of two that want the same thing one gets it."""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from typing import TYPE_CHECKING

from tests.drivers.metadata.child import Child

if TYPE_CHECKING:
    from tests.drivers.metadata.raw_database import RawDatabase

_UNITS = 300
_RACES = 60


async def _run_both(action: str, url: str, count: int) -> tuple[list[object], list[object]]:
    named = () if action == "append" else ("first",), () if action == "append" else ("second",)
    first, second = await asyncio.gather(*(Child.start(action, url, *name, str(count)) for name in named))
    first.go()
    second.go()
    one, other = await asyncio.gather(first.result(), second.result())
    return one, other


async def test_two_writing_processes_both_get_on(database: RawDatabase) -> None:
    first, second = await asyncio.gather(
        *(Child.start("append", database.url, str(_UNITS)) for _ in range(2))
    )
    first.go()
    second.go()
    moments: list[list[float]] = list(await asyncio.gather(first.result(), second.result()))

    assert await database.value("SELECT count(*) FROM outbox") == 2 * _UNITS
    both_end = min(one[-1] for one in moments)
    both_begin = max(one[0] for one in moments)
    done_together = [bisect_left(one, both_end) - bisect_left(one, both_begin) for one in moments]
    # While both are at work neither gets less than a tenth of the other's turns, however the machine shares out its
    # processors; a starving one gets next to none.
    assert min(done_together) >= max(done_together) / 10


async def test_f36_of_two_that_adopt_a_blob_exactly_one_wins(database: RawDatabase) -> None:
    one, other = await _run_both("adopt", database.url, _RACES)

    assert one == other
    stored = await database.fetch("SELECT storage_key FROM blobs")
    assert sorted(key for (key,) in stored) == sorted(map(str, one))


async def test_f36_of_two_that_lease_a_session_exactly_one_gets_it(database: RawDatabase) -> None:
    one, other = await _run_both("lease", database.url, _RACES)

    assert sorted([*one, *other]) == list(range(_RACES))  # type: ignore[type-var] # numbers, by the action asked for
    assert await database.value("SELECT max(fence) FROM upload_sessions") == 1


async def test_two_processes_make_the_schema_once(empty_url: str) -> None:
    children = await asyncio.gather(*(Child.start("initialise", empty_url) for _ in range(2)))
    for child in children:
        child.go()

    assert sorted(await asyncio.gather(*(child.result() for child in children))) == [False, True]
