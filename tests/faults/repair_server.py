"""Runs repairs in processes that are meant to die: `python -m tests.faults.repair_server`, driven over stdin.

As :mod:`tests.faults.crash_server`: everything is imported once, and each order is carried out in a fork.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import structlog

from entrepot.blobstore.filesystem.store import FilesystemBlobStore
from entrepot.bootstrap import open_stores
from entrepot.kernel import failpoints
from entrepot.kernel.failpoints import Failpoint, arm_failpoints
from entrepot.lifecycle.recovery import StoreRecovery
from entrepot.lifecycle.scrub.options import Mode, ScrubGround, ScrubOptions
from entrepot.registry.hashing import HashingPool
from entrepot.settings import parse_dumped_settings
from tests.faults.crash_server import Outcome
from tests.integration.scrubbing import verify_stores

__all__ = ["RepairOrder", "repair"]

_NEVER = 1_000_000


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
    for line in sys.stdin.buffer:
        outcome = _run(msgspec.json.decode(line, type=RepairOrder))
        sys.stdout.buffer.write(msgspec.json.encode(outcome) + b"\n")
        sys.stdout.buffer.flush()


def _run(order: RepairOrder) -> Outcome:
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


def _carry_out_and_exit(order: RepairOrder, report: int) -> None:
    code = 1
    try:
        counting = ",".join(f"{name}:{_NEVER}" for name in Failpoint)
        asyncio.run(repair(msgspec.structs.replace(order, failpoints=order.failpoints or counting)))
        counted = {name.value: _NEVER - left for name, left in failpoints._armed.items()}
        os.write(report, msgspec.json.encode(counted))
        code = 0
    except BaseException:  # noqa: BLE001  # whatever it was, the fork must not go on as its parent
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError):
            sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
