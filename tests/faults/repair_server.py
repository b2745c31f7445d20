"""Runs repairs in processes that are meant to die: `python -m tests.faults.repair_server`, driven over stdin.

As :mod:`tests.faults.crash_server`: everything is imported once, and each order is carried out in a fork.
"""

from __future__ import annotations

import asyncio
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import structlog

from entrepot.blobstore.filesystem.store import FilesystemBlobStore
from entrepot.bootstrap import open_stores
from entrepot.kernel.failpoints import arm_failpoints
from entrepot.lifecycle.recovery import StoreRecovery
from entrepot.lifecycle.scrub.options import Mode, ScrubGround, ScrubOptions
from entrepot.registry.hashing import HashingPool
from entrepot.settings import parse_dumped_settings
from tests.faults.forks import COUNTING, serve_orders
from tests.integration.scrubbing import verify_stores

__all__ = ["RepairOrder", "repair"]


class RepairOrder(msgspec.Struct, frozen=True):
    """One repair: settings as JSON, what kills it, and the directory of the store that heals."""

    settings: str
    failpoints: str
    source: str


async def repair(order: RepairOrder) -> dict[str, str]:
    """Repair a registry, and return what was done, by kind of damage."""
    settings = parse_dumped_settings(order.settings.encode())
    source = FilesystemBlobStore(Path(order.source))
    with ThreadPoolExecutor(1) as executor:
        async with open_stores(settings) as stores:
            if order.failpoints:
                arm_failpoints(order.failpoints)
            ground = ScrubGround(stores.metadata, stores.blobs, HashingPool(executor))
            options = ScrubOptions(mode=Mode.REPAIR, sources=(StoreRecovery("second", source),))
            _, findings = await verify_stores(ground, options)
    await source.aclose()
    return {finding.kind.value: finding.outcome.value for finding in findings}


def main() -> None:
    """Carry out orders until standard input ends."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(file=sys.stderr))
    serve_orders(RepairOrder, _carry_out)


def _carry_out(order: RepairOrder) -> int:
    asyncio.run(repair(msgspec.structs.replace(order, failpoints=order.failpoints or COUNTING)))
    return 0


if __name__ == "__main__":
    main()
