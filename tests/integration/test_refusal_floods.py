"""Who has no account leaves no more records than three in ten seconds at any entrance, however often they ask (F41)."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from entrepot.audit.ecs import ecs_fields
from entrepot.audit.frames import read_frames
from entrepot.audit.segments import segment_paths
from entrepot.auth.condensed_refusals import TOO_FAST
from entrepot.bootstrap import build_http_application
from entrepot.settings import audit_directory
from tests.asgi.client import AsgiClient
from tests.asgi.lifespan import running_lifespan
from tests.stateful.node import ADMINISTRATOR, basic, bearer, node_settings

if TYPE_CHECKING:
    from pathlib import Path

    from entrepot.settings import Settings

_REQUESTS = 60
_ENTRANCES = {
    "/v2/": "session.login",
    "/service/token?service=entrepot": "session.login",
    "/api/v2.0/users/current": "session.login",
}
_LOCKED = basic(ADMINISTRATOR[0], "a wrong password")


def _noted(settings: Settings) -> list[dict[str, object]]:
    paths = segment_paths(audit_directory(settings) / "spool")
    records = [record for path in paths for record in read_frames(path.read_bytes()).records]
    return [ecs_fields(0, record.body, record.disclosure) for record in records]


@pytest.mark.parametrize("target", list(_ENTRANCES))
async def test_whoever_is_locked_out_and_goes_on_is_counted_f41(tmp_path: Path, target: str) -> None:
    settings = node_settings(tmp_path, **{"lockout.attempts": "3"})
    application = build_http_application(settings)
    async with running_lifespan(application):
        client = AsgiClient(application, "192.0.2.7")
        statuses = [(await client.request("GET", target, _LOCKED)).status for _ in range(_REQUESTS)]
        other = await AsgiClient(application, "192.0.2.8").request(
            "GET", target, basic("bob", "ept_" + "x" * 43)
        )

    noted = [record for record in _noted(settings) if record["source.ip"] == "192.0.2.7"]
    assert Counter(statuses) == {401: 3, 429: _REQUESTS - 3}
    assert [record["event.reason"] for record in noted] == ["locked out"] * 4
    assert [record.get("entrepot.repeats", 1) for record in noted] == [1] * 3 + [_REQUESTS - 3 - 3]
    assert other.status == 401  # and is on record by itself
    assert [record.get("entrepot.repeats", 1) for record in _noted(settings) if record not in noted] == [1]


@pytest.mark.parametrize(
    "credentials",
    [bearer("no.token.at-all"), basic("alice", "ept_" + "x" * 43), bearer("ept_" + "x" * 43)],
    ids=["bearer token", "access token", "access token without a name"],
)
async def test_tokens_that_are_none_are_counted_f41(tmp_path: Path, credentials: dict[str, str]) -> None:
    settings = node_settings(tmp_path)
    application = build_http_application(settings)
    async with running_lifespan(application):
        client = AsgiClient(application, "192.0.2.7")
        statuses = {
            (await client.request("GET", "/v2/team/app/tags/list", credentials)).status
            for _ in range(_REQUESTS)
        }

    times = [record.get("entrepot.repeats", 1) for record in _noted(settings)]
    assert statuses == {401}
    assert (len(times), times[:3], sum(map(int, map(str, times)))) == (4, [1] * 3, _REQUESTS)


async def test_each_refusal_of_somebody_known_is_on_record_i11(tmp_path: Path) -> None:
    settings = node_settings(tmp_path)
    application = build_http_application(settings)
    async with running_lifespan(application):
        client = AsgiClient(application, "192.0.2.7", headers=basic(*ADMINISTRATOR))
        for _ in range(20):
            reply = await client.request("DELETE", "/api/v2.0/projects/none")
            assert reply.status == 404

    assert [record.get("entrepot.repeats", 1) for record in _noted(settings)] == [1] * 20


async def test_an_account_that_asks_for_too_many_tokens_is_counted_i11_f41(tmp_path: Path) -> None:
    """Whose it is stands in each record, also in that of the rest."""
    settings = node_settings(tmp_path, **{"bearer_token.issues_per_minute": "2"})
    application = build_http_application(settings)
    async with running_lifespan(application):
        client = AsgiClient(application, "192.0.2.7", headers=basic(*ADMINISTRATOR))
        target = "/service/token?service=entrepot&scope=repository:team/app:pull"
        statuses = [(await client.request("GET", target)).status for _ in range(_REQUESTS)]

    noted = _noted(settings)
    assert statuses[:2] == [200, 200]
    assert set(statuses[2:]) == {429}
    assert [record.get("entrepot.repeats", 1) for record in noted] == [1] * 3 + [_REQUESTS - 2 - 3]
    fields = ("event.action", "user.name", "source.ip", "event.reason", "http.response.status_code")
    assert {tuple(record[field] for field in fields) for record in noted} == {
        ("token.issue", ADMINISTRATOR[0], "192.0.2.7", TOO_FAST, 429)
    }
