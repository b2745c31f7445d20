"""The audit log over the management API: its pages, while it grows with every look at it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec
import pytest

from entrepot.auth.audit_actions import AuditAction
from entrepot.auth.audit_records import AuditObject, audit_record
from tests.drivers.metadata.machine_accounts import on_sqlite
from tests.running.audit_material import BOB, pull_record

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx

    from entrepot.metadata.audit_store import NewAuditRecord
    from entrepot.metadata.store import Metadata
    from tests.integration.control_api.conftest import Registry

pytestmark = [
    on_sqlite,
    pytest.mark.filterwarnings("ignore:Accessing the .model_fields.:DeprecationWarning"),
]


async def _append(metadata: Metadata, record: NewAuditRecord) -> None:
    await metadata.write(lambda tx: tx.audit.append(record))


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
        await _append(self.metadata, pull_record(self.added, BOB))

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


async def _make_old_team(registry: Registry, client: httpx.AsyncClient) -> None:
    """Make the project of records that are there, as if it were older than they are."""
    await client.post("/projects", json={"project_name": "team"})
    await registry.database.fetch("UPDATE projects SET created_at = 0, audit_mark = 0")


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
        await _make_old_team(registry, client)
        path = "/projects/team/logs?page_size=5&q=operation%3Dmanifest.pull"
        pages = [page async for page in log.walk(client, path)]

    assert [item["id"] for page in pages for item in page.json()] == wanted
    assert [len(page.json()) for page in pages] == [5, 5, 5, 5, 3]


async def test_what_link_says_is_answered_however_great_a_records_number_is(
    registry: Registry, log: _GrowingLog
) -> None:
    """Who owns the database may have set one; numbers are not sealed."""
    await registry.database.fetch(
        f"UPDATE audit_records SET id = {2**61} + id WHERE id IN "
        "(SELECT id FROM audit_records ORDER BY id DESC LIMIT 7)"
    )
    async with registry.plain() as client:
        pages = [page async for page in log.walk(client, "/audit-logs?page_size=2")]
        beyond = [
            (await client.get(f"/audit-logs?upto=1&page=2&page_size=2&mark={mark}")).status_code
            for mark in (f"1-{2**63 - 1}-9", f"1-{10**19 - 1}-9", f"1-5-9-{10**19 - 1}")
        ]

    assert [page.text for page in pages if page.status_code != 200] == []
    met = [item["id"] for page in pages for item in page.json()]
    assert len(met) == len(set(met)) > 7
    assert beyond == [200, 200, 200]


async def test_a_mark_that_no_link_says_is_refused(registry: Registry) -> None:
    async with registry.plain() as client:
        reply = await client.get("/audit-logs?mark=1-2-3")

    assert (reply.status_code, reply.json()["errors"][0]["message"]) == (
        400,
        "mark is what Link says, together with upto; leave it out otherwise",
    )


@pytest.mark.parametrize("path", ["/audit-logs", "/auditlog-exts", "/projects/team/logs"])
@pytest.mark.parametrize("field", ["id", "op_time"])
async def test_the_oldest_come_first_if_one_wants_it(
    registry: Registry, log: _GrowingLog, path: str, field: str
) -> None:
    """Also over pages, while records are added at the end that is reached last."""
    async with registry.plain() as client:
        await _make_old_team(registry, client)
        before = await _ids(registry) if path.startswith("/audit") else await _ids_in_team(registry)
        upwards = [page async for page in log.walk(client, f"{path}?page_size=9&sort={field}")]
        newest = await client.get(f"{path}?page_size=3&sort=-{field}&upto={before[0]}")

    assert [item["id"] for page in upwards for item in page.json()] == before[::-1]
    assert [item["id"] for item in newest.json()] == before[:3]


async def _ids_in_team(registry: Registry) -> list[int]:
    rows = await registry.database.fetch(
        "SELECT id FROM audit_records WHERE project = 'team' ORDER BY id DESC"
    )
    return [row[0] for row in rows]


async def _asked(registry: Registry, query: str) -> tuple[int, Any]:
    async with registry.plain() as client:
        reply = await client.get("/audit-logs", params=query)
    document = reply.json()
    return reply.status_code, document if reply.status_code == 200 else document["errors"][0]["message"]


_SORTS = "sort: this listing can be sorted by id, op_time only"
_FIELDS = (
    "q: this listing can be filtered by address, op_time, operation, outcome, project_name, request_id, resource,"
    " resource_type, user_id, username only"
)
_TIME = "q: op_time is a time of the form 2020-04-09 02:36:00 or 2020-04-09T02:36:00.250Z"


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("sort=user", _SORTS),
        ("sort=-username", _SORTS),
        ("q=operation=nosuch", "q: there is no operation nosuch; is one of these meant: "),
        (
            "q=operation=manifest.pusch",
            "q: there is no operation manifest.pusch; is one of these meant: manifest.push, manifest.pull",
        ),
        ("q=operation={manifest.pull nosuch}", "q: there is no operation nosuch"),
        ("q=outcome=failed", "q: outcome is success or failure"),
        ("q=address=999", "q: address is one IP address, as 192.0.2.7, and not 999"),
        ("q=address=192.0.2.0/24", "q: address is one IP address"),
        ("q=op_time=[2026-12-01 00:00:00~2026-11-01 00:00:00]", "q: op_time ends before it begins"),
        ("q=source.ip=192.0.2.1", _FIELDS),
        ("q=user=bob", _FIELDS),
        ("q=address=~192", "q: address can't be filtered in this way"),
        ("q=outcome={success failure}", "q: outcome is one value"),
        ("q=user_id={a b}", "q: user_id is one value"),
        ("q=username=(a b)", "q: username can't be filtered in this way"),
        ("q=address={192.0.2.1 999}", "q: address is one IP address, as 192.0.2.7, and not 999"),
        ("q=operation=~nosuch", "q: no operation has nosuch in its name"),
        ("q=username=a,username=b", "q: username is there twice"),
        ("q=op_time=[yesterday~]", _TIME),
        ("q=op_time=[2026-11-28T10:00Z~]", _TIME),
    ],
)
async def test_what_no_record_can_match_is_refused_in_the_words_of_the_request(
    registry: Registry, query: str, message: str
) -> None:
    """An auditor who mistyped must not read that nothing happened."""
    status, said = await _asked(registry, query)

    assert status == 400
    assert str(said).startswith(message)


@pytest.mark.parametrize(
    ("stored", "asked"),
    [
        ("2001:db8::7", "2001:DB8::7"),
        ("2001:db8::7", "2001:db8:0:0:0:0:0:7"),
        ("192.0.2.9", "::ffff:192.0.2.9"),
        ("192.0.2.9", "::FFFF:C000:209"),
        ("::ffff:192.0.2.9", "192.0.2.9"),
    ],
)
async def test_an_address_is_found_in_whichever_spelling(
    registry: Registry, log: _GrowingLog, stored: str, asked: str
) -> None:
    await _append(log.metadata, pull_record(7, msgspec.structs.replace(BOB, address=stored)))

    status, found = await _asked(registry, f"q=address={quote(asked)}")

    assert (status, [entry["username"] for entry in found]) == (200, ["bob"])


@pytest.mark.parametrize(
    ("words", "actions"),
    [
        ("manifest.pull", ["manifest.pull"]),
        ("pull", ["manifest.pull"]),
        ("pull_artifact", ["manifest.pull"]),
        ("create_artifact", ["manifest.push"]),
        ("login_user", ["session.login"]),
        ("create_project", ["project.create"]),
        ("create", ["project.create", "manifest.push", "user.create"]),
        ("delete", []),
        ("{login_user manifest.push}", ["session.login", "manifest.push"]),
        ("~Manifest.pu", ["manifest.push", "manifest.pull"]),
        ("~create_pro", ["project.create"]),
        ("~login", ["session.login"]),
    ],
)
async def test_acts_are_found_by_our_names_and_by_harbors_words(
    registry: Registry, metadata: Metadata, words: str, actions: list[str]
) -> None:
    about = AuditObject("repository", "team/app", "team")
    for action in (AuditAction.MANIFEST_PULL, AuditAction.MANIFEST_PUSH):
        await _append(metadata, audit_record(BOB, action, about))
    async with registry.plain() as client:
        await client.post("/projects", json={"project_name": "team"})

    status, found = await _asked(registry, f"q=operation={words}")

    assert (status, [item["operation"] for item in found]) == (200, actions)


async def test_what_a_request_did_is_found_by_the_id_that_it_was_told(registry: Registry) -> None:
    """Also in the log of its project."""
    async with registry.plain() as client:
        made = await client.post("/projects", json={"project_name": "team"})
        await client.post("/projects", json={"project_name": "other"})
        refused = await client.delete("/projects/team/members/99")
        request = made.headers["x-request-id"]
        everywhere = await client.get(f"/audit-logs?q=request_id%3D{request}")
        inside = await client.get(f"/projects/team/logs?q=request_id%3D{request}")
        elsewhere = await client.get(f"/projects/other/logs?q=request_id%3D{request}")
        unknown = await client.get("/audit-logs?q=request_id%3Dnone")

    (failed,) = [note for note in registry.notes.records if note.action == "member.delete"]
    assert failed.request_id == refused.headers["x-request-id"] != request
    assert [item["operation"] for item in everywhere.json()] == ["project.create", "session.login"]
    assert [item["operation"] for item in inside.json()] == ["project.create"]
    assert [reply.headers["x-total-count"] for reply in (everywhere, inside)] == ["2", "1"]
    assert (elsewhere.json(), unknown.json()) == ([], [])


async def test_a_time_may_be_written_as_it_is_shown(registry: Registry, log: _GrowingLog) -> None:
    """Both bounds are part of the range: the millisecond that is shown, or the whole second that is named."""
    await registry.database.fetch("UPDATE audit_records SET at = 1795860000000 + id")
    _, everything = await _asked(registry, "page_size=100")
    shown = {item["id"]: item["op_time"] for item in everything}

    _, exact = await _asked(registry, f"q=op_time=[{shown[3]}~{shown[5]}]")
    _, one = await _asked(registry, f"q=op_time=[{shown[4]}~{shown[4]}]")
    _, second = await _asked(registry, "page_size=100&q=op_time=[2026-11-28 10:00:00~2026-11-28 10:00:00]")
    _, offset = await _asked(registry, "q=op_time=[~2026-11-28T12:00:00.003%2B02:00]")

    assert shown[3] == "2026-11-28T10:00:00.003Z"
    assert [item["id"] for item in exact] == [5, 4, 3]
    assert [item["id"] for item in one] == [4]
    assert [item["id"] for item in second] == [item["id"] for item in everything]
    assert [item["id"] for item in offset] == [3, 2, 1]


async def test_a_projects_log_does_not_show_what_was_done_in_a_former_one_of_its_name_s19_f27(
    registry: Registry, metadata: Metadata
) -> None:
    """Whoever reads the whole log sees both."""
    async with registry.plain() as client:
        await client.post("/projects", json={"project_name": "team"})
        await _append(metadata, pull_record(1, BOB))
        await client.delete("/projects/team")
        # The clock is set back: by time, all of it is younger than the next project.
        await registry.database.fetch("UPDATE audit_records SET at = at + 86400000")
        await client.post("/projects", json={"project_name": "team"})
        shown = [await client.get(f"/projects/team/{listing}") for listing in ("logs", "auditlog-exts")]
        earlier = await client.get("/projects/team/logs?q=op_time%3D[2020-01-01 00:00:00~]")
        whole = await client.get("/audit-logs?q=project_name%3Dteam")

    for reply in (*shown, earlier):
        assert [item["operation"] for item in reply.json()] == ["project.create"]
        assert reply.headers["x-total-count"] == "1"
    assert [item["operation"] for item in whole.json()] == [
        "project.create",
        "project.delete",
        "manifest.pull",
        "project.create",
    ]


async def test_a_projects_log_is_not_asked_for_another_project(registry: Registry) -> None:
    async with registry.plain() as client:
        await client.post("/projects", json={"project_name": "team"})
        replies = [
            await client.get(f"/projects/team/logs?q=project_name%3D{name}") for name in ("team", "other")
        ]

    assert [reply.status_code for reply in replies] == [200, 400]
    assert replies[1].json()["errors"][0]["message"] == (
        "q: this is the log of team: project_name can't be another"
    )
