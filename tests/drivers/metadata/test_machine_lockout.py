"""What wrong secrets of robots and wrong access tokens count for, and whom that keeps out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from entrepot.auth.access_tokens.access_tokens import NewAccessToken
from entrepot.auth.errors import InvalidCredentialsError, LockedOutError
from entrepot.auth.generated_secrets import new_secret
from tests.drivers.metadata.machine_accounts import (
    ADDRESS,
    CHOSEN,
    ROBOT,
    Accounts,
    audit_of,
    new_robot,
    on_sqlite,
    refused,
    self_grant,
)

if TYPE_CHECKING:
    from tests.drivers.metadata.raw_database import RawDatabase


@on_sqlite
async def test_failures_are_never_remembered(accounts: Accounts) -> None:
    for _ in range(2):
        with pytest.raises(InvalidCredentialsError):
            await accounts.login("alice", "wrong")

    assert accounts.passwords.checks == 2
    assert len(accounts.memory) == 0


@on_sqlite
@pytest.mark.parametrize("kind", ["robot", "token"])
async def test_guessing_from_one_address_locks_that_address_only_s14_t15(
    accounts: Accounts, database: RawDatabase, kind: str
) -> None:
    """A robot goes on from where it runs while somebody guesses at its secret elsewhere."""
    if kind == "robot":
        name, right, wrong = ROBOT, (await new_robot(accounts, secret=CHOSEN)).secret, "Wrong-"
    else:
        name, wrong = "alice", "ept_"
        right = (await accounts.tokens.create(self_grant(), NewAccessToken("a"))).secret
    for number in range(3):
        await refused(accounts, name, f"{wrong}{number}", address="198.51.100.1")

    with pytest.raises(LockedOutError):
        await accounts.login(name, right, "198.51.100.1")
    assert (await accounts.login(name, right)).name == name

    reasons = [record["body"]["event.reason"] for record in await audit_of(database)]
    assert reasons[-2:] == ["locked out", ""]


@on_sqlite
async def test_a_made_secret_is_let_in_where_wrong_ones_are_locked_out_s14_t15(
    accounts: Accounts, database: RawDatabase
) -> None:
    """Builds that go on with a secret of yesterday keep nobody out who has today's, and are kept out themselves."""
    right = (await new_robot(accounts)).secret
    old = new_secret("ers_")
    for _ in range(3):
        await refused(accounts, ROBOT, old)

    for wrong in (old, new_secret("ers_"), "Chosen-Wrong-1"):
        with pytest.raises(LockedOutError):
            await accounts.login(ROBOT, wrong)
    assert (await accounts.login(ROBOT, right)).name == ROBOT

    reasons = [record["body"]["event.reason"] for record in await audit_of(database)]
    assert reasons[-5:] == ["wrong secret", *["locked out"] * 3, ""]


@on_sqlite
async def test_a_success_forgets_the_failures_before_it(accounts: Accounts) -> None:
    issued = await new_robot(accounts)
    for number in range(2):
        await refused(accounts, ROBOT, f"ers_{number}")
    assert accounts.failures.counts[ROBOT, ADDRESS] == 2

    await accounts.login(ROBOT, issued.secret)

    assert accounts.failures.counts[ROBOT, ADDRESS] == 0
