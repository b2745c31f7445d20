"""The stream of log lines: order, when waiting lines are written, and that a lost stream fails nobody."""

from __future__ import annotations

import asyncio
import io
from typing import Any

from entrepot.observability.line_stream import LineStream
from tests.plumbing.patience import PATIENCE_SECONDS


class _Counting(io.BytesIO):
    """Counts how often it is written to."""

    writes = 0

    def write(self, data: Any) -> int:
        self.writes += 1
        return super().write(data)


async def test_lines_of_several_turns_share_a_write() -> None:
    """They are there a moment later, though nothing more comes; so are those that come afterwards."""
    target = _Counting()
    stream = LineStream(target)

    for number in range(3):
        stream.write_soon(b"%d" % number)
        await asyncio.sleep(0)
    assert target.getvalue() == b""
    await _until_written(target, b"0\n1\n2\n")
    stream.write_soon(b"3")

    await _until_written(target, b"0\n1\n2\n3\n")
    assert target.writes == 2


async def _until_written(target: io.BytesIO, expected: bytes) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while target.getvalue() != expected:  # noqa: ASYNC110  # it tells nobody
            await asyncio.sleep(0.001)


async def test_a_line_written_now_takes_those_that_wait_along() -> None:
    """An error is written at once, behind what happened before it."""
    target = io.BytesIO()
    stream = LineStream(target)

    stream.write_soon(b"request")
    stream.write(b"error")
    assert target.getvalue() == b"request\nerror\n"
    await asyncio.sleep(0.05)

    assert target.getvalue() == b"request\nerror\n"


async def test_only_so_many_lines_wait() -> None:
    """A moment in which very many requests are answered does not pile their lines up."""
    target = io.BytesIO()
    stream = LineStream(target)

    for _ in range(1000):
        stream.write_soon(b"x")

    assert 1000 - target.getvalue().count(b"\n") < 256
    await _until_written(target, b"x\n" * 1000)


def test_no_line_is_left_when_whoever_ends_the_process_flushes() -> None:
    """The last act of a main coroutine is still in the log, though its loop has ended."""
    target = io.BytesIO()
    stream = LineStream(target)

    async def main() -> None:
        stream.write_soon(b"last")

    asyncio.run(main())
    stream.flush()

    assert target.getvalue() == b"last\n"


async def test_a_lost_stream_fails_nobody() -> None:
    """Neither the caller nor the event loop sees that the log can't be written."""
    target = io.BytesIO()
    target.close()
    failures: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: failures.append(context))
    stream = LineStream(target)

    stream.write(b"now")
    stream.write_soon(b"soon")
    await asyncio.sleep(0.05)

    assert failures == []
