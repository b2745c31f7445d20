"""F1: a push is killed at every pass of every named failpoint, and the registry that is left keeps its promises.

The passes are found by running an undisturbed push first, so a new step in the code is tried without being listed here.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import msgspec
import pytest

from entrepot.bootstrap import Dispatcher
from entrepot.kernel.failpoints import Failpoint
from entrepot.settings import Settings, dump_settings, load_settings, storage_root
from tests.asgi.client import AsgiClient
from tests.asgi.lifespan import running_lifespan
from tests.faults.crash_server import Order, Outcome
from tests.faults.image import OneLayerImage, one_layer_image
from tests.faults.invariants import check_acknowledged, check_stored_bytes, check_visible
from tests.faults.pushing import AcknowledgementLog, push_image, read_acknowledgements

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

_SEED = 7


class CrashServer:
    """The process that forks pushes."""

    def __init__(self, log: Path) -> None:
        self._log = log.open("wb")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.crash_server"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
        )

    def push(self, settings: Settings, failpoints: str, acknowledgements: Path) -> Outcome:
        """Run one push in a process of its own and return how that process ended."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        order = Order(dump_settings(settings).decode(), failpoints, _SEED, str(acknowledgements))
        self._process.stdin.write(msgspec.json.encode(order) + b"\n")
        self._process.stdin.flush()
        return msgspec.json.decode(self._process.stdout.readline(), type=Outcome)

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(10)
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._log.close()


@pytest.fixture(scope="module")
def crash_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CrashServer]:
    """One server for all crashes of this module."""
    server = CrashServer(tmp_path_factory.mktemp("crashes") / "stderr")
    yield server
    server.close()


def _settings(directory: Path) -> Settings:
    flags = {"data.directory": str(directory), "storage.min_free_bytes": "0"}
    return load_settings(environment={}, user_id=os.getuid(), flags=flags).settings


@asynccontextmanager
async def _restarted(settings: Settings) -> AsyncIterator[AsgiClient]:
    application = Dispatcher(settings)
    async with running_lifespan(application):
        yield AsgiClient(application)


async def _examine(settings: Settings, image: OneLayerImage, acknowledgements: Path) -> None:
    acknowledged = read_acknowledgements(acknowledgements)
    async with _restarted(settings) as client:
        await check_acknowledged(client, image, acknowledged)
        visible = await check_visible(client, image)
        assert visible or all(one.what != "manifest" for one in acknowledged), "I1: manifest"
        check_stored_bytes(storage_root(settings))
        await push_image(client, image, AcknowledgementLog.open(acknowledgements))
        assert await check_visible(client, image), "I7: the repeated push did not converge"


def test_f1_a_push_killed_at_every_step_keeps_every_promise(
    crash_server: CrashServer, tmp_path: Path, subtests: pytest.Subtests
) -> None:
    """I1, I2, I3 and I7 hold after a kill at each pass of each failpoint of a one-layer push (F1)."""
    image = one_layer_image(_SEED)
    counted = crash_server.push(_settings(tmp_path / "whole"), "", tmp_path / "whole.log")
    assert (counted.signal, counted.exit_code) == (0, 0)
    assert {name for name, passes in counted.passes.items() if passes == 0} == set()
    points = [(name, turn) for name, passes in counted.passes.items() for turn in range(1, passes + 1)]
    assert len(points) >= len(Failpoint)

    for name, turn in points:
        with subtests.test(f"{name}:{turn}"):
            settings = _settings(tmp_path / f"{name}-{turn}")
            acknowledgements = tmp_path / f"{name}-{turn}.log"
            outcome = crash_server.push(settings, f"{name}:{turn}", acknowledgements)
            assert outcome.signal == signal.SIGKILL
            asyncio.run(_examine(settings, image, acknowledgements))
