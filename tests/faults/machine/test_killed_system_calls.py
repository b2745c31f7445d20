"""F1: the process that serves clients is killed at the n-th system call of each kind while somebody pushes.

Failpoints name the places somebody thought of; here the kernel's own interface is cut, in the product as it is run.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import pytest

from tests.faults.machine.content import push_content
from tests.faults.machine.product import Product, running_product
from tests.faults.machine.promises import check_complete, check_kept, check_store
from tests.faults.machine.remote import BROKEN
from tests.faults.machine.tracing import injected
from tests.faults.pushing import AcknowledgementLog, read_acknowledgements
from tests.processes.running import is_alive, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.faults.machine.findings import Findings

_CALLS: Final = {
    "write": "pwritev,pwritev2",
    "database": "pwrite64",
    "sync": "fdatasync,fsync",
    "rename": "?rename,?renameat,renameat2",
    "directory": "?mkdir,mkdirat,?unlink,unlinkat,ftruncate",
    "answer": "sendto,writev,sendmsg",
}
"""What changes the disk or tells the client; a question mark: not on every architecture."""
_SAMPLE: Final = 6
_MOST_SAMPLED_TURN: Final = 4
_STRIDES: Final = {"database": 11}
"""SQLite writes some hundred pages for a push, all alike: one of so many is tried, all others one by one."""
_MOST_TURNS: Final = 400
_KILLS_PER_PARENT: Final = 2
"""The third start of a child in a row would have to wait."""


@dataclass(slots=True)
class Kills:
    """How often the process was killed, by kind of call."""

    product: Product
    findings: Findings
    by_kind: dict[str, int] = field(default_factory=dict[str, int])

    async def push_and_kill(self, kind: str, turn: int, shape: str) -> bool:
        """Push under the injection and examine what is left; False when there were fewer calls than `turn`."""
        product, content, record = self.product, self.product.new_content(shape), self.product.record()
        pid, log = product.http_pid, AcknowledgementLog.open(record)
        killed = False
        with injected(pid, product.directory / "strace", [f"{_CALLS[kind]}:signal=KILL:when={turn}"]):
            try:
                await push_content(product.client, content, log)
            except BROKEN:
                killed = True
        if not killed and is_alive(pid):
            await check_complete(product.client, content)
            return False
        wait_for(lambda: not is_alive(pid), 10, product.registry.log_tail)
        killed_at = time.monotonic()
        self._recover(kind)
        self.findings.note(
            "F1", f"system calls, {kind}", kills=1, restart_seconds=time.monotonic() - killed_at
        )
        await check_kept(product.client, content, read_acknowledgements(record))
        await push_content(product.client, content, log)
        await check_complete(product.client, content)
        return True

    def _recover(self, kind: str) -> None:
        self.by_kind[kind] = self.by_kind.get(kind, 0) + 1
        if sum(self.by_kind.values()) % _KILLS_PER_PARENT == 0:
            self.product.restart()
        else:
            self.product.wait_until_answering()


@pytest.fixture
def kills(tmp_path: Path, findings: Findings) -> Iterator[Kills]:
    """A running registry to be killed."""
    with running_product(tmp_path / "registry", ready=False) as product:
        yield Kills(product, findings)


async def test_f1_a_push_killed_at_some_system_calls_keeps_every_promise(
    kills: Kills, rotating_seed: int, repetition: int
) -> None:
    """I1, I2, I3 and I7 after each kill, and at the end no orphan stays (I8): a sample that rotates with the commit."""
    choose = random.Random(f"{rotating_seed} {repetition}")
    points = [(kind, turn) for kind in _CALLS for turn in range(1, _MOST_SAMPLED_TURN + 1)]
    for kind, turn in choose.sample(points, _SAMPLE):
        await kills.push_and_kill(kind, turn, "one layer")

    assert sum(kills.by_kind.values()) >= _SAMPLE // 2, kills.by_kind
    await check_store(kills.product.settings)


@pytest.mark.long
async def test_f1_a_push_killed_at_every_system_call_keeps_every_promise(kills: Kills) -> None:
    """The same for the n-th call of each kind, n = 1 until the push comes through."""
    for kind in _CALLS:
        turn = 1
        while await kills.push_and_kill(kind, turn, "two layers"):
            turn += _STRIDES.get(kind, 1)
            assert turn < _MOST_TURNS, f"a push makes {turn} calls of the kind {kind} on one thread"
        assert kills.by_kind.get(kind, 0) > 0, kind
    await check_store(kills.product.settings)
