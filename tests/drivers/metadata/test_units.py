"""What holds for any unit: all or nothing, its own exceptions, nothing awaited but its transaction."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from typing import TYPE_CHECKING

import pytest

from entrepot.metadata.errors import MetadataError, MetadataUnavailableError, UnitRejectedError
from tests.drivers.metadata.child import push_unit
from tests.drivers.metadata.material import ALICE, REPOSITORY, fact, new_blob

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from entrepot.metadata.store import Metadata, Transaction
    from tests.drivers.metadata.counting import CountingObserver
    from tests.drivers.metadata.raw_database import RawDatabase

_TABLES = (
    "projects",
    "repositories",
    "blobs",
    "repository_blobs",
    "manifests",
    "tags",
    "tag_history",
    "outbox",
)


async def _row_counts(database: RawDatabase) -> dict[str, int]:
    return {table: await database.count(table) for table in _TABLES}


async def test_a_unit_is_durable_when_its_result_is_there(metadata: Metadata, database: RawDatabase) -> None:
    result = await metadata.write(lambda tx: tx.repositories.ensure(REPOSITORY, "team", ALICE))

    assert await database.fetch("SELECT id, name FROM repositories") == [(result.id, REPOSITORY)]


async def test_an_exception_undoes_everything_and_comes_out_unchanged(
    metadata: Metadata, database: RawDatabase
) -> None:
    error = LookupError("mine")

    async def unit(tx: Transaction) -> None:
        await push_unit(tx)
        raise error

    with pytest.raises(LookupError) as caught:
        await metadata.write(unit)

    assert caught.value is error
    assert set((await _row_counts(database)).values()) == {0}


@pytest.mark.parametrize("error", [TimeoutError("mine"), ConnectionError("mine"), OSError("mine")])
async def test_an_exception_that_looks_like_the_drivers_is_still_the_units_own(
    metadata: Metadata, error: OSError
) -> None:
    runs = 0

    async def unit(tx: Transaction) -> None:
        nonlocal runs
        runs += 1
        await tx.outbox.append(fact())
        raise error

    with pytest.raises(type(error), match="mine"):
        await metadata.write(unit)
    assert runs == 1


async def test_i7_a_whole_push_done_twice_leaves_the_same_rows(
    metadata: Metadata, database: RawDatabase
) -> None:
    await metadata.write(push_unit)
    once = await _row_counts(database)
    await metadata.write(push_unit)

    assert await _row_counts(database) == once
    assert set(once.values()) == {1}


async def _sleep_not_at_all() -> None:
    await asyncio.sleep(0)


async def _sleep() -> None:
    await asyncio.sleep(0.001)


async def _use_a_thread() -> None:
    await asyncio.to_thread(str)


@pytest.mark.parametrize("foreign", [_sleep_not_at_all, _sleep, _use_a_thread])
async def test_a_unit_that_awaits_anything_else_is_rejected_and_undone(
    metadata: Metadata, database: RawDatabase, foreign: Callable[[], Awaitable[None]]
) -> None:
    async def unit(tx: Transaction) -> None:
        await push_unit(tx)
        await foreign()

    with pytest.raises(UnitRejectedError):
        await metadata.write(unit)
    assert set((await _row_counts(database)).values()) == {0}
    await metadata.write(push_unit)


async def test_a_failing_unit_leaves_those_beside_it_alone(metadata: Metadata) -> None:
    async def failing(tx: Transaction) -> int:
        await tx.outbox.append(fact("bad"))
        raise ValueError("no")

    async def good(tx: Transaction) -> int:
        return await tx.outbox.append(fact("good"))

    outcomes = await asyncio.gather(
        *(metadata.write(failing if number % 2 else good) for number in range(20)), return_exceptions=True
    )

    waiting = await metadata.outbox.unjournalled(0, 100)
    assert [type(outcome) for outcome in outcomes] == [int, ValueError] * 10
    assert sorted(row.sequence for row in waiting) == sorted(o for o in outcomes if isinstance(o, int))
    assert {row.kind for row in waiting} == {"good"}


async def test_units_at_once_do_not_lose_one_another(metadata: Metadata, database: RawDatabase) -> None:
    async def unit(tx: Transaction) -> bool:
        row = await tx.repositories.ensure(REPOSITORY, "team", ALICE)
        adopted = await tx.blobs.adopt(new_blob("blob"))
        return await tx.blobs.link(row.id, adopted.id, ALICE)

    linked = await asyncio.gather(*(metadata.write(unit) for _ in range(30)))

    assert sum(linked) == 1
    assert await database.value("SELECT count(*) FROM blobs") == 1
    assert await database.value("SELECT count(*) FROM repositories") == 1


async def test_a_unit_sees_the_context_of_its_caller(metadata: Metadata) -> None:
    request_id = ContextVar[str]("request_id", default="none")
    request_id.set("r1")

    async def unit(tx: Transaction) -> str:
        await tx.repositories.find("x")
        return request_id.get()

    assert await metadata.write(unit) == "r1"


async def test_commits_and_statements_are_counted(metadata: Metadata, counts: CountingObserver) -> None:
    await metadata.write(lambda tx: tx.outbox.append(fact()))

    assert counts.commits == 1
    assert counts.statements == {"outbox.append": 1}


async def test_a_constraint_that_refuses_a_row_is_no_outage(metadata: Metadata) -> None:
    with pytest.raises(MetadataError) as caught:
        await metadata.write(lambda tx: tx.blobs.link(12345, 67890, ALICE))

    assert not isinstance(caught.value, MetadataUnavailableError)
    await metadata.write(push_unit)


async def test_closing_finishes_what_was_accepted_and_may_be_repeated(
    metadata: Metadata, database: RawDatabase
) -> None:
    writes = [asyncio.ensure_future(metadata.write(lambda tx: tx.outbox.append(fact()))) for _ in range(10)]
    await asyncio.sleep(0)
    await metadata.aclose()
    await metadata.aclose()

    await asyncio.gather(*writes)
    assert await database.value("SELECT count(*) FROM outbox") == 10
    with pytest.raises(MetadataUnavailableError):
        await metadata.write(push_unit)
