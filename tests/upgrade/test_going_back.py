"""Going back to the version before: the copy that the migration made is put in the place of the database."""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from entrepot.metadata.sql.schema import load_migrations
from tests.running.entrepot import RunningEntrepot
from tests.upgrade.frozen_data import frozen_names, schema_of, thaw
from tests.upgrade.old_program import HistoryMissingError, OldCode, OldEntrepot, check_out
from tests.upgrade.pulling import push_again, require_pulls

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.long

_OLDER = [name for name in frozen_names() if schema_of(name) < load_migrations()[-1].version]


@pytest.mark.parametrize("name", _OLDER)
def test_the_copy_put_back_is_served_by_the_older_program(name: str, tmp_path: Path) -> None:
    """All from before the migration is there, byte for byte; a push made after it is not, and can be repeated."""
    thawed = thaw(name, "sqlite", tmp_path, None)
    try:
        code = OldCode(thawed.expectations.source, thawed.expectations.lock)
        source = check_out(code, tmp_path / "old")
    except HistoryMissingError as error:
        pytest.fail(f"{name} is not in the history here (git fetch --unshallow): {error}")
    head = RunningEntrepot(tmp_path / "head", settings=thawed.settings, data_directory=thawed.data)
    head.write_settings()
    command = [sys.executable, "-m", "entrepot", "migrate", "--config", str(head._settings_file)]
    subprocess.run(command, check=True, timeout=60)
    with head:
        push_again(head.url, seed=200)
        head.stop()

    (copy,) = (thawed.data / "backups").iterdir()
    database = thawed.data / "metadata" / "entrepot.db"
    for left in (database.with_name("entrepot.db-wal"), database.with_name("entrepot.db-shm")):
        left.unlink(missing_ok=True)
    shutil.copy(copy, database)
    with OldEntrepot(tmp_path / "again", source, settings=thawed.settings, data_directory=thawed.data) as old:
        require_pulls(old.url, thawed.expectations)
        assert old.get("/v2/team/app/manifests/pushed-200")[0] == 404
        push_again(old.url, seed=200)
        assert old.events("request.failed") == []
        old.stop()
