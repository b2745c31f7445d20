"""Runs commands in processes that are meant to die: `python -m tests.faults.command_server`, driven over stdin.

As in :mod:`tests.faults.crash_server`: everything is imported once, and each command runs in a fork of this process,
so that a crash costs milliseconds and all of them can be tried at each merge.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import subprocess
import sys
import traceback
from typing import TYPE_CHECKING

import msgspec

from entrepot.backup import passphrase
from entrepot.kernel import failpoints
from entrepot.kernel.failpoints import Failpoint, arm_failpoints
from entrepot.ops.application import run_command_line
from tests.faults.crash_server import Outcome

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["CommandOrder", "CommandServer"]

_NEVER = 1_000_000
"""A count that no command reaches: arms a failpoint only to count how often it is passed."""


class CommandOrder(msgspec.Struct, frozen=True):
    """The words of one command, and what kills it."""

    words: tuple[str, ...]
    failpoints: str = ""


class CommandServer:
    """The process that forks commands."""

    def __init__(self, directory: Path) -> None:
        self._log = (directory / "stderr").open("wb")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.command_server"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
        )

    def run(self, *words: str, failpoints: str = "") -> Outcome:
        """Run one command in a process of its own and return how that process ended."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(msgspec.json.encode(CommandOrder(words, failpoints)) + b"\n")
        self._process.stdin.flush()
        return msgspec.json.decode(self._process.stdout.readline(), type=Outcome)

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()
        self._log.close()


def main() -> None:
    """Carry out orders until standard input ends."""
    for module in ("create", "list", "verify", "restore", "prune"):
        importlib.import_module(f"entrepot.ops.backup_{module}")
    passphrase.SCRYPT_COST = 1 << 10  # type: ignore[misc]  # half a second per try would add up
    for line in sys.stdin.buffer:
        outcome = _run(msgspec.json.decode(line, type=CommandOrder))
        sys.stdout.buffer.write(msgspec.json.encode(outcome) + b"\n")
        sys.stdout.buffer.flush()


def _run(order: CommandOrder) -> Outcome:
    reader, writer = os.pipe()
    process = os.fork()
    if process == 0:
        os.close(reader)
        _carry_out_and_exit(order, writer)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        report = pipe.read()
    status = os.waitpid(process, 0)[1]
    passes = msgspec.json.decode(report, type=dict[str, int]) if report else {}
    if os.WIFSIGNALED(status):
        return Outcome(os.WTERMSIG(status), 0, passes)
    return Outcome(0, os.WEXITSTATUS(status), passes)


def _carry_out_and_exit(order: CommandOrder, report: int) -> None:
    code = 99
    try:
        os.dup2(2, 1)  # what commands print must not end up among the answers
        arm_failpoints(order.failpoints or ",".join(f"{name}:{_NEVER}" for name in Failpoint))
        code = run_command_line(order.words)
        counted = {name.value: _NEVER - left for name, left in failpoints._armed.items()}
        os.write(report, msgspec.json.encode(counted))
    except BaseException:  # noqa: BLE001  # whatever it was, the fork must not go on as its parent
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
