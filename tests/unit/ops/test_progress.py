"""What people are told about long work."""

from __future__ import annotations

import io
import time

import pytest

from entrepot.ops.progress import Progress, format_bytes


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that stands until a test moves it."""
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_a_log_gets_a_line_now_and_then(clock: list[float]) -> None:
    """Elsewhere than on a terminal lines are rare, complete and end with a newline."""
    stream = io.StringIO()
    progress = Progress("verify", unit="bytes", total=4 * 1024 * 1024, stream=stream)

    for _ in range(3):
        clock[0] += 5
        progress.advance(1024 * 1024)
    progress.finish()

    assert stream.getvalue().splitlines() == [
        "verify: 50%, 2.0 MiB of 4.0 MiB, 204.8 KiB/s, 0:10 left",
        "verify: 75%, 3.0 MiB of 4.0 MiB, 204.8 KiB/s, 0:05 left",
    ]


def test_a_terminal_gets_a_line_that_is_redrawn(clock: list[float]) -> None:
    """On a terminal a bar moves in one line, and messages stand above it."""
    stream = _Terminal()
    progress = Progress("import", total=2, stream=stream)

    clock[0] += 1
    progress.advance(note="team/app")
    progress.say("team/app: done")
    progress.finish()

    written = stream.getvalue()
    assert written.startswith("\r\x1b[Kimport: [████████████            ] 50%, 1 of 2, 1/s, 0:01 left")
    assert "\r\x1b[Kteam/app: done\n" in written


def test_silence_is_kept() -> None:
    """With machine-readable output nothing else is printed."""
    stream = io.StringIO()
    progress = Progress("export", stream=stream, silent=True)

    progress.advance(5)
    progress.say("something")
    progress.finish()

    assert stream.getvalue() == ""


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (5 * 1024**4, "5.0 TiB")]
)
def test_bytes_are_told_in_a_fitting_unit(count: int, text: str) -> None:
    """Sizes are for people."""
    assert format_bytes(count) == text
