"""`entrepot admin ...`: the way back in, with the database alone and while others use it."""

from __future__ import annotations

import asyncio
import io
import json
import os
import pwd
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from entrepot.audit.direct_notes import DirectNotes
from entrepot.auth.errors import InvalidCredentialsError
from entrepot.auth.grants import SystemGrant
from entrepot.auth.host import HostDecisions, host_rights
from entrepot.auth.people.administrators import Administrators
from entrepot.auth.people.first_administrator import ensure_first_administrator
from entrepot.auth.people.lockout import LockoutLimits
from entrepot.auth.people.logins import PasswordLogins
from entrepot.auth.people.new_people import NewPerson
from entrepot.auth.people.password_policy import PasswordLimits, PasswordPolicy
from entrepot.auth.people.passwords import PasswordHashing
from entrepot.auth.people.people import People
from entrepot.auth.principals import NO_ORIGIN, Principal
from entrepot.auth.system_actions import CreateUser, UpdateUser
from entrepot.metadata.sql.epochs import SqlEpochRows
from entrepot.metadata.sql.opening import open_metadata
from entrepot.ops.admin import break_glass
from entrepot.ops.application import run_command_line
from entrepot.ops.running import run_to_its_end
from entrepot.settings import metadata_url
from tests.asgi.services import scratch_settings
from tests.drivers.metadata.identity_rows import IdentityRows
from tests.drivers.metadata.raw_database import RawDatabase
from tests.integration.people.conftest import ADDRESS, ADMIN_PASSWORD, ALICE_PASSWORD, CHEAP
from tests.running.laid_schema import lay_schema_for

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

    from entrepot.metadata.store import Metadata

_POLICY: Final = PasswordPolicy(PasswordLimits())
_HOST: Final = Principal("host:x", "", forwarded=False, name="x", kind="host")


@dataclass(frozen=True, slots=True)
class Host:
    """A data directory with a database that has `admin` and `alice`, and nothing else: no storage."""

    data: Path
    database: RawDatabase

    def run(self, *arguments: str) -> int:
        """Run a command."""
        return run_command_line(["admin", *arguments, "--data", str(self.data)])

    def within(self, work: Callable[[Metadata, PasswordHashing], Coroutine[Any, Any, object]]) -> None:
        """Do something with the database as a registry would."""
        asyncio.run(self._within(work))

    async def _within(self, work: Callable[[Metadata, PasswordHashing], Coroutine[Any, Any, object]]) -> None:
        metadata, hashing = await open_metadata(self.database.url, 2, 10.0), PasswordHashing(CHEAP)
        try:
            await work(metadata, hashing)
        finally:
            hashing.close()
            await metadata.aclose()

    def log_in(self, name: str, password: str) -> Principal:
        """Present a password."""
        found: list[Principal] = []

        async def work(metadata: Metadata, hashing: PasswordHashing) -> None:
            logins = PasswordLogins(
                metadata, DirectNotes(metadata), hashing, _POLICY, LockoutLimits(attempts=1)
            )
            found.append(await logins.by_password(name, password, ADDRESS, NO_ORIGIN, forwarded=False))

        self.within(work)
        return found[0]

    def records(self) -> list[tuple[str, str]]:
        """Return action and subject of every record, in order."""
        return asyncio.run(self.database.fetch("SELECT action, subject FROM audit_records ORDER BY id"))


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """A machine with a database."""
    settings = scratch_settings(tmp_path / "data")
    database = RawDatabase(metadata_url(settings))
    lay_schema_for(settings)
    made = Host(settings.data.directory, database)

    async def fill(metadata: Metadata, hashing: PasswordHashing) -> None:
        await ensure_first_administrator(metadata, hashing, _POLICY, tmp_path, ADMIN_PASSWORD)
        people = People(metadata, hashing, _POLICY, host_rights(metadata.standings))
        await people.create(SystemGrant(CreateUser, _HOST), NewPerson("alice"), ALICE_PASSWORD)

    made.within(fill)
    return made


def _operator() -> str:
    return f"host:{pwd.getpwuid(os.getuid()).pw_name}"


def test_a_reset_password_is_printed_once_and_must_be_changed_s17_s27(
    host: Host, capsys: pytest.CaptureFixture[str]
) -> None:
    assert host.run("reset-password", "admin") == 0

    printed = capsys.readouterr()
    password = printed.out.strip()
    assert len(password) == 24
    assert password not in printed.err
    assert "Deleted: 0 access tokens, 0 sessions, 0 refresh tokens." in printed.err
    assert host.log_in("admin", password).must_change_password is True
    assert host.records()[-2] == ("user.password.reset", _operator())
    assert password not in repr(asyncio.run(host.database.fetch("SELECT * FROM audit_records")))


def test_a_password_that_could_not_be_shown_is_not_lost_in_silence(
    host: Host, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is changed by then, and nobody knows it; where there is no output at all, nothing is changed."""
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", None)
        assert host.run("reset-password", "alice") == 2
    assert "the new password could not be shown" in capsys.readouterr().err
    assert host.log_in("alice", ALICE_PASSWORD).must_change_password is False

    with Path("/dev/full").open("w", encoding="utf-8") as full, monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", full)
        code = host.run("reset-password", "alice")

    said = capsys.readouterr().err.splitlines()[-1]
    lost = "but the new password could not be shown: No space left on device. Run this again for another one."
    assert (code, said) == (1, f"entrepot: the password of alice was changed, {lost}")
    with pytest.raises(InvalidCredentialsError):
        host.log_in("alice", ALICE_PASSWORD)


@pytest.mark.parametrize("command", ["list", "unlock admin", "enable alice", "reset-password admin"])
def test_i1_a_missing_dictionary_keeps_nobody_from_the_way_back_in(
    host: Host, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setenv("ENTREPOT_PASSWORDS_DICTIONARY_FILE", str(host.data / "words"))

    assert host.run(*command.split()) == 0

    assert "warning: passwords.dictionary_file can't be read, so only the built-in" in capsys.readouterr().err


def test_ctrl_c_after_the_change_does_not_lose_the_new_password(
    host: Host, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def run_and_press(work: Coroutine[Any, Any, Any]) -> object:
        done = run_to_its_end(work)
        signal.raise_signal(signal.SIGINT)
        return done

    monkeypatch.setattr(break_glass, "run_to_its_end", run_and_press)

    assert host.run("reset-password", "alice") == 0

    assert host.log_in("alice", capsys.readouterr().out.strip()).must_change_password is True


def test_a_generated_password_that_holds_a_name_of_its_owner_is_not_tried(
    host: Host, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The policy would refuse it, and the command with it."""
    characters = iter("Kw7zRtp-aLice-9TmXbVcN4G" + "Kw7zRtpG9TmXbVcN4GdPqHuM")

    def choose(_alphabet: str) -> str:
        return next(characters)

    monkeypatch.setattr("secrets.choice", choose)

    assert host.run("reset-password", "alice") == 0

    assert capsys.readouterr().out == "Kw7zRtpG9TmXbVcN4GdPqHuM\n"
    assert host.log_in("alice", "Kw7zRtpG9TmXbVcN4GdPqHuM").must_change_password is True


@pytest.mark.parametrize("source", ["file", "stdin"])
def test_a_chosen_password_comes_from_a_file_or_standard_input_and_is_not_printed(
    host: Host,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    source: str,
) -> None:
    path = tmp_path / "password"
    path.write_text("Rk4$pwYt-canary-2\n")
    monkeypatch.setattr(sys, "stdin", io.StringIO("Rk4$pwYt-canary-2\n"))

    code = host.run("reset-password", "alice", "--password-file", str(path) if source == "file" else "-")

    printed = capsys.readouterr()
    assert (code, "canary" in printed.out + printed.err) == (0, False)
    assert host.log_in("alice", "Rk4$pwYt-canary-2").must_change_password is True


@pytest.mark.parametrize("password", ["Harbor12345", ALICE_PASSWORD, "short"])
def test_the_policy_holds_on_the_host_as_well(
    host: Host, tmp_path: Path, capsys: pytest.CaptureFixture[str], password: str
) -> None:
    """MLPS 8.1.4.1a: also one's former password."""
    path = tmp_path / "password"
    path.write_text(password)

    code = host.run("reset-password", "alice", "--password-file", str(path))

    assert code == 1
    assert "the password is not accepted" in capsys.readouterr().err
    assert host.log_in("alice", ALICE_PASSWORD).must_change_password is False


def test_a_locked_out_administrator_is_unlocked(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InvalidCredentialsError):
        host.log_in("admin", "Not-the-1-password")

    assert host.run("unlock", "admin") == 0

    told = "admin is not locked out any more; wrong passwords had come from 1 address.\n"
    assert capsys.readouterr().out.endswith(f"\n{told}")  # after a line of the log
    assert host.records()[-1] == ("user.unlock", _operator())
    assert host.log_in("admin", ADMIN_PASSWORD).name == "admin"


def test_whom_something_else_keeps_out_is_not_said_to_be_let_in(
    host: Host, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither after a new password, which a disabled person has in vain, nor once the locks are gone."""
    assert host.run("reset-password", "alice") == 0
    assert "disabled" not in capsys.readouterr().err
    assert host.run("unlock", "alice") == 0
    assert capsys.readouterr().out.splitlines()[1:] == [
        "alice must change the password at the next login, and may do nothing else before."
    ]
    asyncio.run(host.database.fetch("UPDATE subjects SET disabled_at = 1"))
    assert host.run("reset-password", "alice") == 0
    assert capsys.readouterr().err.splitlines()[2:] == [
        "alice is disabled and can't log in: entrepot admin enable alice"
    ]


def test_of_somebody_who_was_not_locked_out_that_is_said(
    host: Host, capsys: pytest.CaptureFixture[str]
) -> None:
    assert host.run("unlock", "admin") == 0

    assert capsys.readouterr().out == "admin was not locked out: no wrong passwords had come from anywhere.\n"


def test_a_locked_out_robot_is_unlocked(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    """Where somebody chose its secret, a build with the wrong one locks it out for all builds beside it."""
    robot = """
        INSERT INTO subjects (id, public_id, kind, name, created_at) VALUES (50, 'r1', 'robot', 'robot$team+ci', 1);
        INSERT INTO robots (subject_id, short_name, secret_hash, permissions, allowed_addresses, duration_days,
                            creator, updated_at)
            VALUES (50, 'ci', '', x'5b5d', x'5b5d', -1, 'host:x', 1);
        INSERT INTO login_failures (account, address, failures, window_started_at, locked_until)
            VALUES ('robot$team+ci', '192.0.2.1', 5, 1, 4000000000000), ('other', '192.0.2.1', 5, 1, 4000000000000)
    """
    for statement in robot.split(";"):
        asyncio.run(host.database.fetch(statement))

    assert host.run("unlock", "robot$team+ci") == 0
    assert host.run("unlock", "robot$team+cd") == 2

    said = capsys.readouterr()
    assert "from 1 address." in said.out
    assert "entrepot robot list" in said.err
    assert host.records()[-1] == ("user.unlock", _operator())
    assert asyncio.run(host.database.fetch("SELECT account FROM login_failures")) == [("other",)]
    asyncio.run(host.database.fetch("UPDATE robots SET expires_at = 1"))
    assert host.run("unlock", "robot$team+ci") == 0
    assert "robot$team+ci has expired and can't log in" in capsys.readouterr().out
    asyncio.run(host.database.fetch("UPDATE subjects SET disabled_at = 1 WHERE kind = 'robot'"))
    assert host.run("unlock", "robot$team+ci") == 0
    assert "robot$team+ci is disabled and can't log in" in capsys.readouterr().out


def test_a_disabled_person_is_enabled_and_made_an_administrator(
    host: Host, capsys: pytest.CaptureFixture[str]
) -> None:
    async def disable(metadata: Metadata, hashing: PasswordHashing) -> None:
        person = await metadata.users.find_named("alice")
        assert person is not None
        grant = SystemGrant(UpdateUser, _HOST)
        await People(metadata, hashing, _POLICY, host_rights(metadata.standings)).disable(grant, person.id)
        await Administrators(metadata, HostDecisions(metadata.standings)).make(grant, person.id)
        await Administrators(metadata, HostDecisions(metadata.standings)).unmake(grant, person.id)

    host.within(disable)

    assert host.run("unlock", "alice") == 0
    told = "alice was not locked out: no wrong passwords had come from anywhere.\n"
    way_back = "alice is disabled and can't log in: entrepot admin enable alice\n"
    assert capsys.readouterr().out == told + way_back
    assert host.run("enable", "alice") == 0
    assert host.run("grant-operations-admin", "alice") == 0
    capsys.readouterr()
    assert host.run("list", "-o", "json") == 0

    listed = json.loads(capsys.readouterr().out)
    assert [(one["name"], one["state"]) for one in listed] == [("admin", "active"), ("alice", "active")]
    assert host.log_in("alice", ALICE_PASSWORD).name == "alice"
    assert ("role.assign", _operator()) in host.records()


def test_the_list_is_a_table_for_people(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    assert host.run("list") == 0

    assert capsys.readouterr().out == "NAME   STATE   LAST LOGIN\nadmin  active  never\n"


def test_the_list_has_those_who_administer_by_a_group(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    """Also where nobody does by name: who looks here has no other way to find them."""

    async def give() -> None:
        rows = IdentityRows(host.database)
        alice = await host.database.value("SELECT id FROM subjects WHERE name = 'alice'")
        await host.database.fetch("DELETE FROM role_assignments")
        await rows.give(await rows.group("ops", alice), "operations-admin")
        await rows.give(await rows.group("readers", await rows.user("bob")), "auditor")

    asyncio.run(give())
    assert host.run("list") == 0

    assert capsys.readouterr().out == "NAME   STATE   LAST LOGIN\nalice  active  never\n"


def test_the_list_has_everybody_when_that_is_asked_for(
    host: Host, capsys: pytest.CaptureFixture[str]
) -> None:
    """The login name that somebody mistyped is looked for on the host, where nobody can log in."""
    rows = IdentityRows(host.database)
    asyncio.run(rows.user("zoe"))

    assert host.run("list", "--all") == 0
    everybody = capsys.readouterr().out
    assert host.run("list") == 0
    administrators = capsys.readouterr().out

    assert "zoe  " in everybody
    assert set(administrators.split()) <= set(everybody.split())
    assert "zoe" not in administrators


@pytest.mark.parametrize("command", ["reset-password", "unlock", "enable", "grant-operations-admin"])
def test_a_name_that_nobody_has_is_told(host: Host, capsys: pytest.CaptureFixture[str], command: str) -> None:
    assert host.run(command, "nobody") == 2

    told = capsys.readouterr().err
    assert told == "entrepot: there is no person nobody; see: entrepot admin list --all\n"


def test_without_a_database_nothing_is_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = run_command_line(["admin", "list", "--data", str(tmp_path / "nowhere")])

    assert code == 1
    assert "there is no registry in" in capsys.readouterr().err
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("command", ["reset-password", "unlock", "enable", "grant-operations-admin"])
def test_each_command_that_changes_an_account_takes_its_place_in_the_order_of_changes_s9(
    host: Host, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it means to be there is shown on PostgreSQL, with the units of requests."""
    held: list[str] = []
    hold = SqlEpochRows.hold_order

    async def noting(rows: SqlEpochRows) -> None:
        held.append(command)
        await hold(rows)

    monkeypatch.setattr(SqlEpochRows, "hold_order", noting)

    assert host.run(command, "alice") == 0
    assert held
