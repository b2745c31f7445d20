"""Carries out orders, each in a fork of a process that has everything imported, so that a crash costs milliseconds.

Such a process has neither threads nor an event loop. Orders come over standard input, a line of JSON each, and outcomes
go to standard output.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import traceback
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from entrepot.kernel import failpoints
from entrepot.kernel.failpoints import Failpoint

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["COUNTING", "ForkServer", "Outcome", "serve_orders"]

_NEVER: Final = 1_000_000
"""A count that nothing reaches: arms a failpoint only to count how often it is passed."""
COUNTING: Final = ",".join(f"{name}:{_NEVER}" for name in Failpoint)
"""What to arm so that the outcome says how often each failpoint was passed."""

OrderT = TypeVar("OrderT")


class Outcome(msgspec.Struct, frozen=True):
    """How the process ended, and, if it did not crash, how often each failpoint was passed."""

    signal: int
    exit_code: int
    passes: dict[str, int]


class ForkServer:
    """The process that serves orders, as the test that gives them sees it."""

    def __init__(self, module: str, log: Path) -> None:
        """Start a module whose `main` calls :func:`serve_orders`; what it says goes to `log`."""
        self._log = log.open("wb")
        self._process = subprocess.Popen(
            [sys.executable, "-m", module], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log
        )

    def order(self, order: msgspec.Struct) -> Outcome:
        """Have an order carried out in a process of its own and return how that process ended."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(msgspec.json.encode(order) + b"\n")
        self._process.stdin.flush()
        return msgspec.json.decode(self._process.stdout.readline(), type=Outcome)

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(60)
        self._process.stdout.close()
        self._log.close()


def serve_orders(kind: type[OrderT], carry_out: Callable[[OrderT], int]) -> None:
    """Carry out orders until standard input ends; `carry_out` returns the exit code, and an exception makes it 1."""
    for line in sys.stdin.buffer:
        outcome = _run(carry_out, msgspec.json.decode(line, type=kind))
        sys.stdout.buffer.write(msgspec.json.encode(outcome) + b"\n")
        sys.stdout.buffer.flush()


def _run(carry_out: Callable[[OrderT], int], order: OrderT) -> Outcome:
    reader, writer = os.pipe()
    process = os.fork()
    if process == 0:
        os.close(reader)
        _carry_out_and_exit(carry_out, order, writer)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        report = pipe.read()
    status = os.waitpid(process, 0)[1]
    passes = msgspec.json.decode(report, type=dict[str, int]) if report else {}
    if os.WIFSIGNALED(status):
        return Outcome(os.WTERMSIG(status), 0, passes)
    return Outcome(0, os.WEXITSTATUS(status), passes)


def _carry_out_and_exit(carry_out: Callable[[OrderT], int], order: OrderT, report: int) -> None:
    code = 1
    try:
        os.dup2(2, 1)  # what is printed must not end up among the outcomes
        code = carry_out(order)
        counted = {name.value: _NEVER - left for name, left in failpoints._armed.items()}
        os.write(report, msgspec.json.encode(counted))
    except BaseException:  # noqa: BLE001  # whatever it was, the fork must not go on as its parent
        code = 1
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)
