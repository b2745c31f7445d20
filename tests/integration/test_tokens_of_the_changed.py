"""Tokens where this node does not know the latest: who was changed elsewhere, and which keys are good."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

import msgspec
import pytest

from entrepot.auth.principals import Sponsor
from tests.asgi.identity import ALICE, KnownPeople

# Fixtures are found by their names in the module of a test.
from tests.integration.token_serving import server

if TYPE_CHECKING:
    from entrepot.auth.principals import Principal
    from tests.integration.token_serving import TokenServing

__all__ = ["server"]

_BASIC = {"Authorization": f"Basic {base64.b64encode(b'alice:s3cret').decode()}"}


async def _known_as(server: TokenServing, subject: str) -> None:
    """Let the credentials be those of alice (epoch 3), or of a robot (epoch 0) that she answers for."""
    await server.database.fetch(
        "INSERT INTO subjects (public_id, kind, name, epoch, created_at) VALUES ('robot-id', 'robot', 'robot$ci', 0, 1)"
    )
    sponsor = Sponsor("alice-id", 3) if subject == "robot-id" else None
    epoch = 3 if subject == "alice-id" else 0
    who = msgspec.structs.replace(ALICE, subject=subject, epoch=epoch, sponsor=sponsor)
    server.people.by_secret["alice", "s3cret"] = who
    assert (await server.get("scope=repository:team/app:pull", _BASIC)).status == 200


def _status(body: bytes) -> object:
    return json.loads(body)["http.response.status_code"]


@pytest.mark.parametrize("subject", ["alice-id", "robot-id"])
async def test_who_is_gone_meanwhile_gets_no_token_s14(server: TokenServing, subject: str) -> None:
    """Another node deleted them, or who answers for the robot, and this one did not hear of it yet."""
    await _known_as(server, subject)
    await server.database.fetch("DELETE FROM subjects WHERE public_id = 'alice-id'")
    before = len(await server.audit())

    reply = await server.get("scope=repository:team/app:pull&offline_token=true", _BASIC)

    assert (reply.status, server.look.count) == (401, 1)
    assert len(await server.audit()) == before
    assert await server.database.count("refresh_tokens") == 0
    (noted,) = server.notes.records
    assert (noted.action, noted.outcome, _status(noted.body)) == ("token.issue", "failure", 401)


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("subject", ["alice-id", "robot-id"])
async def test_right_credentials_of_who_is_changed_at_each_look_are_asked_for_again_s14(
    server: TokenServing, subject: str, method: str
) -> None:
    """Another node changes them as often as this one looks: nothing is given, and the login is not called wrong."""
    await _known_as(server, subject)
    await server.database.fetch("UPDATE subjects SET epoch = 4 WHERE public_id = 'alice-id'")
    before = len(await server.audit())

    if method == "GET":
        reply = await server.get("scope=repository:team/app:pull&offline_token=true", _BASIC)
        assert reply.error_code() == "UNAVAILABLE"
    else:
        asked = {
            "grant_type": "password",
            "username": "alice",
            "password": "s3cret",
            "access_type": "offline",
        }
        reply = await server.post(scope="repository:team/app:pull", **asked)
        assert json.loads(reply.body)["error"] == "temporarily_unavailable"

    assert (reply.status, reply.headers["retry-after"], server.look.count) == (503, "1", 1)
    assert "www-authenticate" not in reply.headers
    assert len(await server.audit()) == before
    assert await server.database.count("refresh_tokens") == 0
    (noted,) = server.notes.records
    assert (noted.action, noted.outcome, _status(noted.body)) == ("token.issue", "failure", 503)


async def test_a_refresh_token_of_who_is_changed_at_each_look_stays_good(server: TokenServing) -> None:
    """The change came after the token was looked up: it is not used up, and nothing is given for it."""
    given = json.loads((await server.get("offline_token=true", _BASIC)).body)["refresh_token"]
    changed = msgspec.structs.replace(ALICE, epoch=2)
    server.people.subjects["alice-id", ""] = changed

    reply = await server.post(grant_type="refresh_token", refresh_token=given)

    assert (reply.status, reply.headers["retry-after"]) == (503, "1")
    server.people.subjects["alice-id", ""] = ALICE
    assert (await server.post(grant_type="refresh_token", refresh_token=given)).status == 200


async def test_a_refresh_token_of_who_is_changed_between_two_reads_is_refused_s14(
    server: TokenServing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a robot gets a new secret: what is issued for the old one would live for as long as any token."""
    given = json.loads((await server.get("offline_token=true", _BASIC)).body)["refresh_token"]
    look_up = KnownPeople.by_subject

    async def changed_first(people: KnownPeople, *what: str, **more: bool) -> Principal:
        await server.database.fetch("UPDATE subjects SET epoch = 4 WHERE public_id = 'alice-id'")
        people.subjects["alice-id", ""] = msgspec.structs.replace(ALICE, epoch=4)
        found: Principal = await look_up(people, *what, **more)  # type: ignore[arg-type]  # handed on as they came
        return found

    monkeypatch.setattr(KnownPeople, "by_subject", changed_first)
    reply = await server.post(grant_type="refresh_token", refresh_token=given)

    assert reply.status == 401
    (noted,) = server.notes.records
    assert (noted.action, noted.subject, noted.outcome) == ("token.issue", "alice-id", "failure")


async def test_who_is_known_anew_after_a_look_gets_a_token_at_once(server: TokenServing) -> None:
    """Somebody was given a role by way of another process: no login fails for that."""
    await server.database.fetch("UPDATE subjects SET epoch = 4 WHERE public_id = 'alice-id'")
    changed = msgspec.structs.replace(ALICE, epoch=4)
    server.look.meanwhile = lambda: server.people.by_secret.update({("alice", "s3cret"): changed})

    reply = await server.get("scope=repository:team/app:pull", _BASIC)

    assert (server.look.count, server.access(reply)) == (1, {"team/app": {"pull"}})
    assert server.notes.records == []


async def test_other_methods_and_paths_are_refused(server: TokenServing) -> None:
    deleted = await server.client.request("DELETE", "/service/token")
    elsewhere = await server.client.request("GET", "/service/token/other")
    head = await server.client.request("HEAD", "/service/token/jwks.json")

    assert (deleted.status, deleted.headers["allow"]) == (405, "GET, POST")
    assert elsewhere.status == 404
    assert (head.status, head.body) == (200, b"")


async def test_nothing_is_issued_while_the_keys_are_not_known_i6(server: TokenServing) -> None:
    server.clock.seconds += 61

    reply = await server.get("scope=repository:team/app:pull", _BASIC)

    assert (reply.status, reply.error_code(), reply.headers["retry-after"]) == (503, "UNAVAILABLE", "1")
