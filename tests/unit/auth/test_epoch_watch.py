"""The watch of epochs: what moved dies, what is not known is not vouched for (I6, S14)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from entrepot.auth.epoch_watch import EpochWatch
from entrepot.metadata.epoch_store import EpochsFound, EpochsNamed
from entrepot.metadata.errors import MetadataUnavailableError
from tests.unit.auth.identity_fakes import HandClock

if TYPE_CHECKING:
    from collections.abc import Collection


@dataclass
class _Database:
    """Implements `EpochReader` over dictionaries; the moved ones are within every window."""

    subjects: dict[str, int] = field(default_factory=dict[str, int])
    projects: dict[str, int] = field(default_factory=dict[str, int])
    moved: set[str] = field(default_factory=set[str])
    gone: bool = False
    windows: list[int] = field(default_factory=list[int])
    names: list[set[str]] = field(default_factory=list[set[str]])
    slow: asyncio.Event | None = None
    third_look: asyncio.Event = field(default_factory=asyncio.Event)

    async def look(
        self, window_milliseconds: int, subjects: Collection[str], projects: Collection[str]
    ) -> EpochsFound:
        self.windows.append(window_milliseconds)
        self.names.append({*subjects, *projects})
        if len(self.windows) == 3:
            self.third_look.set()
        if self.gone:
            raise MetadataUnavailableError("pulled the plug")
        found = EpochsFound(
            {name: epoch for name, epoch in self.subjects.items() if name in self.moved},
            {name: epoch for name, epoch in self.projects.items() if name in self.moved},
            {name: epoch for name, epoch in self.subjects.items() if name in subjects},
            {name: epoch for name, epoch in self.projects.items() if name in projects},
        )
        slow, self.slow = self.slow, None
        if slow is not None:
            await slow.wait()
        return found

    async def named(
        self, window_milliseconds: int, subjects: Collection[str], projects: Collection[str]
    ) -> EpochsNamed:
        self.windows.append(window_milliseconds)
        return EpochsNamed(
            {name: epoch for name, epoch in self.subjects.items() if name in subjects},
            {name: epoch for name, epoch in self.projects.items() if name in projects},
            frozenset(self.projects.keys() - self.moved),
        )


async def test_s14_what_was_issued_before_a_move_dies_and_what_was_issued_after_lives() -> None:
    database = _Database({"ann": 3, "bob": 1}, {"team": 8}, {"ann", "team"})
    watch = EpochWatch(database, 300)
    await watch.refresh()

    assert watch.is_current("ann", 2, {}) is False
    assert watch.is_current("ann", 3, {}) is True
    assert watch.is_current("ann", 4, {}) is True
    assert watch.is_current("bob", 0, {"other": 0}) is True
    assert watch.is_current("bob", 0, {"other": 0, "team": 7}) is False
    assert watch.is_current("bob", 0, {"team": 8}) is True
    assert database.windows == [
        730_000
    ]  # twice the life of a token and the leeway of its beginning, and two looks


async def test_s14_a_subject_whose_row_is_gone_is_noticed_once_it_was_asked_about() -> None:
    database = _Database({"ann": 0}, {"team": 0})
    watch = EpochWatch(database, 300)

    assert watch.is_current("ann", 0, {"team": 0}) is True
    database.subjects.clear()
    moves = watch.moves()
    await watch.refresh()

    assert watch.is_current("ann", 0, {}) is False
    assert watch.moves() > moves


async def test_a_project_that_was_deleted_and_made_anew_outlives_tokens_for_the_old_one() -> None:
    database = _Database({"ann": 0}, {"team": 5})
    watch = EpochWatch(database, 300)
    watch.is_current("ann", 0, {"team": 5})
    del database.projects["team"]
    await watch.refresh()
    assert watch.is_current("ann", 0, {"team": 5}) is False

    database.projects["team"] = 6
    await watch.refresh()

    assert watch.is_current("ann", 0, {"team": 6}) is True
    assert watch.is_current("ann", 0, {"team": 5}) is False


async def test_nobody_without_a_name_is_looked_up() -> None:
    database = _Database()
    watch = EpochWatch(database, 300)

    assert watch.is_current("anonymous", 0, {}) is True
    assert watch.is_current("", 0, {}) is True
    await watch.refresh()

    assert database.names == [set()]
    assert watch.is_current("anonymous", 0, {}) is True


async def test_i6_after_sixty_seconds_without_the_database_nothing_is_vouched_for() -> None:
    clock, database = HandClock(), _Database()
    watch = EpochWatch(database, 300, clock=clock)
    with pytest.raises(MetadataUnavailableError):
        watch.require_fresh()
    await watch.refresh()

    database.gone = True
    clock.now += 60
    with pytest.raises(MetadataUnavailableError):
        await watch.refresh()
    watch.require_fresh()
    clock.now += 0.001
    with pytest.raises(MetadataUnavailableError):
        watch.require_fresh()
    database.gone = False
    await watch.refresh()
    watch.require_fresh()


async def test_moves_grow_with_each_move_and_not_with_each_look() -> None:
    database = _Database({"ann": 1, "bob": 0}, moved={"ann"})
    watch = EpochWatch(database, 300)
    await watch.refresh()
    first = watch.moves()

    watch.is_current("bob", 0, {})
    await watch.refresh()
    await watch.refresh()
    assert watch.moves() == first

    database.subjects["ann"] = 2
    await watch.refresh()
    assert watch.moves() == first + 1


async def test_what_was_asked_about_during_a_failed_look_is_asked_about_again() -> None:
    database = _Database(gone=True)
    watch = EpochWatch(database, 300)
    watch.is_current("ann", 0, {})
    with pytest.raises(MetadataUnavailableError):
        await watch.refresh()

    database.gone = False
    await watch.refresh()

    assert database.names == [{"ann"}, {"ann"}]
    assert watch.is_current("ann", 0, {}) is False


async def test_i12_the_names_to_look_up_are_bounded() -> None:
    database = _Database()
    watch = EpochWatch(database, 300)

    for number in range(10_050):
        watch.is_current(f"s{number}", 0, {f"p{number}": 0})
    await watch.refresh()

    assert len(database.names[0]) == 20_000


async def test_the_watch_looks_by_itself_survives_a_lost_database_and_ends_when_closed() -> None:
    database = _Database({"ann": 1}, gone=True)
    watch = EpochWatch(database, 300, refresh_seconds=0.005)
    await watch.start()
    with pytest.raises(MetadataUnavailableError):
        watch.require_fresh()

    database.gone = False
    async with asyncio.timeout(60):
        await database.third_look.wait()
    await watch.refresh()
    watch.require_fresh()
    await watch.aclose()
    await watch.aclose()
    looks = len(database.windows)
    await asyncio.sleep(0.02)
    assert len(database.windows) == looks


async def test_s14_a_slow_look_brings_nothing_back_that_a_younger_one_saw_die() -> None:
    slow = asyncio.Event()
    database = _Database({"ann": 1}, moved={"ann"}, slow=slow)
    watch = EpochWatch(database, 300)
    first = asyncio.create_task(watch.refresh())
    await asyncio.sleep(0)

    database.subjects["ann"] = 2
    second = asyncio.create_task(watch.refresh())
    await asyncio.sleep(0)
    slow.set()
    await asyncio.gather(first, second)

    assert watch.is_current("ann", 1, {}) is False
