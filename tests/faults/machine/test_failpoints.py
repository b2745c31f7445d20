"""F1: pushes of two-layer images and indexes, mounts and deletes are killed at the failpoints they pass."""

from __future__ import annotations

import asyncio
import random
import signal
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pytest

from entrepot.bootstrap import Dispatcher
from entrepot.kernel.failpoints import Failpoint
from tests.asgi.client import AsgiClient
from tests.asgi.lifespan import running_lifespan
from tests.asgi.services import scratch_settings
from tests.faults.machine.content import content_of, mount_content, push_content
from tests.faults.machine.crashing import FlowServer, Subject
from tests.faults.machine.promises import (
    check_complete,
    check_deleted,
    check_kept,
    check_mounted,
    check_store,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from entrepot.settings import Settings
    from tests.faults.machine.findings import Findings

_SAMPLE: Final = 6
"""Points per flow at each merge; the one-layer push and delete are tried exhaustively beside this module."""


@dataclass(frozen=True, slots=True)
class Flow:
    """What is killed, and what was done before, each a function of the module `flows`."""

    shape: str
    killed: str
    before: str = ""
    least_points: int = 10


_FLOWS: Final = (
    Flow("two layers", "push_two_layers", least_points=40),
    Flow("index", "push_index", least_points=70),
    Flow("two layers", "mount_two_layers", "push_two_layers", least_points=6),
    Flow("two layers", "delete_two_layers", "push_two_layers", least_points=20),
    Flow("index", "delete_index", "push_index", least_points=30),
)


@pytest.fixture(scope="module")
def flow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlowServer]:
    """One server for all flows of this module."""
    server = FlowServer(tmp_path_factory.mktemp("flows"))
    yield server
    server.close()


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """One registry, a repository of its own for each kill."""
    return scratch_settings(tmp_path_factory.mktemp("data"))


@asynccontextmanager
async def _restarted(settings: Settings) -> AsyncIterator[AsgiClient]:
    application = Dispatcher(settings)
    async with running_lifespan(application):
        yield AsgiClient(application)


async def _examine(flow: Flow, subject: Subject) -> None:
    """After the kill: what was promised holds (I1, I2, I3, I5), and repeating it converges (I7)."""
    content = content_of(flow.shape, subject.seed, subject.repository)
    acknowledged = subject.acknowledged()
    async with _restarted(subject.settings) as client:
        if flow.killed.startswith("push"):
            await check_kept(client, content, acknowledged)
        elif flow.killed.startswith("mount"):
            await check_mounted(client, content, acknowledged)
            await mount_content(client, content, subject.log())
            await check_mounted(client, content, subject.acknowledged())
        else:
            await check_deleted(client, content, acknowledged)
            replies = [await client.request("DELETE", path) for path in content.deletion_paths()]
            assert {reply.status for reply in replies} <= {202, 404}, "I7: the repeated delete"
            left = [(await client.request("GET", path)).status for path in content.deletion_paths()]
            assert set(left) == {404}, "I7: the repeated delete"
        await push_content(client, content, subject.log())
        await check_complete(client, content)


@dataclass(frozen=True, slots=True)
class Killing:
    """Where flows run, what they leave, and what is noted of them."""

    server: FlowServer
    settings: Settings
    findings: Findings
    subtests: pytest.Subtests

    def kill(self, flow: Flow, choose: Callable[[list[str]], list[str]]) -> None:
        """Run a flow undisturbed, then once for each point that is chosen of those it passed."""
        points = self._points_of(flow)
        assert len(points) >= flow.least_points, points
        for point in choose(points):
            with self.subtests.test(point):
                self._kill_at(flow, point)
        asyncio.run(check_store(self.settings))

    def _points_of(self, flow: Flow) -> list[str]:
        whole = self.server.prepare(self.settings)
        if flow.before:
            assert self.server.run(whole, flow.before).exit_code == 0
        outcome = self.server.run(whole, flow.killed)
        assert (outcome.signal, outcome.exit_code) == (0, 0)
        assert outcome.passes[Failpoint.UNIT_AFTER_COMMIT] >= 2
        return [f"{name}:{turn}" for name, turns in outcome.passes.items() for turn in range(1, turns + 1)]

    def _kill_at(self, flow: Flow, point: str) -> None:
        subject = self.server.prepare(self.settings)
        if flow.before:
            assert self.server.run(subject, flow.before).exit_code == 0
        subject.record.unlink(missing_ok=True)
        assert self.server.run(subject, flow.killed, point).signal == signal.SIGKILL
        asyncio.run(_examine(flow, subject))
        self.findings.note("F1", f"failpoints, {flow.killed}", kills=1)


@pytest.fixture
def killing(
    flow_server: FlowServer, settings: Settings, findings: Findings, subtests: pytest.Subtests
) -> Killing:
    """What the flows are killed with."""
    return Killing(flow_server, settings, findings, subtests)


@pytest.mark.parametrize("flow", _FLOWS, ids=lambda flow: flow.killed)
def test_f1_a_flow_killed_at_some_failpoints_keeps_every_promise(
    killing: Killing, rotating_seed: int, repetition: int, flow: Flow
) -> None:
    """I1, I2, I3, I5 and I7 after each kill, and at the end no orphan stays (I8): a sample that rotates."""
    choose = random.Random(f"{rotating_seed} {repetition}")
    killing.kill(flow, lambda points: choose.sample(points, min(_SAMPLE, len(points))))


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("flow", _FLOWS, ids=lambda flow: flow.killed)
def test_f1_a_flow_killed_at_every_failpoint_keeps_every_promise(killing: Killing, flow: Flow) -> None:
    """The same at every pass of every failpoint."""
    killing.kill(flow, lambda points: points)
