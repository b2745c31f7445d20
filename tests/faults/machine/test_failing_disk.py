"""F6 and F7: the disk reports errors for writes, reads, renames and flushes of the running product."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from typing import TYPE_CHECKING, Final

import pytest

from entrepot.oci.digest import Digest
from entrepot.processes.assignment import Role
from tests.faults.machine.content import RefusedError, push_content
from tests.faults.machine.product import Product, running_product
from tests.faults.machine.promises import check_complete, check_kept, check_store
from tests.faults.machine.remote import BROKEN
from tests.faults.machine.tracing import injected
from tests.faults.pushing import AcknowledgementLog, read_acknowledgements
from tests.plumbing.patience import PATIENCE_SECONDS
from tests.processes.running import is_alive, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.faults.machine.content import Content
    from tests.faults.machine.findings import Findings

_RENAME: Final = "?rename,?renameat,renameat2"


@pytest.fixture
def product(tmp_path: Path) -> Iterator[Product]:
    """A running registry."""
    with running_product(tmp_path / "registry") as running:
        yield running


def _stored(product: Product, blob: bytes) -> Path:
    digest = Digest.of_bytes(blob)
    folder = product.registry.data_directory / "storage" / "blobs" / "sha256" / digest.hex[:2] / digest.hex
    (path,) = folder.iterdir()
    return path


async def _push_under(product: Product, injection: str) -> int:
    """Push content while one call fails; return the status of the refusal, after looking at what is left."""
    content, record = product.new_content(), product.record()
    with injected(product.http_pid, product.directory / "strace", [injection]) as trace:
        with pytest.raises(RefusedError) as refusal:
            await push_content(product.client, content, AcknowledgementLog.open(record))
        assert trace.count() >= 1
    await check_kept(product.client, content, read_acknowledgements(record))
    return refusal.value.reply.status


async def test_f6_errors_of_writes_and_renames_are_never_acknowledged(
    product: Product, findings: Findings
) -> None:
    """EIO at the first write, rename or new directory: 503, I1 and I3 hold, and the next push goes through."""
    for calls in ("pwritev,pwritev2", _RENAME, "?mkdir,mkdirat"):
        log_size = product.registry.log_size()
        assert await _push_under(product, f"{calls}:error=EIO:when=1") == 503
        failures = [line["event"] for line in product.faults_logged(log_size)]
        assert failures == ["request.failed"], calls
        await product.push(product.new_content())
        findings.note("F6", f"EIO of {calls.replace('?', '')}", statuses=[503])
    _require_counted(product, 3, reason="unavailable")
    wait_for(product.is_write_ready, PATIENCE_SECONDS, lambda: "not ready")
    await check_store(product.settings)


async def test_f6_errors_of_reads_never_give_a_full_answer(product: Product, findings: Findings) -> None:
    """EIO while a small blob or a large one is read: an error or a broken connection, never wrong bytes."""
    content = await product.push(product.new_content())
    product.restart()  # with nothing in its caches
    layer, config = content.blobs
    for blob, calls in ((config, "pread64,preadv2"), (layer, "read,pread64,preadv2,mmap,sendfile")):
        path, log_size = f"blobs/{Digest.of_bytes(blob)}", product.registry.log_size()
        injection = [f"{calls}:error=EIO"]
        with injected(
            product.http_pid, product.directory / "strace", injection, [_stored(product, blob)]
        ) as trace:
            try:
                reply = await product.get(content, path)
            except BROKEN:
                findings.note("F6", "EIO of reads of a large blob", broken_connections=1)
            else:
                findings.note("F6", "EIO of reads of a small blob", statuses=[reply.status])
                assert reply.status == 503
                assert [line["event"] for line in product.faults_logged(log_size)] == ["request.failed"]
            assert trace.count() >= 1
    await check_complete(product.client, content)


async def test_f7_a_failed_fsync_is_not_acknowledged_and_the_disk_is_trusted_no_more(
    product: Product, findings: Findings
) -> None:
    """One fdatasync fails, later ones would not: 503, the file is gone, and no push until a person starts it again."""
    kept, content = await product.push(product.new_content()), product.new_content()
    log_size = product.registry.log_size()
    begun = await product.client.request("POST", f"/v2/{content.repository}/blobs/uploads/")
    session = begun.headers["location"]
    staged = product.registry.data_directory / "storage" / "uploads" / session.rpartition("/")[2]

    injection = ["fdatasync:error=EIO:when=1"]
    with injected(product.http_pid, product.directory / "strace", injection, [staged]) as trace:
        reply = await product.client.request("PATCH", session, {}, [content.blobs[0]])
        assert trace.count() == 1

    assert (reply.status, staged.exists()) == (503, False)
    _require_distrust(product, log_size)
    await _require_refusal(product, kept)
    product.registry.kill(Role.HTTP)
    product.wait_until_answering()
    await _require_refusal(product, kept)
    wait_for(
        lambda: product.metric("registry_storage_suspect") == 1, PATIENCE_SECONDS, product.registry.log_tail
    )

    started = time.monotonic()
    product.restart(ready=True)
    assert product.is_write_ready()
    seconds = time.monotonic() - started
    findings.note("F7", "EIO of fdatasync of a staged blob", statuses=[503], restart_seconds=seconds)
    await product.push(product.new_content())
    await check_complete(product.client, kept)
    await check_store(product.settings)


def _require_distrust(product: Product, log_size: int) -> None:
    """One line of its own, beside that of the request; readiness for writes is gone, that for reads is not."""
    events = [line["event"] for line in product.faults_logged(log_size)]
    assert events.count("disk.suspect") == 1
    assert set(events) == {"disk.suspect", "request.failed"}
    wait_for(
        lambda: not product.is_write_ready(), PATIENCE_SECONDS, lambda: "/readyz/write says that all is well"
    )
    assert product.registry.get_ops("/readyz/read")[0] == 200
    _require_counted(product, 1, reason="suspect")


def _require_counted(product: Product, least: int, *, reason: str) -> None:
    """Failures are counted, a moment after they were told."""
    wait_for(
        lambda: product.metric("registry_store_failures_total", store="blobs", reason=reason) >= least,
        PATIENCE_SECONDS,
        lambda: f"not {least} failures were counted",
    )


async def _require_refusal(product: Product, kept: Content) -> None:
    """New bytes are refused with 503, though the disk would take them now; pulls go on."""
    with pytest.raises(RefusedError) as refusal:
        await product.push(product.new_content())
    assert (refusal.value.step, refusal.value.reply.status) == ("PATCH", 503)
    assert "retry-after" in refusal.value.reply.headers
    await check_complete(product.client, kept)


async def test_f7_a_failed_fsync_of_the_databases_log_is_not_acknowledged(
    product: Product, findings: Findings
) -> None:
    """The flush of SQLite's log fails once: the unit is refused with 503 and undone, the next one is durable."""
    kept = await product.push(product.new_content())
    database = product.registry.data_directory / "metadata" / "entrepot.db"
    log_size = product.registry.log_size()
    content = product.new_content()
    injection, paths = ["fdatasync,fsync:error=EIO:when=1"], [database.with_name("entrepot.db-wal")]
    with injected(product.http_pid, product.directory / "strace", injection, paths) as trace:
        reply = await product.client.request("POST", f"/v2/{content.repository}/blobs/uploads/")
        assert trace.count() == 1
    assert (reply.status, "retry-after" in reply.headers) == (503, True)
    assert [line["event"] for line in product.faults_logged(log_size)] == ["request.failed"]
    assert "SQLITE_IOERR_FSYNC" in product.faults_logged(log_size)[0]["reason"]

    await product.push(content)
    findings.note("F7", "EIO of fdatasync of SQLite's log", statuses=[reply.status])
    pid = product.http_pid
    product.kill()
    assert not is_alive(pid)
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    product.registry.start()
    product.wait_until_answering()
    await check_complete(product.client, kept)
    await check_complete(product.client, content)
    await check_store(product.settings)
