"""No two people are made with names that differ by case only, or with one e-mail address, on either engine."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import pytest

from entrepot.auth.errors import InvalidCredentialsError
from entrepot.auth.people.errors import EmailTakenError, NameTakenError
from entrepot.auth.people.identities import people_of_one_address, people_of_one_name
from entrepot.auth.people.new_people import NewPerson, Profile, ProfileChange
from tests.integration.people.conftest import ALICE_PASSWORD, Office, own

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from entrepot.metadata.user_store import PersonRow

_ALICE: Final = "Alice.Ärmel@Example.org"
_SAME: Final = (
    "Alice.Ärmel@Example.org",
    "alice.ärmel@example.org",
    "ALICE.ÄRMEL@EXAMPLE.ORG",
)
_OTHER: Final = ("alice.armel@example.org", "alice.ärmel@example.com", "")


async def _make(office: Office, name: str, email: str = "") -> PersonRow:
    return await office.people.create(office.grant(), NewPerson(name, Profile(email)), ALICE_PASSWORD)


async def _state(office: Office) -> list[list[tuple[Any, ...]]]:
    """Return all that making or changing a person could touch."""
    queries = (
        "SELECT id, kind, name, epoch FROM subjects ORDER BY id",
        "SELECT subject_id, email, realname, comment, updated_at FROM users ORDER BY subject_id",
        "SELECT id FROM password_history ORDER BY id",
        "SELECT id FROM audit_records ORDER BY id",
    )
    return [await office.database.fetch(query) for query in queries]


async def _duplicates(office: Office) -> tuple[PersonRow, PersonRow]:
    """Return people as a program from before the rule made them: confusable, and of one address."""
    first, second = await _make(office, "alice", "alice@example.org"), await _make(office, "other")
    await office.database.fetch(f"UPDATE subjects SET name = 'Alice' WHERE id = {second.id}")
    await office.database.fetch(
        f"UPDATE users SET email = 'ALICE@example.org' WHERE subject_id = {second.id}"
    )
    return first, await office.people.get(office.grant(), second.id)


@pytest.mark.parametrize("name", ["alice", "Alice", "ALICE"])
async def test_a_name_that_differs_by_case_only_is_taken_s9(office: Office, name: str) -> None:
    """Nobody passes for somebody else by a capital letter."""
    await _make(office, "alice")
    before = await _state(office)

    with pytest.raises(NameTakenError):
        await _make(office, name)

    assert await _state(office) == before


@pytest.mark.parametrize("email", _SAME)
async def test_an_address_that_somebody_has_is_given_to_nobody_else(office: Office, email: str) -> None:
    """Neither with a new account nor later, by an administrator or by the person; who has it stays untold (S19)."""
    await _make(office, "alice", _ALICE)
    bob = await _make(office, "bob", "bob@example.org")
    principal = await office.log_in("bob", ALICE_PASSWORD)
    before = await _state(office)
    attempts: list[Awaitable[object]] = [
        _make(office, "carol", email),
        office.people.update(office.grant(), bob.id, ProfileChange(email, "B.")),
        office.people.update_self(own(principal), ProfileChange(email, "B.")),
    ]

    refused: list[str] = []
    for attempt in attempts:
        with pytest.raises(EmailTakenError) as caught:
            await attempt
        refused.append(str(caught.value))

    assert set(refused) == {"the e-mail address can't be given to this person: it is taken"}
    assert await _state(office) == before


async def test_letters_that_fold_to_ascii_make_no_second_address(office: Office) -> None:
    await _make(office, "kay", "kay.strasse@example.org")
    await _make(office, "mass", "maß@example.org")

    for email in ("\u212aay.\u017ftra\u017f\u017fe@example.org", "MASS@example.org"):  # a Kelvin sign, long s
        with pytest.raises(EmailTakenError):
            await _make(office, "other", email)


@pytest.mark.parametrize("email", _OTHER)
async def test_another_address_or_none_is_no_conflict(office: Office, email: str) -> None:
    await _make(office, "alice", _ALICE)
    await _make(office, "bob", "")

    made = await _make(office, "carol", email)

    assert made.email == email


async def test_who_has_an_address_keeps_it_and_may_change_its_case(office: Office) -> None:
    alice = await _make(office, "alice", _ALICE)

    for email in _SAME:
        await office.people.update(office.grant(), alice.id, ProfileChange(email, "Alice A."))

    assert (await office.people.get(office.grant(), alice.id)).email == _SAME[-1]


async def test_what_was_a_deleted_persons_is_free(office: Office) -> None:
    alice = await _make(office, "alice", _ALICE)
    await office.people.delete(office.grant(), alice.id)

    again = await _make(office, "ALICE", _SAME[2])

    assert (again.name, again.email) == ("ALICE", _SAME[2])


async def test_duplicates_from_before_go_on_and_can_be_mended(office: Office) -> None:
    """They log in by their exact names, change all but the address, and give that up."""
    first, second = await _duplicates(office)
    assert [(await office.log_in(name, ALICE_PASSWORD)).name for name in ("alice", "Alice")] == [
        "alice",
        "Alice",
    ]

    await office.people.update(office.grant(), second.id, ProfileChange("ALICE@example.org", "The second"))
    await office.people.update(office.grant(), first.id, ProfileChange("alice@Example.org", "The first"))
    with pytest.raises(EmailTakenError):
        await _make(office, "third", "alice@example.org")
    with pytest.raises(NameTakenError):
        await _make(office, "aLICE")
    await office.people.update(office.grant(), second.id, ProfileChange("second@example.org"))
    with pytest.raises(EmailTakenError):
        await office.people.update(office.grant(), second.id, ProfileChange("alice@example.org"))

    people = [await office.people.get(office.grant(), one.id) for one in (first, second)]
    assert [(one.name, one.email, one.realname) for one in people] == [
        ("alice", "alice@Example.org", "The first"),
        ("Alice", "second@example.org", "The second"),
    ]


async def test_duplicates_are_found_by_number(office: Office) -> None:
    await _make(office, "bob", "bob@example.org")
    assert people_of_one_name(await office.metadata.users.identities()) == []
    first, second = await _duplicates(office)

    people = await office.metadata.users.identities()

    assert people_of_one_name(people) == people_of_one_address(people) == [[first.id, second.id]]


async def test_names_are_presented_as_they_are_written(office: Office) -> None:
    await _make(office, "alice")

    with pytest.raises(InvalidCredentialsError):
        await office.log_in("Alice", ALICE_PASSWORD)


async def test_of_those_who_take_a_name_at_once_one_gets_it(office: Office) -> None:
    """On PostgreSQL as from several nodes: none of the units sees what the others have not committed."""
    names = ["dave", "Dave", "DAVE", "dAVE", "daVE"]

    outcomes = await asyncio.gather(*(_make(office, name) for name in names), return_exceptions=True)

    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["NameTakenError"] * 4 + ["PersonRow"]
    assert await office.database.value("SELECT count(*) FROM subjects WHERE lower(name) = 'dave'") == 1


async def test_of_those_who_take_an_address_at_once_one_gets_it(office: Office) -> None:
    """Some make an account with it, some change theirs."""
    people = [await _make(office, f"person{number}") for number in range(3)]
    changed = ProfileChange("Dave@example.org")

    outcomes = await asyncio.gather(
        *(_make(office, f"new{number}", "dave@example.org") for number in range(3)),
        *(office.people.update(office.grant(), person.id, changed) for person in people),
        return_exceptions=True,
    )

    assert sum(isinstance(outcome, EmailTakenError) for outcome in outcomes) == 5
    assert await office.database.value("SELECT count(*) FROM users WHERE email <> ''") == 1
