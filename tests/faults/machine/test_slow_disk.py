"""F8: the disk is slow to flush, to write or to read, and only those wait who need what it has not done yet."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

import pytest

from entrepot.oci.digest import Digest
from tests.faults.machine.product import Product, running_product
from tests.faults.machine.promises import check_complete, check_store
from tests.faults.machine.tracing import injected
from tests.running.process_resources import open_files, resident_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.faults.machine.content import Content
    from tests.faults.machine.findings import Findings

_PUSHES: Final = 16
"""As many as the driver has threads for what changes the disk."""
_DELAY_SECONDS: Final = 8
"""So long that on a busy machine, too, all that is not to wait is done before."""
_DELAY_MICROSECONDS: Final = _DELAY_SECONDS * 1_000_000
_MOST_GROWTH_BYTES: Final = 64 * 1024 * 1024


@pytest.fixture
def product(tmp_path: Path) -> Iterator[Product]:
    """A running registry."""
    with running_product(tmp_path / "registry", ready=False) as running:
        yield running


async def _slowest_pull(product: Product, content: Content) -> float:
    """Pull manifest, small and large blob; return what the slowest took in seconds."""
    slowest = 0.0
    for path in ("manifests/latest", *(f"blobs/{Digest.of_bytes(blob)}" for blob in content.blobs)):
        started = time.monotonic()
        assert (await product.get(content, path)).status == 200
        slowest = max(slowest, time.monotonic() - started)
    return slowest


async def test_f8_a_disk_that_is_slow_to_flush_holds_up_pushes_only(
    product: Product, findings: Findings
) -> None:
    """Each of its threads waits for a flush: pulls are through before any of them; memory stays bounded (I12)."""
    kept, pid = await product.push(product.new_content()), product.http_pid
    sessions = [
        await product.client.request("POST", "/v2/machine/slow/blobs/uploads/") for _ in range(_PUSHES)
    ]
    memory, files = resident_bytes(pid), len(open_files(pid))
    uploads = product.registry.data_directory / "storage" / "uploads"
    staged = [uploads / reply.headers["docker-upload-uuid"] for reply in sessions]
    injection = [f"fdatasync:delay_enter={_DELAY_MICROSECONDS}"]
    with injected(pid, product.directory / "strace", injection, staged) as trace:
        chunk = bytes(range(256)) * 1024
        pushes = [
            asyncio.create_task(product.client.request("PATCH", reply.headers["location"], {}, [chunk]))
            for reply in sessions
        ]
        while trace.count("fdatasync(") < _PUSHES:  # noqa: ASYNC110  # strace's log sends no event
            await asyncio.sleep(0.02)
        slowest = await _slowest_pull(product, kept)
        assert not any(push.done() for push in pushes)
        assert len(open_files(pid)) - files < 3 * _PUSHES
        replies = await asyncio.gather(*pushes)

    findings.note(
        "F8",
        f"fdatasync of blobs takes {_DELAY_SECONDS} s",
        slowest_pull_seconds=slowest,
        pushes=len(replies),
    )
    assert {reply.status for reply in replies} == {202}
    assert resident_bytes(pid) - memory < _MOST_GROWTH_BYTES
    assert not [line for line in product.registry.log_lines() if line["log.level"] == "error"]


async def test_f8_a_disk_that_is_slow_to_read_holds_up_those_who_read_it(
    product: Product, findings: Findings
) -> None:
    """Large blobs come late, manifests and pushes do not wait for them."""
    content = await product.push(product.new_content())
    layer = Digest.of_bytes(content.blobs[0])
    (path,) = (
        product.registry.data_directory / "storage" / "blobs" / "sha256" / layer.hex[:2] / layer.hex
    ).iterdir()
    injection = [f"read,pread64,mmap,sendfile:delay_enter={_DELAY_MICROSECONDS}"]
    with injected(product.http_pid, product.directory / "strace", injection, [path]):
        slow = [asyncio.create_task(product.get(content, f"blobs/{layer}")) for _ in range(8)]
        await asyncio.sleep(0.3)
        started = time.monotonic()
        assert (await product.get(content, "manifests/latest")).status == 200
        waited = time.monotonic() - started
        assert not any(pull.done() for pull in slow)
        findings.note("F8", f"reads of a blob take {_DELAY_SECONDS} s", manifest_seconds=waited)
        await product.push(product.new_content())
        replies = await asyncio.gather(*slow)
    assert {(reply.status, reply.body == content.blobs[0]) for reply in replies} == {(200, True)}


async def test_f8_a_database_that_is_slow_to_flush_keeps_its_promises(
    product: Product, findings: Findings
) -> None:
    """Commits take as long as the flush of SQLite's log; pulls beside them don't, and nothing is lost."""
    kept, content = await product.push(product.new_content()), product.new_content()
    log = product.registry.data_directory / "metadata" / "entrepot.db-wal"
    injection = ["fdatasync,fsync:delay_enter=1000000"]
    with injected(product.http_pid, product.directory / "strace", injection, [log]) as trace:
        push = asyncio.create_task(product.push(content))
        while trace.count("sync(") == 0:  # noqa: ASYNC110  # as above
            await asyncio.sleep(0.01)
        slowest = await _slowest_pull(product, kept)
        assert not push.done()
        await push
    findings.note("F8", "fdatasync of SQLite's log takes 1 s", slowest_pull_seconds=slowest)
    await check_complete(product.client, content)
    await check_store(product.settings)
