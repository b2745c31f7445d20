"""Going back to the version before: the copy that the migration made is put in the place of the database."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Final

import httpx
import pytest

from entrepot.metadata.sql.schema import load_migrations
from tests.running.with_accounts import ADMINISTRATOR, EntrepotWithAccounts
from tests.upgrade.accounts import APPLICATION
from tests.upgrade.frozen_data import frozen_names, schema_of, thaw
from tests.upgrade.old_program import HistoryMissingError, OldCode, OldEntrepot, check_out
from tests.upgrade.pulling import push_again, require_pulls

if TYPE_CHECKING:
    from pathlib import Path

    from tests.upgrade.frozen_data import Thawed

pytestmark = pytest.mark.long

_SINCE: Final = (
    f"{APPLICATION}/manifests/pushed-200",
    f"{APPLICATION}/manifests/pushed-201",
    "team/gone/manifests/pushed-202",
    f"{APPLICATION}/manifests/pushed-203",
)
"""Pushed with the head: the second was deleted again, and the third one's repository."""
_UNKNOWN: Final = ["repository.create", "repository.delete"]
_OLDER = [name for name in frozen_names() if schema_of(name) < load_migrations()[-1].version]


@pytest.mark.parametrize("name", _OLDER)
def test_the_copy_put_back_is_served_by_the_older_program(name: str, tmp_path: Path) -> None:
    """All from before the migration is there, byte for byte, and pushes work again.

    What was pushed and deleted since is done too once the older program has caught up, which it asks for before it
    takes a push, but for facts of kinds that came later: these it names. One that can't catch up is without all of it.
    """
    thawed = thaw(name, "sqlite", tmp_path, None)
    try:
        code = OldCode(thawed.expectations.source, thawed.expectations.lock)
        source = check_out(code, tmp_path / "old")
    except HistoryMissingError as error:
        pytest.fail(f"{name} is not in the history here (git fetch --unshallow): {error}")
    _migrate_and_push(EntrepotWithAccounts(tmp_path / "head", data_directory=thawed.data), thawed)
    _put_the_copy_back(thawed.data)

    auth = thawed.expectations.auth
    old = OldEntrepot(tmp_path / "again", source, settings=thawed.settings, data_directory=thawed.data)
    expected = [404, 404, 404, 404]
    if (source / "entrepot" / "ops" / "rebuild.py").exists():
        with old:
            require_pulls(old.url, thawed.expectations)
            begun = httpx.post(f"{old.url}/v2/{APPLICATION}/blobs/uploads/", auth=auth)
            assert begun.status_code == 405
            old.stop()
        expected = [200, 404, 200 if _catch_up(old, source) else 404, 200]
    with old:
        require_pulls(old.url, thawed.expectations)
        found = [httpx.get(f"{old.url}/v2/{path}", auth=auth).status_code for path in _SINCE]
        assert found == expected
        for seed in (200, 204):
            push_again(old.url, seed, auth=auth)
        assert old.events("request.failed") == []
        old.stop()


def _migrate_and_push(head: EntrepotWithAccounts, thawed: Thawed) -> None:
    auth = httpx.BasicAuth(ADMINISTRATOR.name, ADMINISTRATOR.secret)
    head.settings["storage"] = thawed.settings["storage"]
    head.write_settings()
    command = [sys.executable, "-m", "entrepot", "migrate", "--config", str(head._settings_file)]
    subprocess.run(command, check=True, timeout=60)
    with head:
        for seed in (200, 201):
            push_again(head.url, seed, auth=auth)
        assert httpx.delete(f"{head.url}/v2/{_SINCE[1]}", auth=auth).status_code == 202
        repositories = "/projects/team/repositories"
        head.control().call("POST", repositories, {"name": "gone"}, status=201)
        push_again(head.url, 202, "team/gone", auth=auth)
        head.control().call("DELETE", f"{repositories}/gone")
        push_again(head.url, 203, auth=auth)
        head.stop()


def _put_the_copy_back(data: Path) -> None:
    """Do what docs/how-to/upgrade.md says."""
    (copy,) = (data / "backups").iterdir()
    database = data / "metadata" / "entrepot.db"
    for left in (database.with_name("entrepot.db-wal"), database.with_name("entrepot.db-shm")):
        left.unlink(missing_ok=True)
    shutil.copy(copy, database)


def _catch_up(old: OldEntrepot, source: Path) -> bool:
    """Let the older program do it; tell whether there were kinds of facts that it does not know, as it says."""
    known = (source / "entrepot" / "rebuild" / "facts.py").read_text()
    unknown = [kind for kind in _UNKNOWN if f'"{kind}"' not in known]
    done = old.run_command("rebuild", "--catch-up")
    assert done.returncode == (1 if unknown else 0), done.stdout + done.stderr
    assert re.findall(r"\((\S+)\): a newer program wrote it; rebuild with that one", done.stdout) == unknown
    return bool(unknown)
