"""F45: the journal beside the blobs can't be written.

The audit log's own sink is in `tests/integration/test_audit_sink.py`. The journal records each change outside the
database, and its rule is proved here: a change is not refused because its note can't be taken at once, and the note
arrives later.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from entrepot.bootstrap import open_stores
from entrepot.processes.assignment import Role
from entrepot.registry.journal.reader import JournalReader
from tests.faults.machine.content import delete_content
from tests.faults.machine.product import Product, running_product
from tests.faults.machine.promises import check_complete
from tests.faults.machine.volumes import memory_volume
from tests.faults.pushing import AcknowledgementLog

if TYPE_CHECKING:
    from pathlib import Path

    from tests.faults.machine.content import Content
    from tests.faults.machine.findings import Findings


async def _facts(product: Product, content: Content) -> list[str]:
    """The kinds of facts about the content that the store tells of, in order."""
    async with open_stores(product.settings) as stores:
        incarnation = await stores.metadata.instance.incarnation()
        damage: list[tuple[str, str]] = []
        reader = JournalReader(
            stores.blobs,
            incarnation,
            lambda key, reason: damage.append((key, reason)),
            lambda rivals: damage.append(("", str(rivals))),
        )
        kinds = [line.kind async for line in reader.facts() if line.repository == content.repository]
        assert damage == []
        return kinds


async def _backlog(product: Product) -> int:
    """How many facts are in no segment yet."""
    async with open_stores(product.settings) as stores:
        return await stores.metadata.outbox.unjournalled_count()


@pytest.mark.parametrize(
    "options",
    [
        pytest.param("size=1m,nr_inodes=1", id="no room for entries"),
        pytest.param("ro", id="not writable", marks=pytest.mark.long),
    ],
)
async def test_f45_a_change_whose_note_cannot_be_taken_is_acknowledged_and_noted_later(
    tmp_path: Path, findings: Findings, options: str
) -> None:
    """Push and delete get 201 and 202, one warning each; once the journal can be written, the facts are in it."""
    with running_product(tmp_path / "registry") as product:
        first = await product.push(product.new_content())
        journal = product.registry.data_directory / "storage" / "journal"
        log_size = product.registry.log_size()
        with memory_volume(journal, options):
            pushed = await product.push(product.new_content())
            await delete_content(product.client, first, AcknowledgementLog.open(product.record()))
            await check_complete(product.client, pushed)
            postponed = [
                line
                for line in product.registry.log_lines(log_size)
                if line["event"] == "journal.entry.postponed"
            ]
            assert len(postponed) == 3  # manifest.put, tag.delete, manifest.delete
            assert await _backlog(product) >= 3
        product.registry.kill(Role.BACKGROUND)  # after failures it would wait longer and longer

        freed = time.monotonic()
        while await _backlog(product) > 0:  # noqa: ASYNC110  # what another process does sends no event
            await asyncio.sleep(0.3)
        findings.note(
            "F45", f"journal: {options}", statuses=[201, 202], noted_seconds=time.monotonic() - freed
        )
        assert "manifest.put" in await _facts(product, pushed)
        assert [kind for kind in await _facts(product, first) if kind.endswith("delete")] == [
            "tag.delete",
            "manifest.delete",
        ]
