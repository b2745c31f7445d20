"""Pushes against a sweep without any grace period: nothing acknowledged is lost (I1), on both kinds of node."""

from __future__ import annotations

import asyncio
import random
import secrets
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest

from entrepot.blobstore.driver import MultipartUploads
from entrepot.bootstrap import build_distribution, build_services, open_stores
from entrepot.oci.digest import Digest
from entrepot.registry.hashing import HashingPool
from entrepot.registry.sweeps.orphans import OrphanSweep, SweepOptions
from tests.asgi.client import AsgiClient
from tests.asgi.services import scratch_settings
from tests.drivers.blobstore.staging import keys_of
from tests.running.moved_clocks import steady_clock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from entrepot.bootstrap import Stores
    from entrepot.settings import Settings
    from tests.drivers.postgres_server import PostgresServer
    from tests.drivers.s3_server import S3Server

_UPLOADS = "/v2/team/app/blobs/uploads/"
_NOTHING = {"Content-Length": "0"}


@pytest.fixture(params=["sqlite+filesystem", "postgresql+s3"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """A node of the smallest kind, and one of a cluster."""
    if request.param == "sqlite+filesystem":
        return scratch_settings(tmp_path / "data")
    postgres: PostgresServer = request.getfixturevalue("postgres_server")
    s3: S3Server = request.getfixturevalue("s3_server")
    return scratch_settings(
        tmp_path / "data",
        metadata__url=postgres.create_database(),
        storage__driver="s3",
        storage__s3__bucket=s3.bucket,
        storage__s3__endpoint=s3.endpoint_url,
        storage__s3__access_key=s3.access_key_id,
        storage__s3__secret_key=s3.secret_access_key,
        storage__s3__part_size_bytes="5MiB",
        storage__s3__prefix=f"{secrets.token_hex(4)}/",
    )


@pytest.fixture
async def stores(settings: Settings) -> AsyncIterator[Stores]:
    """The node's own."""
    async with open_stores(settings) as stores:
        yield stores


@pytest.fixture
async def client(settings: Settings, stores: Stores) -> AsyncIterator[AsgiClient]:
    """A client of the node."""
    async with AsyncExitStack() as stack:
        executor = stack.enter_context(ThreadPoolExecutor(2))
        services = await build_services(settings, stores, HashingPool(executor))
        yield AsgiClient(build_distribution(settings, services))


class Sweeper:
    """Sweeps without a pause and without a grace period, and lets others wait for passes."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self._ended = asyncio.Event()
        self.stopping = False

    async def run(self) -> None:
        """Sweep until told to stop."""
        while not self.stopping:
            await self.sweep()

    async def sweep(self) -> None:
        """Do one pass."""
        options = SweepOptions(grace_seconds=0, period_seconds=0, page_keys=50, page_pause_seconds=0)
        stores = self._stores
        report = await OrphanSweep(
            stores.metadata, stores.blobs, options, await steady_clock(stores.metadata)
        ).run()
        if report.finished:
            self._ended.set()
            self._ended = asyncio.Event()

    async def wait_for_passes(self, number: int) -> None:
        """Wait until so many passes have ended."""
        for _ in range(number):
            await self._ended.wait()


async def test_i1_pushes_race_with_the_sweep(client: AsgiClient, stores: Stores) -> None:
    """Whole, in chunks, cancelled, of equal bytes: every 201 can be pulled, and in the end nothing else is left."""
    sweeper = Sweeper(stores)
    sweeping = asyncio.create_task(sweeper.run())
    pushed: set[Digest] = set()
    for _ in range(3):
        pushed.update(await asyncio.gather(*(_push(client, number, sweeper) for number in range(24))))
    sweeper.stopping = True
    await sweeping
    for _ in range(3):
        await sweeper.sweep()

    for digest in pushed:
        reply = await client.request("GET", f"/v2/team/app/blobs/{digest}")
        assert (reply.status, Digest.of_bytes(reply.body)) == (200, digest)
    assert len(await keys_of(stores.blobs, "blobs/")) == len(pushed)
    assert await keys_of(stores.blobs, "uploads/") == []
    if isinstance(stores.blobs, MultipartUploads):
        assert [one async for one in stores.blobs.list_unfinished()] == []


async def _push(client: AsgiClient, number: int, sweeper: Sweeper) -> Digest:
    """Push in one of four ways; every sixth of the contents is the same, some are larger than a part."""
    content = random.Random(number % 6).randbytes(5_500_000 if number % 6 == 0 else 50_000)
    digest = Digest.of_bytes(content)
    if number % 4 == 0:
        reply = await client.request("POST", f"{_UPLOADS}?digest={digest}", {}, [content])
    else:
        if number % 4 == 1:
            given_up = (await client.request("POST", _UPLOADS, _NOTHING)).headers["location"]
            await client.request("PATCH", given_up, {}, [content])
            assert (await client.request("DELETE", given_up)).status == 204
        session = (await client.request("POST", _UPLOADS, _NOTHING)).headers["location"]
        cut = 0
        if number % 4 == 3:
            cut = len(content) // 2
            assert (await client.request("PATCH", session, {}, [content[:cut]])).status == 202
            await sweeper.wait_for_passes(3)
        reply = await client.request("PUT", f"{session}?digest={digest}", {}, [content[cut:]])
    assert reply.status == 201
    return digest
