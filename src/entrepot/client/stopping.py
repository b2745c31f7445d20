"""Signals that end a command: it clears up first, and what must be shown is shown before.

It lies with the client, which imports nothing else of the product; the commands on the host use it, too.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

__all__ = ["die_of", "hold_signals", "stop_as_interrupted"]

_ENDING: Final = (signal.SIGTERM, signal.SIGHUP)
"""What ends a process at once unless it says otherwise: a draft would be left lying about."""


def stop_as_interrupted() -> list[int]:
    """Let SIGTERM and SIGHUP end the command as Ctrl-C does; return the list in which each is noted that came.

    One that is ignored, as below nohup, stays ignored; a command with handlers of its own replaces these.
    """
    came: list[int] = []

    def stop(number: int, _frame: FrameType | None) -> None:
        came.append(number)
        if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
            raise KeyboardInterrupt  # Ctrl-C is for others, as in a job in the background
        signal.raise_signal(signal.SIGINT)  # asyncio's handler cancels the work, which then clears up

    for number in _ENDING:
        if signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, stop)
    return came


def die_of(number: int) -> None:
    """End as a process that the signal ended, which is what a shell and systemd look for.

    It returns in the first process of a container: that one the kernel spares.
    """
    with contextlib.suppress(OSError):
        sys.stdout.flush()
    signal.signal(number, signal.SIG_DFL)
    signal.raise_signal(number)


@contextlib.contextmanager
def hold_signals(notice: str) -> Iterator[None]:
    """Let a block come to its end before a signal ends the command, which has then done all that it should.

    The first signal makes it say `notice` on standard error; the second one is heeded.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are the main thread's business
        return
    heeded = {number: signal.getsignal(number) for number in (signal.SIGINT, *_ENDING)}
    came: list[int] = []

    def hold(number: int, frame: FrameType | None) -> None:
        came.append(number)
        if len(came) == 1:
            with contextlib.suppress(
                OSError, RuntimeError
            ):  # RuntimeError: it came while a line was being written
                print(notice, file=sys.stderr, flush=True)
            return
        handler = heeded[signal.Signals(number)]
        if not callable(handler):
            raise KeyboardInterrupt
        handler(number, frame)

    held = [number for number, handler in heeded.items() if handler not in {signal.SIG_IGN, None}]
    for number in held:
        signal.signal(number, hold)
    try:
        yield
    finally:
        for number in held:
            signal.signal(number, heeded[number])
