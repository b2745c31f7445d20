"""Tokens where this node does not know the latest: who was changed elsewhere, and which keys are good."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import msgspec
import pytest

from entrepot.auth.principals import Sponsor
from tests.asgi.identity import ALICE

# Fixtures are found by their names in the module of a test.
from tests.integration.test_token_service import server

if TYPE_CHECKING:
    from tests.integration.test_token_service import Server

__all__ = ["server"]

_BASIC = {"Authorization": f"Basic {base64.b64encode(b'alice:s3cret').decode()}"}


@pytest.mark.parametrize("subject", ["alice-id", "robot-id"])
async def test_who_was_changed_meanwhile_gets_no_token_s14(server: Server, subject: str) -> None:
    """Another node disabled them, or who answers for the robot, and this one did not hear of it yet."""
    await server.database.fetch(
        "INSERT INTO subjects (public_id, kind, name, epoch, created_at) VALUES ('robot-id', 'robot', 'robot$ci', 0, 1)"
    )
    sponsor = Sponsor("alice-id", 3) if subject == "robot-id" else None
    epoch = 3 if subject == "alice-id" else 0
    who = msgspec.structs.replace(ALICE, subject=subject, epoch=epoch, sponsor=sponsor)
    server.people.by_secret["alice", "s3cret"] = who
    assert (await server.get("scope=repository:team/app:pull", _BASIC)).status == 200
    await server.database.fetch("UPDATE subjects SET epoch = 4 WHERE public_id = 'alice-id'")
    before = len(await server.audit())

    reply = await server.get("scope=repository:team/app:pull&offline_token=true", _BASIC)

    assert (reply.status, server.look.count) == (401, 1)
    assert len(await server.audit()) == before
    assert await server.database.count("refresh_tokens") == 0
    (noted,) = server.notes.records
    assert (noted.action, noted.outcome) == ("token.issue", "failure")


async def test_who_is_known_anew_after_a_look_gets_a_token_at_once(server: Server) -> None:
    """Somebody was given a role by way of another process: no login fails for that."""
    await server.database.fetch("UPDATE subjects SET epoch = 4 WHERE public_id = 'alice-id'")
    changed = msgspec.structs.replace(ALICE, epoch=4)
    server.look.meanwhile = lambda: server.people.by_secret.update({("alice", "s3cret"): changed})

    reply = await server.get("scope=repository:team/app:pull", _BASIC)

    assert (server.look.count, server.access(reply)) == (1, {"team/app": {"pull"}})
    assert server.notes.records == []


async def test_other_methods_and_paths_are_refused(server: Server) -> None:
    deleted = await server.client.request("DELETE", "/service/token")
    elsewhere = await server.client.request("GET", "/service/token/other")
    head = await server.client.request("HEAD", "/service/token/jwks.json")

    assert (deleted.status, deleted.headers["allow"]) == (405, "GET, POST")
    assert elsewhere.status == 404
    assert (head.status, head.body) == (200, b"")


async def test_nothing_is_issued_while_the_keys_are_not_known_i6(server: Server) -> None:
    server.clock.seconds += 61

    reply = await server.get("scope=repository:team/app:pull", _BASIC)

    assert (reply.status, reply.error_code(), reply.headers["retry-after"]) == (503, "UNAVAILABLE", "1")
