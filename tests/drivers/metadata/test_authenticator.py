"""One door for all credentials, on both engines: who is let in, for how long that is remembered, what is recorded."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import structlog

from entrepot.auth.access_tokens.access_tokens import NewAccessToken
from entrepot.auth.credential_memory import CredentialMemory
from entrepot.auth.errors import InvalidCredentialsError
from entrepot.auth.generated_secrets import new_secret
from entrepot.auth.machine_logins import Attempt
from entrepot.auth.principals import Origin
from entrepot.auth.project_actions import DeleteRobot, UpdateRobot
from entrepot.auth.robots.records import RobotChanges
from entrepot.metadata.errors import MetadataUnavailableError
from tests.drivers.metadata.machine_accounts import (
    ADDRESS,
    CHOSEN,
    ORIGIN,
    PASSWORD,
    ROBOT,
    Accounts,
    asked_robot,
    audit_of,
    credential_grant,
    new_robot,
    on_sqlite,
    project_grant,
    refused,
    self_grant,
)

if TYPE_CHECKING:
    from entrepot.metadata.store import Metadata
    from tests.drivers.metadata.counting import CountingObserver
    from tests.drivers.metadata.raw_database import RawDatabase


@on_sqlite
@pytest.mark.parametrize("chosen", ["", CHOSEN])
async def test_a_robot_logs_in_with_its_secret(accounts: Accounts, chosen: str) -> None:
    issued = await new_robot(accounts, secret=chosen)

    principal = await accounts.login(ROBOT, issued.secret)

    assert (principal.subject, principal.name, principal.kind) == (issued.robot.public_id, ROBOT, "robot")
    assert (principal.limits, principal.access, principal.must_change_password) == (None, None, False)
    assert (principal.address, principal.origin) == (ADDRESS, ORIGIN)
    assert await refused(accounts, ROBOT, new_secret("ers_")) == "wrong secret"
    assert await refused(accounts, ROBOT, "Other-Secret-1") == "wrong secret"


@pytest.mark.parametrize(
    "name",
    ["robot$nobody", "robot$", "robot$team+ci#x", "robot$a\x00b", "robot$" + "a" * 300, "robot$\ud800"],
)
async def test_a_robot_that_does_not_exist_is_refused_in_the_same_words_s19(
    accounts: Accounts, database: RawDatabase, name: str
) -> None:
    """Whatever bytes the name is made of."""
    assert await refused(accounts, name, new_secret("ers_")) == "unknown robot"
    assert await refused(accounts, name, "Some-Secret-1") == "unknown robot"

    assert [record["outcome"] for record in await audit_of(database)] == ["failure", "failure"]


@on_sqlite
async def test_a_robot_is_never_asked_for_as_a_person_or_token(accounts: Accounts) -> None:
    token = await accounts.tokens.create(self_grant(), NewAccessToken("laptop"))

    assert await refused(accounts, ROBOT, token.secret) == "unknown robot"
    assert accounts.passwords.checks == 0


@on_sqlite
@pytest.mark.parametrize("chosen", [None, "Wd9!ttRk-canary-2"], ids=["made", "chosen"])
async def test_only_the_right_secret_learns_nothing_more_than_a_wrong_one_s19(
    accounts: Accounts, database: RawDatabase, chosen: str | None
) -> None:
    """What is wrong with a robot stands in the audit log, under its own id (I11)."""
    issued = await new_robot(accounts, secret=chosen, allowed_addresses=["10.0.0.0/8"])
    secret = issued.secret
    assert await refused(accounts, ROBOT, secret) == "address not allowed"
    assert await refused(accounts, ROBOT, secret, address="10.0.0.1", forwarded=True) == "address not allowed"
    assert (await accounts.login(ROBOT, secret, "10.0.0.1")).address == "10.0.0.1"
    assert (await accounts.login(ROBOT, secret, "::ffff:10.0.0.2")).address == "::ffff:10.0.0.2"

    records = await audit_of(database)
    assert [record["body"]["event.reason"] for record in records[1:3]] == ["address not allowed"] * 2
    assert records[1]["body"]["http.response.status_code"] == 401
    assert [record["body"]["user.id"] for record in records[1:3]] == [issued.robot.public_id] * 2


async def test_a_robot_is_good_until_the_millisecond_of_its_end(
    accounts: Accounts, database: RawDatabase, metadata: Metadata
) -> None:
    """By the database's clock (F27)."""
    issued = await new_robot(accounts)
    now = "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)"
    if not database.is_sqlite:
        now = "(extract(epoch FROM clock_timestamp()) * 1000)::bigint"
    await database.fetch(f"UPDATE robots SET expires_at = {now}")
    assert await refused(accounts, ROBOT, issued.secret) == "expired"
    with pytest.raises(InvalidCredentialsError, match="wrong"):
        await accounts.refresh(issued.robot.public_id)

    await database.fetch(f"UPDATE robots SET expires_at = {now} + 30000")
    assert (await accounts.login(ROBOT, issued.secret)).name == ROBOT
    row = await metadata.credentials.find_robot(ROBOT)
    assert row is not None
    assert 0 < (row.remaining_milliseconds or 0) <= 30_000


@on_sqlite
@pytest.mark.parametrize("act", ["disable", "rotate", "delete", "bind"])
async def test_what_is_taken_from_a_robot_is_refused_at_once_s14(accounts: Accounts, act: str) -> None:
    """In this process before any epoch was read, although the secret is remembered; by refresh as well."""
    issued = await new_robot(accounts)
    robot_id = issued.robot.id
    await accounts.login(ROBOT, issued.secret)
    assert len(accounts.memory) == 1
    grant = project_grant(UpdateRobot)
    if act == "disable":
        await accounts.robots.update(grant, robot_id, RobotChanges(disabled=True))
    elif act == "rotate":
        new = await accounts.robots.replace_secret(grant, robot_id)
        assert (await accounts.login(ROBOT, new.secret)).name == ROBOT
    elif act == "bind":
        await accounts.robots.update(grant, robot_id, RobotChanges(allowed_addresses=["10.0.0.0/8"]))
    else:
        await accounts.robots.delete(project_grant(DeleteRobot), robot_id)

    expected = {
        "disable": "disabled",
        "rotate": "wrong secret",
        "delete": "unknown robot",
        "bind": "address not allowed",
    }
    assert await refused(accounts, ROBOT, issued.secret) == expected[act]
    if act != "rotate":
        with pytest.raises(InvalidCredentialsError):
            await accounts.refresh(issued.robot.public_id)


@on_sqlite
async def test_another_process_forgets_a_robot_when_it_sees_its_epoch_move_s14(
    accounts: Accounts, database: RawDatabase
) -> None:
    issued = await new_robot(accounts)
    elsewhere = accounts.another_authenticator(CredentialMemory(accounts.epochs))

    async def login_elsewhere() -> str:
        principal = await elsewhere.by_basic(ROBOT, issued.secret, ADDRESS, ORIGIN, forwarded=False)
        return principal.name

    assert await login_elsewhere() == ROBOT
    await accounts.robots.update(project_grant(UpdateRobot), issued.robot.id, RobotChanges(disabled=True))
    assert await login_elsewhere() == ROBOT  # remembered until the next look at the epochs

    accounts.epochs.seen[issued.robot.public_id] = await database.value(
        f"SELECT epoch FROM subjects WHERE id = {issued.robot.id}"
    )
    with pytest.raises(InvalidCredentialsError):
        await login_elsewhere()


async def test_a_token_stands_for_its_person_within_its_limits_s15(accounts: Accounts) -> None:
    issued = await accounts.tokens.create(
        self_grant(), NewAccessToken("laptop", ["repository:pull"], ["team"])
    )

    for principal in (
        await accounts.login("alice", issued.secret),
        await accounts.login("alice", issued.secret),  # remembered
        await accounts.refresh("alice-id", issued.token.public_id),
    ):
        assert (principal.subject, principal.name, principal.kind) == ("alice-id", "alice", "user")
        assert principal.limits is not None
        assert principal.limits.credential == issued.token.public_id
        assert principal.limits.permissions == frozenset({"repository:pull"})
        assert principal.limits.projects == frozenset({"team"})
    assert accounts.passwords.checks == 0


@on_sqlite
@pytest.mark.parametrize("name", ["bob", "token", "", "alice ", "robot"])
async def test_a_token_is_worth_nothing_without_its_persons_name(
    accounts: Accounts, database: RawDatabase, name: str
) -> None:
    """The record says whose it is."""
    issued = await accounts.tokens.create(self_grant(), NewAccessToken("laptop"))

    assert await refused(accounts, name, issued.secret) == "access token of somebody else"
    assert (await audit_of(database))[-1]["body"]["user.id"] == "alice-id"


@on_sqlite
@pytest.mark.parametrize("secret", ["ept_", "ept_" + "a" * 42, "ept_" + "a" * 43, "ept_" + "a" * 44, "ept_é"])
async def test_what_looks_like_a_token_is_never_tried_as_a_password(accounts: Accounts, secret: str) -> None:
    assert await refused(accounts, "alice", secret) == "unknown access token"
    assert accounts.passwords.checks == 0


async def test_a_token_dies_with_its_row_its_time_and_its_person_s14(
    accounts: Accounts, database: RawDatabase
) -> None:
    gone, late, own = [
        await accounts.tokens.create(self_grant(), NewAccessToken(name)) for name in ("gone", "late", "own")
    ]
    for issued in (gone, late, own):
        await accounts.login("alice", issued.secret)
    await accounts.tokens.delete_own(credential_grant(), gone.token.public_id)
    await database.fetch("UPDATE access_tokens SET expires_at = 1 WHERE name = 'late'")

    assert await refused(accounts, "alice", gone.secret) == "unknown access token"
    accounts.failures.counts.clear()
    assert await refused(accounts, "alice", late.secret) == "expired"
    for issued in (gone, late):
        with pytest.raises(InvalidCredentialsError):
            await accounts.refresh("alice-id", issued.token.public_id)
    assert (await accounts.refresh("alice-id", own.token.public_id)).name == "alice"
    with pytest.raises(InvalidCredentialsError):
        await accounts.refresh("bob-id", own.token.public_id)  # S7: another person's

    await database.fetch("UPDATE subjects SET disabled_at = 1 WHERE name = 'alice'")
    accounts.memory.forget("alice-id")
    assert await refused(accounts, "alice", own.secret) == "disabled"
    with pytest.raises(InvalidCredentialsError):
        await accounts.refresh("alice-id")


@on_sqlite
async def test_a_person_who_must_choose_a_password_stays_so_with_a_token_and_on_return_s17(
    accounts: Accounts, database: RawDatabase
) -> None:
    issued = await accounts.tokens.create(self_grant(), NewAccessToken("laptop"))
    await database.fetch("UPDATE users SET must_change_password = 1")
    accounts.passwords.must_change_password = True

    assert (await accounts.login("alice", issued.secret)).must_change_password is True
    assert (await accounts.refresh("alice-id")).must_change_password is True
    assert (await accounts.login("alice", PASSWORD)).must_change_password is True
    assert (await accounts.login("alice", PASSWORD)).must_change_password is True
    assert accounts.passwords.checks == 2  # not remembered: the next request may come with the new one


@pytest.mark.parametrize("subject", ["group-id", "nobody", "", "anonymous", "host:root"])
async def test_only_people_and_robots_come_back(accounts: Accounts, subject: str) -> None:
    with pytest.raises(InvalidCredentialsError):
        await accounts.refresh(subject)


@on_sqlite
async def test_a_robot_comes_back_from_where_it_is_allowed_only(accounts: Accounts) -> None:
    issued = await new_robot(accounts, allowed_addresses=["10.0.0.0/8"])

    assert (await accounts.refresh(issued.robot.public_id, address="10.0.0.1")).kind == "robot"
    with pytest.raises(InvalidCredentialsError):
        await accounts.refresh(issued.robot.public_id, address="192.0.2.1")
    with pytest.raises(InvalidCredentialsError):
        await accounts.refresh(issued.robot.public_id, "some-token", address="10.0.0.1")


@on_sqlite
async def test_a_remembered_password_costs_no_hash_and_carries_the_present_request(
    accounts: Accounts, counts: CountingObserver
) -> None:
    await accounts.login("alice", PASSWORD)
    counts.reset()
    later = Origin("request2", "podman/5", "PUT", "/v2/team/app/manifests/1")

    principal = await accounts.authenticator.by_basic("alice", PASSWORD, ADDRESS, later, forwarded=False)

    assert (principal.subject, principal.origin) == ("alice-id", later)
    assert accounts.passwords.checks == 1
    assert (dict(counts.statements), counts.commits) == ({}, 0)
    await accounts.login("alice", PASSWORD, "192.0.2.99")
    assert accounts.passwords.checks == 2  # another address is another attempt


@on_sqlite
async def test_what_is_remembered_is_not_vouched_for_without_the_database_i6(accounts: Accounts) -> None:
    await accounts.login("alice", PASSWORD)
    accounts.epochs.fresh = False

    with pytest.raises(MetadataUnavailableError):
        await accounts.login("alice", PASSWORD)


@on_sqlite
@pytest.mark.parametrize("kind", ["password", "robot", "token"])
async def test_fifty_layers_at_once_cost_one_check(
    accounts: Accounts, database: RawDatabase, kind: str
) -> None:
    """And one record of one login; each request keeps its own origin."""
    if kind == "password":
        name, secret = "alice", PASSWORD
    elif kind == "robot":
        name, secret = ROBOT, (await new_robot(accounts, secret=CHOSEN)).secret
    else:
        name, secret = "alice", (await accounts.tokens.create(self_grant(), NewAccessToken("a"))).secret

    principals = await asyncio.gather(
        *(
            accounts.authenticator.by_basic(name, secret, ADDRESS, Origin(f"r{number}"), forwarded=False)
            for number in range(50)
        )
    )

    assert [principal.origin.request_id for principal in principals] == [f"r{number}" for number in range(50)]
    checks = {"password": (1, 0), "robot": (0, 1), "token": (0, 0)}
    assert (accounts.passwords.checks, accounts.hasher.checks) == checks[kind]
    logins = [record for record in await audit_of(database) if record["action"] == "session.login"]
    assert len(logins) == (0 if kind == "password" else 1)  # of passwords, who checks them makes the record
    assert len(accounts.memory) == 1


async def test_logins_are_recorded_by_the_unit_that_counts_them_i11(
    accounts: Accounts, database: RawDatabase, counts: CountingObserver
) -> None:
    issued = await new_robot(accounts)
    counts.reset()
    await refused(accounts, ROBOT, "ers_x")
    await accounts.login(ROBOT, issued.secret)

    assert counts.commits == 2
    failure, welcome = (await audit_of(database))[1:]
    assert (failure["action"], failure["outcome"], failure["user"], failure["object"]) == (
        "session.login",
        "failure",
        ROBOT,
        ROBOT,
    )
    assert (failure["body"]["user.id"], failure["body"]["object"]["kind"]) == ("anonymous", "robot")
    assert (welcome["outcome"], welcome["body"]["user.id"]) == ("success", issued.robot.public_id)


async def test_no_secret_reaches_a_log_a_record_or_a_representation_s27(
    accounts: Accounts, database: RawDatabase
) -> None:
    canary = "Canary-Secret-90210"
    with structlog.testing.capture_logs() as logs:
        issued = await new_robot(accounts, secret=canary)
        token = await accounts.tokens.create(self_grant(), NewAccessToken("laptop"))
        seen: list[Any] = [issued, token, asked_robot(secret=canary)]
        seen += [await accounts.login(ROBOT, canary), await accounts.login("alice", token.secret)]
        seen.append(Attempt(ROBOT, canary, ADDRESS, ORIGIN, forwarded=False))
        for name in (ROBOT, "robot$nobody"):
            with pytest.raises(InvalidCredentialsError) as caught:
                await accounts.login(name, canary + "x")
            seen += [caught.value, caught.value.cause, vars(caught.value)]
    seen += [await accounts.metadata.credentials.find_robot(ROBOT), vars(accounts.memory)]
    rows = [
        await database.fetch(f"SELECT * FROM {table}")
        for table in ("audit_records", "robots", "subjects", "access_tokens")
    ]

    everything = repr([logs, seen, rows])
    assert canary not in everything
    assert token.secret not in everything
    assert "$argon2id$" not in repr(seen)


async def test_last_uses_are_written_once_for_many_requests(
    accounts: Accounts, database: RawDatabase, counts: CountingObserver
) -> None:
    issued = await new_robot(accounts)
    token = await accounts.tokens.create(self_grant(), NewAccessToken("laptop"))
    for _ in range(5):
        await accounts.login(ROBOT, issued.secret)
        await accounts.login("alice", token.secret)
        await accounts.refresh("alice-id", token.token.public_id)
    assert await database.value("SELECT last_used_at FROM robots") is None
    counts.reset()

    await accounts.uses.flush()
    await accounts.uses.flush()

    assert counts.commits == 1
    assert await database.value("SELECT last_used_at FROM robots") >= issued.robot.created_at
    assert await database.value("SELECT last_used_at FROM access_tokens") >= token.token.created_at


@on_sqlite
async def test_last_uses_are_written_every_period_and_at_the_end(
    accounts: Accounts, database: RawDatabase
) -> None:
    issued = await new_robot(accounts)
    uses = accounts.uses
    uses._periodic._period_seconds = 0.01
    uses.start()
    uses.robot_used(issued.robot.public_id)
    async with asyncio.timeout(60):
        while await database.value("SELECT last_used_at FROM robots") is None:  # noqa: ASYNC110 - a row tells nobody
            await asyncio.sleep(0.01)
    await database.fetch("UPDATE robots SET last_used_at = NULL")
    uses._periodic._period_seconds = 3600.0
    await asyncio.sleep(0.05)
    uses.robot_used(issued.robot.public_id)

    await uses.aclose()
    await uses.aclose()

    assert await database.value("SELECT last_used_at FROM robots") is not None
    await accounts.authenticator.aclose()


@on_sqlite
async def test_a_login_costs_one_read_for_the_lock_one_for_the_credential_and_one_unit(
    accounts: Accounts, counts: CountingObserver
) -> None:
    """The lock is read by another part, which this test replaces."""
    issued = await new_robot(accounts)
    counts.reset()

    await accounts.login(ROBOT, issued.secret)

    assert dict(counts.statements) == {"credentials.find_robot": 1, "audit_records.append": 1}
    assert counts.commits == 1


@on_sqlite
async def test_names_of_people_are_compared_without_regard_to_case_for_tokens(accounts: Accounts) -> None:
    """The token alone says whose it is; the name is there to be noticed when it is wrong."""
    issued = await accounts.tokens.create(self_grant(), NewAccessToken("laptop"))

    assert (await accounts.login("Alice", issued.secret)).name == "alice"


@on_sqlite
async def test_a_robot_keeps_working_when_a_token_of_its_maker_goes(accounts: Accounts) -> None:
    token = await accounts.tokens.create(self_grant(), NewAccessToken("laptop"))
    maker = msgspec.structs.replace(await accounts.login("alice", token.secret), limits=None)
    issued = await accounts.robots.create(project_grant(principal=maker), asked_robot())
    await accounts.tokens.delete_own(credential_grant(), token.token.public_id)

    assert (await accounts.login(ROBOT, issued.secret)).name == ROBOT
