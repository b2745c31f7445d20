"""Log lines: their shape and levels, libraries and crashes in the same stream, and that logging never fails."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import re
import sys
import threading
import warnings
from typing import TYPE_CHECKING, Any

import pytest
import structlog

from entrepot.observability.log_lines import format_timestamp, render_console, render_json
from entrepot.observability.logging import LogLevel, configure_logging, get_logger
from entrepot.observability.request_ids import (
    RequestIds,
    bind_request_id,
    current_request_id,
    unbind_request_id,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def stream() -> Iterator[io.BytesIO]:
    """Return a stream to log to, and put the process's logging back afterwards."""
    root, hooks = logging.getLogger(), (sys.excepthook, threading.excepthook)
    handlers, level = root.handlers[:], root.level
    yield io.BytesIO()
    structlog.reset_defaults()
    logging.captureWarnings(capture=False)
    root.handlers[:] = handlers
    root.setLevel(level)
    sys.excepthook, threading.excepthook = hooks


def read_lines(stream: io.BytesIO) -> list[dict[str, Any]]:
    """Parse what was logged."""
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_has_the_documented_fields(stream: io.BytesIO) -> None:
    """One event is one line of JSON: time, level, event, process, then the facts."""
    configure_logging("info", "json", "http", stream)

    get_logger().info("upload.completed", size_bytes=5, digest="sha256:ab")

    (line,) = read_lines(stream)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("@timestamp"))
    assert isinstance(line.pop("process.pid"), int)
    assert line == {
        "log.level": "info",
        "event": "upload.completed",
        "process.role": "http",
        "size_bytes": 5,
        "digest": "sha256:ab",
    }


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        ("debug", ["debug", "info", "warning", "error"]),
        ("info", ["info", "warning", "error"]),
        ("warning", ["warning", "error"]),
        ("error", ["error"]),
    ],
)
def test_levels_filter_ours_and_those_of_libraries(
    stream: io.BytesIO, level: LogLevel, expected: list[str]
) -> None:
    """Only lines of at least the level are written, whoever writes them."""
    configure_logging(level, "json", "http", stream)
    ours, library = get_logger(), logging.getLogger("some.library")

    for name in ("debug", "info", "warning", "error"):
        getattr(ours, name)("ours")
        getattr(library, name)("theirs")

    lines = read_lines(stream)
    assert [line["log.level"] for line in lines if line["event"] == "ours"] == expected
    assert [line["log.level"] for line in lines if line["event"] == "library.message"] == expected


def test_a_librarys_record_becomes_a_line(stream: io.BytesIO) -> None:
    """Records of the standard library's logging come out in the same shape, arguments filled in."""
    configure_logging("info", "json", "http", stream)

    logging.getLogger("some.library").warning("took %d ms", 5)
    logging.getLogger("some.library").warning("took %d ms", "long")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=False)
        logging.captureWarnings(capture=True)
        warnings.warn("old", UserWarning, stacklevel=1)

    lines = read_lines(stream)
    assert [line["message"] for line in lines[:2]] == ["took 5 ms", "took %d ms"]
    assert lines[0]["log.logger"] == "some.library"
    assert "UserWarning: old" in lines[2]["message"]


def test_s27_an_exception_shows_its_stack_but_no_variables(stream: io.BytesIO) -> None:
    """Type, message and stack are there; local variables, which may hold secrets, are not."""
    configure_logging("info", "json", "http", stream)

    def fail(password: str) -> None:
        raise OSError(len(password), "disk gone")

    try:
        fail("can" + "ary")
    except OSError:
        get_logger().exception("blob.read_failed")

    (line,) = read_lines(stream)
    assert line["log.level"] == "error"
    assert line["error.type"] == "builtins.OSError"
    assert line["error.message"] == "[Errno 6] disk gone"
    assert "in fail" in line["error.stack"]
    assert "canary" not in stream.getvalue().decode()


def test_an_uncaught_exception_is_a_line(stream: io.BytesIO) -> None:
    """What kills a process or a thread is found in the log."""
    configure_logging("info", "json", "worker", stream)

    error = RuntimeError("broken")
    sys.excepthook(RuntimeError, error, None)
    thread = threading.Thread(target=lambda: 1 // 0, name="hasher")
    thread.start()
    thread.join()

    crashed, thread_crashed = read_lines(stream)
    assert (crashed["event"], crashed["error.message"]) == ("process.crashed", "broken")
    assert (thread_crashed["event"], thread_crashed["thread"]) == ("thread.crashed", "hasher")
    assert thread_crashed["error.type"] == "builtins.ZeroDivisionError"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("\udcff", "\udcff"),
        (2**70, 2**70),
        (object, "<class 'object'>"),
        (b"\xff", "/w=="),
        (float("nan"), None),
        ("a\nb", "a\nb"),
    ],
)
def test_any_value_can_be_logged(value: object, expected: object) -> None:
    """No value breaks a line or its caller: not a lone surrogate, a huge number, an odd object or a newline."""
    line = render_json({"event": "x", "value": value})

    assert b"\n" not in line
    assert json.loads(line)["value"] == expected


def test_a_lost_stream_does_not_fail_the_caller(stream: io.BytesIO) -> None:
    """A full disk or a closed pipe behind the log is no reason to refuse a push."""

    class Full(io.BytesIO):
        def write(self, _line: object, /) -> int:
            raise OSError(28, "No space left on device")

    configure_logging("info", "json", "http", Full())
    get_logger().info("x")
    stream.close()
    configure_logging("info", "json", "http", stream)
    get_logger().info("x")


def test_console_lines_are_for_people() -> None:
    """The console format shows clock, level, role, event and facts, quoted at need, the stack below."""
    line = render_console(
        {
            "@timestamp": "2026-11-23T22:50:01.042Z",
            "log.level": "info",
            "event": "upload.completed",
            "process.role": "http",
            "process.pid": 5,
            "size_bytes": 5,
            "reason": 'two "words"',
            "forged": "a\nb",
            "error.stack": "Traceback\n",
        }
    )

    assert line.decode() == (
        "22:50:01.042 info     http   upload.completed size_bytes=5 "
        'reason="two \\"words\\"" forged="a\\nb"\nTraceback'
    )


def test_the_console_format_is_used_when_asked_for(stream: io.BytesIO) -> None:
    """``log.format`` console gives text instead of JSON."""
    configure_logging("info", "console", "http", stream)
    get_logger().warning("disk.low", free_bytes=1)

    assert re.fullmatch(rb"\d\d:\d\d:\d\d\.\d{3} warning  http   disk\.low free_bytes=1\n", stream.getvalue())


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1795474201.0429, "2026-11-23T22:50:01.042Z"),
        (0.9999, "1970-01-01T00:00:00.999Z"),
    ],
)
def test_timestamps(seconds: float, expected: str) -> None:
    """Times are RFC 3339 in UTC, cut to milliseconds."""
    assert format_timestamp(seconds) == expected


async def test_the_request_id_follows_a_request_and_its_tasks(stream: io.BytesIO) -> None:
    """Lines of a request and of tasks it starts bear its id; those of other requests and of none don't."""
    configure_logging("info", "json", "http", stream)
    log = get_logger()

    async def serve(request_id: str) -> None:
        token = bind_request_id(request_id)
        await asyncio.sleep(0)
        await asyncio.create_task(report())
        unbind_request_id(token)
        log.info("outside")

    async def report() -> None:
        log.info("inside")

    await asyncio.gather(serve("a" * 8), serve("b" * 8))

    lines = read_lines(stream)
    assert sorted(line["request.id"] for line in lines if line["event"] == "inside") == ["a" * 8, "b" * 8]
    assert [line for line in lines if line["event"] == "outside" and "request.id" in line] == []
    assert current_request_id() == ""


@pytest.mark.parametrize(
    "header", [b"1", b"abc-123", b"-1", b"a" * 128, b"0f8fad5b-d9cb-469f-a165-70867728950e", b"A.b_c-d9"]
)
def test_a_clients_request_id_is_taken(header: bytes) -> None:
    """An id of 1 to 128 plain characters is kept, so that the client can find its request in our log."""
    assert RequestIds().accept(header) == header.decode()


@pytest.mark.parametrize(
    "header",
    [None, b"", b"a" * 129, b"12345678\n", b"1234 5678", b'1234"5678', b"\xff" * 9],
)
def test_other_request_ids_are_replaced(header: bytes | None) -> None:
    """An id that could forge or bloat a log line is replaced by one of ours, never cleaned and kept."""
    assert re.fullmatch(r"[0-9a-f]{32}", RequestIds().accept(header))


def test_new_request_ids_differ() -> None:
    """Ids don't repeat, within what is drawn at once and beyond."""
    ids = RequestIds()

    assert len({ids.new() for _ in range(200)} | {RequestIds().new()}) == 201
