"""Runs commands in processes that are meant to die: `python -m tests.faults.command_server`, driven over stdin.

As in :mod:`tests.faults.crash_server`: everything is imported once, and each command runs in a fork of this process,
so that a crash costs milliseconds and all of them can be tried at each merge.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

import msgspec

from entrepot.backup import passphrase
from entrepot.kernel.failpoints import arm_failpoints
from entrepot.ops.application import run_command_line
from tests.faults.forks import COUNTING, ForkServer, Outcome, serve_orders

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["CommandOrder", "CommandServer"]


class CommandOrder(msgspec.Struct, frozen=True):
    """The words of one command, and what kills it."""

    words: tuple[str, ...]
    failpoints: str = ""


class CommandServer(ForkServer):
    """The process that forks commands."""

    def __init__(self, directory: Path) -> None:
        super().__init__("tests.faults.command_server", directory / "stderr")

    def run(self, *words: str, failpoints: str = "") -> Outcome:
        """Run one command in a process of its own and return how that process ended."""
        return self.order(CommandOrder(words, failpoints))


def main() -> None:
    """Carry out orders until standard input ends."""
    for module in ("create", "list", "verify", "restore", "prune"):
        importlib.import_module(f"entrepot.ops.backup.{module}")
    for module in ("change", "rewrap", "renew"):
        importlib.import_module(f"entrepot.ops.keys.{module}")
    passphrase.SCRYPT_COST = 1 << 10  # type: ignore[misc]  # half a second per try would add up
    serve_orders(CommandOrder, _carry_out)


def _carry_out(order: CommandOrder) -> int:
    arm_failpoints(order.failpoints or COUNTING)
    return run_command_line(order.words)


if __name__ == "__main__":
    main()
