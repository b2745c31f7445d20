"""F10: no descriptors, no memory, or a process that the kernel kills for want of it."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from entrepot.oci.digest import Digest
from entrepot.processes.assignment import Role
from tests.faults.machine.content import RefusedError, push_blob, push_content
from tests.faults.machine.product import Product, running_product
from tests.faults.machine.promises import check_complete, check_kept, check_store
from tests.faults.machine.remote import BROKEN
from tests.faults.pushing import AcknowledgementLog, read_acknowledgements
from tests.plumbing.patience import PATIENCE_SECONDS
from tests.processes.running import is_alive, wait_for
from tests.running.process_resources import open_files

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.faults.machine.findings import Findings

_FEW: Final = 3
_LARGE_BYTES: Final = 24 * 1024 * 1024


@pytest.fixture
def product(tmp_path: Path) -> Iterator[Product]:
    """A running registry."""
    with running_product(tmp_path / "registry", ready=False) as running:
        yield running


def _highest_descriptor(pid: int) -> int:
    return max(int(entry.name) for entry in Path(f"/proc/{pid}/fd").iterdir())


def _address_space_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[0]) * resource.getpagesize()


async def test_f10_a_process_without_descriptors_refuses_and_recovers(
    product: Product, findings: Findings
) -> None:
    """At the limit nothing is acknowledged that is not kept, the process stays, and it works as soon as it can."""
    kept, pid = await product.push(product.new_content()), product.http_pid
    usual = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    highest = _highest_descriptor(pid)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (highest + 2, usual[1]))
    log_size = product.registry.log_size()
    record = product.record()
    contents = [product.new_content() for _ in range(_FEW)]
    log = AcknowledgementLog.open(record)
    statuses: list[int | str] = []
    for content in contents:
        try:
            async with asyncio.timeout(5):
                await push_content(product.client, content, log)
        except RefusedError as refusal:
            statuses.append(refusal.reply.status)
        except (TimeoutError, *BROKEN):
            statuses.append("no answer")
    resource.prlimit(pid, resource.RLIMIT_NOFILE, usual)

    assert product.http_pid == pid
    told = {line["event"] for line in product.faults_logged(log_size)}
    assert told <= {"request.failed", "connections.postponed"}
    product.wait_until_answering()
    for content in contents:
        known = {one.digest for one in content.manifests} | set(content.manifests[0].needs_blobs)
        await check_kept(
            product.client, content, [one for one in read_acknowledgements(record) if one.name in known]
        )
        await product.push(content)
    findings.note("F10", "no descriptors", statuses=statuses)
    await check_complete(product.client, kept)
    # A file of notes was begun meanwhile; the last connection may still be closing.
    wait_for(
        lambda: len(open_files(pid)) <= highest + 2, PATIENCE_SECONDS, lambda: f"{highest}: {open_files(pid)}"
    )
    await check_store(product.settings)


async def _push_in_time(product: Product, blob: bytes, record: Path) -> None:
    """Push a blob; what was found while there was no memory may be believed for some seconds still."""
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            await push_blob(product.client, "machine/large", blob, AcknowledgementLog.open(record))
        except RefusedError as refusal:
            if refusal.reply.status != 503 or time.monotonic() > give_up_at:
                raise
            await asyncio.sleep(0.2)
        else:
            return


async def test_f10_a_process_without_memory_fails_some_requests_and_loses_nothing(
    product: Product, findings: Findings
) -> None:
    """With no address space left requests fail or the process ends; it comes back, and I1 and I7 hold.

    A request may find room once others have failed, or meet the process that came back.
    """
    kept, pid = await product.push(product.new_content()), product.http_pid
    resource.prlimit(pid, resource.RLIMIT_AS, (_address_space_bytes(pid), resource.RLIM_INFINITY))
    blobs = [bytes([number]) * _LARGE_BYTES for number in range(_FEW)]
    record = product.record()

    async def push(blob: bytes) -> str:
        try:
            await push_blob(product.client, "machine/large", blob, AcknowledgementLog.open(record))
        except RefusedError as refusal:
            return str(refusal.reply.status)
        except BROKEN:
            return "broken"
        return "done"

    outcomes = await asyncio.gather(*(push(blob) for blob in blobs))
    if is_alive(pid):
        resource.prlimit(pid, resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    product.wait_until_answering()

    findings.note("F10", "no address space", statuses=outcomes)
    assert set(outcomes) <= {"500", "503", "broken", "done"}, outcomes
    assert set(outcomes) != {"done"}, "there was memory enough"
    acknowledged = {one.name for one in read_acknowledgements(record) if one.what == "blob"}
    for blob in blobs:
        digest = str(Digest.of_bytes(blob))
        reply = await product.client.request("HEAD", f"/v2/machine/large/blobs/{digest}")
        assert reply.status == 200 or digest not in acknowledged
        await _push_in_time(product, blob, record)
    await check_complete(product.client, kept)
    await check_store(product.settings)


async def test_f10_a_child_that_the_kernel_kills_comes_back(product: Product, findings: Findings) -> None:
    """SIGKILL, as of the OOM killer, in the middle of a push: a new child answers within seconds, nothing is lost."""
    kept, content, record = await product.push(product.new_content()), product.new_content(), product.record()
    begun = await product.client.request("POST", f"/v2/{content.repository}/blobs/uploads/")
    pushing = asyncio.create_task(
        product.client.request("PATCH", begun.headers["location"], {}, [bytes(8 * 1024 * 1024)])
    )
    await asyncio.sleep(0.01)
    os.kill(pid := product.http_pid, signal.SIGKILL)
    killed = time.monotonic()
    await asyncio.gather(pushing, return_exceptions=True)
    wait_for(lambda: not is_alive(pid), PATIENCE_SECONDS, product.registry.log_tail)
    product.wait_until_answering()

    seconds = time.monotonic() - killed
    assert seconds < 30
    findings.note("F10", "SIGKILL of the child in a push", recovers_seconds=seconds)
    assert product.registry.wait_for_event("process.exited", role=Role.HTTP, pid=pid)["signal"] == "SIGKILL"
    await check_complete(product.client, kept)
    await push_content(product.client, content, AcknowledgementLog.open(record))
    await check_complete(product.client, content)
