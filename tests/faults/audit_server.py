"""Notes, drains, seals, signs and purges in processes that are meant to die: `python -m tests.faults.audit_server`."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import msgspec

from entrepot.audit.checkpoints import Checkpoints
from entrepot.audit.drain import AuditDrain
from entrepot.audit.purge import AuditPurge
from entrepot.audit.sealer import Sealer
from entrepot.audit.spool import AuditSpool
from entrepot.auth.host import host_operator
from entrepot.kernel.failpoints import arm_failpoints
from entrepot.metadata.sql.opening import open_metadata
from tests.faults.forks import COUNTING, ForkServer, serve_orders
from tests.running.audit_material import KeyInMemory, pull_record

__all__ = ["AuditOrder", "AuditServer"]


class AuditOrder(msgspec.Struct, frozen=True):
    """What to do, where, and what kills it.

    Attributes:
        acknowledged: the file that gets a line with its id for each record that was noted.
    """

    work: str
    directory: str
    acknowledged: str
    failpoints: str = ""


class AuditServer(ForkServer):
    """The process that forks the work."""

    def __init__(self, directory: Path) -> None:
        super().__init__("tests.faults.audit_server", directory / "stderr")


def main() -> None:
    """Carry out orders until standard input ends."""
    serve_orders(AuditOrder, _carry_out)


def _carry_out(order: AuditOrder) -> int:
    arm_failpoints(order.failpoints or COUNTING)
    asyncio.run(_note(order) if order.work == "note" else _keep_up(order))
    return 0


async def _note(order: AuditOrder) -> None:
    spool = AuditSpool(Path(order.directory) / "spool", "none", lambda: None)
    acknowledged = os.open(order.acknowledged, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    for number in range(5):
        record = pull_record(number)
        await spool.note(record)
        os.write(acknowledged, f"{record.record_id}\n".encode())
    await spool.aclose()


async def _keep_up(order: AuditOrder) -> None:
    directory = Path(order.directory)
    metadata = await open_metadata(f"sqlite://{directory}/metadata.db", 1, 5.0)
    if order.work == "drain":
        await AuditDrain(directory / "spool", metadata, "node").run()
    elif order.work == "seal":
        await Sealer(metadata, batch=200).run()
    elif order.work == "sign":
        await Checkpoints(metadata, KeyInMemory(), directory / "checkpoints").run(0)
    else:
        await AuditPurge(metadata, 180).run(host_operator(), 181)
    await metadata.aclose()


if __name__ == "__main__":
    main()
