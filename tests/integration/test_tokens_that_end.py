"""A bearer token is good for no longer than the robot or the access token that it was issued for."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

import msgspec
import pytest

from entrepot.auth.errors import InvalidTokenError
from tests.asgi.identity import ALICE

# Fixtures are found by their names in the module of a test.
from tests.integration.token_serving import server

if TYPE_CHECKING:
    from tests.asgi.client import AsgiReply
    from tests.integration.token_serving import TokenServing

__all__ = ["server"]

_BASIC = {"Authorization": f"Basic {base64.b64encode(b'alice:s3cret').decode()}"}
_QUERY = "scope=repository:team/app:pull&offline_token=true"


def _known_until(server: TokenServing, seconds: float | None) -> None:
    """Let what alice presents end so many seconds from now; also what comes back for a refresh token of it."""
    ends_at = None if seconds is None else server.clock.seconds + seconds
    who = msgspec.structs.replace(ALICE, ends_at=ends_at)
    server.people.by_secret["alice", "s3cret"] = server.people.subjects["alice-id", ""] = who


def _lasts(server: TokenServing, reply: AsgiReply) -> tuple[int, int]:
    """Return what the client is told, and what the token says of itself."""
    assert reply.status == 200, reply.body
    told = json.loads(reply.body)
    return told["expires_in"], server.tokens.verify(told["token"]).expires_at - int(server.clock.seconds)


@pytest.mark.parametrize(
    ("left", "told", "lasts"),
    [
        (None, 300, 360),
        (1e9, 300, 360),
        (360.9, 300, 360),
        (330.9, 300, 330),
        (300, 300, 300),
        (299.9, 299, 299),
        (7.5, 7, 7),
        (1, 1, 1),
    ],
)
async def test_a_token_ends_with_what_it_was_issued_for_and_says_so_t11(
    server: TokenServing, left: float | None, told: int, lasts: int
) -> None:
    """It outlives what is told by a minute, for clients whose clocks are behind, and what it was issued for by nothing.

    Whether a name and a secret are shown, by query or by form, or a refresh token that came of them.
    """
    _known_until(server, left)

    by_query = await server.get(_QUERY, _BASIC)
    by_form = await server.post(
        grant_type="password", username="alice", password="s3cret", scope="repository:team/app:pull"
    )
    refreshed = await server.post(
        grant_type="refresh_token", refresh_token=json.loads(by_query.body)["refresh_token"]
    )

    assert [_lasts(server, reply) for reply in (by_query, by_form, refreshed)] == [(told, lasts)] * 3
    assert [record["change"]["after"]["expires_in"] for record in await server.audit()] == [told] * 3


async def test_a_token_is_dead_from_the_end_of_what_it_was_issued_for(server: TokenServing) -> None:
    _known_until(server, 7)
    token = json.loads((await server.get(_QUERY, _BASIC)).body)["token"]

    server.clock.seconds += 6.9
    server.tokens.verify(token)
    server.clock.seconds += 0.1

    with pytest.raises(InvalidTokenError):
        server.tokens.verify(token)


@pytest.mark.parametrize("left", [0.9, 0, -5])
async def test_what_ends_within_the_second_gets_no_token_and_leaves_a_note_i11(
    server: TokenServing, left: float
) -> None:
    """It was remembered as good; a token of no time would be asked for over and over."""
    _known_until(server, left)

    reply = await server.get(_QUERY, _BASIC)

    assert reply.status == 401
    assert await server.audit() == []
    assert await server.database.count("refresh_tokens") == 0
    (noted,) = server.notes.records
    assert (noted.action, noted.outcome, json.loads(noted.body)["event.reason"]) == (
        "token.issue",
        "failure",
        "expired",
    )
