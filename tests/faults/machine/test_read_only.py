"""F9: a volume turns read-only under the running product, by hand or because ext4 found an error."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from entrepot.processes.assignment import Role
from tests.faults.machine.content import RefusedError
from tests.faults.machine.product import Product, running_product
from tests.faults.machine.promises import check_complete, check_store
from tests.faults.machine.volumes import (
    MIB,
    ext4_volume,
    memory_volume,
    remount,
    repair_ext4,
    report_damage,
)
from tests.plumbing.patience import PATIENCE_SECONDS
from tests.processes.running import wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from tests.faults.machine.content import Content
    from tests.faults.machine.findings import Findings


async def _require_refusal(product: Product, kept: Content) -> None:
    """Pushes get 503 and may be repeated, `/readyz/write` says it, and pulls go on."""
    with pytest.raises(RefusedError) as refusal:
        await product.push(product.new_content())
    assert refusal.value.reply.status == 503
    assert "retry-after" in refusal.value.reply.headers
    await check_complete(product.client, kept)
    wait_for(lambda: not product.is_write_ready(), PATIENCE_SECONDS, lambda: "ready")
    assert product.registry.get_ops("/readyz")[0] == 200


async def test_f9_blobs_on_a_volume_that_turns_read_only(tmp_path: Path, findings: Findings) -> None:
    """Writes 503, reads 200, readiness tells, one line in the log per refusal, and it recovers by itself."""
    with (
        memory_volume(tmp_path / "volume", "size=32m") as volume,
        running_product(tmp_path / "registry", storage={"root": str(volume)}) as product,
    ):
        kept = await product.push(product.new_content())
        log_size = product.registry.log_size()
        remount(volume, "ro")

        await _require_refusal(product, kept)
        assert [line["event"] for line in product.faults_logged(log_size)] == ["request.failed"]
        assert "Read-only file system" in product.faults_logged(log_size)[0]["reason"]
        wait_for(
            lambda: product.metric("registry_store_failures_total", store="blobs", reason="unavailable") == 1,
            PATIENCE_SECONDS,
            lambda: "the failure was not counted",
        )

        remount(volume, "rw")
        healed = time.monotonic()
        await product.push(product.new_content())
        wait_for(product.is_write_ready, PATIENCE_SECONDS, lambda: "not ready again")
        seconds = time.monotonic() - healed
        assert seconds < 30
        findings.note("F9", "blobs read-only, remounted", statuses=[503], heals_seconds=seconds)
        await check_store(product.settings)


async def test_f9_everything_on_an_ext4_that_turns_itself_read_only(
    tmp_path: Path, findings: Findings
) -> None:
    """What the kernel does after damage, database included: writes 503, reads 200, also from a child started then."""
    with ext4_volume(tmp_path / "volume", 64 * MIB, options="errors=remount-ro") as volume:
        with running_product(tmp_path / "registry", volume) as product:
            kept = await product.push(product.new_content())
            report_damage(volume)
            await _require_refusal(product, kept)
            product.registry.kill(Role.HTTP)
            product.wait_until_answering()
            await _require_refusal(product, kept)
        repair_ext4(volume)
        with running_product(tmp_path / "registry again", volume) as product:
            await check_complete(product.client, kept)
            findings.note("F9", "ext4 that turned itself read-only", statuses=[503])
            await product.push(product.new_content("two layers"))
            await check_store(product.settings)
