"""Runs imports in processes that are meant to die: `python -m tests.faults.import_crash_server`, driven over stdin.

Everything is imported once, and each order is carried out by the real command line in a fork of this process, which has
neither threads nor an event loop: a crash costs milliseconds.
"""

from __future__ import annotations

import importlib
import os
import sys
import traceback

import msgspec

from entrepot.kernel import failpoints
from entrepot.kernel.failpoints import Failpoint, arm_failpoints
from entrepot.ops.application import run_command_line

__all__ = ["ImportOrder", "ImportOutcome"]

_NEVER = 1_000_000
"""A count that no import reaches: arms a failpoint only to count how often it is passed."""


class ImportOrder(msgspec.Struct, frozen=True):
    """The arguments of `entrepot`, and what kills it; nothing arms all failpoints to count them."""

    arguments: list[str]
    failpoints: str = ""


class ImportOutcome(msgspec.Struct, frozen=True):
    """How the process ended and, if it did not crash, how often it passed each failpoint."""

    signal: int
    exit_code: int
    passes: dict[str, int]


def main() -> None:
    """Carry out orders until standard input ends."""
    for module in ("import_images", "export_images"):
        importlib.import_module(f"entrepot.ops.{module}")
    for line in sys.stdin.buffer:
        outcome = _run(msgspec.json.decode(line, type=ImportOrder))
        sys.stdout.buffer.write(msgspec.json.encode(outcome) + b"\n")
        sys.stdout.buffer.flush()


def _run(order: ImportOrder) -> ImportOutcome:
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
        return ImportOutcome(os.WTERMSIG(status), 0, passes)
    return ImportOutcome(0, os.WEXITSTATUS(status), passes)


def _carry_out_and_exit(order: ImportOrder, report: int) -> None:
    code = 1
    try:
        os.dup2(2, 1)  # the answers of this program are on standard output
        counting = ",".join(f"{name}:{_NEVER}" for name in Failpoint)
        arm_failpoints(order.failpoints or counting)
        code = run_command_line(order.arguments)
        counted = {name.value: _NEVER - left for name, left in failpoints._armed.items()}
        os.write(report, msgspec.json.encode(counted))
    except BaseException:  # noqa: BLE001  # whatever it was, the fork must not go on as its parent
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
