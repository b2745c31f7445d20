"""The stream of log lines: order, when waiting lines are written, and that a lost stream fails nobody."""

from __future__ import annotations

import asyncio
import io

from entrepot.observability.line_stream import LineStream


async def test_lines_that_wait_are_written_at_the_end_of_the_turn() -> None:
    """Lines of one turn of the event loop share a write, and are there in the next turn."""
    target = io.BytesIO()
    stream = LineStream(target)

    stream.write_soon(b"one")
    stream.write_soon(b"two")
    assert target.getvalue() == b""
    await asyncio.sleep(0)

    assert target.getvalue() == b"one\ntwo\n"


async def test_each_turn_writes_its_own_lines() -> None:
    """A line after a flush is flushed as well."""
    target = io.BytesIO()
    stream = LineStream(target)
    for number in range(3):
        stream.write_soon(b"%d" % number)
        await asyncio.sleep(0)

    assert target.getvalue() == b"0\n1\n2\n"


async def test_a_line_written_now_takes_those_that_wait_along() -> None:
    """An error is written at once, behind what happened before it."""
    target = io.BytesIO()
    stream = LineStream(target)

    stream.write_soon(b"request")
    stream.write(b"error")
    assert target.getvalue() == b"request\nerror\n"
    await asyncio.sleep(0)

    assert target.getvalue() == b"request\nerror\n"


async def test_only_so_many_lines_wait() -> None:
    """A turn that answers very many requests does not pile their lines up."""
    target = io.BytesIO()
    stream = LineStream(target)

    for _ in range(1000):
        stream.write_soon(b"x")

    assert 1000 - target.getvalue().count(b"\n") < 256
    await asyncio.sleep(0)
    assert target.getvalue().count(b"\n") == 1000


def test_no_line_is_left_when_the_loop_ends() -> None:
    """The last act of a main coroutine is still in the log: ending a loop turns it once more."""
    target = io.BytesIO()
    stream = LineStream(target)

    async def main() -> None:
        stream.write_soon(b"last")

    asyncio.run(main())

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
    await asyncio.sleep(0)

    assert failures == []
