"""The file of the first password goes when the password was changed, and not before (S17)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from structlog.testing import capture_logs

from entrepot.auth.people.first_administrator import ensure_first_administrator
from entrepot.auth.people.first_password import remove_first_password
from entrepot.auth.people.password_file import ADMIN_PASSWORD_FILE, keep_password
from entrepot.auth.people.password_policy import PasswordLimits, PasswordPolicy
from entrepot.workers.accounts_upkeep import first_password_duty

if TYPE_CHECKING:
    from pathlib import Path

    from entrepot.auth.people.passwords import PasswordHashing
    from entrepot.metadata.store import Metadata
    from tests.drivers.metadata.raw_database import RawDatabase

_POLICY: Final = PasswordPolicy(PasswordLimits())
_CHANGED: Final = "UPDATE users SET must_change_password = 0"


async def test_the_file_stays_until_the_password_is_changed_s17(
    metadata: Metadata, hashing: PasswordHashing, database: RawDatabase, tmp_path: Path
) -> None:
    """By way of whichever node; the log names the path and not what was in it (S27)."""
    await ensure_first_administrator(metadata, hashing, _POLICY, tmp_path)
    password = (tmp_path / ADMIN_PASSWORD_FILE).read_text().strip()

    before = await remove_first_password(metadata, tmp_path)
    await database.fetch(_CHANGED)
    with capture_logs() as lines:
        after = await remove_first_password(metadata, tmp_path)

    assert (before, after) == (False, True)
    assert not (tmp_path / ADMIN_PASSWORD_FILE).exists()
    assert [(line["event"], line["path"]) for line in lines] == [
        ("admin.password.removed", str(tmp_path / ADMIN_PASSWORD_FILE))
    ]
    assert password not in repr(lines)
    assert await remove_first_password(metadata, tmp_path) is False


async def test_the_file_of_a_start_that_was_killed_before_it_made_the_person_stays_f46(
    metadata: Metadata, tmp_path: Path
) -> None:
    keep_password(tmp_path / ADMIN_PASSWORD_FILE, "of-the-next-start")

    assert await remove_first_password(metadata, tmp_path) is False
    assert (tmp_path / ADMIN_PASSWORD_FILE).exists()


async def test_the_background_worker_removes_it(
    metadata: Metadata, hashing: PasswordHashing, database: RawDatabase, tmp_path: Path
) -> None:
    await ensure_first_administrator(metadata, hashing, _POLICY, tmp_path)
    await database.fetch(_CHANGED)

    await first_password_duty(metadata, tmp_path).run()

    assert not (tmp_path / ADMIN_PASSWORD_FILE).exists()
