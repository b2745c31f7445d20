"""The audit log over the management API: its pages, while it grows with every look at it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.drivers.metadata.machine_accounts import on_sqlite
from tests.running.audit_material import BOB, pull_record

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx

    from entrepot.metadata.store import Metadata
    from tests.integration.control_api.conftest import Registry

pytestmark = [
    on_sqlite,
    pytest.mark.filterwarnings("ignore:Accessing the .model_fields.:DeprecationWarning"),
]


class _GrowingLog:
    """Adds a record after each answer, as each look at the log does when its note arrives."""

    def __init__(self, metadata: Metadata) -> None:
        self.metadata = metadata
        self.added = 0

    async def start(self, records: int) -> None:
        for _ in range(records):
            await self.add()

    async def add(self, _response: Any = None) -> None:
        self.added += 1
        await self.metadata.write(lambda tx: tx.audit.append(pull_record(self.added, BOB)))

    async def walk(self, client: httpx.AsyncClient, path: str) -> AsyncIterator[httpx.Response]:
        """Yield the pages, each found by the link of the one before."""
        way: str | None = f"/api/v2.0{path}"
        while way:
            response = await client.get(f"http://registry.example{way}")
            await self.add()
            yield response
            way = response.links.get("next", {}).get("url")


@pytest.fixture
async def log(metadata: Metadata, registry: Registry) -> _GrowingLog:
    growing = _GrowingLog(metadata)
    async with registry.plain() as client:  # so that the login is there already, which is a record, too
        await client.get("/users/current")
    await growing.start(23)
    return growing


async def _ids(registry: Registry) -> list[int]:
    return [row[0] for row in await registry.database.fetch("SELECT id FROM audit_records ORDER BY id DESC")]


@pytest.mark.parametrize("path", ["/audit-logs", "/auditlog-exts"])
async def test_each_record_is_met_once_however_many_are_added_meanwhile(
    registry: Registry, log: _GrowingLog, path: str
) -> None:
    before = await _ids(registry)
    async with registry.plain() as client:
        pages = [page async for page in log.walk(client, f"{path}?page_size=10")]

        assert [[item["id"] for item in page.json()] for page in pages] == [
            before[:10],
            before[10:20],
            before[20:],
        ]
        assert {page.headers["x-total-count"] for page in pages} == {str(len(before))}
        back = await client.get(f"http://registry.example{pages[2].links['prev']['url']}")
        assert back.json() == pages[1].json()
    assert len(before) == 25


async def test_harbors_client_meets_each_record_once(registry: Registry, log: _GrowingLog) -> None:
    before = await _ids(registry)
    harbor = registry.client()
    harbor.client.event_hooks["response"].append(log.add)

    found = await harbor.get_audit_logs(page_size=7)

    assert [entry.id for entry in found] == before
    assert log.added == 27


async def test_a_walk_keeps_its_filter_and_meets_what_it_wants_once(
    registry: Registry, log: _GrowingLog
) -> None:
    rows = await registry.database.fetch(
        "SELECT id FROM audit_records WHERE action = 'manifest.pull' ORDER BY id DESC"
    )
    wanted = [row[0] for row in rows]
    async with registry.plain() as client:
        await client.post("/projects", json={"project_name": "team"})
        path = "/projects/team/logs?page_size=5&q=operation%3Dmanifest.pull"
        pages = [page async for page in log.walk(client, path)]

    assert [item["id"] for page in pages for item in page.json()] == wanted
    assert [len(page.json()) for page in pages] == [5, 5, 5, 5, 3]


async def test_a_mark_that_no_link_says_is_refused(registry: Registry) -> None:
    async with registry.plain() as client:
        reply = await client.get("/audit-logs?mark=1-2-3")

    assert (reply.status_code, reply.json()["errors"][0]["message"]) == (
        400,
        "mark is what Link says, together with upto; leave it out otherwise",
    )
