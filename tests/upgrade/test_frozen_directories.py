"""Data directories of versions landed before are refused until they are migrated, and then served byte for byte."""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Final

import pytest

from entrepot.metadata.sql.schema import load_migrations
from entrepot.processes.errors import ExitCode
from tests.drivers.metadata.raw_database import RawDatabase
from tests.running.entrepot import RunningEntrepot
from tests.upgrade.asking import require_accounts, require_proof, require_records
from tests.upgrade.frozen_data import (
    compatible_names,
    frozen_names,
    frozen_statements,
    schema_of,
    thaw,
)
from tests.upgrade.pulling import finish_uploads, push_again, require_everything

if TYPE_CHECKING:
    from pathlib import Path

    from tests.upgrade.content import Expectations
    from tests.upgrade.frozen_data import Thawed

_NEWEST: Final = load_migrations()[-1].version


def _migrate(registry: RunningEntrepot, *arguments: str) -> subprocess.CompletedProcess[str]:
    registry.write_settings()
    command = [sys.executable, "-m", "entrepot", "migrate", "--config", str(registry._settings_file)]
    return subprocess.run([*command, *arguments], capture_output=True, text=True, check=False, timeout=60)


def _require_refusal(registry: RunningEntrepot, sentence: str) -> None:
    """`entrepot serve` ends by itself, soon, with the exit code of this refusal and the sentence in its log."""
    registry.start()
    try:
        assert registry.wait_exit(30) == ExitCode.SCHEMA_MISMATCH
    finally:
        registry.end()
    (refusal,) = registry.events("start.refused")
    assert (refusal["reason"], refusal["exit_code"]) == (sentence, ExitCode.SCHEMA_MISMATCH)
    assert registry.events("process.crashed") == []


def test_it_is_refused_migrated_and_whole(thawed: Thawed, tmp_path: Path) -> None:
    """Refused first, migrated after a copy was made; everything is pulled, unfinished uploads go on, pushes work.

    Where there were accounts, passwords, secrets and tokens of then are good, roles hold, and the audit log is proven
    from its beginning: by the key that the old version signed with, and by checkpoints that were kept elsewhere.
    """
    registry = RunningEntrepot(tmp_path, settings=thawed.settings, data_directory=thawed.data)
    if thawed.schema < _NEWEST:
        _require_migration(registry, thawed)
    accounts = thawed.expectations.accounts
    kept = tmp_path / "kept-checkpoints"
    if accounts is not None:
        shutil.copytree(thawed.data / "audit" / "checkpoints", kept)
    registry.start()
    try:
        registry.wait_until_ready()
        _require_content(registry, thawed.expectations)
        if accounts is not None:
            require_records(registry, accounts)
            require_accounts(registry, accounts)
        registry.stop()
    finally:
        registry.end()
    if accounts is not None:
        require_proof(registry, accounts, kept, tmp_path)


def _require_migration(registry: RunningEntrepot, thawed: Thawed) -> None:
    found = f"the metadata schema has version {thawed.schema}, this program needs {_NEWEST}"
    _require_refusal(registry, f"{found}: run `entrepot migrate`")
    assert _migrate(registry, "--check").returncode == 1
    migrated = _migrate(registry)
    assert migrated.returncode == 0, migrated.stderr
    assert f"from version {thawed.schema} to {_NEWEST}" in migrated.stdout
    copies = list((thawed.data / "backups").glob(f"entrepot-schema-{thawed.schema:04d}-*.db"))
    assert len(copies) == (1 if thawed.url.startswith("sqlite") else 0)


def _require_content(registry: RunningEntrepot, expected: Expectations) -> None:
    require_everything(registry.url, expected)
    finish_uploads(registry.url, expected.uploads, expected.auth)
    push_again(registry.url, seed=100, auth=expected.auth)
    require_everything(registry.url, expected)


async def test_a_newer_database_is_refused_by_everything(tmp_path: Path) -> None:
    """What a later version migrated is left alone by `serve` and `migrate`, and both say what to install."""
    newest = frozen_names()[-1]
    thawed = thaw(newest, "sqlite", tmp_path, None)
    registry = RunningEntrepot(tmp_path, settings=thawed.settings, data_directory=thawed.data)
    assert _migrate(registry).returncode == 0
    database = RawDatabase(thawed.url)
    await database.fetch(
        "INSERT INTO schema_migrations (version, name, checksum, applied_at)"
        f" VALUES ({_NEWEST + 1}, 'from_the_future', 'x', 0)"
    )
    sentence = (
        f"the metadata schema has version {_NEWEST + 1}, this program needs {_NEWEST}: "
        "this program is older than the database; install the version that migrated it, or a newer one"
    )

    _require_refusal(registry, sentence)
    refused = _migrate(registry)
    assert (refused.returncode, sentence in refused.stderr) == (1, True)
    checked = _migrate(registry, "--check")
    assert (checked.returncode, "install the newer program" in checked.stderr) == (1, True)


@pytest.mark.parametrize("name", compatible_names())
def test_a_frozen_version_is_named_for_its_schema(name: str) -> None:
    """The names sort by age, and each directory is of a schema that this program has a migration for."""
    assert schema_of(name) == frozen_statements(name).schema <= _NEWEST


def test_the_newest_frozen_version_may_run_beside_the_head() -> None:
    """One version back is what is promised."""
    assert compatible_names()[-1] == frozen_names()[-1]
