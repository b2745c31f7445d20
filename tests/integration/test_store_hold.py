"""Work that relies on what lies in the store keeps the sweep of orphans away."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from entrepot.registry.errors import StoreHeldError
from entrepot.registry.sweeps import store_hold
from entrepot.registry.sweeps.orphans import OrphanSweep, SweepOptions
from entrepot.registry.sweeps.store_hold import StoreHold
from entrepot.settings import metadata_url
from tests.asgi.services import InProcessRegistry, in_process_registry, scratch_settings
from tests.drivers.metadata.raw_database import RawDatabase
from tests.running.moved_clocks import steady_clock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from entrepot.metadata.store import Transaction

_ORPHAN = "uploads/nobodys"


@pytest.fixture
async def registry(tmp_path: Path) -> AsyncIterator[InProcessRegistry]:
    """An empty registry with one orphan in its store."""
    async with in_process_registry(scratch_settings(tmp_path / "data")) as registry:
        await registry.stores.blobs.put(_ORPHAN, b"bytes")
        yield registry


def _quietly() -> None:
    """Whoever waits is not told."""


def _in_silence(_: str) -> None:
    """As above."""


async def test_nothing_is_swept_while_the_store_is_held(registry: InProcessRegistry) -> None:
    """The sweep has no turn inside, and has one again afterwards."""
    metadata, blobs = registry.stores.metadata, registry.stores.blobs
    sweep = OrphanSweep(metadata, blobs, SweepOptions(0, 0), await steady_clock(metadata))

    async with StoreHold(registry.stores.metadata).held(_quietly, _in_silence):
        assert (await sweep.run()).keys == 0
        assert await registry.stores.blobs.stat(_ORPHAN) == 5

    assert (await sweep.run()).found == 1


async def test_a_second_holder_waits_and_gives_up(
    registry: InProcessRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two such works never run at once; the second is told that it waits, and then why it may not."""
    monkeypatch.setattr(store_hold, "_POLL_SECONDS", 0.01)
    waits: list[str] = []
    second = StoreHold(registry.stores.metadata, patience_seconds=0.1)

    async with StoreHold(registry.stores.metadata).held(_quietly, _in_silence):
        with pytest.raises(StoreHeldError, match="under way"):
            async with second.held(lambda: waits.append("waiting"), waits.append):
                pytest.fail("two held the store at once")

    assert waits == ["waiting"]
    async with second.held(_quietly, _in_silence):
        pass


async def test_a_holder_that_lost_the_lease_is_stopped(
    registry: InProcessRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What relied on the hold does not go on without it (F30)."""
    monkeypatch.setattr(store_hold, "_RENEWAL_SECONDS", 0.01)

    hold = StoreHold(registry.stores.metadata)

    async def steal(tx: Transaction) -> None:
        assert hold.claim is not None
        await tx.orphans.release(hold.claim, 0)
        assert await tx.orphans.hold("orphans", 60) is not None

    async def work() -> None:
        async with hold.held(_quietly, _in_silence):
            await registry.stores.metadata.write(steal)
            await asyncio.sleep(10)

    with pytest.raises(StoreHeldError, match="was lost"):
        await work()


async def test_a_hold_left_by_a_clock_that_was_ahead_ends_within_the_patience_f27(
    registry: InProcessRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A backup killed in 2040 keeps the next one waiting for one length of a lease, not until 2040."""
    monkeypatch.setattr(store_hold, "_POLL_SECONDS", 0.01)
    database = RawDatabase(metadata_url(registry.settings))
    metadata = registry.stores.metadata
    await metadata.write(lambda tx: tx.orphans.hold("orphans", 300))
    await database.fetch("UPDATE sweeps SET lease_until = lease_until + 441504000000")
    waiting, clock = asyncio.Event(), await steady_clock(metadata)

    async def back_up() -> None:
        async with StoreHold(metadata, clock=clock).held(waiting.set, _in_silence):
            pass

    backup = asyncio.create_task(back_up())
    await waiting.wait()
    await asyncio.sleep(0.05)
    assert not backup.done()
    await database.fetch("UPDATE sweeps SET lease_until = lease_until - 300000")
    await asyncio.wait_for(backup, 60)


async def test_a_living_hold_outlasts_a_clock_that_steps_back_f27(
    registry: InProcessRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others shorten what the former clock wrote; the renewal comes before that ends, and nobody gets in between."""
    monkeypatch.setattr(store_hold, "_RENEWAL_SECONDS", 0.02)
    monkeypatch.setattr(store_hold, "_POLL_SECONDS", 0.01)
    database = RawDatabase(metadata_url(registry.settings))
    metadata = registry.stores.metadata
    hold, clock = StoreHold(metadata), await steady_clock(metadata)

    async with hold.held(_quietly, _in_silence):
        assert hold.claim is not None
        fence = hold.claim.fence
        for _ in range(3):
            await database.fetch("UPDATE sweeps SET lease_until = lease_until + 3600000")
            with pytest.raises(StoreHeldError, match="under way"):
                async with StoreHold(metadata, 0.1, clock).held(_quietly, _in_silence):
                    pytest.fail("two held the store at once")
        assert await database.value("SELECT fence FROM sweeps WHERE name = 'orphans'") == fence
