"""The service of access tokens on both engines."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec
import pytest

from entrepot.auth.access_tokens.access_tokens import AccessTokenLimits, AccessTokens, NewAccessToken
from entrepot.auth.access_tokens.errors import (
    AccessTokenNameTakenError,
    AccessTokenUnknownError,
    InvalidAccessTokenError,
    TokenOwnerUnknownError,
    TooManyAccessTokensError,
)
from entrepot.auth.errors import AccessDeniedError, InvalidCredentialsError, PasswordChangeRequiredError
from entrepot.auth.principals import CredentialLimits, Origin, Principal
from entrepot.auth.role_authorizer import RoleAuthorizer
from entrepot.auth.system_actions import ReadUser, UpdateUser
from tests.drivers.metadata.machine_accounts import (
    ALICE,
    BOB,
    Accounts,
    audit_of,
    credential_grant,
    on_sqlite,
    self_grant,
    system_grant,
)

if TYPE_CHECKING:
    from tests.drivers.metadata.raw_database import RawDatabase

_DAY = 86_400_000


async def test_a_token_is_made_with_a_secret_that_is_shown_once(
    accounts: Accounts, database: RawDatabase
) -> None:
    issued = await accounts.tokens.create(
        self_grant(), NewAccessToken("laptop", ["repository:pull"], ["team"])
    )

    token = issued.token
    assert (issued.secret[:4], len(issued.secret)) == ("ept_", 47)
    assert (token.name, token.scopes.permissions, token.scopes.projects) == (
        "laptop",
        ("repository:pull",),
        ("team",),
    )
    assert token.expires_at == pytest.approx(token.created_at + 30 * _DAY, abs=1000)
    assert await accounts.tokens.list_own(self_grant()) == (token,)
    assert await accounts.tokens.list_own(self_grant(BOB)) == ()
    assert await database.value("SELECT secret_hash FROM access_tokens") == (
        hashlib.sha256(issued.secret.encode()).hexdigest()
    )


@on_sqlite
@pytest.mark.parametrize(
    ("principal", "error"),
    [
        (Principal("r1", "", forwarded=False, name="robot$ci", kind="robot"), AccessDeniedError),
        (Principal("host:root", "", forwarded=False, name="root", kind="host"), AccessDeniedError),
        (msgspec.structs.replace(ALICE, limits=CredentialLimits("t")), AccessDeniedError),
        (msgspec.structs.replace(ALICE, access={}), AccessDeniedError),
        (msgspec.structs.replace(ALICE, must_change_password=True), PasswordChangeRequiredError),
    ],
)
async def test_no_token_is_made_but_by_a_person_with_the_password_s15(
    accounts: Accounts, database: RawDatabase, principal: Principal, error: type[Exception]
) -> None:
    """A token that begets another one outlives itself."""
    with pytest.raises(error):
        await accounts.tokens.create(self_grant(principal), NewAccessToken("laptop"))
    with pytest.raises(error):
        await accounts.tokens.list_own(self_grant(principal))
    with pytest.raises(error):
        await accounts.tokens.delete_own(credential_grant(principal), "whichever")

    assert await database.count("access_tokens") == 0


@on_sqlite
@pytest.mark.parametrize(
    ("field", "asked"),
    [
        ("name", NewAccessToken("")),
        ("name", NewAccessToken("  ")),
        ("name", NewAccessToken("a\nb")),
        ("name", NewAccessToken("n" * 65)),
        ("expires_in_days", NewAccessToken("a", days=0)),
        ("expires_in_days", NewAccessToken("a", days=-1)),
        ("expires_in_days", NewAccessToken("a", days=366)),
        ("permissions", NewAccessToken("a", permissions=["no:such"])),
    ],
)
async def test_what_can_be_no_token_is_refused(accounts: Accounts, field: str, asked: NewAccessToken) -> None:
    with pytest.raises(InvalidAccessTokenError) as caught:
        await accounts.tokens.create(self_grant(), asked)

    assert caught.value.field == field


@on_sqlite
async def test_the_longest_time_and_the_default_keep_to_the_maximum(accounts: Accounts) -> None:
    longest = await accounts.tokens.create(self_grant(), NewAccessToken("a", days=365))
    short = AccessTokens(
        accounts.metadata,
        accounts.memory,
        AccessTokenLimits(most_days=7),
        accounts.rights,
        accounts.passwords,
    )
    default = await short.create(self_grant(), NewAccessToken("b"))

    assert longest.token.expires_at == pytest.approx(longest.token.created_at + 365 * _DAY, abs=1000)
    assert default.token.expires_at == pytest.approx(default.token.created_at + 7 * _DAY, abs=1000)


async def test_names_are_a_persons_own_and_so_is_the_number_of_tokens(
    accounts: Accounts, database: RawDatabase
) -> None:
    for name in ("a", "b", "c"):
        await accounts.tokens.create(self_grant(), NewAccessToken(name))
    with pytest.raises(AccessTokenNameTakenError):
        await accounts.tokens.create(self_grant(), NewAccessToken("a"))
    with pytest.raises(TooManyAccessTokensError):
        await accounts.tokens.create(self_grant(), NewAccessToken("d"))
    await accounts.tokens.create(self_grant(BOB), NewAccessToken("a"))

    # Those that expired count no more.
    await database.fetch("UPDATE access_tokens SET expires_at = 1 WHERE name = 'b'")
    await accounts.tokens.create(self_grant(), NewAccessToken("d"))
    assert [token.name for token in await accounts.tokens.list_own(self_grant())] == ["a", "b", "c", "d"]


async def test_a_person_who_was_disabled_meanwhile_makes_no_token_s14(
    accounts: Accounts, database: RawDatabase
) -> None:
    await database.fetch("UPDATE subjects SET disabled_at = 1 WHERE name = 'alice'")

    with pytest.raises(InvalidCredentialsError):
        await accounts.tokens.create(self_grant(), NewAccessToken("a"))


async def test_a_token_is_removed_by_its_person_and_what_it_was_good_for_dies_s14(
    accounts: Accounts, database: RawDatabase
) -> None:
    token = (await accounts.tokens.create(self_grant(), NewAccessToken("a"))).token

    with pytest.raises(AccessTokenUnknownError):
        await accounts.tokens.delete_own(credential_grant(BOB), token.public_id)
    assert await database.fetch("SELECT name, epoch FROM subjects WHERE epoch > 0") == []
    await accounts.tokens.delete_own(credential_grant(), token.public_id)
    with pytest.raises(AccessTokenUnknownError):
        await accounts.tokens.delete_own(credential_grant(), token.public_id)

    assert await accounts.tokens.list_own(self_grant()) == ()
    assert await database.fetch("SELECT name, epoch FROM subjects WHERE epoch_changed_at IS NOT NULL") == [
        ("alice", 1)
    ]


@on_sqlite
async def test_a_token_can_remove_itself_and_no_other_s15(accounts: Accounts) -> None:
    own = (await accounts.tokens.create(self_grant(), NewAccessToken("a"))).token.public_id
    other = (await accounts.tokens.create(self_grant(), NewAccessToken("b"))).token.public_id
    came_with = credential_grant(msgspec.structs.replace(ALICE, limits=CredentialLimits(own, frozenset())))

    with pytest.raises(AccessDeniedError):
        await accounts.tokens.delete_own(came_with, other)
    await accounts.tokens.delete_own(came_with, own)

    assert [token.public_id for token in await accounts.tokens.list_own(self_grant())] == [other]


async def test_an_administrator_lists_and_removes_a_persons_tokens_and_nobody_elses_under_that_name_s7(
    accounts: Accounts,
) -> None:
    token = (await accounts.tokens.create(self_grant(), NewAccessToken("a"))).token
    read, update = system_grant(ReadUser, BOB), system_grant(UpdateUser, BOB)

    assert await accounts.tokens.list_of(read, 1) == (token,)
    assert await accounts.tokens.list_of(read, 2) == ()
    for nobody in (3, 99):  # a group, and nothing
        with pytest.raises(TokenOwnerUnknownError):
            await accounts.tokens.list_of(read, nobody)
        with pytest.raises(TokenOwnerUnknownError):
            await accounts.tokens.delete_of(update, nobody, token.public_id)
    with pytest.raises(AccessTokenUnknownError):
        await accounts.tokens.delete_of(update, 2, token.public_id)
    await accounts.tokens.delete_of(update, 1, token.public_id)

    assert await accounts.tokens.list_of(read, 1) == ()


async def test_tokens_are_recorded_without_their_secrets_i11_s27(
    accounts: Accounts, database: RawDatabase
) -> None:
    issued = await accounts.tokens.create(self_grant(), NewAccessToken("laptop", ["repository:pull"]))
    await accounts.tokens.delete_of(system_grant(UpdateUser, BOB), 1, issued.token.public_id)

    records = await audit_of(database)
    assert [(record["action"], record["user"], record["object"]) for record in records] == [
        ("access-token.create", "alice", "laptop"),
        ("access-token.delete", "bob", "laptop"),
    ]
    assert records[0]["body"]["change"]["after"]["scopes"]["permissions"] == ["repository:pull"]
    assert records[1]["body"]["change"]["before"]["person"] == "alice-id"
    everything = repr([issued, records])
    assert issued.secret not in everything
    assert hashlib.sha256(issued.secret.encode()).hexdigest() not in everything


async def test_a_password_that_is_too_old_opens_nothing_by_a_token_either(
    accounts: Accounts, database: RawDatabase
) -> None:
    """MLPS 8.1.4.1a: neither by an access token, named or not, nor by what it or the password was traded for."""
    issued = await accounts.tokens.create(self_grant(), NewAccessToken("laptop"))
    await database.fetch("UPDATE users SET password_changed_at = 1 WHERE subject_id = 1")
    ages: list[int | None] = []

    def is_too_old(age: int | None) -> bool:
        ages.append(age)
        return age is not None and age > 30 * _DAY

    accounts.is_too_old = is_too_old
    late = accounts.another_authenticator(accounts.memory)
    for principal in (
        await late.by_basic("alice", issued.secret, "192.0.2.10", Origin(), forwarded=False),
        await late.by_token(issued.secret, "192.0.2.10", Origin(), forwarded=False),
        await late.by_subject("alice-id", issued.token.public_id, "192.0.2.10", Origin(), forwarded=False),
        await late.by_subject("alice-id", "", "192.0.2.10", Origin(), forwarded=False),
    ):
        assert principal.must_change_password is True
    assert len(ages) == 4


async def test_a_token_with_limits_removes_itself_and_no_other_s15(accounts: Accounts) -> None:
    issued = await accounts.tokens.create(self_grant(), NewAccessToken("ci", ["repository:pull"], ["team"]))
    other = await accounts.tokens.create(self_grant(), NewAccessToken("laptop"))
    principal = await accounts.bear(issued.secret)
    grant = await RoleAuthorizer(accounts.decisions).authorize_own_credential(principal)

    with pytest.raises(AccessDeniedError):
        await accounts.tokens.delete_own(grant, other.token.public_id)
    await accounts.tokens.delete_own(grant, issued.token.public_id)

    with pytest.raises(InvalidCredentialsError):
        await accounts.bear(issued.secret)
