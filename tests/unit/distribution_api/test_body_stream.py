"""A body that a thread takes for a while: as long as that pays, and on the client's time while it is waited for."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from entrepot.distribution_api.body_pace import PaceLimits
from entrepot.distribution_api.body_stream import BodyStream
from entrepot.distribution_api.errors import BodyTooSlowError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from entrepot.kernel.asgi import Message
    from entrepot.kernel.chunks import ChunkSink

_MUCH = 1 << 20


@dataclass
class _Source:
    """A client that is read on a thread: what it has sent by each reading, and how long it takes to send more."""

    sizes: list[int]
    seconds_between: float = 0.0
    seconds_of_reading: float = 0.0
    waits: int = 0
    has_backlog: bool = True
    pieces: list[bytes] = field(default_factory=list[bytes])

    @property
    def has_ended(self) -> bool:
        return not self.sizes

    async def arrival(self) -> None:
        self.waits += 1
        await asyncio.sleep(self.seconds_between)

    async def read(self, sink: ChunkSink) -> int:
        await asyncio.sleep(self.seconds_of_reading)
        size = self.sizes.pop(0)
        sink((bytes(size),))
        return size


async def _nothing() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


def _stream(source: _Source, least_bytes_per_second: int = 0, silence_seconds: float = 60) -> BodyStream:
    return BodyStream(_nothing, PaceLimits(least_bytes_per_second, 0.3, silence_seconds), source)


async def _drain(stream: BodyStream) -> int:
    taken: list[int] = []

    def sink(pieces: Sequence[bytes | memoryview]) -> None:
        taken.extend(len(piece) for piece in pieces)

    await stream.drain(sink)
    return sum(taken)


async def test_a_thread_takes_all_of_a_client_that_stays_ahead() -> None:
    source = _Source([_MUCH] * 4)
    stream = _stream(source)

    assert await _drain(stream) == 4 * _MUCH
    assert [chunk async for chunk in stream] == []
    assert (source.waits, stream.has_ended, stream.has_backlog) == (3, True, False)


async def test_a_thread_that_has_caught_up_leaves_the_rest_to_the_event_loop() -> None:
    source = _Source([_MUCH, 1000, _MUCH])

    assert await _drain(_stream(source)) == _MUCH + 1000
    assert source.sizes == [_MUCH]


async def test_f41_what_a_thread_takes_counts_for_the_client() -> None:
    """It sends 2 MiB a second, in three windows; without the bytes that the thread took it would be too slow."""
    source = _Source([300 * 1024] * 6, seconds_between=0.15)

    assert await _drain(_stream(source, least_bytes_per_second=300 * 1024)) == 1800 * 1024


async def test_f41_a_client_that_sends_nothing_more_is_ended() -> None:
    source = _Source([_MUCH, _MUCH], seconds_between=5)

    with pytest.raises(BodyTooSlowError):
        await _drain(_stream(source, silence_seconds=0.2))


async def test_f8_a_slow_disk_is_not_held_against_the_client() -> None:
    source = _Source([_MUCH] * 3, seconds_of_reading=0.3)

    assert await _drain(_stream(source, silence_seconds=0.1)) == 3 * _MUCH


async def test_a_stream_that_was_let_go_of_drains_nothing() -> None:
    source = _Source([_MUCH])
    stream = _stream(source)

    stream.end()

    assert await _drain(stream) == 0
    assert not stream.has_backlog
