"""Carries out plans on a mounted file system: `python -m tests.faults.crashstates.recorder`, with an order as argument.

A process of its own, because the leases in its database must be those of a process that is dead when they are examined.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tests.faults.crashstates.performing import perform, registry_on
from tests.faults.crashstates.plans import Step, build_plan
from tests.faults.crashstates.recording_filesystem import MARKS, SETTLE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.faults.pushing import Acknowledgement

__all__ = ["BEGIN", "DATA", "RecorderOrder"]

DATA = "data"
"""The data directory of each plan, in a directory named for the plan."""

BEGIN = "begin "
"""How the mark before all that belongs to a plan begins; its name follows."""


class RecorderOrder(msgspec.Struct, frozen=True):
    """Which plans to carry out below `root`, with which bytes."""

    root: str
    seed: int
    plans: tuple[str, ...]


def main() -> None:
    """Carry out the order."""
    order = msgspec.json.decode(sys.argv[1], type=RecorderOrder)
    root = Path(order.root)
    marks = os.open(root / MARKS, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def mark(text: bytes) -> None:
        os.pwrite(marks, text, 0)  # at the start of a page, since the kernel parts what crosses one

    def tell(acknowledgement: Acknowledgement) -> None:
        mark(msgspec.json.encode(acknowledgement))

    for name in order.plans:
        plan = build_plan(name, order.seed)
        data = root / name / DATA
        mark(f"{BEGIN}{name}".encode())
        data.parent.mkdir()
        if plan.before:
            asyncio.run(_carry_out(data, plan.before, lambda _: None))
        mark(SETTLE)
        asyncio.run(_carry_out(data, plan.steps, tell))


async def _carry_out(data: Path, steps: Sequence[Step], tell: Callable[[Acknowledgement], None]) -> None:
    async with registry_on(data) as client:
        for step in steps:
            await perform(client, data, step, tell)


if __name__ == "__main__":
    main()
