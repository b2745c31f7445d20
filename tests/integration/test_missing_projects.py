"""What is answered where a project does not exist: to whom it is said, and to whom it looks like any other (S19)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from entrepot.bootstrap import Dispatcher
from tests.asgi.client import AsgiClient
from tests.asgi.lifespan import running_lifespan
from tests.stateful.node import ADMINISTRATOR, basic, bearer, node_settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

_EVE = ("eve", "Meadow+Turnip+29")
_DIGEST = "sha256:" + "0" * 64
_JSON = {"Content-Type": "application/json"}


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[AsgiClient]:
    """Return a client of a process with a private project of its administrator, and somebody who is in none."""
    dispatcher = Dispatcher(node_settings(tmp_path))
    async with running_lifespan(dispatcher):
        client = AsgiClient(dispatcher)
        headers = {**basic(*ADMINISTRATOR), **_JSON}
        for path, body in (
            ("projects", {"project_name": "team"}),
            ("users", {"username": _EVE[0], "password": _EVE[1], "email": "e@example.org", "realname": "E"}),
        ):
            reply = await client.request("POST", f"/api/v2.0/{path}", headers, (json.dumps(body).encode(),))
            assert reply.status == 201, reply.body
        yield client


async def _ways_in(client: AsgiClient, account: tuple[str, str], repository: str) -> list[dict[str, str]]:
    """Return the headers of Basic, and of a token for a repository."""
    headers = basic(*account)
    scope = f"/service/token?service=entrepot&scope=repository:{repository}:pull,push"
    issued = json.loads((await client.request("GET", scope, headers)).body)
    return [headers, bearer(issued["token"])]


async def test_an_administrator_is_told_that_the_project_is_missing(client: AsgiClient) -> None:
    """Also where a push begins, with the look for a layer: docker goes no further when that is refused."""
    for headers in await _ways_in(client, ADMINISTRATOR, "nope/app"):
        looked = await client.request("HEAD", f"/v2/nope/app/blobs/{_DIGEST}", headers)
        begun = await client.request("POST", "/v2/nope/app/blobs/uploads/", headers)

        assert (looked.status, begun.status, begun.error_code()) == (404, 404, "NAME_UNKNOWN")
        assert json.loads(begun.body)["errors"][0]["message"] == (
            "project nope does not exist; create it first (entrepot project create nope)"
        )


async def test_s6_a_mount_from_a_missing_project_begins_an_upload(client: AsgiClient) -> None:
    for headers in await _ways_in(client, ADMINISTRATOR, "team/app"):
        query = f"?mount={_DIGEST}&from=nope/app"

        reply = await client.request("POST", f"/v2/team/app/blobs/uploads/{query}", headers)

        assert reply.status == 202


async def test_s19_t16_an_outsider_gets_the_same_for_a_missing_project_as_for_a_private_one(
    client: AsgiClient,
) -> None:
    answers: list[list[tuple[int, str]]] = []
    for repository in ("nope/app", "team/app"):
        replies = [
            await client.request("POST", f"/v2/{repository}/blobs/uploads/", headers)
            for headers in await _ways_in(client, _EVE, repository)
        ]
        answers.append([(reply.status, reply.body.decode().replace(repository, "NAME")) for reply in replies])

    assert [status for status, _ in answers[0]] == [403, 401]
    assert answers[0] == answers[1]


async def test_where_everybody_makes_projects_everybody_is_told_that_one_is_missing_s19(
    client: AsgiClient,
) -> None:
    """And not where only administrators do; a private one that is there looks to them as before."""
    body = (json.dumps({"project_creation_restriction": "everyone"}).encode(),)
    headers = {**basic(*ADMINISTRATOR), **_JSON}
    missing, private = [await _ways_in(client, _EVE, name) for name in ("nope/app", "team/app")]
    before = [await client.request("POST", "/v2/nope/app/blobs/uploads/", way) for way in missing]
    assert (await client.request("PUT", "/api/v2.0/configurations", headers, body)).status == 200

    told = [await client.request("POST", "/v2/nope/app/blobs/uploads/", way) for way in missing]
    refused = [await client.request("POST", "/v2/team/app/blobs/uploads/", way) for way in private]

    assert [reply.status for reply in before] == [403, 401]
    assert [(reply.status, reply.error_code()) for reply in told] == [(404, "NAME_UNKNOWN")] * 2
    assert [reply.status for reply in refused] == [403, 401]
