"""What a clock that was ahead has left behind is put right by whoever meets it, on both engines (F27)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import structlog.testing

from entrepot.metadata.outbox_store import FactsAhead
from entrepot.metadata.records import Candidate, Missing, SweepClaim, TimesAhead, UploadLease
from entrepot.registry.sweeps.turns import take_turn
from tests.drivers.metadata.material import ALICE, REPOSITORY, fact, new_session
from tests.running.moved_clocks import steady_clock

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from entrepot.metadata.store import Metadata, Transaction
    from tests.drivers.metadata.raw_database import RawDatabase

_SWEEP: Final = "orphans"
_LEASE: Final = 300
_PERIOD: Final = 3600
_YEARS: Final = 14 * 365 * 86_400_000


async def _turn(
    metadata: Metadata, period: int | None = None
) -> tuple[SweepClaim | None, list[MutableMapping[str, Any]]]:
    with structlog.testing.capture_logs() as lines:
        claim = await take_turn(metadata, await steady_clock(metadata), _SWEEP, _LEASE, period)
    return claim, lines


async def _held(metadata: Metadata) -> SweepClaim:
    claim, _ = await _turn(metadata)
    assert claim is not None
    return claim


async def _set_clock_back(database: RawDatabase, column: str, table: str = "sweeps") -> None:
    """Leave a time as it is when it was written in years to come and the clock was put right since."""
    await database.fetch(f"UPDATE {table} SET {column} = {column} + {_YEARS}")


async def _lies_ahead(metadata: Metadata, database: RawDatabase, column: str, table: str = "sweeps") -> int:
    at = await database.value(f"SELECT {column} FROM {table}")
    return int(at) - await metadata.diagnosis.clock_milliseconds()


async def test_the_lease_of_a_dead_holder_ends_after_one_length_f27(
    metadata: Metadata, database: RawDatabase
) -> None:
    """And the log tells once by how much it lay ahead."""
    late = await _held(metadata)
    await _set_clock_back(database, "lease_until")

    refused, told = await _turn(metadata)
    refused_again, told_again = await _turn(metadata)

    assert (refused, refused_again, told_again) == (None, None, [])
    assert [(line["event"], line["log_level"], line["what"]) for line in told] == [
        ("time.ahead", "warning", "lease of orphans")
    ]
    assert _YEARS / 1000 < told[0]["ahead_seconds"] <= _YEARS / 1000 + _LEASE
    assert 0 < await _lies_ahead(metadata, database, "lease_until") <= _LEASE * 1000
    await database.fetch(f"UPDATE sweeps SET lease_until = lease_until - {_LEASE * 1000}")
    following, _ = await _turn(metadata)
    assert following == SweepClaim(_SWEEP, late.fence + 1, "")
    assert not await metadata.write(lambda tx: tx.orphans.save(late, _LEASE))


async def test_a_living_holder_keeps_its_lease_when_the_clock_steps_back_f27(
    metadata: Metadata, database: RawDatabase
) -> None:
    """Whoever comes shortens it, and the holder's renewal finds it its own all the time."""
    holder = await _held(metadata)
    for step in ("lease_until", "lease_until"):
        await _set_clock_back(database, step)
        assert (await _turn(metadata))[0] is None
        assert (await _turn(metadata, _PERIOD))[0] is None
        assert await metadata.write(lambda tx: tx.orphans.save(holder, _LEASE))

    assert await database.value("SELECT fence FROM sweeps") == holder.fence
    assert (await _turn(metadata))[0] is None


async def test_a_lease_of_the_right_clock_is_left_alone_f27(
    metadata: Metadata, database: RawDatabase
) -> None:
    await _held(metadata)
    before = await database.fetch("SELECT * FROM sweeps")

    assert await _turn(metadata) == (None, [])
    assert await database.fetch("SELECT * FROM sweeps") == before


async def test_a_turn_further_ahead_than_the_period_is_due_now_f27(
    metadata: Metadata, database: RawDatabase
) -> None:
    """One that lies within it is not, and nothing is said of that."""
    claim = await _held(metadata)
    await metadata.write(lambda tx: tx.orphans.release(claim, _PERIOD))
    assert await _turn(metadata, _PERIOD) == (None, [])
    await _set_clock_back(database, "due_at")

    following, told = await _turn(metadata, _PERIOD)

    assert following is not None
    assert [line["what"] for line in told] == ["next turn of orphans"]
    assert await _lies_ahead(metadata, database, "due_at") <= 0


async def test_whoever_takes_a_sweep_due_or_not_leaves_its_turn_f27(
    metadata: Metadata, database: RawDatabase
) -> None:
    claim = await _held(metadata)
    await metadata.write(lambda tx: tx.orphans.release(claim, _PERIOD))
    await _set_clock_back(database, "due_at")

    held, told = await _turn(metadata)

    assert held is not None
    assert told == []
    assert await _lies_ahead(metadata, database, "due_at") > _PERIOD * 1000


async def test_a_candidate_seen_in_years_to_come_was_seen_now_f27(
    metadata: Metadata, database: RawDatabase
) -> None:
    """Its grace begins anew; others keep theirs."""
    await metadata.write(lambda tx: tx.orphans.remember({"a": 1, "b": 1}))
    await database.fetch(f"UPDATE orphans SET seen_at = seen_at + {_YEARS} WHERE storage_key = 'a'")
    await database.fetch("UPDATE orphans SET seen_at = seen_at - 61000 WHERE storage_key = 'b'")

    before = await metadata.orphans.candidates("", "~", 60)
    await metadata.write(lambda tx: tx.orphans.redate(["a", "b"]))
    after = await metadata.orphans.candidates("", "~", 60)

    assert [(one.due, one.ahead_milliseconds > _YEARS - 60_000) for one in before] == [
        (False, True),
        (True, False),
    ]
    assert after == [Candidate("a", 1, due=False), Candidate("b", 1, due=True)]


async def _open_session(metadata: Metadata) -> UploadLease:
    async def unit(tx: Transaction) -> UploadLease | Missing | None:
        row = await tx.repositories.ensure(REPOSITORY, "team", ALICE)
        await tx.upload_sessions.create(new_session(row.id))
        return await tx.upload_sessions.lease(REPOSITORY, "s1", ALICE, "process-1", 30)

    lease = await metadata.write(unit)
    assert isinstance(lease, UploadLease)
    return lease


async def _take_over(metadata: Metadata) -> UploadLease | Missing | None:
    return await metadata.write(lambda tx: tx.upload_sessions.lease(REPOSITORY, "s1", ALICE, "process-2", 30))


async def test_an_upload_held_for_years_is_held_for_the_longest_lease_f27(
    metadata: Metadata, database: RawDatabase
) -> None:
    """A holder that lives renews it; one that does not is followed by another."""
    lease = await _open_session(metadata)
    await _set_clock_back(database, "lease_until", "upload_sessions")
    assert (await metadata.upload_sessions.furthest()).lease > _YEARS - 60_000

    await metadata.write(lambda tx: tx.upload_sessions.shorten(3600, 86_400))

    assert 3_500_000 < (await metadata.upload_sessions.furthest()).lease <= 3_600_000
    assert await _take_over(metadata) is None
    assert await metadata.write(lambda tx: tx.upload_sessions.renew("s1", lease.fence, 30))
    assert (await metadata.upload_sessions.furthest()).lease <= 30_000
    await database.fetch("UPDATE upload_sessions SET lease_until = lease_until - 30000")
    assert isinstance(await _take_over(metadata), UploadLease)


async def test_an_upload_that_lives_for_years_lives_for_the_longest_life_f27(
    metadata: Metadata, database: RawDatabase
) -> None:
    lease = await _open_session(metadata)
    await metadata.write(lambda tx: tx.upload_sessions.release("s1", lease.fence))
    untouched = await database.fetch("SELECT expires_at FROM upload_sessions")
    await metadata.write(lambda tx: tx.upload_sessions.shorten(3600, 86_400))
    assert await database.fetch("SELECT expires_at FROM upload_sessions") == untouched
    await _set_clock_back(database, "expires_at", "upload_sessions")

    await metadata.write(lambda tx: tx.upload_sessions.shorten(3600, 86_400))

    assert 86_000_000 < (await metadata.upload_sessions.furthest()).end <= 86_400_000
    assert await metadata.write(lambda tx: tx.upload_sessions.remove_expired(10)) == []
    await database.fetch("UPDATE upload_sessions SET expires_at = expires_at - 86400000")
    assert len(await metadata.write(lambda tx: tx.upload_sessions.remove_expired(10))) == 1


async def test_without_uploads_nothing_lies_ahead_f27(metadata: Metadata) -> None:
    assert await metadata.upload_sessions.furthest() == TimesAhead()


async def _append(metadata: Metadata, *kinds: str) -> list[int]:
    return [await metadata.write(lambda tx, kind=kind: tx.outbox.append(fact(kind))) for kind in kinds]  # type: ignore[misc]  # the default binds the name


async def test_facts_of_years_to_come_are_dated_now_and_keep_their_wait_f27(
    metadata: Metadata, database: RawDatabase
) -> None:
    """A request may have recorded them a moment ago: they are young until the wait is over, and so are those after."""
    first, second, third = await _append(metadata, "a", "b", "c")
    await database.fetch(f"UPDATE outbox SET at = at + {_YEARS} WHERE id = {second}")
    await database.fetch(f"UPDATE outbox SET at = at - 60000 WHERE id <> {second}")

    assert [one.sequence for one in await metadata.outbox.unjournalled(5000, 10)] == [first]
    ahead = await metadata.outbox.ahead(1000, 10)
    assert (ahead.count, ahead.furthest_milliseconds > _YEARS - 60_000) == (1, True)
    assert await metadata.outbox.ahead(1000, 1) == FactsAhead(0, 0)

    await metadata.write(lambda tx: tx.journal.redate(1000, 10))

    assert await metadata.outbox.ahead(1000, 10) == FactsAhead(0, 0)
    assert [one.sequence for one in await metadata.outbox.unjournalled(5000, 10)] == [first]
    await database.fetch(f"UPDATE outbox SET at = at - 5000 WHERE id = {second}")
    assert [one.sequence for one in await metadata.outbox.unjournalled(5000, 10)] == [first, second, third]


async def test_what_waits_for_the_journal_is_told_whatever_its_times_say_f27(
    metadata: Metadata, database: RawDatabase
) -> None:
    assert await metadata.outbox.first_unjournalled() is None
    assert (await metadata.outbox.backlog()).count == 0
    first, second = await _append(metadata, "a", "b")
    await database.fetch(f"UPDATE outbox SET at = at - 60000 WHERE id = {second}")
    await database.fetch(f"UPDATE outbox SET at = at + {_YEARS} WHERE id = {first}")

    backlog = await metadata.outbox.backlog()

    assert await metadata.outbox.first_unjournalled() == first
    assert (backlog.count, 60_000 <= backlog.oldest_milliseconds < 120_000) == (2, True)
    assert backlog.furthest_milliseconds > _YEARS - 60_000
