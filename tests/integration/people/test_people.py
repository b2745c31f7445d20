"""People: made, changed and gone, each with its record, and always somebody left who administers."""

from __future__ import annotations

import asyncio
import itertools
import json

import pytest

from entrepot.audit.erasure import AuditErasure
from entrepot.auth.access_tokens.access_tokens import AccessTokenLimits, AccessTokens, NewAccessToken
from entrepot.auth.credential_memory import CredentialMemory
from entrepot.auth.errors import InvalidCredentialsError, LockedOutError
from entrepot.auth.people.errors import (
    InvalidPersonError,
    NameTakenError,
    OldPasswordWrongError,
    OwnAccountError,
    PasswordRejectedError,
    PersonUnknownError,
)
from entrepot.auth.people.new_people import NewPerson, Profile, ProfileChange
from entrepot.auth.people.password_policy import PasswordLimits, PasswordPolicy
from entrepot.auth.people.people import People
from entrepot.auth.permissions import SYSTEM_PERMISSIONS
from entrepot.auth.role_errors import LastOperationsAdminError
from entrepot.metadata.user_store import PERSON_ORDERS, EndedCredentials, PersonQuery
from tests.drivers.metadata.identity_rows import IdentityRows
from tests.integration.people.conftest import (
    ADDRESS,
    ADMIN_PASSWORD,
    ALICE_PASSWORD,
    ORIGIN,
    Office,
    own,
    own_password,
)
from tests.unit.auth.identity_fakes import HandEpochs

_NEW = "Rk4$pwYt-canary-2"
_ACTIONS = ("user.create", "user.update", "user.delete")


@pytest.mark.parametrize("change_first", [False, True])
async def test_who_was_made_must_change_the_password_first_where_the_policy_says_so_s17(
    office: Office, change_first: bool
) -> None:
    """MLPS 8.1.4.1: the password that an administrator chose is known to two."""
    policy = PasswordPolicy(PasswordLimits(change_first=change_first))
    people = People(office.metadata, office.hashing, policy, office.rights)
    await people.create(office.grant(), NewPerson("carol"), ALICE_PASSWORD)

    first = await office.log_in("carol", ALICE_PASSWORD)
    await office.changes.change_own(own_password(first), ALICE_PASSWORD, _NEW)
    second = await office.log_in("carol", _NEW)

    assert (first.must_change_password, second.must_change_password) == (change_first, False)


async def test_a_person_is_made_with_a_record_and_no_role(office: Office) -> None:
    new = NewPerson("alice", Profile("alice@example.org", "Alice A.", "team"))

    made = await office.people.create(office.grant(), new, ALICE_PASSWORD)

    assert (made.name, made.email, made.realname, made.comment) == (
        "alice",
        "alice@example.org",
        "Alice A.",
        "team",
    )
    assert (made.is_administrator, made.must_change_password, made.disabled_at) == (False, False, None)
    assert (await office.records())[-1] == ("user.create", "success", "alice")
    assert await office.people.get(office.grant(), made.id) == made


async def test_a_change_says_which_fields_it_changed_and_not_from_what_to_what(office: Office) -> None:
    """Addresses and names are personal, and a record that names another person by itself is not erased with them."""
    alice = await office.make("alice")
    for change in (
        ProfileChange("a@example.org", "Alice A.", "team"),
        ProfileChange(email="b@example.org", comment=""),
        ProfileChange(realname="Alice A."),
    ):
        await office.people.update(office.grant(), alice.id, change)

    bodies = await office.database.fetch(
        "SELECT body FROM audit_records WHERE action = 'user.update' ORDER BY id"
    )
    afters = [json.loads(bytes(body))["change"]["after"] for (body,) in bodies]

    assert [after.get("changed") for after in afters] == [
        ["email", "realname", "comment"],
        ["email", "comment"],
        [],
    ]
    assert [after["comment"] for after in afters] == [True, False, False]
    assert not any(b"example.org" in bytes(body) for (body,) in bodies)


async def test_changes_of_different_fields_at_once_are_all_made(office: Office) -> None:
    """What a change leaves out stays as the others made it, not as it was when the change began."""
    alice = await office.make("alice")
    principal = await office.log_in("alice", ALICE_PASSWORD)

    await asyncio.gather(
        office.people.update(office.grant(), alice.id, ProfileChange(email="a@example.org")),
        office.people.update(office.grant(), alice.id, ProfileChange(comment="team")),
        office.people.update_self(own(principal), ProfileChange(realname="Alice A.")),
    )

    now = await office.people.get(office.grant(), alice.id)
    assert (now.email, now.realname, now.comment) == ("a@example.org", "Alice A.", "team")


async def test_a_name_is_given_once(office: Office) -> None:
    await office.make("alice")

    with pytest.raises(NameTakenError):
        await office.make("alice")
    assert len([record for record in await office.records() if record[0] == "user.create"]) == 2


async def test_what_has_no_acceptable_form_changes_nothing(office: Office) -> None:
    alice = await office.make("alice")

    for name, kind in (("a:b", InvalidPersonError), ("Admin", NameTakenError)):
        with pytest.raises(kind):
            await office.make(name)
    with pytest.raises(InvalidPersonError):
        await office.people.update(office.grant(), alice.id, ProfileChange("no address"))
    assert await office.people.get(office.grant(), alice.id) == alice


async def test_nobody_is_made_with_a_password_the_policy_refuses(office: Office) -> None:
    with pytest.raises(PasswordRejectedError):
        await office.make("alice", "Harbor12345")

    assert await office.metadata.users.find_named("alice") is None


async def test_pages_are_filtered_sorted_and_counted(office: Office) -> None:
    for name, email in (("bob", "B@x.org"), ("alice", "c@x.org"), ("al_x", "a@y.org")):
        await office.people.create(office.grant(), NewPerson(name, Profile(email)), ALICE_PASSWORD)

    async def names(query: PersonQuery) -> list[str]:
        return [person.name for person in (await office.people.list_page(office.grant(), query)).people]

    assert await names(PersonQuery()) == ["admin", "al_x", "alice", "bob"]
    assert await names(PersonQuery(order="-username")) == ["bob", "alice", "al_x", "admin"]
    assert await names(PersonQuery(order="email")) == ["admin", "bob", "al_x", "alice"]
    assert await names(PersonQuery(order="-user_id")) == ["al_x", "alice", "bob", "admin"]
    assert await names(PersonQuery(name="alice")) == ["alice"]
    assert await names(PersonQuery(name_part="LI")) == ["alice"]
    assert await names(PersonQuery(name_part="l_x")) == ["al_x"]
    assert await names(PersonQuery(name_part="%")) == []
    assert await names(PersonQuery(email="B@x.org")) == ["bob"]
    assert await names(PersonQuery(email_part="X.org")) == ["alice", "bob"]
    page = await office.people.list_page(office.grant(), PersonQuery(skip=1, limit=2))
    assert ([person.name for person in page.people], page.total) == (["al_x", "alice"], 4)


async def test_every_order_is_one_the_database_knows(office: Office) -> None:
    await office.make("alice")

    for order in PERSON_ORDERS:
        page = await office.people.list_page(office.grant(), PersonQuery(order=order))
        assert sorted(person.name for person in page.people) == ["admin", "alice"]


async def test_a_search_finds_names_that_begin_so(office: Office) -> None:
    for name in ("alice", "Albert", "mal"):
        await office.make(name)
    grant = own(office.admin)

    found = await office.people.search(grant, "al", 10)
    second = await office.people.search(grant, "al", 1, 1)

    assert ([person.name for person in found.people], found.total) == (["Albert", "alice"], 2)
    assert ([person.name for person in second.people], second.total) == (["alice"], 2)
    for prefix in ("", "%"):
        none = await office.people.search(grant, prefix, 10)
        assert (list(none.people), none.total) == ([], 0)


async def test_a_deleted_person_is_gone_with_everything_and_the_name_is_free_s14(office: Office) -> None:
    alice = await office.make("alice")
    group = await office.groups.create(office.grant(), "team")
    await office.groups.add_member(office.grant(), group.id, alice.id)
    await office.administrators.make(office.grant(), alice.id)
    await office.sessions.log_in("alice", ALICE_PASSWORD, ADDRESS, ORIGIN, forwarded=False)
    epoch = await office.epoch_of(alice.id)

    await office.people.delete(office.grant(), alice.id)

    assert await office.metadata.users.find_subject(alice.subject) is None
    assert await office.epoch_of(alice.id) == epoch + 1
    for table in ("web_sessions", "group_members"):
        assert await office.database.count(table) == 0
    assert await office.database.value("SELECT count(*) FROM role_assignments") == 1
    with pytest.raises(PersonUnknownError):
        await office.people.get(office.grant(), alice.id)
    again = await office.make("alice")
    assert (again.id, again.subject) != (alice.id, alice.subject)
    assert again.is_administrator is False
    assert ("user.delete", "success", "alice") in await office.records()


async def test_one_can_neither_delete_nor_disable_oneself(office: Office) -> None:
    admin_id = (await office.people.get_self(own(office.admin))).id
    alice = await office.make("alice")
    await office.administrators.make(office.grant(), alice.id)

    with pytest.raises(OwnAccountError):
        await office.people.delete(office.grant(), admin_id)
    with pytest.raises(OwnAccountError):
        await office.people.disable(office.grant(), admin_id)


async def test_the_last_administrator_is_neither_deleted_disabled_nor_demoted(office: Office) -> None:
    admin_id = (await office.people.get_self(own(office.admin))).id
    rows, equal = IdentityRows(office.database), await office.make("alice")
    await rows.custom_role("equal", "system", sorted(SYSTEM_PERMISSIONS))
    await rows.give(equal.id, "equal")
    await rows.give(equal.id, "project-admin")
    alice = await office.log_in("alice", ALICE_PASSWORD)

    for attempt in (office.people.delete, office.people.disable, office.administrators.unmake):
        with pytest.raises(LastOperationsAdminError):
            await attempt(office.grant(alice), admin_id)
    assert (await office.people.get(office.grant(), admin_id)).is_administrator is True


async def test_a_disabled_administrator_is_not_one_who_could_help(office: Office) -> None:
    admin_id = (await office.people.get_self(own(office.admin))).id
    alice = await office.make("alice")
    await office.administrators.make(office.grant(), alice.id)
    await office.people.disable(office.grant(), alice.id)

    with pytest.raises(LastOperationsAdminError):
        await office.administrators.unmake(office.grant(), admin_id)


async def test_administrators_who_demote_each_other_at_the_same_time_leave_one(office: Office) -> None:
    people = [await office.people.get_self(own(office.admin))]
    people += [await office.make(f"person{number}") for number in range(4)]
    for _ in range(3):
        for person in people:
            await office.administrators.make(office.grant(), person.id)

        outcomes = await asyncio.gather(
            *(office.administrators.unmake(office.grant(), person.id) for person in people),
            return_exceptions=True,
        )

        assert [type(outcome).__name__ for outcome in outcomes].count("LastOperationsAdminError") == 1
        page = await office.people.list_page(office.grant(), PersonQuery())
        assert sum(person.is_administrator for person in page.people) == 1


async def test_an_administrator_is_made_and_unmade_with_epoch_and_record_s14(office: Office) -> None:
    alice = await office.make("alice")

    await office.administrators.make(office.grant(), alice.id)
    await office.administrators.make(office.grant(), alice.id)
    assert (await office.people.get(office.grant(), alice.id)).is_administrator is True
    assert await office.epoch_of(alice.id) == alice.epoch + 1
    await office.administrators.unmake(office.grant(), alice.id)

    assert (await office.people.get(office.grant(), alice.id)).is_administrator is False
    assert await office.epoch_of(alice.id) == alice.epoch + 2
    changes = [record[0] for record in await office.records() if record[0].startswith("role.")]
    assert changes == ["role.assign", "role.revoke"]


async def test_disabling_moves_the_epoch_and_says_when_s14(office: Office) -> None:
    alice = await office.make("alice")

    await office.people.disable(office.grant(), alice.id)

    moved = await office.database.value(f"SELECT epoch_changed_at FROM subjects WHERE id = {alice.id}")
    assert await office.epoch_of(alice.id) == alice.epoch + 1
    assert moved > 1_600_000_000_000
    await office.people.enable(office.grant(), alice.id)
    assert (await office.log_in("alice", ALICE_PASSWORD)).name == "alice"


async def test_ones_own_password_is_changed_with_the_old_one_s14(office: Office) -> None:
    await office.make("alice")
    begun = await office.sessions.log_in("alice", ALICE_PASSWORD, ADDRESS, ORIGIN, forwarded=False)

    await office.changes.change_own(own_password(begun.principal), ALICE_PASSWORD, _NEW)

    with pytest.raises(InvalidCredentialsError):
        await office.sessions.find(begun.secret, ADDRESS, ORIGIN, forwarded=False)
    with pytest.raises(InvalidCredentialsError):
        await office.log_in("alice", ALICE_PASSWORD)
    assert (await office.log_in("alice", _NEW)).must_change_password is False
    assert ("user.password.change", "success", "") in await office.records()


async def test_a_stolen_session_can_not_guess_the_old_password(office: Office) -> None:
    await office.make("alice")
    alice = await office.log_in("alice", ALICE_PASSWORD)
    for _ in range(3):
        with pytest.raises(OldPasswordWrongError, match="old_password is wrong"):
            await office.changes.change_own(own_password(alice), "Not-the-1-password", _NEW)

    with pytest.raises(LockedOutError):
        await office.changes.change_own(own_password(alice), ALICE_PASSWORD, _NEW)
    assert (await office.records())[-1] == ("user.password.change", "failure", "")


async def test_a_reset_password_must_be_changed_at_the_next_login_s17(office: Office) -> None:
    alice = await office.make("alice")

    await office.changes.reset(office.grant(), alice.id, _NEW)

    principal = await office.log_in("alice", _NEW)
    assert principal.must_change_password is True
    await office.changes.change_own(own_password(principal), _NEW, "Ht8%fnXs-canary-3")
    assert (await office.log_in("alice", "Ht8%fnXs-canary-3")).must_change_password is False


async def test_a_reset_deletes_what_the_old_password_may_have_made_and_ones_own_change_keeps_access_tokens_s14(
    office: Office,
) -> None:
    alice = await office.make("alice")
    person = await office.log_in("alice", ALICE_PASSWORD)
    tokens = AccessTokens(
        office.metadata, CredentialMemory(HandEpochs()), AccessTokenLimits(), office.rights, office.logins
    )
    await tokens.create(own(person), NewAccessToken("stolen"))

    kept = await office.changes.change_own(own_password(person), ALICE_PASSWORD, _NEW)
    of_alice = await office.database.count("access_tokens")
    await office.sessions.log_in("alice", _NEW, ADDRESS, ORIGIN, forwarded=False)
    done = await office.changes.reset(office.grant(), alice.id, "Ht8%fnXs-canary-3")

    assert (kept, of_alice) == (EndedCredentials(sessions=0, refresh_tokens=0), 1)
    assert done.ended == EndedCredentials(sessions=1, refresh_tokens=0, access_tokens=1)
    assert await office.database.count("access_tokens") == 0
    body = await office.database.value("SELECT body FROM audit_records ORDER BY id DESC LIMIT 1")
    assert json.loads(bytes(body))["change"]["after"] == {
        "must_change_password": True,
        "ended": {"sessions": 1, "refresh_tokens": 0, "access_tokens": 1},
    }


async def test_whoever_was_let_in_just_before_a_reset_makes_no_access_token_that_outlives_it_s14(
    office: Office,
) -> None:
    """Another node remembers the old password for as long as it has not heard of the epoch."""
    alice = await office.make("alice")
    stale = await office.log_in("alice", ALICE_PASSWORD)
    await office.changes.reset(office.grant(), alice.id, _NEW)
    tokens = AccessTokens(
        office.metadata, CredentialMemory(HandEpochs()), AccessTokenLimits(), office.rights, office.logins
    )

    with pytest.raises(InvalidCredentialsError):
        await tokens.create(own(stale), NewAccessToken("stolen"))

    assert await office.database.count("access_tokens") == 0


async def test_once_erased_a_person_is_named_only_by_what_others_did_to_them_and_without_their_id_i11(
    office: Office,
) -> None:
    alice = await office.make("alice")
    await office.people.update(office.grant(), alice.id, ProfileChange(comment="team"))
    principal = await office.log_in("alice", ALICE_PASSWORD)
    with pytest.raises(OldPasswordWrongError):
        await office.changes.change_own(own_password(principal), "Not-the-1-password", _NEW)
    await office.changes.change_own(own_password(principal), ALICE_PASSWORD, _NEW)
    await office.people.update_self(own(principal), ProfileChange(comment="left"))
    await office.people.delete(office.grant(), alice.id)

    await AuditErasure(office.metadata).erase(office.grant(), alice.subject)

    records = await office.database.fetch("SELECT * FROM audit_records ORDER BY id")
    naming = [record for record in map(repr, records) if "alice" in record]
    assert len([record for record in map(repr, records) if alice.subject in record]) == 5
    assert [record for record in naming if alice.subject in record] == []
    assert [next(name for name in _ACTIONS if name in record) for record in naming] == list(_ACTIONS)


async def test_the_last_five_passwords_are_refused_and_the_sixth_is_not(office: Office) -> None:
    """MLPS 8.1.4.1a: the boundary of the history."""
    await office.make("alice")
    former = [ALICE_PASSWORD, *(f"Qk{number}~vbRw{number}Jx" for number in range(5))]
    alice = await office.log_in("alice", ALICE_PASSWORD)
    for old, new in itertools.pairwise(former):
        await office.changes.change_own(own_password(alice), old, new)

    for refused in former[1:]:
        with pytest.raises(PasswordRejectedError, match="among the last 5"):
            await office.changes.change_own(own_password(alice), former[-1], refused)
    await office.changes.change_own(own_password(alice), former[-1], former[0])

    assert (await office.log_in("alice", former[0])).name == "alice"


async def test_an_administrator_who_was_deleted_gives_nothing_back(office: Office) -> None:
    with pytest.raises(InvalidCredentialsError):
        await office.log_in("nobody", ADMIN_PASSWORD)
