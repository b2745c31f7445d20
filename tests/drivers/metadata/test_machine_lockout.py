"""What wrong secrets of robots and wrong access tokens count for, and whom that keeps out."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

import pytest
import structlog

from entrepot.auth.access_tokens.access_tokens import NewAccessToken
from entrepot.auth.credential_memory import CredentialMemory
from entrepot.auth.errors import InvalidCredentialsError, LockedOutError
from entrepot.auth.generated_secrets import new_secret
from entrepot.auth.login_watch import LoginWatch
from tests.drivers.metadata.machine_accounts import (
    ADDRESS,
    CHOSEN,
    ORIGIN,
    PASSWORD,
    ROBOT,
    Accounts,
    audit_of,
    new_robot,
    on_sqlite,
    refused,
    self_grant,
)

if TYPE_CHECKING:
    from entrepot.auth.generated_secrets import SecretKind
    from tests.drivers.metadata.raw_database import RawDatabase


@on_sqlite
async def test_failures_are_never_remembered(accounts: Accounts) -> None:
    for _ in range(2):
        with pytest.raises(InvalidCredentialsError):
            await accounts.login("alice", "wrong")

    assert accounts.passwords.checks == 2
    assert len(accounts.memory) == 0


@on_sqlite
async def test_names_that_are_nobodys_are_kept_as_digests_with_tokens_too_s27(
    accounts: Accounts, database: RawDatabase
) -> None:
    """Those of robots are kept, also of one that is gone; a secret behind `robot$` is none."""
    secret = new_secret("ers_")
    for name in ("alice", "nobody", "robot$gone", f"robot${secret}", secret):
        await refused(accounts, name, new_secret("ept_"))

    names = [record["user"] for record in await audit_of(database)]
    assert (names[0], names[2]) == ("alice", "robot$gone")
    assert all(re.fullmatch("unknown name [0-9a-f]{12}", names[one]) for one in (1, 3, 4))
    rows = await database.fetch("SELECT account FROM login_failures")
    assert secret not in repr(rows) + repr(await database.fetch("SELECT * FROM audit_records"))


@on_sqlite
async def test_guessing_from_one_address_locks_that_address_only_s14_t15(
    accounts: Accounts, database: RawDatabase
) -> None:
    """A robot goes on from where it runs while somebody guesses at its secret elsewhere."""
    right = (await new_robot(accounts, secret=CHOSEN)).secret
    for number in range(3):
        await refused(accounts, ROBOT, f"Wrong-{number}", address="198.51.100.1")

    with pytest.raises(LockedOutError):
        await accounts.login(ROBOT, right, "198.51.100.1")
    assert (await accounts.login(ROBOT, right)).name == ROBOT

    reasons = [record["body"]["event.reason"] for record in await audit_of(database)]
    assert reasons[-2:] == ["locked out", ""]


@on_sqlite
async def test_refusals_of_machines_are_counted_by_reason_and_a_lock_is_in_the_log_s14(
    accounts: Accounts, database: RawDatabase
) -> None:
    issued = await new_robot(accounts, secret=CHOSEN)
    counted: list[str] = []
    elsewhere = accounts.another_authenticator(CredentialMemory(accounts.epochs), LoginWatch(counted.append))

    async def attempt(name: str, secret: str) -> None:
        with pytest.raises((InvalidCredentialsError, LockedOutError)):
            await elsewhere.by_basic(name, secret, "198.51.100.1", ORIGIN, forwarded=True)

    with structlog.testing.capture_logs() as logs:
        await attempt(ROBOT, new_secret("ers_"))
        await attempt("alice", "ept_" + "A" * 43)
        await attempt("robot$nobody", "Wrong-1")
        await database.fetch("UPDATE robots SET allowed_addresses = CAST('[\"10.0.0.0/8\"]' AS BLOB)")
        await attempt(ROBOT, CHOSEN)
        await database.fetch("UPDATE robots SET expires_at = 1, allowed_addresses = CAST('[]' AS BLOB)")
        await attempt(ROBOT, CHOSEN)
        await database.fetch("UPDATE subjects SET disabled_at = 1 WHERE kind = 'robot'")
        await attempt(ROBOT, CHOSEN)
        await attempt(ROBOT, CHOSEN)

    assert counted == [
        "wrong_secret",
        "unknown_token",
        "unknown_name",
        "address_not_allowed",
        "expired",
        "disabled",
        "locked_out",
    ]
    assert logs == [
        {
            "event": "login.locked_out",
            "log_level": "warning",
            "subject": issued.robot.public_id,
            "address": "198.51.100.1",
            "forwarded": True,
        }
    ]


@on_sqlite
async def test_a_made_secret_is_let_in_where_wrong_ones_are_locked_out_s14_t15(
    accounts: Accounts, database: RawDatabase
) -> None:
    right = (await new_robot(accounts)).secret
    for number in range(3):
        await refused(accounts, ROBOT, f"Wrong-{number}")

    with pytest.raises(LockedOutError):
        await accounts.login(ROBOT, "Chosen-Wrong-1")
    assert await refused(accounts, ROBOT, new_secret("ers_")) == "wrong secret"
    assert (await accounts.login(ROBOT, right)).name == ROBOT

    reasons = [record["body"]["event.reason"] for record in await audit_of(database)]
    assert reasons[-4:] == ["wrong secret", "locked out", "wrong secret", ""]


@on_sqlite
@pytest.mark.parametrize("kind", ["ept_", "epr_", "ers_"])
async def test_no_secret_made_here_counts_against_a_robot_or_costs_a_hash_s14_s19_t15(
    accounts: Accounts, database: RawDatabase, kind: SecretKind
) -> None:
    """Builds that go on with a secret of yesterday keep nobody out, not even where today's was chosen."""
    right = (await new_robot(accounts, secret=CHOSEN)).secret
    for _ in range(4):
        assert await refused(accounts, ROBOT, new_secret(kind)) == "wrong secret"
    assert (accounts.hasher.checks, sum(accounts.failures.counts.values())) == (0, 0)

    assert (await accounts.login(ROBOT, right)).name == ROBOT
    outcomes = [(record["outcome"], record["body"]["event.reason"]) for record in await audit_of(database)]
    assert outcomes[1:] == [("failure", "wrong secret")] * 4 + [("success", "")]


@on_sqlite
@pytest.mark.parametrize("secret", ["ept_" + "A" * 43, "ept_" + "A" * 42, "ept_"])
async def test_a_dead_access_token_never_locks_its_owner_out_s14_t15(
    accounts: Accounts, database: RawDatabase, secret: str
) -> None:
    """A script goes on with a token that was revoked because it leaked."""
    for _ in range(4):
        assert await refused(accounts, "alice", secret) == "unknown access token"

    assert (await accounts.login("alice", PASSWORD)).name == "alice"
    assert accounts.failures.counts["alice", ADDRESS] == 0
    failures = [record["body"]["event.reason"] for record in await audit_of(database)]
    assert failures == ["unknown access token"] * 4


@on_sqlite
async def test_an_access_token_waits_with_its_person_and_buys_no_guesses_at_the_password_s15_t15(
    accounts: Accounts,
) -> None:
    """Whoever holds a token with few rights must not get to guess at the password for ever by using it between."""
    issued = await accounts.tokens.create(self_grant(), NewAccessToken("laptop"))
    accounts.failures.counts["alice", ADDRESS] = 2

    assert (await accounts.login("alice", issued.secret)).name == "alice"
    assert accounts.failures.counts["alice", ADDRESS] == 2

    accounts.memory.forget("alice-id")
    accounts.failures.counts["alice", ADDRESS] = 3
    with pytest.raises(LockedOutError):
        await accounts.login("alice", issued.secret)
    with pytest.raises(LockedOutError):
        await accounts.login("alice", "ept_" + "A" * 43)


@on_sqlite
async def test_a_success_forgets_the_failures_before_it(accounts: Accounts) -> None:
    issued = await new_robot(accounts)
    for number in range(2):
        await refused(accounts, ROBOT, f"ers_{number}")
    assert accounts.failures.counts[ROBOT, ADDRESS] == 2

    await accounts.login(ROBOT, issued.secret)

    assert accounts.failures.counts[ROBOT, ADDRESS] == 0


@on_sqlite
async def test_guesses_at_a_robot_at_the_same_time_get_no_more_answers_than_the_limit_t15(
    accounts: Accounts, database: RawDatabase
) -> None:
    """Whoever tries many at once would otherwise get as many answers as there are places before the checks."""
    await new_robot(accounts, secret=CHOSEN)

    outcomes = await asyncio.gather(
        *(accounts.login(ROBOT, f"Wrong-{number}") for number in range(20)), return_exceptions=True
    )

    answered = [outcome for outcome in outcomes if isinstance(outcome, InvalidCredentialsError)]
    refused = [outcome for outcome in outcomes if isinstance(outcome, LockedOutError)]
    assert (len(answered), len(refused)) == (3, 17)
    reasons = [record["body"]["event.reason"] for record in await audit_of(database)]
    assert sorted(reasons[1:]) == ["locked out"] * 17 + ["wrong secret"] * 3


@on_sqlite
async def test_the_right_one_of_many_guesses_at_the_same_time_opens_nothing_t15(
    accounts: Accounts, database: RawDatabase
) -> None:
    await new_robot(accounts, secret=CHOSEN)
    guesses = [*(f"Wrong-{number}" for number in range(19)), CHOSEN]

    outcomes = await asyncio.gather(
        *(accounts.login(ROBOT, guess) for guess in guesses), return_exceptions=True
    )

    assert isinstance(outcomes[-1], LockedOutError)
    assert {record["outcome"] for record in (await audit_of(database))[1:]} == {"failure"}
