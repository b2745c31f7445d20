"""A repair is killed at every named failpoint, and the next one ends with the same registry as if nothing had been."""

from __future__ import annotations

import shutil
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
import pytest

from entrepot.bootstrap import Dispatcher
from entrepot.oci.digest import Digest
from entrepot.settings import dump_settings
from tests.asgi.client import AsgiClient
from tests.asgi.lifespan import running_lifespan
from tests.asgi.services import scratch_settings
from tests.drivers.metadata.raw_database import RawDatabase
from tests.faults.forks import ForkServer, Outcome
from tests.faults.image import OneLayerImage, one_layer_image
from tests.faults.repair_server import RepairOrder, repair
from tests.integration.rebuilding import compact
from tests.integration.scrubbing import Scrubbed, scrubbed_registry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_SOUND = one_layer_image(1, "team/app")
_HEALED = one_layer_image(2, "team/healed")
_LOST = one_layer_image(3, "team/lost")
_COPY = one_layer_image(4, "team/copy")
_OWN_STEPS = frozenset(
    {
        "heal.staged",
        "heal.committed",
        "quarantine.committed",
        "manifest.copy.dropped",
        "manifest.copy.stored",
        "scrub.recorded",
    }
)
"""Where only a repair passes; its other steps are those of drivers and transactions, which pushes pass, too."""


class _RepairServer(ForkServer):
    """The process that forks repairs."""

    def __init__(self, directory: Path) -> None:
        super().__init__("tests.faults.repair_server", directory / "stderr")

    def run(self, order: RepairOrder) -> Outcome:
        """Run a repair in a process of its own and return how that process ended."""
        return self.order(order)


@dataclass(frozen=True, slots=True)
class _Scene:
    """Damaged registries, each a copy of the same one, beside a store that can heal some of it."""

    directory: Path

    def order(self, name: str, failpoints: str) -> RepairOrder:
        """Set up a damaged registry and return the order to repair it."""
        target = self.directory / name
        shutil.copytree(self.directory / "damaged", target, symlinks=True)
        settings = dump_settings(scratch_settings(target / "data")).decode()
        return RepairOrder(settings, failpoints, str(self.directory / "second"))


async def _make(directory: Path) -> None:
    async with scrubbed_registry(directory / "damaged") as scrubbed:
        for image in (_HEALED, _LOST, _COPY):
            await scrubbed.push(image)
        shutil.copytree(directory / "damaged/data/storage", directory / "second")
        scrubbed.damage("flipped", _HEALED.layer)
        scrubbed.damage("missing", _LOST.layer)
        scrubbed.damage("truncated", _COPY.manifest, "manifests")
        _forget(directory / "second", scrubbed)


def _forget(second: Path, scrubbed: Scrubbed) -> None:
    """Let the second store lack one of the blobs."""
    lost = Digest.of_bytes(_LOST.layer)
    assert scrubbed.image == _SOUND
    shutil.rmtree(second / "blobs/sha256" / lost.hex[:2] / lost.hex)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[_RepairServer]:
    """One server for all crashes of this module."""
    server = _RepairServer(tmp_path_factory.mktemp("repairs"))
    yield server
    server.close()


async def _require_sane(order: RepairOrder, name: Path, *, ended: bool) -> None:
    """I1, I3: sound content is served; damaged content is served with the right bytes, or not at all, at the end."""
    application = Dispatcher(scratch_settings(name / "data"))
    async with running_lifespan(application):
        client = AsgiClient(application)
        for image in (_SOUND, _COPY):
            assert await _pulled(client, image) == image.layer
        healed = await _pulled(client, _HEALED)
        assert healed == _HEALED.layer or not ended
        assert await _pulled(client, _LOST) is None
        for image in (_SOUND, _HEALED, _LOST, _COPY):
            reply = await client.request("GET", f"/v2/{image.repository}/manifests/latest")
            assert (reply.status, reply.body) == (200, image.manifest)
    assert order.source


async def _pulled(client: AsgiClient, image: OneLayerImage) -> bytes | None:
    reply = await client.request("GET", f"/v2/{image.repository}/blobs/{Digest.of_bytes(image.layer)}")
    return reply.body if reply.status == 200 else None


@pytest.mark.timeout(600)
async def test_f1_a_repair_killed_anywhere_converges(
    server: _RepairServer, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """At each failpoint it passes: what was sound stays sound, and the next repair finishes the work."""
    await _make(tmp_path)
    scene = _Scene(tmp_path)
    undisturbed = server.run(scene.order("undisturbed", ""))
    assert (undisturbed.signal, undisturbed.exit_code) == (0, 0)
    passed = {name: count for name, count in undisturbed.passes.items() if count}
    assert set(passed) >= _OWN_STEPS
    every = bool(request.config.getoption("--run-long"))

    for name, count in passed.items():
        if not every and name not in _OWN_STEPS:
            continue
        for turn in range(1, count + 1 if every else 2):
            place = f"{name}-{turn}"
            order = scene.order(place, f"{name}:{turn}")
            assert server.run(order).signal == signal.SIGKILL, place
            await _require_sane(order, tmp_path / place, ended=False)
            database = RawDatabase(f"sqlite://{tmp_path}/{place}/data/metadata/entrepot.db")
            await database.fetch("UPDATE sweeps SET lease_until = NULL")

            await repair(msgspec.structs.replace(order, failpoints=""))

            assert await repair(msgspec.structs.replace(order, failpoints="")) == {"quarantined": "found"}
            await _require_sane(order, tmp_path / place, ended=True)
            shutil.rmtree(tmp_path / place)


async def test_f1_f11_a_segment_that_is_written_anew_is_short_or_whole_after_a_kill(
    server: _RepairServer, tmp_path: Path
) -> None:
    """Wherever the repair is killed, nothing that could be read before is lost, and the next one completes it (F11)."""
    async with scrubbed_registry(tmp_path / "damaged") as scrubbed:
        await compact(scrubbed.registry.stores)
    (tmp_path / "second").mkdir()
    (segment,) = (tmp_path / "damaged/data/storage/journal").glob("*/segments/*")
    whole = segment.read_bytes()
    short = b"".join(whole.splitlines(keepends=True)[:-2])
    segment.write_bytes(short)
    scene = _Scene(tmp_path)

    for name in ("object.written", "object.synced", "object.renamed", "object.directory.synced"):
        order = scene.order(name, name)
        assert server.run(order).signal == signal.SIGKILL, name
        (left,) = (tmp_path / name / "data/storage/journal").glob("*/segments/*")
        assert left.read_bytes() in {short, whole}, name
        database = RawDatabase(f"sqlite://{tmp_path}/{name}/data/metadata/entrepot.db")
        await database.fetch("UPDATE sweeps SET lease_until = NULL")

        await repair(msgspec.structs.replace(order, failpoints=""))

        assert left.read_bytes() == whole
        assert await database.value("SELECT count(*) FROM outbox WHERE journalled_at IS NULL") == 0
