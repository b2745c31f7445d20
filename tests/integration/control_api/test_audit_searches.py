"""The audit log over the management API: what it is searched by in Harbor's little language, and long searches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from entrepot.audit.errors import AuditSearchesBusyError
from entrepot.auth.principals import NO_ORIGIN
from entrepot.metadata.errors import MetadataTimeoutError, StatementTooLongError
from tests.drivers.metadata.machine_accounts import on_sqlite
from tests.running.audit_material import ALICE, BOB, pull_record

if TYPE_CHECKING:
    import httpx

    from entrepot.metadata.store import Metadata
    from tests.integration.control_api.conftest import Registry

pytestmark = [
    on_sqlite,
    pytest.mark.filterwarnings("ignore:Accessing the .model_fields.:DeprecationWarning"),
]

_ALICE = msgspec.structs.replace(ALICE, origin=NO_ORIGIN)
_CAROL = msgspec.structs.replace(_ALICE, subject="c" * 32, name="Carol_1", address="192.0.2.3")


@pytest.fixture
async def log(metadata: Metadata) -> None:
    """Four pulls, from the oldest: of Alice, Bob, Carol and Bob."""
    records = [
        pull_record(1, _ALICE, "team/app"),
        pull_record(2, BOB, "team/base"),
        pull_record(3, _CAROL, "other/App_2"),
        pull_record(4, BOB, "other/tool"),
    ]
    await metadata.write(lambda tx: tx.audit.extend(records))


async def _found(client: httpx.AsyncClient, query: str) -> list[tuple[str, str]]:
    reply = await client.get("/audit-logs", params={"q": f"operation=pull,{query}"})
    assert reply.status_code == 200, reply.text
    assert reply.headers["x-total-count"] == str(len(reply.json()))
    return [(item["username"], item["resource"]) for item in reply.json()]


_BOBS = [("bob", "other/tool"), ("bob", "team/base")]
_CAROLS = [("Carol_1", "other/App_2")]
_ALICES = [("alice", "team/app")]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("username=~O", [_BOBS[0], *_CAROLS, _BOBS[1]]),
        ("username=~carol_", _CAROLS),
        ("username=~bo_", []),
        ("username=~%2525", []),
        ("username={bob alice}", [*_BOBS, *_ALICES]),
        ("user_id=" + "c" * 32, _CAROLS),
        ("resource=~APP", [*_CAROLS, *_ALICES]),
        ("resource=~app_2", _CAROLS),
        ("resource={'team/app' other/tool}", [_BOBS[0], *_ALICES]),
        ("resource_type=repository,username=alice", _ALICES),
        ("resource_type=~repo,project_name=team", [_BOBS[1], *_ALICES]),
        ("resource_type={robot project}", []),
        ("project_name=~OTH,username=bob", [_BOBS[0]]),
        ("project_name={team nosuch}", [_BOBS[1], *_ALICES]),
        ("address={192.0.2.3 192.0.2.1}", [*_CAROLS, *_ALICES]),
    ],
)
async def test_records_are_found_in_part_and_among_several(
    registry: Registry, log: None, query: str, found: list[tuple[str, str]]
) -> None:
    async with registry.plain() as client:
        assert await _found(client, query) == found


async def test_what_an_erased_person_did_is_found_by_their_id(registry: Registry, log: None) -> None:
    await registry.database.fetch("UPDATE audit_records SET user_name = '' WHERE user_name = 'Carol_1'")
    async with registry.plain() as client:
        assert await _found(client, "username=Carol_1") == []
        assert await _found(client, f"user_id={_CAROL.subject}") == [("", "other/App_2")]


async def test_the_log_of_a_project_is_searched_within_the_project_s19(registry: Registry, log: None) -> None:
    async with registry.plain() as client:
        await client.post("/projects", json={"project_name": "team"})
        await registry.database.fetch("UPDATE projects SET created_at = 0, audit_mark = 0")
        replies = {
            query: await client.get("/projects/team/logs", params={"q": f"operation=pull,{query}"})
            for query in ("resource=~app", "project_name=~other", "project_name={other team}")
        }

    shown = {query: [item["resource"] for item in reply.json()] for query, reply in replies.items()}
    assert shown == {
        "resource=~app": ["team/app"],
        "project_name=~other": [],
        "project_name={other team}": ["team/base", "team/app"],
    }


async def _walk(client: httpx.AsyncClient, way: str | None) -> tuple[list[Any], list[str]]:
    met: list[Any] = []
    totals: list[str] = []
    while way:
        reply = await client.get(f"http://registry.example{way}")
        met += reply.json()
        totals.append(reply.headers["x-total-count"])
        way = reply.links.get("next", {}).get("url")
    return met, totals


async def test_link_leads_beyond_what_is_counted(
    registry: Registry, metadata: Metadata, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`X-Total-Count` of a search stops at a bound, and says more once more was met."""
    monkeypatch.setattr("entrepot.metadata.sql.audit_queries.MOST_COUNTED", 5)
    await metadata.write(lambda tx: tx.audit.extend([pull_record(number, BOB) for number in range(11)]))
    async with registry.plain() as client:
        met, totals = await _walk(client, "/api/v2.0/audit-logs?page_size=3&q=username%3Dbob")

    assert len({item["id"] for item in met}) == len(met) == 11
    assert totals == ["5", "7", "10", "11"]


async def test_a_page_is_shown_though_counting_takes_too_long(
    registry: Registry, metadata: Metadata, log: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def give_up(*_wanted: object) -> int:
        raise StatementTooLongError("audit_records.count took longer than 5 s")

    monkeypatch.setattr(metadata.audit, "count", give_up)
    async with registry.plain() as client:
        met, totals = await _walk(client, "/api/v2.0/audit-logs?page_size=2&q=operation%3Dpull")

    assert [item["resource"] for item in met] == ["other/tool", "other/App_2", "team/base", "team/app"]
    assert totals == ["3", "4"]


async def test_a_search_that_looks_at_too_much_says_what_helps(
    registry: Registry, metadata: Metadata, log: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def give_up(*_query: object) -> int:
        raise StatementTooLongError("audit_records.older_by_none took longer than 5 s")

    monkeypatch.setattr(metadata.audit, "page", give_up)
    async with registry.plain() as client:
        reply = await client.get("/audit-logs?q=username%3D~x")

    assert reply.status_code == 400
    assert reply.json()["errors"][0]["message"] == (
        "too many records had to be looked at: say between which times, or whose acts, of which kind or on what"
    )


async def test_a_search_that_waited_too_long_is_not_called_too_wide(
    registry: Registry, metadata: Metadata, log: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the database has no connection for it."""

    async def wait_in_vain(*_query: object) -> int:
        raise MetadataTimeoutError("no answer in time")

    monkeypatch.setattr(metadata.audit, "page", wait_in_vain)
    async with registry.plain() as client:
        reply = await client.get("/audit-logs?q=username%3D~x")

    assert (reply.status_code, reply.headers["retry-after"]) == (503, "1")
    assert reply.json()["errors"][0]["message"].startswith("the registry's database does not answer")


async def test_a_search_that_gets_no_turn_is_told_so_and_its_page_is_shown_uncounted(
    registry: Registry, metadata: Metadata, log: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def get_no_turn(*_wanted: object) -> int:
        raise AuditSearchesBusyError

    monkeypatch.setattr(metadata.audit, "count", get_no_turn)
    async with registry.plain() as client:
        shown = await client.get("/audit-logs?page_size=2&q=operation%3Dpull")
        monkeypatch.setattr(metadata.audit, "page", get_no_turn)
        refused = await client.get("/audit-logs?page_size=2&q=operation%3Dpull")

    assert (shown.status_code, len(shown.json()), shown.headers["x-total-count"]) == (200, 2, "3")
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    assert refused.json()["errors"][0]["message"] == (
        "other searches of the audit log are under way, and few may be at once; try again in a second, and send one "
        "after the other if they are yours"
    )


async def test_a_way_on_has_no_space_in_it(registry: Registry, log: None) -> None:
    """Of a list of several: a client that sends the address as it stands asks the same."""
    async with registry.plain() as client:
        reply = await client.get("/audit-logs", params={"page_size": 1, "q": "username={alice bob}"})
        way = reply.links["next"]["url"]
        met, _ = await _walk(client, way)

    assert " " not in way
    assert [item["username"] for item in met] == ["bob", "alice"]


@pytest.mark.parametrize(
    "body", [b"[]", b"x", b'{"object":[1]}', b'{"object":{"kind":"repository","tag":7}}']
)
async def test_a_row_that_is_no_record_keeps_nobody_from_reading_the_others(
    registry: Registry, log: None, body: bytes
) -> None:
    """Whoever owns the database may put one there, of any time; its columns are shown, the rest is an export's."""
    await registry.database.fetch(
        f"UPDATE audit_records SET body = x'{body.hex()}', at = {2**62 - 1} WHERE object_name = 'team/base'"
    )
    async with registry.plain() as client:
        found = await client.get("/audit-logs", params={"q": "operation=pull"})
    await registry.database.fetch("DELETE FROM audit_records WHERE object_name = 'team/base'")

    assert found.status_code == 200, found.text
    told = {item["resource"]: (item["op_time"], item["fields"].get("event.action")) for item in found.json()}
    assert told.pop("team/base") == ("9999-12-31T23:59:59.000Z", None)
    assert [action for _, action in told.values()] == ["manifest.pull"] * 3
