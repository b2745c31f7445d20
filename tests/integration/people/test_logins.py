"""Passwords at the door: who gets in, who is locked out, and what is on record (MLPS 8.1.4.1b)."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

import msgspec
import pytest
import structlog

from entrepot.audit.direct_notes import DirectNotes
from entrepot.auth.errors import InvalidCredentialsError, LockedOutError
from entrepot.auth.generated_secrets import new_secret
from entrepot.auth.login_watch import LoginWatch
from entrepot.auth.people.errors import OldPasswordWrongError, PasswordsBusyError
from entrepot.auth.people.lockout import LockoutLimits
from entrepot.auth.people.logins import PasswordLogins
from entrepot.auth.people.password_changes import PasswordChanges
from entrepot.auth.people.password_policy import PasswordLimits, PasswordPolicy
from entrepot.auth.people.passwords import HashCost, PasswordHashing
from entrepot.auth.typed_names import TypedNames
from tests.integration.people.conftest import ADDRESS, ALICE_PASSWORD, ORIGIN, Office, own_password

if TYPE_CHECKING:
    from pathlib import Path

    from entrepot.auth.generated_secrets import SecretKind
    from entrepot.auth.principals import Principal

_WRONG = "Not-the-1-password"


async def _fail(
    office: Office, name: str, times: int, address: str = ADDRESS, *, forwarded: bool = False
) -> None:
    for _ in range(times):
        with pytest.raises(InvalidCredentialsError):
            await office.log_in(name, _WRONG, address, forwarded=forwarded)


async def test_a_right_password_lets_its_owner_in_and_is_on_record(office: Office) -> None:
    alice = await office.make("alice")

    principal = await office.log_in("alice", ALICE_PASSWORD)

    assert (principal.subject, principal.name, principal.kind) == (alice.subject, "alice", "user")
    assert (principal.address, principal.must_change_password) == (ADDRESS, False)
    assert (await office.records())[-1] == ("session.login", "success", "")
    assert await office.database.value(
        "SELECT last_login_at FROM users WHERE email = '' AND last_login_at > 0"
    )


async def test_failures_look_the_same_whoever_was_meant_s19(office: Office) -> None:
    await office.make("alice")

    for name in ("alice", "nobody", "robot$x", "nul\0", "", "x" * 5000, "\ud800"):
        with pytest.raises(InvalidCredentialsError) as caught:
            await office.log_in(name, _WRONG)
        assert str(caught.value) == "the user name or the secret is wrong"
        action, outcome, _ = (await office.records())[-1]
        assert (action, outcome) == ("session.login", "failure")


async def test_a_disabled_account_with_the_right_password_fails_as_any_other_s14_s19(office: Office) -> None:
    alice = await office.make("alice")
    await office.people.disable(office.grant(), alice.id)

    with pytest.raises(InvalidCredentialsError) as caught:
        await office.log_in("alice", ALICE_PASSWORD)

    assert str(caught.value) == "the user name or the secret is wrong"
    assert caught.value.cause == "disabled"


async def test_an_attempt_beyond_the_limit_is_refused_even_with_the_right_password(office: Office) -> None:
    await office.make("alice")
    await _fail(office, "alice", 3)

    with pytest.raises(LockedOutError) as caught:
        await office.log_in("alice", ALICE_PASSWORD)

    assert 58 <= caught.value.retry_after_seconds <= 60
    assert (await office.records())[-1] == ("session.login", "failure", "alice")


@pytest.mark.parametrize("kind", ["ept_", "epr_", "ers_"])
async def test_a_secret_made_here_is_no_guess_at_a_password_and_locks_nobody_out_s14_t15(
    office: Office, kind: SecretKind
) -> None:
    """Wherever a password is asked for: in a browser, too, and as the old one of a change."""
    await office.make("alice")
    for _ in range(4):
        with pytest.raises(InvalidCredentialsError):
            await office.sessions.log_in("alice", new_secret(kind), ADDRESS, ORIGIN, forwarded=False)
    principal = await office.log_in("alice", ALICE_PASSWORD)
    for _ in range(4):
        with pytest.raises(OldPasswordWrongError):
            await office.changes.change_own(own_password(principal), new_secret(kind), "Rk4$pwYt-canary-2")

    assert await office.database.count("login_failures") == 0
    await office.log_in("alice", ALICE_PASSWORD)
    reasons = [
        msgspec.json.decode(bytes(body))["event.reason"]
        for (body,) in await office.database.fetch(
            "SELECT body FROM audit_records WHERE outcome = 'failure' ORDER BY id"
        )
    ]
    assert reasons == ["a secret of another kind"] * 8


async def test_a_secret_made_here_is_not_hashed_as_a_password_s14(office: Office) -> None:
    busy = PasswordHashing(HashCost(memory_kibibytes=8, passes=1, lanes=1), waiting=0)
    logins = PasswordLogins(
        office.metadata, DirectNotes(office.metadata), busy, office.policy, LockoutLimits()
    )
    with pytest.raises(PasswordsBusyError):
        await logins.by_password("alice", _WRONG, ADDRESS, ORIGIN, forwarded=False)

    with pytest.raises(InvalidCredentialsError):
        await logins.by_password("alice", new_secret("ept_"), ADDRESS, ORIGIN, forwarded=False)
    busy.close()


async def test_one_attempt_below_the_limit_is_not_refused(office: Office) -> None:
    await office.make("alice")
    await _fail(office, "alice", 2)

    await office.log_in("alice", ALICE_PASSWORD)
    await _fail(office, "alice", 2)
    await office.log_in("alice", ALICE_PASSWORD)


async def test_a_name_that_nobody_has_is_locked_as_any_other_s19(office: Office) -> None:
    await _fail(office, "nobody", 3)

    with pytest.raises(LockedOutError):
        await office.log_in("nobody", _WRONG)


async def test_guesses_at_the_same_time_get_no_more_answers_than_the_limit(office: Office) -> None:
    await office.make("alice")

    outcomes = await asyncio.gather(
        *(office.log_in("alice", f"{_WRONG}{number}") for number in range(20)), return_exceptions=True
    )

    answered = [outcome for outcome in outcomes if isinstance(outcome, InvalidCredentialsError)]
    refused = [outcome for outcome in outcomes if isinstance(outcome, LockedOutError)]
    assert (len(answered), len(refused)) == (3, 17)


async def test_failures_are_counted_for_all_nodes_together(office: Office, tmp_path: Path) -> None:
    """Three nodes, each with its own process state, and one database."""
    del tmp_path
    await office.make("alice")
    limits = LockoutLimits(attempts=3, window_seconds=60, lock_seconds=60)
    nodes = [
        PasswordLogins(office.metadata, DirectNotes(office.metadata), office.hashing, office.policy, limits)
        for _ in range(3)
    ]
    for node in nodes:
        with pytest.raises(InvalidCredentialsError):
            await node.by_password("alice", _WRONG, ADDRESS, ORIGIN, forwarded=False)

    for node in nodes:
        with pytest.raises(LockedOutError):
            await node.by_password("alice", ALICE_PASSWORD, ADDRESS, ORIGIN, forwarded=False)


async def test_an_administrator_is_locked_out_only_at_the_address_that_failed(office: Office) -> None:
    """Nobody elsewhere can keep the last administrator out."""
    await _fail(office, "admin", 3, "203.0.113.9")

    with pytest.raises(LockedOutError):
        await office.log_in("admin", _WRONG, "203.0.113.9")
    principal = await office.log_in("admin", "Zw9!kvRt-canary-0")

    assert principal.name == "admin"


async def test_what_a_proxy_here_passed_on_locks_nobody_who_comes_directly(office: Office) -> None:
    """The way in at the machine itself, where every client of the proxy has its address."""
    await _fail(office, "admin", 3, "127.0.0.1", forwarded=True)

    with pytest.raises(LockedOutError):
        await office.log_in("admin", "Zw9!kvRt-canary-0", "127.0.0.1", forwarded=True)
    assert (await office.log_in("admin", "Zw9!kvRt-canary-0", "127.0.0.1")).name == "admin"


async def test_a_lock_ends_by_the_clock_of_the_database(office: Office) -> None:
    await office.make("alice")
    await _fail(office, "alice", 3)
    await office.database.fetch("UPDATE login_failures SET locked_until = locked_until - 61000")

    await office.log_in("alice", ALICE_PASSWORD)

    assert await office.database.count("login_failures") == 0


async def test_failures_outside_the_window_do_not_count_together(office: Office) -> None:
    await office.make("alice")
    await _fail(office, "alice", 2)
    await office.database.fetch("UPDATE login_failures SET window_started_at = window_started_at - 61000")

    await _fail(office, "alice", 2)

    await office.log_in("alice", ALICE_PASSWORD)


async def test_a_lock_that_is_over_does_not_lock_again_at_the_next_failure(office: Office) -> None:
    await office.make("alice")
    await _fail(office, "alice", 3)
    await office.database.fetch("UPDATE login_failures SET locked_until = 1")

    await _fail(office, "alice", 2)

    await office.log_in("alice", ALICE_PASSWORD)


async def test_counts_that_are_over_are_removed_by_later_failures(office: Office) -> None:
    for number in range(5):
        await _fail(office, f"nobody{number}", 1)
    await office.database.fetch("UPDATE login_failures SET window_started_at = 1")

    await _fail(office, "nobody", 1)

    assert await office.database.value("SELECT COUNT(*) FROM login_failures") == 1


async def test_a_lock_is_in_the_log_once_by_the_public_id_and_without_what_was_typed_s14_s27(
    office: Office,
) -> None:
    """Refusals that follow are counted by their reason, and the log is not filled with them."""
    alice = await office.make("alice")
    counted: list[str] = []
    limits = LockoutLimits(attempts=3, window_seconds=60, lock_seconds=60)
    watch = LoginWatch(counted.append)
    logins = PasswordLogins(
        office.metadata, DirectNotes(office.metadata), office.hashing, office.policy, limits, watch
    )
    with structlog.testing.capture_logs() as logs:
        for name in ("alice", "typed-Passw0rd"):
            for _ in range(5):
                with pytest.raises((InvalidCredentialsError, LockedOutError)):
                    await logins.by_password(name, _WRONG, ADDRESS, ORIGIN, forwarded=False)

    assert logs == [
        {
            "event": "login.locked_out",
            "log_level": "warning",
            "subject": subject,
            "address": "192.0.2.7",
            "forwarded": False,
        }
        for subject in (alice.subject, "nobody")
    ]
    assert counted == [
        *["wrong_secret"] * 3,
        *["locked_out"] * 2,
        *["unknown_name"] * 3,
        *["locked_out"] * 2,
    ]


async def test_guesses_at_the_same_time_are_one_lock_in_the_log(office: Office) -> None:
    alice = await office.make("alice")
    with structlog.testing.capture_logs() as logs:
        await asyncio.gather(
            *(office.log_in("alice", f"{_WRONG}{number}") for number in range(20)), return_exceptions=True
        )

    assert [(entry["event"], entry["subject"]) for entry in logs] == [("login.locked_out", alice.subject)]


async def test_a_lock_by_wrong_old_passwords_is_in_the_log_as_well(office: Office) -> None:
    await office.make("alice")
    principal = await office.log_in("alice", ALICE_PASSWORD)
    with structlog.testing.capture_logs() as logs:
        await _change_wrongly(office, principal, 3)

    assert [(entry["event"], entry["subject"]) for entry in logs] == [("login.locked_out", principal.subject)]


async def _change_wrongly(office: Office, principal: Principal, times: int) -> None:
    for _ in range(times):
        with pytest.raises(OldPasswordWrongError):
            await office.changes.change_own(own_password(principal), _WRONG, "Rk4$pwYt-canary-2")


async def test_unlocking_opens_the_account_everywhere_and_is_on_record(office: Office) -> None:
    alice = await office.make("alice")
    await _fail(office, "alice", 3)
    await _fail(office, "alice", 3, "192.0.2.8")

    assert await office.people.unlock(office.grant(), alice.id) == 2

    assert (await office.records())[-1] == ("user.unlock", "success", "alice")
    await office.log_in("alice", ALICE_PASSWORD)


async def test_a_password_is_hashed_anew_when_the_parameters_changed(office: Office) -> None:
    await office.make("alice")
    stronger = PasswordHashing(HashCost(memory_kibibytes=16, passes=1, lanes=1))
    logins = PasswordLogins(
        office.metadata, DirectNotes(office.metadata), stronger, office.policy, LockoutLimits()
    )

    await logins.by_password("alice", ALICE_PASSWORD, ADDRESS, ORIGIN, forwarded=False)

    stored = await office.database.value(
        "SELECT password_hash FROM users u JOIN subjects s ON s.id = u.subject_id WHERE s.name = 'alice'"
    )
    assert stored.startswith("$argon2id$v=19$m=16,t=1,p=1$")
    await logins.by_password("alice", ALICE_PASSWORD, ADDRESS, ORIGIN, forwarded=False)
    stronger.close()


@pytest.mark.parametrize(("days", "must_change"), [(89, False), (90, True)])
async def test_an_old_password_opens_nothing_but_its_change_s17(
    office: Office, days: int, must_change: bool
) -> None:
    """MLPS 8.1.4.1a: the day on which it becomes too old."""
    await office.make("alice")
    await office.database.fetch(
        f"UPDATE users SET password_changed_at = password_changed_at - {days * 86_400_000}"
    )
    aging = PasswordPolicy(PasswordLimits(max_age_days=90))
    logins = PasswordLogins(
        office.metadata, DirectNotes(office.metadata), office.hashing, aging, LockoutLimits()
    )

    principal = await logins.by_password("alice", ALICE_PASSWORD, ADDRESS, ORIGIN, forwarded=False)

    assert principal.must_change_password is must_change


async def test_no_record_and_no_row_holds_a_password_s27(office: Office) -> None:
    """Whatever was presented, right or wrong, chosen or reset."""
    alice = await office.make("alice")
    await _fail(office, "alice", 1)
    await office.log_in("alice", ALICE_PASSWORD)
    await office.changes.reset(office.grant(), alice.id, "Rk4$pwYt-canary-2")

    held: list[object] = []
    for table in ("audit_records", "users", "password_history", "login_failures", "subjects"):
        held += await office.database.fetch(f"SELECT * FROM {table}")

    assert "canary" not in repr(held)
    assert _WRONG not in repr(held)


async def test_what_nobody_is_called_is_kept_as_a_digest_wherever_it_was_typed_s27(office: Office) -> None:
    """A password or a token in the place of the name; the same text is counted, and known again, as one."""
    token = "ept_" + "aB3_" * 10 + "xyz"
    typed = (ALICE_PASSWORD, token, "nobody", "nul\0", "x" * 5000)

    for name in (*typed, token):
        with pytest.raises(InvalidCredentialsError):
            await office.log_in(name, "x")

    rows = await office.database.fetch(
        "SELECT user_name, object_name FROM audit_records WHERE outcome = 'failure' ORDER BY id"
    )
    names = [name for name, _ in rows]
    assert [about for _, about in rows] == names
    assert all(re.fullmatch("unknown name [0-9a-f]{12}", name) for name in names)
    assert (len(set(names)), names[1]) == (5, names[5])
    counted = await office.database.fetch("SELECT account, failures FROM login_failures")
    assert sorted(counted) == sorted((name, 2 if name == names[1] else 1) for name in set(names))
    everything = repr(await office.database.fetch("SELECT * FROM audit_records"))
    assert not any(text in everything for text in (ALICE_PASSWORD, token, "nobody"))


async def test_names_of_people_stay_in_the_records_also_of_who_is_kept_out_s27(office: Office) -> None:
    alice = await office.make("alice")
    await office.people.disable(office.grant(), alice.id)

    with pytest.raises(InvalidCredentialsError):
        await office.log_in("alice", _WRONG)

    assert (await office.records())[-1] == ("session.login", "failure", "alice")
    assert await office.database.fetch("SELECT account FROM login_failures") == [("alice",)]


async def test_what_was_typed_can_not_be_tried_out_by_who_has_the_database_s27(office: Office) -> None:
    """Another registry's digest of the same text is another one."""
    kept = {await TypedNames(office.metadata, key).kept("password") for key in (b"one", b"two", b"two")}

    assert len(kept) == 2


async def test_a_password_that_is_not_checked_is_on_record_and_counts_for_nothing_i11(office: Office) -> None:
    await office.make("alice")
    principal = await office.log_in("alice", ALICE_PASSWORD)
    busy = PasswordHashing(HashCost(memory_kibibytes=8, passes=1, lanes=1), waiting=0)
    logins = PasswordLogins(
        office.metadata, DirectNotes(office.metadata), busy, office.policy, LockoutLimits()
    )
    changes = PasswordChanges(
        office.metadata, DirectNotes(office.metadata), busy, office.policy, LockoutLimits(), office.rights
    )

    with pytest.raises(PasswordsBusyError):
        await logins.by_password("alice", ALICE_PASSWORD, ADDRESS, ORIGIN, forwarded=False)
    with pytest.raises(PasswordsBusyError):
        await changes.change_own(own_password(principal), ALICE_PASSWORD, "Rk4$pwYt-canary-2")
    busy.close()

    rows = await office.database.fetch(
        "SELECT action, body FROM audit_records WHERE outcome = 'failure' ORDER BY id"
    )
    told = [(action, msgspec.json.decode(bytes(body))) for action, body in rows]
    assert [(action, body["event.reason"], body["http.response.status_code"]) for action, body in told] == [
        ("session.login", "busy", 503),
        ("user.password.change", "busy", 503),
    ]
    assert await office.database.count("login_failures") == 0


async def test_a_lock_of_a_clock_that_was_ahead_lasts_no_longer_than_others_f27(office: Office) -> None:
    await office.make("alice")
    await _fail(office, "alice", 3)
    await office.database.fetch("UPDATE login_failures SET locked_until = locked_until + 7200000")

    with pytest.raises(LockedOutError) as caught:
        await office.log_in("alice", ALICE_PASSWORD)

    assert caught.value.retry_after_seconds <= 60
    # It is written down, so that it ends, and is no longer put off by whoever tries again.
    first = await office.database.value("SELECT locked_until FROM login_failures")
    with pytest.raises(LockedOutError):
        await office.log_in("alice", ALICE_PASSWORD)
    assert await office.database.value("SELECT locked_until FROM login_failures") == first
    started = await office.database.value("SELECT window_started_at FROM login_failures")
    assert first - started < 90_000


async def test_a_header_buys_no_second_set_of_guesses_from_elsewhere_s18(office: Office) -> None:
    """Only what a proxy on this machine passes on is a place of its own."""
    await office.make("alice")
    await _fail(office, "alice", 3)
    with pytest.raises(LockedOutError):
        await office.log_in("alice", ALICE_PASSWORD, forwarded=True)

    for _ in range(3):
        with pytest.raises(InvalidCredentialsError):
            await office.log_in("alice", _WRONG, "127.0.0.1", forwarded=True)
    with pytest.raises(LockedOutError):
        await office.log_in("alice", ALICE_PASSWORD, "127.0.0.1", forwarded=True)
    await office.log_in("alice", ALICE_PASSWORD, "127.0.0.1")
