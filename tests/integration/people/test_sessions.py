"""Browser sessions: begun, used, idle, too old, too many, ended by others (MLPS 8.1.4.1b)."""

from __future__ import annotations

import pytest

from entrepot.auth.access_tokens.access_tokens import AccessTokenLimits, AccessTokens, NewAccessToken
from entrepot.auth.access_tokens.errors import PasswordNotConfirmedError
from entrepot.auth.credential_memory import CredentialMemory
from entrepot.auth.errors import AccessDeniedError, InvalidCredentialsError, LockedOutError
from entrepot.auth.host import HostDecisions
from entrepot.auth.people.errors import SessionUnknownError
from entrepot.auth.people.password_policy import PasswordLimits, PasswordPolicy
from entrepot.auth.people.sessions import (
    BegunSession,
    LiveSession,
    SessionLimits,
    Sessions,
    forgery_secret_of,
)
from entrepot.auth.principals import Origin
from entrepot.auth.rights_of_others import RightsOfOthers
from entrepot.metadata.errors import MetadataError
from tests.integration.people.conftest import ADDRESS, ALICE_PASSWORD, ORIGIN, Office, own
from tests.unit.auth.identity_fakes import HandEpochs


async def _begin(office: Office, name: str = "alice") -> BegunSession:
    return await office.sessions.log_in(name, ALICE_PASSWORD, ADDRESS, ORIGIN, forwarded=False)


async def _find(office: Office, secret: str) -> LiveSession:
    return await office.sessions.find(secret, "192.0.2.99", Origin("request-2"), forwarded=True)


async def test_a_session_is_found_by_its_secret_as_whoever_began_it(office: Office) -> None:
    alice = await office.make("alice")
    begun = await _begin(office)

    live = await _find(office, begun.secret)

    assert (live.principal.subject, live.principal.name, live.principal.kind) == (
        alice.subject,
        "alice",
        "user",
    )
    assert (live.principal.address, live.principal.forwarded) == ("192.0.2.99", True)
    assert (live.session.public_id, live.session.address) == (begun.public_id, ADDRESS)
    assert begun.secret.startswith("ess_")
    assert len(begun.secret) == 47


async def test_a_login_is_on_record_with_its_session_or_not_at_all_i11(office: Office) -> None:
    await office.make("alice")
    await office.database.fetch("ALTER TABLE web_sessions RENAME TO away")
    before = await office.database.count("audit_records")

    try:
        with pytest.raises(MetadataError):
            await _begin(office)
        assert await office.database.count("audit_records") == before
    finally:
        await office.database.fetch("ALTER TABLE away RENAME TO web_sessions")


async def test_a_session_keeps_neither_secret_s27(office: Office) -> None:
    await office.make("alice")
    begun = await _begin(office)

    held = repr(await office.database.fetch("SELECT * FROM web_sessions"))
    held += repr(await office.database.fetch("SELECT * FROM audit_records"))

    assert begun.secret not in held
    assert begun.forgery_secret not in held
    assert begun.forgery_secret == forgery_secret_of(begun.secret) != forgery_secret_of(begun.secret + "x")


async def test_any_other_secret_is_nobodys(office: Office) -> None:
    await office.make("alice")
    await _begin(office)

    for secret in ("", "ess_", "ess_" + "A" * 43, "\ud800", "x" * 10_000):
        with pytest.raises(InvalidCredentialsError):
            await _find(office, secret)


@pytest.mark.parametrize(("idle_seconds", "good"), [(1795, True), (1801, False)])
async def test_a_session_ends_when_it_is_idle_for_too_long(
    office: Office, idle_seconds: int, good: bool
) -> None:
    await office.make("alice")
    begun = await _begin(office)
    await office.database.fetch(
        f"UPDATE web_sessions SET last_seen_at = last_seen_at - {idle_seconds * 1000}"
    )

    if good:
        assert (await _find(office, begun.secret)).principal.name == "alice"
    else:
        with pytest.raises(InvalidCredentialsError):
            await _find(office, begun.secret)


@pytest.mark.parametrize(("days", "must_change"), [(89, False), (90, True)])
async def test_an_old_password_opens_nothing_but_its_change_in_a_session_either_s17(
    office: Office, days: int, must_change: bool
) -> None:
    await office.make("alice")
    begun = await _begin(office)
    await office.database.fetch(
        f"UPDATE users SET password_changed_at = password_changed_at - {days * 86_400_000}"
    )
    aging = PasswordPolicy(PasswordLimits(max_age_days=90))
    rights = RightsOfOthers(office.metadata.standings, HostDecisions(office.metadata.standings))
    sessions = Sessions(office.metadata, office.logins, aging, SessionLimits(), rights)

    live = await sessions.find(begun.secret, ADDRESS, ORIGIN, forwarded=False)

    assert live.principal.must_change_password is must_change
    assert live.principal.epoch == await office.epoch_of(live.session.person_id)


async def test_a_session_ends_after_its_time_however_busy(office: Office) -> None:
    await office.make("alice")
    begun = await _begin(office)
    lifetime = await office.database.value("SELECT expires_at - created_at FROM web_sessions")
    await office.database.fetch(f"UPDATE web_sessions SET expires_at = expires_at - {lifetime}")

    with pytest.raises(InvalidCredentialsError):
        await _find(office, begun.secret)
    assert lifetime == 43_200_000


@pytest.mark.parametrize(("idle_seconds", "noted"), [(50, False), (61, True)])
async def test_use_is_noted_once_a_minute(office: Office, idle_seconds: int, noted: bool) -> None:
    await office.make("alice")
    begun = await _begin(office)
    await office.database.fetch(
        f"UPDATE web_sessions SET last_seen_at = last_seen_at - {idle_seconds * 1000}"
    )
    before = await office.database.value("SELECT last_seen_at FROM web_sessions")

    live = await _find(office, begun.secret)
    assert await office.database.value("SELECT last_seen_at FROM web_sessions") == before
    await office.sessions.keep(live)

    assert (await office.database.value("SELECT last_seen_at FROM web_sessions") > before) is noted


async def test_a_session_in_use_lives_where_the_limit_of_idleness_is_a_minute(office: Office) -> None:
    """Used every 15 s, it would have been idle for 60 s had only each minute's use been noted."""
    await office.make("alice")
    sessions = Sessions(
        office.metadata, office.logins, office.policy, SessionLimits(idle_seconds=60), office.rights
    )
    begun = await sessions.log_in("alice", ALICE_PASSWORD, ADDRESS, ORIGIN, forwarded=False)

    for _ in range(5):
        await office.database.fetch("UPDATE web_sessions SET last_seen_at = last_seen_at - 15000")
        live = await sessions.find(begun.secret, ADDRESS, ORIGIN, forwarded=False)
        await sessions.keep(live)

        assert live.principal.name == "alice"


async def test_the_oldest_session_ends_when_there_are_too_many(office: Office) -> None:
    await office.make("alice")
    first, second, third = await _begin(office), await _begin(office), await _begin(office)

    with pytest.raises(InvalidCredentialsError):
        await _find(office, first.secret)
    for begun in (second, third):
        assert (await _find(office, begun.secret)).session.public_id == begun.public_id


async def test_a_session_dies_with_the_epoch_of_its_person_s14(office: Office) -> None:
    alice = await office.make("alice")
    begun = await _begin(office)

    await office.administrators.make(office.grant(), alice.id)

    with pytest.raises(InvalidCredentialsError):
        await _find(office, begun.secret)


async def test_a_session_of_somebody_who_was_disabled_is_dead_also_after_enabling_s14(office: Office) -> None:
    alice = await office.make("alice")
    begun = await _begin(office)

    await office.people.disable(office.grant(), alice.id)
    await office.people.enable(office.grant(), alice.id)

    with pytest.raises(InvalidCredentialsError):
        await _find(office, begun.secret)


async def test_logging_out_ends_the_session_on_the_server_and_is_on_record(office: Office) -> None:
    await office.make("alice")
    begun = await _begin(office)

    await office.sessions.log_out(await _find(office, begun.secret))

    with pytest.raises(InvalidCredentialsError):
        await _find(office, begun.secret)
    assert (await office.records())[-1] == ("session.logout", "success", begun.public_id)


async def test_one_sees_and_ends_ones_own_sessions_only_s7(office: Office) -> None:
    await office.make("alice")
    await office.make("bob")
    alice, bob = await _begin(office), await _begin(office, "bob")

    listed = await office.sessions.list_own(own(alice.principal))
    with pytest.raises(SessionUnknownError):
        await office.sessions.revoke_own(own(alice.principal), bob.public_id)
    await office.sessions.revoke_own(own(alice.principal), alice.public_id)

    assert [session.public_id for session in listed] == [alice.public_id]
    assert list(await office.sessions.list_own(own(alice.principal))) == []
    assert (await _find(office, bob.secret)).principal.name == "bob"


async def test_an_administrator_sees_and_ends_all_and_that_is_on_record(office: Office) -> None:
    await office.make("alice")
    await office.make("bob")
    alice, bob = await _begin(office), await _begin(office, "bob")

    page = await office.sessions.list_all(office.grant(), 1, 0)
    rest = await office.sessions.list_all(office.grant(), 10, 1)
    await office.sessions.revoke(office.grant(), bob.public_id)

    assert [session.public_id for session in (*page, *rest)] == [alice.public_id, bob.public_id]
    with pytest.raises(InvalidCredentialsError):
        await _find(office, bob.secret)
    assert (await office.records())[-1] == ("session.revoke", "success", bob.public_id)
    with pytest.raises(SessionUnknownError):
        await office.sessions.revoke(office.grant(), bob.public_id)


async def test_whoever_must_change_the_password_is_told_so_in_each_request_s17(office: Office) -> None:
    alice = await office.make("alice", "Rk4$pwYt-canary-2")
    await office.changes.reset(office.grant(), alice.id, ALICE_PASSWORD)
    begun = await _begin(office)

    live = await _find(office, begun.secret)

    assert (begun.principal.must_change_password, live.principal.must_change_password) == (True, True)


async def test_sessions_that_are_over_are_removed_by_later_logins(office: Office) -> None:
    await office.make("alice")
    await office.make("bob")
    await _begin(office)
    await office.database.fetch("UPDATE web_sessions SET expires_at = 1")

    await _begin(office, "bob")

    assert await office.database.count("web_sessions") == 1


async def test_a_session_begets_an_access_token_only_with_the_password_s15(office: Office) -> None:
    """A token outlives the session and a change of the password; wrong ones count as those of logins do."""
    await office.make("alice")
    tokens = AccessTokens(
        office.metadata, CredentialMemory(HandEpochs()), AccessTokenLimits(), office.rights, office.logins
    )
    principal = (await _find(office, (await _begin(office)).secret)).principal

    with pytest.raises(AccessDeniedError, match="with the password only: send it once more"):
        await tokens.create(own(principal), NewAccessToken("laptop"))
    for _ in range(2):
        with pytest.raises(PasswordNotConfirmedError):
            await tokens.create(own(principal), NewAccessToken("laptop", password="wrong"))
    issued = await tokens.create(own(principal), NewAccessToken("laptop", password=ALICE_PASSWORD))
    for _ in range(3):
        with pytest.raises(PasswordNotConfirmedError):
            await tokens.create(own(principal), NewAccessToken("phone", password="wrong"))
    with pytest.raises(LockedOutError):
        await tokens.create(own(principal), NewAccessToken("phone", password=ALICE_PASSWORD))

    assert [token.name for token in await tokens.list_own(own(principal))] == [issued.token.name]
    assert ALICE_PASSWORD not in repr(NewAccessToken("laptop", password=ALICE_PASSWORD))
