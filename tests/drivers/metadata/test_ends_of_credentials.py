"""Who came with a robot or an access token is known with its end, by each door: no bearer token may outlive it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from entrepot.auth.access_tokens.access_tokens import NewAccessToken
from tests.drivers.metadata.machine_accounts import CHOSEN, ROBOT, Accounts, new_robot, self_grant

if TYPE_CHECKING:
    from entrepot.auth.principals import Principal
    from tests.drivers.metadata.raw_database import RawDatabase

_END: Final = 4_000_000_000_123
"""Milliseconds, in 2096."""


async def _ways_of_robot(accounts: Accounts, secret: str) -> list[Principal]:
    """Log in, be remembered, and come back by a refresh token."""
    first = await accounts.login(ROBOT, secret)
    return [first, await accounts.login(ROBOT, secret), await accounts.refresh(first.subject)]


@pytest.mark.parametrize("chosen", ["", CHOSEN])
async def test_a_robot_is_known_with_its_end(accounts: Accounts, database: RawDatabase, chosen: str) -> None:
    issued = await new_robot(accounts, secret=chosen)
    await database.fetch(f"UPDATE robots SET expires_at = {_END}")

    ways = await _ways_of_robot(accounts, issued.secret)

    assert [way.ends_at for way in ways] == [_END / 1000] * 3


async def test_a_robot_without_end_has_none(accounts: Accounts, database: RawDatabase) -> None:
    issued = await new_robot(accounts)
    await database.fetch("UPDATE robots SET expires_at = NULL")

    assert [way.ends_at for way in await _ways_of_robot(accounts, issued.secret)] == [None] * 3


async def test_a_person_is_known_with_the_end_of_the_access_token_that_was_shown(
    accounts: Accounts, database: RawDatabase
) -> None:
    """And without any, where they come back with nothing but their own credentials."""
    issued = await accounts.tokens.create(self_grant(), NewAccessToken("laptop"))
    await database.fetch(f"UPDATE access_tokens SET expires_at = {_END}")

    ways = [
        await accounts.login("alice", issued.secret),
        await accounts.login("alice", issued.secret),
        await accounts.refresh("alice-id", issued.token.public_id),
    ]

    assert [way.ends_at for way in ways] == [_END / 1000] * 3
    assert (await accounts.refresh("alice-id")).ends_at is None
