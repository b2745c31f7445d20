"""The schema is brought up to date once, by one process at a time, and never silently."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

from entrepot.kernel import filesystems
from entrepot.metadata.errors import MetadataUnavailableError, SchemaMismatchError
from entrepot.metadata.sql.addresses import (
    InvalidMetadataAddressError,
    NetworkFilesystemError,
    PostgresAddress,
    parse_address,
    require_local_filesystem,
)
from entrepot.metadata.sql.migrate import apply_migrations, initialise_if_empty, migrate, schema_version
from entrepot.metadata.sql.opening import open_metadata
from entrepot.metadata.sql.schema import Migration, MigrationChangedError, load_migrations
from tests.drivers.metadata.raw_database import RawDatabase, unheard

_NEWEST = load_migrations()[-1].version
_SECOND = Migration(_NEWEST + 1, "second", "CREATE TABLE second (id {integer} NOT NULL PRIMARY KEY) {table};")
_BROKEN = Migration(
    _NEWEST + 2, "broken", "CREATE TABLE third (id {integer} NOT NULL PRIMARY KEY) {table};\nSELECT nonsense;"
)


async def test_an_empty_database_has_version_0_and_is_refused(empty_url: str) -> None:
    assert await schema_version(empty_url) == (0, _NEWEST)

    with pytest.raises(SchemaMismatchError, match="run `entrepot migrate`") as caught:
        await open_metadata(empty_url, 1, 5.0)
    assert (caught.value.found, caught.value.expected) == (0, _NEWEST)


async def test_asking_for_the_version_leaves_no_file_behind(tmp_path: Path) -> None:
    await schema_version(f"sqlite://{tmp_path}/metadata.db")

    assert not (tmp_path / "metadata.db").exists()


async def test_migrating_makes_the_newest_schema_and_then_nothing(empty_url: str) -> None:
    lines: list[str] = []
    report = await migrate(empty_url, None, lines.append)

    assert (report.from_version, report.to_version) == (0, _NEWEST)
    assert report.applied == tuple(f"{one.version:04d}_{one.name}" for one in load_migrations())
    assert lines == [f"applying {name}" for name in report.applied]
    assert await schema_version(empty_url) == (_NEWEST, _NEWEST)
    again = await migrate(empty_url, None, lines.append)
    assert (again.from_version, again.to_version, again.applied) == (_NEWEST, _NEWEST, ())


async def test_initialising_leaves_a_database_that_is_not_empty_alone(empty_url: str) -> None:
    assert await initialise_if_empty(empty_url, unheard) is True
    await RawDatabase(empty_url).fetch("UPDATE schema_migrations SET checksum = 'other'")

    assert await initialise_if_empty(empty_url, unheard) is False


async def test_several_nodes_at_once_make_it_once(empty_url: str) -> None:
    outcomes = await asyncio.gather(*(initialise_if_empty(empty_url, unheard) for _ in range(4)))

    assert sorted(outcomes) == [False, False, False, True]


async def test_an_older_schema_is_refused_with_the_remedy(
    empty_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await migrate(empty_url, None, unheard)
    monkeypatch.setattr(
        "entrepot.metadata.sql.migrate.load_migrations", lambda: (*load_migrations(), _SECOND)
    )

    with pytest.raises(SchemaMismatchError, match="run `entrepot migrate`"):
        await open_metadata(empty_url, 1, 5.0)


async def test_a_newer_schema_is_refused_by_everything(empty_url: str) -> None:
    await apply_migrations(empty_url, (*load_migrations(), _SECOND), None, unheard)

    for refusing in (open_metadata(empty_url, 1, 5.0), migrate(empty_url, None, unheard)):
        with pytest.raises(SchemaMismatchError, match="this program is older than the database"):
            await refusing


async def test_a_migration_that_was_edited_afterwards_is_noticed(empty_url: str) -> None:
    await migrate(empty_url, None, unheard)
    await RawDatabase(empty_url).fetch("UPDATE schema_migrations SET checksum = 'other'")

    with pytest.raises(MigrationChangedError):
        await migrate(empty_url, None, unheard)


async def test_a_migration_that_fails_leaves_nothing_of_itself(empty_url: str) -> None:
    known = (*load_migrations(), _SECOND)
    await migrate(empty_url, None, unheard)
    with pytest.raises(Exception, match="nonsense"):
        await apply_migrations(empty_url, (*known, _BROKEN), None, unheard)

    assert await schema_version(empty_url) == (_SECOND.version, _NEWEST)
    with pytest.raises(Exception, match="third"):
        await RawDatabase(empty_url).fetch("SELECT * FROM third")


async def test_f2_a_first_start_that_is_cut_short_leaves_an_empty_database(empty_url: str) -> None:
    """All or nothing: what is half made would be taken for an older version, which only an operator may migrate."""
    with pytest.raises(Exception, match="nonsense"):
        await apply_migrations(empty_url, (*load_migrations(), _SECOND, _BROKEN), None, unheard)

    assert (await schema_version(empty_url))[0] == 0
    assert await initialise_if_empty(empty_url, unheard) is True
    assert await schema_version(empty_url) == (_NEWEST, _NEWEST)


async def test_f19_a_migration_killed_half_way_resumes(empty_url: str) -> None:
    await migrate(empty_url, None, unheard)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        _KILLED_HALF_WAY,
        empty_url,
        cwd=Path(__file__).parents[3],
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    async for line in process.stdout:
        if b"slow" in line:
            break
    await asyncio.sleep(0.3)
    process.send_signal(signal.SIGKILL)
    await process.wait()

    assert (await schema_version(empty_url))[0] == _SECOND.version
    third = Migration(_SECOND.version + 1, "slow", "CREATE TABLE third (id {integer} NOT NULL) {table};")
    report = await apply_migrations(empty_url, (*load_migrations(), _SECOND, third), None, unheard)
    assert report.applied == (f"{third.version:04d}_slow",)


_KILLED_HALF_WAY = """
import asyncio, sys
from tests.drivers.metadata.test_migrations import _SECOND
from entrepot.metadata.sql.migrate import apply_migrations
from entrepot.metadata.sql.schema import Migration, load_migrations

endless = "SELECT count(*) FROM (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n) x"
wait = endless if sys.argv[1].startswith("sqlite") else "SELECT pg_sleep(4)"
slow = Migration(_SECOND.version + 1, "slow", f"CREATE TABLE third (id {{integer}} NOT NULL) {{table}};\\n{wait};")
known = (*load_migrations(), _SECOND, slow)
asyncio.run(apply_migrations(sys.argv[1], known, None, lambda line: print(line, flush=True)))
"""


async def test_a_file_with_data_is_copied_before_it_is_migrated(tmp_path: Path) -> None:
    database = RawDatabase(f"sqlite://{tmp_path}/metadata.db")
    await migrate(database.url, tmp_path / "copies", unheard)
    incarnation = await database.value("SELECT incarnation FROM instance")
    assert not (tmp_path / "copies").exists()

    lines: list[str] = []
    await apply_migrations(database.url, (*load_migrations(), _SECOND), tmp_path / "copies", lines.append)

    (copy,) = (tmp_path / "copies").iterdir()
    assert str(copy) in lines[0]
    assert copy.stat().st_mode & 0o777 == 0o600
    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("SELECT incarnation FROM instance").fetchall() == [(incarnation,)]
        assert connection.execute("SELECT max(version) FROM schema_migrations").fetchall() == [(_NEWEST,)]


async def test_a_missing_directory_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(MetadataUnavailableError, match="No such file"):
        await migrate(f"sqlite://{tmp_path}/none/metadata.db", None, unheard)


@pytest.mark.parametrize(
    "url", ["", "sqlite://relative.db", "sqlite:///", "mysql://u:sesame@h/x", "metadata.db"]
)
def test_another_address_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(InvalidMetadataAddressError) as caught:
        parse_address(url)
    assert "sesame" not in str(caught.value)


def test_a_password_never_shows() -> None:
    assert "sesame" not in repr(PostgresAddress("postgresql://u:sesame@h/x"))


@pytest.mark.parametrize(
    ("kind", "refused"), [("nfs4", True), ("cifs", True), ("ext4", False), ("xfs", False)]
)
def test_a_network_filesystem_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, refused: bool
) -> None:
    mounts = tmp_path / "mountinfo"
    mount_point = str(tmp_path / "with blank").replace(" ", "\\040")
    mounts.write_text(
        f"1 0 8:1 / / rw - btrfs /dev/x rw\n2 1 0:5 / {mount_point} rw shared:1 - {kind} host:/x rw\n"
    )
    monkeypatch.setattr(filesystems, "_MOUNTS", mounts)

    assert filesystems.filesystem_kind(tmp_path / "with blank" / "metadata.db") == kind
    assert filesystems.filesystem_kind(tmp_path / "metadata.db") == "btrfs"
    if refused:
        with pytest.raises(NetworkFilesystemError, match=kind):
            require_local_filesystem(tmp_path / "with blank" / "metadata.db")
    else:
        require_local_filesystem(tmp_path / "with blank" / "metadata.db")


def test_this_machine_tells_what_a_path_lies_on() -> None:
    assert filesystems.filesystem_kind(Path("/proc/self")) == "proc"
