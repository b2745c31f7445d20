"""F5: no room or no inodes left, under the blobs, under the database, or under everything."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from typing import TYPE_CHECKING, Final

import pytest

from tests.faults.machine.content import RefusedError, push_content
from tests.faults.machine.product import Product, running_product
from tests.faults.machine.promises import check_complete, check_kept, check_store
from tests.faults.machine.volumes import MIB, Filler, ext4_volume, memory_volume
from tests.faults.pushing import AcknowledgementLog, read_acknowledgements
from tests.plumbing.patience import PATIENCE_SECONDS
from tests.processes.running import is_alive, wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from tests.asgi.client import AsgiReply
    from tests.faults.machine.findings import Findings

_REMEDY: Final = "Ask an administrator for more room"


async def _refused(product: Product) -> AsgiReply:
    """Push new content, which must be refused; whatever was acknowledged on the way holds (I1, I7)."""
    content, record = product.new_content(), product.record()
    with pytest.raises(RefusedError) as refusal:
        await push_content(product.client, content, AcknowledgementLog.open(record))
    await check_kept(product.client, content, read_acknowledgements(record))
    return refusal.value.reply


def _take_inodes(volume: Path) -> list[Path]:
    """Create files until no more can be."""
    taken: list[Path] = []
    with contextlib.suppress(OSError):
        while True:
            (path := volume / f"inode-{len(taken)}").touch()
            taken.append(path)
    return taken


def _require_advice(reply: AsgiReply) -> None:
    """A client reads in the OCI error body what to do, and nothing of our insides."""
    (error,) = json.loads(reply.body)["errors"]
    assert (reply.status, error["code"]) == (507, "STORAGE_FULL")
    assert _REMEDY in error["message"]
    assert "/" not in error["message"], error


async def test_f5_a_full_data_directory_refuses_pushes_and_serves_pulls(
    tmp_path: Path, findings: Findings
) -> None:
    """Database, blobs and run files on one full volume: 507, pulls also after a crash of the process, then it heals."""
    with (
        memory_volume(tmp_path / "volume", "size=24m") as volume,
        running_product(tmp_path / "registry", volume) as product,
    ):
        kept, filler = await product.push(product.new_content()), Filler(volume)
        filler.fill()
        log_size = product.registry.log_size()

        _require_advice(await _refused(product))
        await check_complete(product.client, kept)
        wait_for(lambda: not product.is_write_ready(), PATIENCE_SECONDS, lambda: "ready")
        assert product.registry.get_ops("/readyz")[0] == 200
        failures = [line for line in product.faults_logged(log_size) if line["event"] == "request.failed"]
        assert len(failures) == 1
        product.registry.wait_for_event("request.failed", error=failures[0]["error"])
        wait_for(
            lambda: product.metric("registry_store_failures_total", reason="full") == 1,
            PATIENCE_SECONDS,
            lambda: "the failure was not counted",
        )

        os.kill(pid := product.http_pid, signal.SIGKILL)
        wait_for(lambda: not is_alive(pid), PATIENCE_SECONDS, product.registry.log_tail)
        product.wait_until_answering()
        await check_complete(product.client, kept)
        _require_advice(await _refused(product))

        filler.empty()
        freed = time.monotonic()
        await product.push(product.new_content("two layers"))
        pushed = time.monotonic() - freed
        assert pushed < 30
        wait_for(product.is_write_ready, PATIENCE_SECONDS, lambda: "not ready again")
        ready = time.monotonic() - freed
        findings.note(
            "F5", "data directory full", statuses=[507], push_heals_seconds=pushed, ready_seconds=ready
        )
        await check_complete(product.client, kept)
        await check_store(product.settings)


async def test_f5_a_full_volume_of_blobs_leaves_the_database_alone(
    tmp_path: Path, findings: Findings
) -> None:
    """Blobs on their own full volume: uploads get 507 with what to do; mounts, deletes and pulls go on."""
    with (
        memory_volume(tmp_path / "volume", "size=24m") as volume,
        running_product(tmp_path / "registry", storage={"root": str(volume)}, ready=False) as product,
    ):
        kept, filler = await product.push(product.new_content()), Filler(volume)
        filler.fill()

        _require_advice(await _refused(product))
        digest = kept.manifests[0].needs_blobs[0]
        mount = f"/v2/machine/elsewhere/blobs/uploads/?mount={digest}&from={kept.repository}"
        assert (await product.client.request("POST", mount)).status == 201
        await check_complete(product.client, kept)
        tag = f"/v2/{kept.repository}/manifests/{kept.manifests[0].reference}"
        assert (await product.client.request("DELETE", tag)).status == 202

        filler.empty()
        freed = time.monotonic()
        await product.push(kept)
        healed = time.monotonic() - freed
        findings.note("F5", "volume of the blobs full", statuses=[507], push_heals_seconds=healed)
        await check_complete(product.client, kept)
        await check_store(product.settings)


async def test_f5_a_volume_without_inodes_refuses_pushes_and_heals(
    tmp_path: Path, findings: Findings
) -> None:
    """Bytes are free, but no file can be created: 507 all the same, and nothing half done."""
    with (
        ext4_volume(tmp_path / "volume", 16 * MIB, make=("-N", "64")) as volume,
        running_product(tmp_path / "registry", storage={"root": str(volume)}, ready=False) as product,
    ):
        kept = await product.push(product.new_content())
        taken = _take_inodes(volume)
        assert os.statvfs(volume).f_bavail > 0

        _require_advice(await _refused(product))
        await check_complete(product.client, kept)

        for path in taken:
            path.unlink()
        freed = time.monotonic()
        await product.push(product.new_content())
        healed = time.monotonic() - freed
        findings.note("F5", "no inodes", statuses=[507], push_heals_seconds=healed)
        await check_store(product.settings)


async def test_f5_a_full_volume_of_the_database_refuses_writes_and_serves_pulls(
    tmp_path: Path, findings: Findings
) -> None:
    """SQLite has no room, the blobs have: every write gets 507 and leaves nothing, pulls go on, and it heals."""
    with (
        memory_volume(tmp_path / "volume", "size=16m") as volume,
        running_product(
            tmp_path / "registry", volume, storage={"root": str(tmp_path / "blobs")}, ready=False
        ) as product,
    ):
        kept, filler = await product.push(product.new_content()), Filler(volume)
        filler.fill()

        replies = [await _refused(product) for _ in range(3)]
        for reply in replies:
            _require_advice(reply)
        path = f"/v2/{kept.repository}/manifests/{kept.manifests[0].reference}"
        reply = await product.client.request("DELETE", path)
        _require_advice(reply)
        await check_complete(product.client, kept)

        filler.empty()
        freed = time.monotonic()
        await product.push(product.new_content())
        healed = time.monotonic() - freed
        statuses = [reply.status, *(one.status for one in replies)]
        findings.note("F5", "volume of the database full", statuses=statuses, push_heals_seconds=healed)
        await check_complete(product.client, kept)
        await check_store(product.settings)
