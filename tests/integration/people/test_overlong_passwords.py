"""What is too long to be a password is a wrong one wherever it is shown, and refused where it is chosen."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import pytest

from entrepot.auth.errors import InvalidCredentialsError, LockedOutError
from entrepot.auth.people.errors import OldPasswordWrongError, PasswordRejectedError
from entrepot.auth.people.new_people import NewPerson
from tests.drivers.metadata.machine_accounts import on_sqlite
from tests.integration.people.conftest import ALICE_PASSWORD, own_password

if TYPE_CHECKING:
    from tests.integration.people.conftest import Office

pytestmark = on_sqlite

_BOMB: Final = "a" + "\u0315\u0300" * 40_000
"""Takes seconds to compose, quadratically in its length, and the interpreter meanwhile."""
_SECONDS: Final = 1.0
_WRONG: Final = "Not-the-1-password"
_NEW: Final = "Rk4$pwYt-canary-2"
_TOO_LONG: Final = "the password is not accepted: it has more than 128 characters"


@pytest.mark.parametrize("name", ["alice", "nobody"])
async def test_a_login_with_it_fails_counts_and_is_on_record_as_any_other_s19(
    office: Office, name: str
) -> None:
    await office.make("alice")
    for password in (_WRONG, _BOMB, _BOMB):
        began = time.process_time()
        with pytest.raises(InvalidCredentialsError):
            await office.log_in(name, password)
        assert time.process_time() - began < _SECONDS

    usual, *others = await office.database.fetch(
        "SELECT body FROM audit_records WHERE action = 'session.login' ORDER BY id"
    )
    reasons = [body.split(b'"event.reason":')[1].split(b",")[0] for (body,) in (usual, *others)]
    assert reasons == [reasons[0]] * 3
    with pytest.raises(LockedOutError):
        await office.log_in(name, ALICE_PASSWORD if name == "alice" else _WRONG)


async def test_it_is_a_wrong_old_password_and_changes_nothing(office: Office) -> None:
    await office.make("alice")
    alice = await office.log_in("alice", ALICE_PASSWORD)

    began = time.process_time()
    with pytest.raises(OldPasswordWrongError):
        await office.changes.change_own(own_password(alice), _BOMB, _NEW)

    assert time.process_time() - began < _SECONDS
    assert (await office.log_in("alice", ALICE_PASSWORD)).name == "alice"


async def test_it_is_no_new_password_by_whichever_way_and_changes_nothing(office: Office) -> None:
    person = await office.make("alice")
    alice = await office.log_in("alice", ALICE_PASSWORD)

    began = time.process_time()
    with pytest.raises(PasswordRejectedError) as own:
        await office.changes.change_own(own_password(alice), ALICE_PASSWORD, _BOMB)
    with pytest.raises(PasswordRejectedError) as given:
        await office.changes.reset(office.grant(), person.id, _BOMB)
    with pytest.raises(PasswordRejectedError) as made:
        await office.people.create(office.grant(), NewPerson("bob"), _BOMB)

    assert time.process_time() - began < _SECONDS
    assert [str(one.value) for one in (own, given, made)] == [_TOO_LONG] * 3
    assert await office.metadata.users.find_named("bob") is None
    assert (await office.log_in("alice", ALICE_PASSWORD)).name == "alice"
