"""F1: the process that serves clients is killed at the n-th system call of each kind while somebody pushes.

Failpoints name the places somebody thought of; here the kernel's own interface is cut, in the product as it is run.
"""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final

import pytest

from tests.faults.machine.content import delete_content, push_content
from tests.faults.machine.product import Product, running_product
from tests.faults.machine.promises import check_complete, check_deleted, check_kept, check_store
from tests.faults.machine.remote import BROKEN
from tests.faults.machine.tracing import injected
from tests.faults.machine.volumes import MIB, ext4_volume
from tests.faults.pushing import Acknowledgement, AcknowledgementLog, read_acknowledgements
from tests.plumbing.patience import PATIENCE_SECONDS
from tests.processes.running import is_alive, wait_for

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from pathlib import Path

    from tests.faults.machine.findings import Findings

_CALLS: Final = {
    "write": "pwritev,pwritev2",
    "database": "pwrite64",
    "sync": "fdatasync,fsync",
    "rename": "?rename,?renameat,renameat2",
    "directory": "?mkdir,mkdirat,?unlink,unlinkat,ftruncate",
    "answer": "write,writev,sendto,sendmsg",
}
"""What changes the disk or tells the client; a question mark: not on every architecture."""
_ROOM_CALLS: Final = {"room taken": "fallocate", "room given back": "ftruncate"}
"""Of a push large enough, on ext4: docs/decisions/0064-room-taken-ahead.md."""
_ROOMY_BYTES: Final = 2 * 1024 * MIB
_SAMPLE: Final = 6
_MOST_SAMPLED_TURN: Final = 4
_STRIDES: Final = {"database": 11}
"""SQLite writes some hundred pages for a push, all alike: one of so many is tried, all others one by one."""
_MOST_TURNS: Final = 1000
_SETTLING_SECONDS: Final = 0.1
"""Lines of the log are written some milliseconds after the answer, and are no part of what comes next."""
_KILLS_PER_PARENT: Final = 2
"""The third start of a child in a row would have to wait."""


@dataclass(slots=True)
class Kills:
    """How often the process was killed, by kind of call."""

    product: Product
    findings: Findings
    by_kind: dict[str, int] = field(default_factory=dict[str, int])

    async def push_and_kill(self, kind: str, shape: str, turn: int) -> bool:
        """Push under the injection and examine what is left; False when there were fewer calls than `turn`."""
        product, content, record = self.product, self.product.new_content(shape), self.product.record()
        log = AcknowledgementLog.open(record)
        if not await self._killed(kind, turn, push_content(product.client, content, log)):
            await check_complete(product.client, content)
            return False
        await check_kept(product.client, content, read_acknowledgements(record))
        await push_content(product.client, content, log)
        await check_complete(product.client, content)
        return True

    async def delete_and_kill(self, kind: str, shape: str, turn: int) -> bool:
        """The same for the delete of what was pushed undisturbed."""
        product, content, record = self.product, self.product.new_content(shape), self.product.record()
        await push_content(product.client, content, AcknowledgementLog.open(product.record()))
        log = AcknowledgementLog.open(record)
        killed = await self._killed(kind, turn, delete_content(product.client, content, log))
        await check_deleted(product.client, content, read_acknowledgements(record))
        replies = [await product.client.request("DELETE", path) for path in content.deletion_paths()]
        assert {reply.status for reply in replies} <= {202, 404}, "I7: the repeated delete"
        await check_deleted(
            product.client, content, [Acknowledgement("deleted", path) for path in content.deletion_paths()]
        )
        return killed

    async def _killed(self, kind: str, turn: int, flow: Awaitable[None]) -> bool:
        """Carry out a flow under the injection, and have the registry answer again; False when nothing was killed."""
        product = self.product
        pid = product.http_pid
        killed = False
        await asyncio.sleep(_SETTLING_SECONDS)
        with injected(
            pid, product.directory / "strace", [f"{(_CALLS | _ROOM_CALLS)[kind]}:signal=KILL:when={turn}"]
        ):
            try:
                await flow
            except BROKEN:
                killed = True
        if not killed and is_alive(pid):
            return False
        wait_for(lambda: not is_alive(pid), PATIENCE_SECONDS, product.registry.log_tail)
        killed_at = time.monotonic()
        self._recover(kind)
        self.findings.note(
            "F1", f"system calls, {kind}", kills=1, restart_seconds=time.monotonic() - killed_at
        )
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
        await kills.push_and_kill(kind, "one layer", turn)

    assert sum(kills.by_kind.values()) >= _SAMPLE // 2, kills.by_kind
    await check_store(kills.product.settings)


async def test_f1_a_large_push_killed_where_room_is_taken_and_given_back_keeps_every_promise(
    tmp_path: Path, findings: Findings
) -> None:
    """And no published file keeps room beyond its end (I8)."""
    with (
        ext4_volume(tmp_path / "volume", _ROOMY_BYTES) as volume,
        running_product(tmp_path / "registry", volume / "data", ready=False) as product,
    ):
        kills = Kills(product, findings)
        for kind in _ROOM_CALLS:
            await _kill_at_every_turn(kind, partial(kills.push_and_kill, kind, "large layer"))
        await check_store(product.settings)

        assert kills.by_kind.keys() == _ROOM_CALLS.keys()
        assert _most_beyond_end(product.settings.data.directory / "storage" / "blobs") < MIB


@pytest.mark.long
@pytest.mark.parametrize("shape", ["one layer", "two layers", "index"])
async def test_f1_a_push_killed_at_every_system_call_keeps_every_promise(kills: Kills, shape: str) -> None:
    """The same for the n-th call of each kind, n = 1 until the push comes through."""
    for kind in _CALLS:
        await _kill_at_every_turn(kind, partial(kills.push_and_kill, kind, shape))
        assert kills.by_kind.get(kind, 0) > 0, kind
    await check_store(kills.product.settings)


@pytest.mark.long
@pytest.mark.parametrize("shape", ["two layers", "index"])
async def test_f1_a_delete_killed_at_every_system_call_keeps_every_promise(kills: Kills, shape: str) -> None:
    """What was acknowledged stays deleted (I5), nothing is left half (I2), and the repeated delete ends it (I7)."""
    for kind in _CALLS:
        await _kill_at_every_turn(kind, partial(kills.delete_and_kill, kind, shape))
    assert kills.by_kind.keys() >= {"database", "sync", "answer"}, kills.by_kind
    await check_store(kills.product.settings)


def _most_beyond_end(blobs: Path) -> int:
    """Return how many bytes of the disk a file takes besides its own; those that tell where these are count as well."""
    found = [path.stat() for path in blobs.rglob("*") if path.is_file()]
    assert max(one.st_size for one in found) > 16 * MIB
    return max(one.st_blocks * 512 - one.st_size for one in found)


async def _kill_at_every_turn(kind: str, kill: Callable[[int], Awaitable[bool]]) -> None:
    turn = 1
    while await kill(turn):
        turn += _STRIDES.get(kind, 1)
        assert turn < _MOST_TURNS, f"there are {turn} calls of the kind {kind} on one thread"
