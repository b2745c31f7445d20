"""Clients that send a body too slowly, or not at all, are ended; sound ones never are (F41)."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING, cast

import pytest

from entrepot.distribution_api.body_pace import BodyPace, PaceLimits
from entrepot.distribution_api.errors import BodyTooSlowError

if TYPE_CHECKING:
    from collections.abc import Callable

    from entrepot.kernel.asgi import Message

_LIMITS = PaceLimits(min_bytes_per_second=1024, window_seconds=30, silence_seconds=60)
_SECONDS_PER_STEP = 0.5


class _Clock:
    """A loop's clock and timers; time passes only when a test says so, so that a busy machine changes nothing."""

    def __init__(self) -> None:
        self.now = 0.0
        self.timers: list[asyncio.TimerHandle] = []

    def time(self) -> float:
        return self.now

    def call_later(self, delay: float, callback: Callable[[], None]) -> asyncio.TimerHandle:
        timer = asyncio.TimerHandle(self.now + delay, callback, (), cast("asyncio.AbstractEventLoop", self))
        self.timers.append(timer)
        return timer

    def get_debug(self) -> bool:
        return False

    def _timer_handle_cancelled(self, timer: asyncio.TimerHandle) -> None:
        """What a timer tells its loop."""

    def advance(self, seconds: float) -> None:
        """Let time pass, and the timers that are due go off."""
        end = self.now + seconds
        while self.now < end:
            self.now = min(self.now + _SECONDS_PER_STEP, end)
            for timer in [timer for timer in self.timers if timer.when() <= self.now]:
                self.timers.remove(timer)
                if not timer.cancelled():
                    timer._run()


class _Upload:
    """A body in whose pieces each is `piece_bytes` long and follows the one before after `pause_seconds`."""

    def __init__(self, limits: PaceLimits = _LIMITS) -> None:
        self.clock = _Clock()
        self.piece_bytes = 0
        self.pause_seconds = 0.0
        self.pace = BodyPace(self._arrive, limits)
        self.pace._loop = cast("asyncio.AbstractEventLoop", self.clock)

    async def go_on(self, piece_bytes: int, pause_seconds: float, seconds: float) -> None:
        self.piece_bytes, self.pause_seconds = piece_bytes, pause_seconds
        end = self.clock.now + seconds
        while self.clock.now < end:
            await self.pace.receive()

    async def _arrive(self) -> Message:
        self.clock.advance(self.pause_seconds)
        await asyncio.sleep(0)
        return {"type": "http.request", "body": b"x" * self.piece_bytes, "more_body": True}


async def test_a_client_that_sends_nothing_is_ended_after_the_time_for_silence() -> None:
    upload = _Upload()
    with pytest.raises(BodyTooSlowError) as ended:
        await upload.go_on(1, pause_seconds=3600, seconds=3600)
    assert ended.value.received_bytes == 0
    assert 60 <= ended.value.seconds <= 65


async def test_a_client_that_dribbles_is_ended_after_grace_and_window() -> None:
    upload = _Upload()
    with pytest.raises(BodyTooSlowError) as ended:
        await upload.go_on(1023, pause_seconds=1, seconds=3600)
    assert 60 <= upload.clock.now <= 66
    assert 30 <= ended.value.seconds <= 36
    assert 0 < ended.value.received_bytes < 1024 * ended.value.seconds


async def test_a_slow_start_is_forgiven() -> None:
    upload = _Upload()
    await upload.go_on(1, pause_seconds=1, seconds=30)
    await upload.go_on(1100, pause_seconds=1, seconds=300)


async def test_what_was_sent_long_ago_does_not_count() -> None:
    """The window slides: a client that begins well and dribbles then is ended, too."""
    upload = _Upload()
    await upload.go_on(1_000_000, pause_seconds=0.5, seconds=600)
    with pytest.raises(BodyTooSlowError):
        await upload.go_on(1, pause_seconds=1, seconds=70)


async def test_a_client_that_keeps_up_is_left_alone_however_long_it_takes() -> None:
    await _Upload().go_on(1100 * 30, pause_seconds=25, seconds=3600)


async def test_without_a_minimum_any_pace_will_do() -> None:
    await _Upload(PaceLimits(0, 30, 60)).go_on(1, pause_seconds=50, seconds=3600)


async def test_time_in_which_the_registry_is_busy_does_not_count() -> None:
    """A slow disk is not the client's fault (F8)."""
    upload = _Upload()
    for _ in range(100):
        upload.clock.advance(120)
        await upload.go_on(1, pause_seconds=0.1, seconds=0.1)


async def test_a_body_that_is_given_up_leaves_no_timer_behind() -> None:
    upload = _Upload()
    await upload.go_on(1, pause_seconds=1, seconds=1)
    assert len(upload.clock.timers) == 1
    upload.clock.advance(60)
    assert upload.clock.timers == []


async def test_many_chunks_share_one_timer() -> None:
    upload = _Upload()
    await upload.go_on(1_000_000, pause_seconds=0.001, seconds=1)
    assert len(upload.clock.timers) == 1
    upload.pace.end()
    assert all(timer.cancelled() for timer in upload.clock.timers)


async def test_a_request_that_is_cancelled_by_others_is_not_called_slow() -> None:
    receiving = asyncio.ensure_future(_receive_for_ever())
    await asyncio.sleep(0)
    receiving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await receiving


async def _receive_for_ever() -> None:
    upload = _Upload()
    for _ in itertools.count():
        await upload.go_on(1_000_000, pause_seconds=0.5, seconds=1)
