"""Runs imports in processes that are meant to die: `python -m tests.faults.import_crash_server`, driven over stdin.

Everything is imported once, and each order is carried out by the real command line in a fork of this process, which has
neither threads nor an event loop: a crash costs milliseconds.
"""

from __future__ import annotations

import importlib

import msgspec

from entrepot.kernel.failpoints import arm_failpoints
from entrepot.ops.application import run_command_line
from tests.faults.forks import COUNTING, serve_orders

__all__ = ["ImportOrder"]


class ImportOrder(msgspec.Struct, frozen=True):
    """The arguments of `entrepot`, and what kills it; nothing arms all failpoints to count them."""

    arguments: list[str]
    failpoints: str = ""


def main() -> None:
    """Carry out orders until standard input ends."""
    for module in ("import_images", "export_images"):
        importlib.import_module(f"entrepot.ops.images.{module}")
    serve_orders(ImportOrder, _carry_out)


def _carry_out(order: ImportOrder) -> int:
    arm_failpoints(order.failpoints or COUNTING)
    return run_command_line(order.arguments)


if __name__ == "__main__":
    main()
