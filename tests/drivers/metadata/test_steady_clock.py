"""Whether the database's clock is seen to run steadily, on both engines (F27)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from tests.running.moved_clocks import MovedClocks

if TYPE_CHECKING:
    from entrepot.metadata.store import Metadata


async def test_a_clock_is_steady_after_ten_minutes_that_begin_with_the_process_f27(
    metadata: Metadata,
) -> None:
    """The first look is no jump, whatever the clock was before."""
    clocks = MovedClocks()
    clock, store = clocks.watch(), clocks.beside(metadata)
    assert (clock.is_steady, clock.has_jumped) == (False, False)

    told: list[tuple[bool, bool]] = []
    for seconds in (0, 599, 2):
        clocks.pass_time(seconds)
        await clock.look(store)
        told.append((clock.is_steady, clock.has_jumped))

    assert told == [(False, False), (False, False), (True, False)]


async def test_what_nobody_looked_at_was_not_steady_f27(metadata: Metadata) -> None:
    """Time alone makes no clock steady: it has to be looked at when that is over."""
    clocks = MovedClocks()
    clock = clocks.watch()
    await clock.look(clocks.beside(metadata))

    clocks.pass_time(3600)

    assert not clock.is_steady


@pytest.mark.parametrize("seconds", [-8 * 86_400, -62, 62, 14 * 365 * 86_400])
async def test_a_jump_begins_the_ten_minutes_anew_f27(metadata: Metadata, seconds: int) -> None:
    """And the one by which the clock is put right again."""
    clocks = MovedClocks()
    store, clock = clocks.beside(metadata), await clocks.watched(metadata)

    with capture_logs() as lines:
        for jump in (seconds, -seconds):
            clocks.pass_time(300)
            clocks.jump(jump)
            await clock.look(store)
            assert (clock.is_steady, clock.has_jumped) == (False, True)
        clocks.pass_time(598)
        await clock.look(store)
        assert (clock.is_steady, clock.has_jumped) == (False, True)
        clocks.pass_time(3)
        await clock.look(store)

    assert (clock.is_steady, clock.has_jumped) == (True, False)
    assert [(line["event"], line["log_level"], round(line["seconds"])) for line in lines] == [
        ("clock.jumped", "warning", seconds),
        ("clock.jumped", "warning", -seconds),
    ]


async def test_a_clock_that_is_corrected_a_little_goes_on_f27(metadata: Metadata) -> None:
    """Also when what it is corrected by adds up to minutes in the course of days."""
    clocks = MovedClocks()
    store, clock = clocks.beside(metadata), await clocks.watched(metadata)

    for _ in range(20):
        clocks.pass_time(700)
        clocks.jump(50)
        await clock.look(store)
        assert (clock.is_steady, clock.has_jumped) == (True, False)
