"""A clock that is behind for a minute and then right again ends nothing that was in time, on both engines (F27).

It is played by the rows, which lie further ahead by as much, and by what the database says when it is asked for its
time; see :mod:`tests.running.moved_clocks`.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pytest

from entrepot.metadata.outbox_store import FactsAhead
from entrepot.metadata.records import NewUploadSession
from entrepot.registry.journal.writer import Journal
from entrepot.registry.pushes.staged_uploads import StagedUploads
from entrepot.registry.store_match.watch import StoreWatch
from entrepot.registry.sweeps.orphans import OrphanSweep, SweepOptions, SweepReport
from entrepot.registry.sweeps.turns import Patience, take_turn, wait_for_turn
from entrepot.registry.sweeps.upload_expiry import UploadExpiry
from entrepot.workers.upkeep import journal_duty
from tests.drivers.blobstore.opening import StoreAddress, open_store
from tests.drivers.blobstore.staging import keys_of, new_upload, stage
from tests.drivers.metadata.material import ALICE, REPOSITORY, fact
from tests.running.moved_clocks import MovedClocks

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from entrepot.blobstore.driver import BlobStore
    from entrepot.metadata.store import Metadata, Transaction
    from entrepot.registry.sweeps.steady_clock import SteadyClock
    from tests.drivers.metadata.raw_database import RawDatabase

_DAYS: Final = 8 * 86_400
_LIFE: Final = 7 * 86_400
_GRACE: Final = 86_400
_TIMES: Final = {
    "upload_sessions": ("expires_at", "lease_until"),
    "orphans": ("seen_at",),
    "sweeps": ("lease_until", "due_at"),
    "outbox": ("at",),
}


@dataclass(slots=True)
class Scene:
    """A store with its database, both clocks, and the process that watches them."""

    metadata: Metadata
    database: RawDatabase
    blobs: BlobStore
    clocks: MovedClocks
    clock: SteadyClock

    async def jump(self, seconds: int) -> None:
        """Set the database's clock: what it wrote lies further in the past, or ahead."""
        self.clocks.jump(seconds)
        for table, columns in _TIMES.items():
            changes = ", ".join(f"{column} = {column} - {seconds * 1000}" for column in columns)
            await self.database.fetch(f"UPDATE {table} SET {changes}")

    async def expire(self) -> int:
        """Run the expiry once."""
        store = self.clocks.beside(self.metadata)
        return await UploadExpiry(store, StagedUploads(store, self.blobs), _LIFE, self.clock).run()

    async def sweep(self) -> SweepReport:
        """Do a pass, which is due."""
        await self.database.fetch("UPDATE sweeps SET due_at = 0 WHERE name = 'orphans'")
        options = SweepOptions(_GRACE, period_seconds=3600, page_pause_seconds=0)
        return await OrphanSweep(self.clocks.beside(self.metadata), self.blobs, options, self.clock).run()

    async def begin_upload(self) -> None:
        """Leave an idle upload with a few bytes."""
        upload = await stage(self.blobs, new_upload(), b"acknowledged")

        async def unit(tx: Transaction) -> None:
            row = await tx.repositories.ensure(REPOSITORY, "team", ALICE)
            await tx.upload_sessions.create(
                NewUploadSession(upload.upload_id, row.id, ALICE, "sha256", _LIFE)
            )

        await self.metadata.write(unit)

    async def settle(self) -> None:
        """Let ten minutes pass, and have the process see it."""
        await self.clock.look(self.clocks.beside(self.metadata))
        self.clocks.pass_time(600)
        await self.clock.look(self.clocks.beside(self.metadata))


@pytest.fixture(params=["watched", "just started"])
async def scene(
    request: pytest.FixtureRequest, metadata: Metadata, database: RawDatabase
) -> AsyncIterator[Scene]:
    """A process that knows the clock for long, and one that starts when it is wrong already."""
    clocks, blobs = MovedClocks(), await open_store(StoreAddress())
    clock = await clocks.watched(metadata) if request.param == "watched" else clocks.watch()
    yield Scene(metadata, database, blobs, clocks, clock)
    await blobs.aclose()


async def test_an_idle_upload_outlives_a_clock_that_is_behind_for_a_minute_f27(scene: Scene) -> None:
    """It gets no 404 once the clock is right, then or ten minutes later; its end is what it was."""
    await scene.begin_upload()
    before = await scene.database.fetch("SELECT expires_at, byte_offset FROM upload_sessions")

    await scene.jump(-_DAYS)
    assert [await scene.expire() for _ in range(2)] == [0, 0]
    await scene.jump(_DAYS)

    assert await scene.expire() == 0
    await scene.settle()
    assert await scene.expire() == 0
    assert await scene.database.fetch("SELECT expires_at, byte_offset FROM upload_sessions") == before
    assert len(await keys_of(scene.blobs)) == 1


async def test_a_lease_of_an_upload_outlives_it_as_well_f27(scene: Scene) -> None:
    await scene.begin_upload()
    await scene.database.fetch("UPDATE upload_sessions SET lease_owner = 'n/1', lease_until = expires_at")
    before = await scene.database.fetch("SELECT lease_until FROM upload_sessions")

    await scene.jump(-_DAYS)
    await scene.expire()
    await scene.jump(_DAYS)

    assert await scene.database.fetch("SELECT lease_until FROM upload_sessions") == before


async def test_an_orphan_keeps_its_grace_beside_such_a_clock_f27(scene: Scene) -> None:
    """Neither one that was noted before is removed, nor one that was first met while the clock was behind."""
    now = await scene.metadata.diagnosis.clock_milliseconds()
    await scene.blobs.put("uploads/before", b"bytes")
    await scene.metadata.write(lambda tx: tx.orphans.remember({"uploads/before": 5}))
    before = await scene.database.fetch("SELECT * FROM orphans")

    await scene.jump(-_DAYS)
    await scene.blobs.put("uploads/meanwhile", b"bytes")
    report = await scene.sweep()
    assert (report.finished, report.found, report.unnoted, report.removed) == (True, 0, 1, 0)
    await scene.jump(_DAYS)
    assert (await scene.sweep()).removed == 0
    assert await scene.database.fetch("SELECT * FROM orphans") == before

    await scene.settle()
    report = await scene.sweep()
    assert (report.found, report.unnoted, report.removed) == (1, 0, 0)
    assert await scene.database.value("SELECT min(seen_at) FROM orphans") >= now
    assert await keys_of(scene.blobs) == ["uploads/before", "uploads/meanwhile"]


async def test_a_pass_that_could_not_note_an_orphan_is_followed_by_one_soon_f27(scene: Scene) -> None:
    """When the clock can be steady; the next pass notes it and comes after the whole period again."""
    await scene.jump(-_DAYS)
    await scene.blobs.put("uploads/nobodys", b"bytes")

    pauses: list[float] = []
    for _ in range(2):
        await scene.sweep()
        now = await scene.metadata.diagnosis.clock_milliseconds()
        pauses.append(round((await scene.database.value("SELECT due_at FROM sweeps") - now) / 1000, -1))
        await scene.settle()

    assert pauses == [600, 3600]


async def test_neither_a_turn_nor_its_lease_is_shortened_by_such_a_clock_f27(scene: Scene) -> None:
    """A backup that is under way keeps the sweep away after the clock was put right, too."""
    holder = await scene.metadata.write(lambda tx: tx.orphans.hold("orphans", 300))
    assert holder is not None
    await scene.database.fetch("UPDATE sweeps SET due_at = lease_until")
    before = await scene.database.fetch("SELECT lease_until, due_at FROM sweeps")
    store = scene.clocks.beside(scene.metadata)

    await scene.jump(-_DAYS)
    assert await take_turn(store, scene.clock, "orphans", 300, 3600) is None
    await scene.jump(_DAYS)

    assert await scene.database.fetch("SELECT lease_until, due_at FROM sweeps") == before
    assert await take_turn(store, scene.clock, "orphans", 300, 3600) is None


async def test_facts_keep_their_time_beside_such_a_clock_f27(scene: Scene) -> None:
    await scene.metadata.write(lambda tx: tx.outbox.append(fact("a")))
    before = await scene.database.fetch("SELECT at FROM outbox")
    journal = Journal(scene.blobs, await scene.metadata.instance.incarnation())
    store = scene.clocks.beside(scene.metadata)
    duty = journal_duty(store, journal, scene.clock, StoreWatch(store, scene.blobs))

    await scene.jump(-_DAYS)
    await duty.run()
    await scene.jump(_DAYS)

    assert await scene.database.fetch("SELECT at FROM outbox") == before


async def test_what_a_clock_that_was_ahead_left_is_put_right_once_it_is_steady_f27(scene: Scene) -> None:
    """Uploads, orphans, turns, leases and facts: all of them ten minutes after the clock was put right, no sooner."""
    store = scene.clocks.beside(scene.metadata)
    await scene.jump(_DAYS)
    await scene.clock.look(store)
    await scene.begin_upload()
    await scene.blobs.put("uploads/nobodys", b"bytes")
    await scene.metadata.write(lambda tx: tx.orphans.remember({"uploads/nobodys": 5}))
    await scene.metadata.write(lambda tx: tx.outbox.append(fact("a")))
    assert await scene.metadata.write(lambda tx: tx.orphans.hold("verify", 300)) is not None
    await scene.jump(-_DAYS)
    journal = Journal(scene.blobs, await scene.metadata.instance.incarnation())
    duty = journal_duty(store, journal, scene.clock, StoreWatch(store, scene.blobs))

    for is_right in (False, True):
        await scene.expire()
        await scene.sweep()
        await duty.run()
        assert await take_turn(store, scene.clock, "verify", 60) is None
        furthest = await scene.metadata.upload_sessions.furthest()
        leases = [one.lease or 0 for one in await scene.metadata.diagnosis.sweep_times()]
        ahead = (
            furthest.end > _LIFE * 1000,
            await scene.metadata.diagnosis.youngest_orphan() > 0,
            max(leases) > 300_000,
            await scene.metadata.outbox.ahead(1000, 10) != FactsAhead(0, 0),
        )
        assert ahead == (not is_right,) * 4
        await scene.settle()

    assert await scene.expire() == 0
    assert (await scene.sweep()).removed == 0


async def test_after_a_jump_what_is_idle_stays_for_ten_minutes_f27(scene: Scene) -> None:
    """Whoever sets the clock ahead by mistake has as long to set it back."""
    await scene.begin_upload()
    await scene.blobs.put("uploads/nobodys", b"bytes")
    await scene.metadata.write(lambda tx: tx.orphans.remember({"uploads/nobodys": 5}))
    await scene.clock.look(scene.clocks.beside(scene.metadata))

    await scene.jump(_DAYS)
    assert (await scene.expire(), (await scene.sweep()).removed) == (0, 0)
    scene.clocks.pass_time(595)
    assert (await scene.expire(), (await scene.sweep()).removed) == (0, 0)

    scene.clocks.pass_time(10)
    assert (await scene.expire(), (await scene.sweep()).removed) == (1, 1)


async def test_a_restart_delays_nothing_that_is_due_f27(metadata: Metadata, database: RawDatabase) -> None:
    """A process that starts has seen no jump."""
    clocks, blobs = MovedClocks(), await open_store(StoreAddress())
    scene = Scene(metadata, database, blobs, clocks, clocks.watch())
    await scene.begin_upload()
    await blobs.put("uploads/nobodys", b"bytes")
    await metadata.write(lambda tx: tx.orphans.remember({"uploads/nobodys": 5}))
    await database.fetch(f"UPDATE upload_sessions SET expires_at = expires_at - {_LIFE * 1000}")
    await database.fetch(f"UPDATE orphans SET seen_at = seen_at - {_GRACE * 1000}")

    assert (await scene.expire(), (await scene.sweep()).removed) == (1, 1)
    assert await keys_of(blobs) == []


async def _leave_a_lease_of_years(metadata: Metadata, database: RawDatabase) -> int:
    """Return its fence."""
    dead = await metadata.write(lambda tx: tx.orphans.hold("verify", 60))
    assert dead is not None
    await database.fetch(f"UPDATE sweeps SET lease_until = lease_until + {14 * 365 * 86_400_000}")
    return dead.fence


async def _lease(metadata: Metadata) -> int:
    (times,) = await metadata.diagnosis.sweep_times()
    return times.lease or 0


async def test_a_command_puts_a_lease_of_years_right_itself_once_it_has_watched_the_clock_f27(
    metadata: Metadata, database: RawDatabase
) -> None:
    """No registry need be running. It tells once for how long the lease is held, and takes it when that has ended."""
    clocks, told, shortened = MovedClocks(), list[str](), asyncio.Event()
    fence = await _leave_a_lease_of_years(metadata, database)

    def listen(reason: str) -> None:
        told.append(reason)
        clocks.pass_time(600)

    patience = Patience(60, 0.01, shortened.set, listen)
    taking = asyncio.create_task(
        wait_for_turn(clocks.beside(metadata), "verify", 60, patience, clocks.watch())
    )
    await shortened.wait()
    assert 0 < await _lease(metadata) <= 60_000
    assert not taking.done()
    await database.fetch("UPDATE sweeps SET lease_until = 1")
    claim = await taking

    assert claim is not None
    assert (claim.fence, len(told)) == (fence + 1, 1)
    assert "is held for 5110.0 days, longer than anybody takes it" in told[0]
    assert "in 11 minutes" in told[0]


async def test_a_command_leaves_such_a_lease_alone_while_the_clock_jumps_f27(
    metadata: Metadata, database: RawDatabase
) -> None:
    clocks = MovedClocks()
    await _leave_a_lease_of_years(metadata, database)
    store, clock = clocks.beside(metadata), clocks.watch()

    for jump in (0, _DAYS, -_DAYS):
        clocks.jump(jump)
        assert await take_turn(store, clock, "verify", 60) is None
        clocks.pass_time(590)

    assert await _lease(metadata) > _DAYS * 1000


async def test_a_command_waits_longer_for_a_lease_that_is_to_be_put_right_f27(
    metadata: Metadata, database: RawDatabase
) -> None:
    """It takes ten minutes until it may do so, whatever patience it has with one that somebody holds."""
    clocks, loop = MovedClocks(), asyncio.get_running_loop()
    await _leave_a_lease_of_years(metadata, database)
    store, goes_on = clocks.beside(metadata), asyncio.Event()
    over_at = loop.time() + 1

    async def write(unit: Callable[[Transaction], Awaitable[object]]) -> object:
        if loop.time() > over_at:
            goes_on.set()
        return await metadata.write(unit)

    vars(store)["write"] = write
    patience = Patience(0.5, 0.01, lambda: None, lambda _: None)
    taking = asyncio.create_task(wait_for_turn(store, "verify", 60, patience, clocks.watch()))
    going_on = asyncio.create_task(goes_on.wait())
    done, _ = await asyncio.wait((taking, going_on), return_when=asyncio.FIRST_COMPLETED)
    taking.cancel()
    going_on.cancel()

    assert done == {going_on}
