"""Commands on the host where there is no registry, or none that this user may open: a sentence, and nothing is made."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Final

import pytest

from tests.integration.test_commands import clean_environment

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_PROGRAM: Final = """
import json, sys
from entrepot.ops.application import run_command_line
for words in json.loads(sys.argv[1]):
    print("\\n#", run_command_line(words), flush=True, file=sys.stderr)
"""
"""Runs one command after another in one process, which loads everything but once."""
_WITHOUT_RIGHTS: Final = "-dac_override,-dac_read_search"
_COMMANDS: Final = {
    "verify": 3,
    "verify --last": 3,
    "verify --repair": 3,
    "audit verify --database": 3,
    "audit show": 1,
    "audit export": 1,
    "audit purge --older-than 200": 1,
    "audit erase --user nobody": 1,
    "migrate --check": 1,
    "admin list": 1,
    "keys list": 1,
    "keys rotate": 1,
    "keys rewrap": 1,
    "keys renew": 1,
    "export --all --to {place}/exported": 1,
    "rebuild --catch-up": 1,
    "backup create --to {place}/other-backup": 1,
    "backup restore --from {place}/backup --blobs-only": 1,
    "backup restore --from {place}/backup --repository team/app": 1,
}
"""What must not make a registry, and what it ends with where there is none."""


def _run(place: Path, commands: Sequence[str], *prefix: str) -> list[tuple[int, str]]:
    """Run commands on the data directory of a place; return the exit code and last line of what each complained of."""
    words = [f"{command} --data {place}/data".format(place=place).split() for command in commands]
    done = subprocess.run(
        [*prefix, sys.executable, "-c", _PROGRAM, json.dumps(words)],
        env=clean_environment(place),
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert "Traceback" not in done.stderr, done.stderr
    ended: list[tuple[int, str]] = []
    last = ""
    for line in filter(None, done.stderr.splitlines()):
        if line.startswith("# "):
            ended.append((int(line[2:]), last))
        last = line
    assert len(ended) == len(commands), done.stderr
    return ended


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A place with a registry in `data` and a backup of it."""
    made = _run(tmp_path, ["migrate", "backup create --to {place}/backup"])
    assert [code for code, _ in made] == [0, 0], made
    return tmp_path


def _everything(place: Path) -> list[str]:
    return sorted(str(path) for path in place.rglob("*") if "__pycache__" not in str(path))


@pytest.mark.parametrize("lost", ["directory", "database"])
def test_where_there_is_no_registry_only_some_commands_make_one(place: Path, lost: str) -> None:
    """A mistyped path, or the storage of a registry whose database is lost, is not taken for an empty registry."""
    if lost == "directory":
        (place / "data").rename(place / "registry")
    else:
        for path in (place / "data" / "metadata").iterdir():
            path.unlink()
    before = _everything(place)

    ended = _run(place, list(_COMMANDS))

    assert {name: code for name, (code, _) in zip(_COMMANDS, ended, strict=True)} == _COMMANDS
    missing = f"entrepot: there is no registry in {place}/data: no database {place}/data/metadata/entrepot.db"
    others = {
        name: said
        for name, (_, said) in zip(_COMMANDS, ended, strict=True)
        if not said.startswith(missing) and name != "migrate --check"  # says on standard output what it found
    }
    assert others == {}
    assert _everything(place) == before


def test_a_database_without_a_schema_gets_none_from_a_mistyped_address(place: Path) -> None:
    """As an empty database of PostgreSQL is, which nobody can tell from a file that is missing; no more is made."""
    (place / "data").rename(place / "registry")
    database = place / "data" / "metadata" / "entrepot.db"
    database.parent.mkdir(parents=True)
    database.touch()
    before = _everything(place)

    ended = _run(place, list(_COMMANDS))

    assert {name: code for name, (code, _) in zip(_COMMANDS, ended, strict=True)} == _COMMANDS
    others = {
        name: said
        for name, (_, said) in zip(_COMMANDS, ended, strict=True)
        if "the database is empty" not in said and name != "migrate --check"
    }
    assert others == {}
    assert _everything(place) == before
    assert database.read_bytes() == b""


def test_who_may_not_open_the_database_is_told_whose_it_is(place: Path) -> None:
    """Nobody is told of damage, nor that there is no database."""
    closed = place / "data" / "metadata"
    closed.chmod(0)
    prefix = ("setpriv", f"--inh-caps={_WITHOUT_RIGHTS}", f"--bounding-set={_WITHOUT_RIGHTS}")

    try:
        ended = _run(place, list(_COMMANDS), *(prefix if os.geteuid() == 0 else ()))
    finally:
        closed.chmod(0o700)

    assert {name: code for name, (code, _) in zip(_COMMANDS, ended, strict=True)} == _COMMANDS
    wanted = f"entrepot: this user may not read {closed}/entrepot.db: {closed} belongs to "
    assert [said for _, said in ended if not said.startswith(wanted)] == []
    assert all("Run this as the user that the registry runs as: sudo -u" in said for _, said in ended)


def test_a_rebuild_of_a_storage_without_journals_makes_no_registry(place: Path) -> None:
    """An empty directory is what a disk leaves that is not mounted."""
    (place / "data").rename(place / "registry")
    (place / "data" / "storage").mkdir(parents=True)
    before = _everything(place)

    ended = _run(place, ["rebuild", "rebuild --incarnation nobodys"])

    assert [code for code, _ in ended] == [1, 1]
    assert all("the storage holds no journal" in said for _, said in ended)
    assert _everything(place) == before


def test_a_file_where_a_directory_belongs_is_named(place: Path) -> None:
    metadata = place / "data" / "metadata"
    metadata.rename(place / "registry")
    metadata.touch()

    ended = _run(place, ["backup restore --from {place}/backup"])

    told = f"entrepot: {metadata} is not of the kind that it should be: File exists. Move it out of the way"
    assert ended == [(1, told)]
