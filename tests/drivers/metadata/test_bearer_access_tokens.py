"""Access tokens that come without a name, as `Authorization: Bearer ept_…` to the management API."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from entrepot.auth.access_tokens.access_tokens import NewAccessToken
from entrepot.auth.errors import InvalidCredentialsError
from tests.drivers.metadata.machine_accounts import (
    ADDRESS,
    Accounts,
    audit_of,
    credential_grant,
    on_sqlite,
    self_grant,
)

if TYPE_CHECKING:
    from tests.drivers.metadata.raw_database import RawDatabase


async def test_a_token_as_a_bearer_stands_for_its_person_within_its_limits_s15(
    accounts: Accounts, database: RawDatabase
) -> None:
    issued = await accounts.tokens.create(self_grant(), NewAccessToken("laptop", ["repository:pull"]))

    for _ in range(2):  # the second time it is remembered
        principal = await accounts.bear(issued.secret)
        assert (principal.subject, principal.name, principal.address) == ("alice-id", "alice", ADDRESS)
        assert principal.limits is not None
        assert principal.limits.permissions == frozenset({"repository:pull"})
    await accounts.tokens.delete_own(credential_grant(), issued.token.public_id)
    with pytest.raises(InvalidCredentialsError):
        await accounts.bear(issued.secret)

    records = [(record["outcome"], record["user"], record["object"]) for record in await audit_of(database)]
    assert records[1] == ("success", "alice", "")  # who acts on oneself is named once
    assert issued.secret not in repr(records)


@on_sqlite
async def test_a_bearer_that_is_refused_locks_nobody_out_s14_t15(accounts: Accounts) -> None:
    """A script with an old token must not lock out those beside it, nor its owner; nobody guesses one."""
    issued = await accounts.tokens.create(self_grant(), NewAccessToken("laptop"))
    old = "ept_" + "a" * 43
    for _ in range(4):
        with pytest.raises(InvalidCredentialsError):
            await accounts.bear(old)

    assert sum(accounts.failures.counts.values()) == 0
    assert (await accounts.bear(issued.secret)).name == "alice"
    assert (await accounts.login("alice", issued.secret)).name == "alice"
