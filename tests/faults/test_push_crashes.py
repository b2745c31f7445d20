"""F1: a push is killed at every pass of every named failpoint, and the registry that is left keeps its promises.

The passes are found by running an undisturbed push first, so a new step in the code is tried without being listed here.
"""

from __future__ import annotations

import asyncio
import secrets
import signal
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Final, Literal

import pytest

from entrepot.bootstrap import Dispatcher, open_stores
from entrepot.kernel.failpoints import Failpoint
from entrepot.settings import Settings, dump_settings
from tests.asgi.client import AsgiClient
from tests.asgi.lifespan import running_lifespan
from tests.asgi.services import scratch_settings
from tests.faults.crash_server import Order
from tests.faults.forks import ForkServer, Outcome
from tests.faults.image import OneLayerImage, one_layer_image
from tests.faults.invariants import check_acknowledged, check_stored_bytes, check_visible
from tests.faults.pushing import (
    AcknowledgementLog,
    deletion_paths,
    push_image,
    read_acknowledgements,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from tests.drivers.postgres_server import PostgresServer
    from tests.drivers.s3_server import S3Server


_OF_REPAIRS: Final = frozenset(
    {
        Failpoint.BLOB_REPOINTED,
        Failpoint.HEAL_STAGED,
        Failpoint.HEAL_COMMITTED,
        Failpoint.QUARANTINE_COMMITTED,
        Failpoint.MANIFEST_COPY_DROPPED,
        Failpoint.MANIFEST_COPY_STORED,
        Failpoint.SCRUB_RECORDED,
    }
)
"""Passed where something is damaged, or verified: see `test_repair_crashes.py`."""
_OF_OTHER_WORK: Final = (
    "migration.",
    "rebuild.",
    "snapshot.",
    "restore.",
    "prune.",
    "audit.",
    "admin.",
    "master.",
)


@dataclass(frozen=True, slots=True)
class Push:
    """One push of an image nobody pushed before."""

    settings: Settings
    image: OneLayerImage
    seed: int
    acknowledgements: Path


class CrashServer(ForkServer):
    """The process that forks pushes."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._numbers = count(1)
        super().__init__("tests.faults.crash_server", directory / "stderr")

    def prepare(self, settings: Settings) -> Push:
        """Return a push with bytes, a repository and a record of its own."""
        seed = next(self._numbers)
        image = one_layer_image(seed, f"faults/image-{seed}")
        return Push(settings, image, seed, self._directory / f"acknowledged-{seed}")

    def run(self, push: Push, failpoints: str, flow: Literal["push", "delete"] = "push") -> Outcome:
        """Run a push, or the delete of what it pushed, in a process of its own and return how that process ended."""
        settings = dump_settings(push.settings).decode()
        order = Order(
            settings, failpoints, push.seed, push.image.repository, str(push.acknowledgements), flow
        )
        return self.order(order)


@pytest.fixture(scope="module")
def crash_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CrashServer]:
    """One server for all crashes of this module."""
    server = CrashServer(tmp_path_factory.mktemp("crashes"))
    yield server
    server.close()


def _settings(directory: Path, **more: str) -> Settings:
    # Nobody renews the lease of a process that was killed, and the next one on this node gives it back at once.
    return scratch_settings(directory, uploads__lease_seconds="30", **more)


@asynccontextmanager
async def _restarted(settings: Settings) -> AsyncIterator[AsgiClient]:
    application = Dispatcher(settings)
    async with running_lifespan(application):
        yield AsgiClient(application)


async def _examine(push: Push) -> None:
    acknowledged = read_acknowledgements(push.acknowledgements)
    async with _restarted(push.settings) as client:
        await check_acknowledged(client, push.image, acknowledged)
        visible = await check_visible(client, push.image)
        assert visible or all(one.what != "manifest" for one in acknowledged), "I1: manifest"
        await push_image(client, push.image, AcknowledgementLog.open(push.acknowledgements))
        assert await check_visible(client, push.image), "I7: the repeated push did not converge"


async def _examine_deleted(push: Push) -> None:
    acknowledged = read_acknowledgements(push.acknowledgements)
    deleted = [one.name for one in acknowledged if one.what == "deleted"]
    manifest, *blobs = deletion_paths(push.image)[1:]
    async with _restarted(push.settings) as client:
        statuses = {path: (await client.request("GET", path)).status for path in deletion_paths(push.image)}
        assert {statuses[path] for path in deleted} <= {404}, "I5: a delete that was acknowledged"
        assert statuses[manifest] == 404 or {statuses[path] for path in blobs} == {200}, "I2: blobs are gone"
        replies = [await client.request("DELETE", path) for path in deletion_paths(push.image)]
        assert {reply.status for reply in replies} <= {202, 404}, "I7: the repeated delete did not converge"
        for path in deletion_paths(push.image):
            assert (await client.request("GET", path)).status == 404
        await push_image(client, push.image, AcknowledgementLog.open(push.acknowledgements))
        assert await check_visible(client, push.image), "what was deleted can't be pushed again"


async def _examine_store(settings: Settings) -> None:
    async with open_stores(settings) as stores:
        await check_stored_bytes(stores.blobs)


def _every_pass(passes: int) -> list[int]:
    return list(range(1, passes + 1))


def _first_pass(passes: int) -> list[int]:
    return [1] if passes else []


def _kill_everywhere(
    crash_server: CrashServer,
    settings: Settings,
    subtests: pytest.Subtests,
    choose_turns: Callable[[int], list[int]],
) -> dict[str, int]:
    """Push once undisturbed, then once for each chosen pass of each failpoint; return the passes."""
    whole = crash_server.run(crash_server.prepare(settings), "")
    assert (whole.signal, whole.exit_code) == (0, 0)
    for name, passes in whole.passes.items():
        for turn in choose_turns(passes):
            with subtests.test(f"{name}:{turn}"):
                push = crash_server.prepare(settings)
                assert crash_server.run(push, f"{name}:{turn}").signal == signal.SIGKILL
                asyncio.run(_examine(push))
    asyncio.run(_examine_store(settings))
    return whole.passes


def test_f1_a_push_killed_at_every_step_keeps_every_promise(
    crash_server: CrashServer, tmp_path: Path, subtests: pytest.Subtests
) -> None:
    """On SQLite and disk I1, I2, I3 and I7 hold after a kill at each pass of each failpoint (F1)."""
    passes = _kill_everywhere(crash_server, _settings(tmp_path / "data"), subtests, _every_pass)

    unpassed = {name for name in Failpoint if passes[name] == 0}
    others = {  # killed by tests of their own
        name for name in Failpoint if name.startswith(_OF_OTHER_WORK)
    }
    assert unpassed == {Failpoint.DELETE_COMMITTED, *_OF_REPAIRS, *others}, (
        "a failpoint that no push passes, besides those of deletes and repairs"
    )


@pytest.mark.parametrize(
    "choose_turns",
    [_first_pass, pytest.param(_every_pass, marks=pytest.mark.long)],
    ids=["first pass", "every pass"],
)
@pytest.mark.timeout(600)
def test_f1_the_same_on_postgresql_and_s3(
    crash_server: CrashServer,
    tmp_path: Path,
    postgres_server: PostgresServer,
    s3_server: S3Server,
    subtests: pytest.Subtests,
    choose_turns: Callable[[int], list[int]],
) -> None:
    """On PostgreSQL and S3 the same promises hold after kills at the same failpoints (F1)."""
    settings = _settings(
        tmp_path / "data",
        metadata__url=postgres_server.create_database(),
        storage__driver="s3",
        storage__s3__endpoint=s3_server.endpoint_url,
        storage__s3__bucket=s3_server.bucket,
        storage__s3__prefix=f"{secrets.token_hex(4)}/",
        storage__s3__access_key=s3_server.access_key_id,
        storage__s3__secret_key=s3_server.secret_access_key,
    )
    passes = _kill_everywhere(crash_server, settings, subtests, choose_turns)

    assert {name for name, turns in passes.items() if turns > 0} >= {
        Failpoint.SESSION_CREATED,
        Failpoint.SESSION_PROGRESS_COMMITTED,
        Failpoint.BLOB_COMMITTED,
        Failpoint.MANIFEST_BYTES_STORED,
        Failpoint.MANIFEST_COMMITTED,
        Failpoint.JOURNAL_WRITTEN,
    }


def test_f1_a_delete_killed_at_every_step_keeps_every_promise(
    crash_server: CrashServer, tmp_path: Path, subtests: pytest.Subtests
) -> None:
    """On SQLite and disk I2, I5 and I7 hold after a kill at each pass of each failpoint of a delete (F1)."""
    settings = _settings(tmp_path / "data")
    whole = crash_server.prepare(settings)
    assert crash_server.run(whole, "").exit_code == 0
    passes = crash_server.run(whole, "", "delete").passes
    assert passes[Failpoint.DELETE_COMMITTED] == len(deletion_paths(whole.image))
    assert passes[Failpoint.JOURNAL_WRITTEN] == 2
    for name, count_of_passes in passes.items():
        for turn in range(1, count_of_passes + 1):
            with subtests.test(f"{name}:{turn}"):
                push = crash_server.prepare(settings)
                assert crash_server.run(push, "").exit_code == 0
                assert crash_server.run(push, f"{name}:{turn}", "delete").signal == signal.SIGKILL
                asyncio.run(_examine_deleted(push))
