"""The first start with accounts: one administrator, no default password, nothing of the anonymous days in public."""

from __future__ import annotations

import asyncio
import os
import pwd
import stat
import subprocess
import sys
from typing import TYPE_CHECKING, Final

import pytest
from structlog.testing import capture_logs

from entrepot.audit.direct_notes import DirectNotes
from entrepot.auth.errors import InvalidCredentialsError
from entrepot.auth.people.errors import PasswordRejectedError
from entrepot.auth.people.first_administrator import ensure_first_administrator
from entrepot.auth.people.lockout import LockoutLimits
from entrepot.auth.people.logins import PasswordLogins
from entrepot.auth.people.password_file import ADMIN_PASSWORD_FILE, keep_password
from entrepot.auth.people.password_policy import PasswordLimits, PasswordPolicy
from entrepot.auth.principals import NO_ORIGIN
from tests.integration.people.conftest import ADMIN_PASSWORD

if TYPE_CHECKING:
    from pathlib import Path

    from entrepot.auth.people.passwords import PasswordHashing
    from entrepot.auth.principals import Principal
    from entrepot.metadata.store import Metadata
    from tests.drivers.metadata.raw_database import RawDatabase

_POLICY: Final = PasswordPolicy(PasswordLimits())


async def _log_in(metadata: Metadata, hashing: PasswordHashing, password: str) -> Principal:
    logins = PasswordLogins(metadata, DirectNotes(metadata), hashing, _POLICY, LockoutLimits())
    return await logins.by_password("admin", password, "", NO_ORIGIN, forwarded=False)


async def test_a_random_password_lies_in_a_private_file_and_must_be_changed_s17(
    metadata: Metadata, hashing: PasswordHashing, tmp_path: Path
) -> None:
    with capture_logs() as lines:
        made = await ensure_first_administrator(metadata, hashing, _POLICY, tmp_path / "data")

    path = tmp_path / "data" / ADMIN_PASSWORD_FILE
    password = path.read_text().rstrip("\n")
    assert made is True
    assert (stat.S_IMODE(path.stat().st_mode), stat.S_IMODE(path.parent.stat().st_mode)) == (0o600, 0o700)
    assert _names_in(path.parent) == ["admin-password"]
    assert (await _log_in(metadata, hashing, password)).must_change_password is True
    assert [line["password_file"] for line in lines if line["event"] == "admin.created"] == [str(path)]
    assert password not in repr(lines)


async def test_a_given_password_need_not_be_changed_and_no_file_is_written_s17(
    metadata: Metadata, hashing: PasswordHashing, tmp_path: Path
) -> None:
    with capture_logs() as lines:
        await ensure_first_administrator(metadata, hashing, _POLICY, tmp_path, ADMIN_PASSWORD)

    assert (await _log_in(metadata, hashing, ADMIN_PASSWORD)).must_change_password is False
    assert _password_files(tmp_path) == []
    assert "canary" not in repr(lines)


@pytest.mark.parametrize("password", ["Harbor12345", "admin", "entrepot", "Admin-9tkWq", "changeme"])
async def test_no_documented_or_obvious_password_ever_logs_in_s17(
    metadata: Metadata, hashing: PasswordHashing, database: RawDatabase, tmp_path: Path, password: str
) -> None:
    with pytest.raises(PasswordRejectedError):
        await ensure_first_administrator(metadata, hashing, _POLICY, tmp_path, password)

    assert await database.count("subjects") == 0
    await ensure_first_administrator(metadata, hashing, _POLICY, tmp_path)
    with pytest.raises(InvalidCredentialsError):
        await _log_in(metadata, hashing, password)


async def test_a_later_start_makes_nobody_and_reads_no_password(
    metadata: Metadata, hashing: PasswordHashing, tmp_path: Path
) -> None:
    await ensure_first_administrator(metadata, hashing, _POLICY, tmp_path, ADMIN_PASSWORD)

    assert await ensure_first_administrator(metadata, hashing, _POLICY, tmp_path, "Yt6@qqWd-other") is False
    assert (await _log_in(metadata, hashing, ADMIN_PASSWORD)).name == "admin"


async def test_projects_of_the_anonymous_days_become_private_and_the_administrators(
    metadata: Metadata, hashing: PasswordHashing, database: RawDatabase, tmp_path: Path
) -> None:
    await metadata.write(lambda tx: tx.repositories.ensure("team/app", "team", "anonymous"))
    await database.fetch("UPDATE projects SET is_public = 1")

    await ensure_first_administrator(metadata, hashing, _POLICY, tmp_path, ADMIN_PASSWORD)

    assert await database.fetch(
        "SELECT p.name, p.is_public, s.name, p.epoch FROM projects p JOIN subjects s ON s.id = p.owner_id"
    ) == [("team", 0, "admin", 1)]
    assert await database.fetch(
        "SELECT a.role, p.name FROM role_assignments a LEFT JOIN projects p ON p.id = a.project_id ORDER BY a.id"
    ) == [("operations-admin", None), ("project-admin", "team")]
    assert await database.fetch("SELECT action, subject FROM audit_records") == [
        ("user.create", f"host:{_login()}")
    ]


def _names_in(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def _password_files(directory: Path) -> list[Path]:
    return sorted(directory.rglob("admin-password"))


def _login() -> str:
    return pwd.getpwuid(os.getuid()).pw_name


async def test_nodes_that_start_at_once_make_one_administrator_whose_password_is_known_f46(
    metadata: Metadata, hashing: PasswordHashing, database: RawDatabase, tmp_path: Path
) -> None:
    """Two processes on each of three data directories."""
    directories = [tmp_path / f"node{number // 2}" for number in range(6)]

    made = await asyncio.gather(
        *(ensure_first_administrator(metadata, hashing, _POLICY, directory) for directory in directories)
    )

    files = _password_files(tmp_path)
    assert sum(made) == 1
    assert await database.count("users") == 1
    assert len(files) == 1
    assert (await _log_in(metadata, hashing, files[0].read_text().strip())).name == "admin"


_CHILD: Final = """
import asyncio, sys
from pathlib import Path
from entrepot.auth.people.first_administrator import ensure_first_administrator
from entrepot.auth.people.password_policy import PasswordLimits, PasswordPolicy
from entrepot.auth.people.passwords import HashCost, PasswordHashing
from entrepot.kernel.failpoints import arm_failpoints
from entrepot.metadata.sql.opening import open_metadata

async def main(url, directory, failpoint):
    metadata = await open_metadata(url, 2, 10.0)
    arm_failpoints(failpoint)
    hashing = PasswordHashing(HashCost(8, 1, 1))
    await ensure_first_administrator(metadata, hashing, PasswordPolicy(PasswordLimits()), Path(directory))

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.mark.parametrize("failpoint", ["admin.password.written", "unit.before.commit", "unit.after.commit"])
async def test_a_start_killed_between_file_and_row_is_made_good_by_the_next_f46(
    metadata: Metadata, hashing: PasswordHashing, database: RawDatabase, tmp_path: Path, failpoint: str
) -> None:
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _CHILD, database.url, str(tmp_path), failpoint, stderr=subprocess.DEVNULL
    )
    assert await child.wait() == -9
    written = (tmp_path / ADMIN_PASSWORD_FILE).read_text()

    await ensure_first_administrator(metadata, hashing, _POLICY, tmp_path)

    assert (tmp_path / ADMIN_PASSWORD_FILE).read_text() == written
    assert (await _log_in(metadata, hashing, written.strip())).must_change_password is True
    assert await database.count("users") == 1


@pytest.mark.parametrize("content", [b"", b"unfinished-without-an-end"])
def test_a_file_that_nobody_finished_is_replaced_f46(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / ADMIN_PASSWORD_FILE
    path.parent.mkdir(mode=0o700)
    path.write_bytes(content)
    path.chmod(0o600)

    assert keep_password(path, "fresh") == "fresh"
    assert path.read_text() == "fresh\n"


def test_a_password_that_others_could_have_read_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / ADMIN_PASSWORD_FILE
    path.parent.mkdir(mode=0o755)
    path.write_text("seen\n")
    path.chmod(0o644)

    assert keep_password(path, "fresh") == "fresh"
    assert (path.read_text(), stat.S_IMODE(path.stat().st_mode)) == ("fresh\n", 0o600)


def test_a_link_in_the_place_of_the_file_is_not_followed(tmp_path: Path) -> None:
    path, target = tmp_path / ADMIN_PASSWORD_FILE, tmp_path / "target"
    target.write_text("others\n")
    target.chmod(0o600)
    path.parent.mkdir(mode=0o700)
    path.symlink_to(target)

    assert keep_password(path, "fresh") == "fresh"
    assert (target.read_text(), path.is_symlink()) == ("others\n", False)
