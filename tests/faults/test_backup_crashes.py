"""A backup, a restore or a prune is killed at every step, and the same command goes on as if nothing had happened."""

from __future__ import annotations

import asyncio
import shutil
import signal
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest

from entrepot.metadata.errors import MetadataError
from entrepot.metadata.sql.dumping import is_reserved
from entrepot.metadata.sql.opening import open_metadata
from tests.asgi.services import in_process_registry, scratch_settings
from tests.asgi.small_images import LAYER_TYPE, descriptor, image, push_blob, push_blobs, put
from tests.drivers.metadata.raw_database import RawDatabase
from tests.faults.command_server import CommandServer
from tests.running.backups import BackupCommands, everything_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from entrepot.settings import Settings

_OWN = ("snapshot.", "restore.", "prune.")
"""Failpoints of these commands; those of the drivers are tried by pushes at each merge, and here in long runs."""


@dataclass(frozen=True, slots=True)
class Scene:
    """A registry, its contents, and who runs commands."""

    server: CommandServer
    data: Path
    contents: dict[str, bytes]
    scratch: Path

    def copy(self, name: str) -> Path:
        """Return a copy of the registry's directory."""
        target = self.scratch / name
        shutil.copytree(self.data, target)
        return target


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """One registry and one server for all crashes of this module."""
    directory = tmp_path_factory.mktemp("backup-crashes")
    server = CommandServer(directory)
    data = directory / "data"
    contents = asyncio.run(_fill(data))
    yield Scene(server, data, contents, directory)
    server.close()


async def _fill(data: Path) -> dict[str, bytes]:
    async with in_process_registry(scratch_settings(data)) as registry:
        await push_blobs(registry.client)
        await push_blob(registry.client, b"large" * 300_000)
        body = image(layers=[descriptor(b"large" * 300_000, LAYER_TYPE)])
        assert (await put(registry.client, "one", image())).status == 201
        assert (await put(registry.client, "two", body)).status == 201
        return await everything_of(registry.client)


async def _contents(data: Path) -> dict[str, bytes]:
    async with in_process_registry(scratch_settings(data)) as registry:
        return await everything_of(registry.client)


def _crashes(passes: dict[str, int], *, every: bool) -> list[str]:
    """Return what to die at: each own failpoint at its first and last pass, or every pass of each and the drivers'."""
    chosen: list[str] = []
    for name, count in passes.items():
        if name.startswith(_OWN):
            numbers = range(1, count + 1) if every else sorted({1, count} if count else ())
        else:
            numbers = range(1, min(count, 3 if every else 0) + 1)
        chosen += [f"{name}:{number}" for number in numbers]
    return chosen


_HOW_MANY = pytest.mark.parametrize("every", [False, pytest.param(True, marks=pytest.mark.long)])


@_HOW_MANY
def test_a_backup_killed_anywhere_is_made_by_the_next(scene: Scene, every: bool) -> None:
    """Unfinished snapshots are never listed as finished, are cleared away, and blobs are not copied twice."""
    target = scene.scratch / f"undisturbed-{every}"
    words = ("backup", "create", "--data", str(scene.data), "--to")
    undisturbed = scene.server.run(*words, str(target))
    assert undisturbed.exit_code == 0
    crashes = _crashes(undisturbed.passes, every=every)
    assert {name.partition(":")[0] for name in crashes} >= {
        "snapshot.begun",
        "snapshot.rows.read",
        "snapshot.blob.stored",
        "snapshot.finished",
    }
    for number, crash in enumerate(crashes):
        data, to = scene.copy(f"data-{number}"), scene.scratch / f"killed-{number}"
        commands = BackupCommands(data, str(to))
        killed = scene.server.run("backup", "create", "--data", str(data), "--to", str(to), failpoints=crash)
        assert killed.signal == signal.SIGKILL, crash
        # The dead one's hold on the store ends by itself, after minutes; nobody waits for that here.
        asyncio.run(_forget_hold(data))

        made = commands.run("create")

        assert made.code == 0, (crash, made)
        listed = [row["state"] for row in commands.run("list").report]
        assert set(listed) == {"complete"}, (crash, listed)
        assert commands.run("verify", "--all").code == 0, crash
        files = [path for path in (to / "blobs").rglob("*") if path.is_file()]
        assert len(files) == made.report["blobs"], (crash, files)
        assert not list((data / "metadata").glob("*backup-copy*")), crash
        shutil.rmtree(data)
        shutil.rmtree(to)


async def _forget_hold(data: Path) -> None:
    await RawDatabase(f"sqlite://{data}/metadata/entrepot.db").fetch("UPDATE sweeps SET lease_until = NULL")


@_HOW_MANY
def test_a_restore_killed_anywhere_is_finished_by_the_next(scene: Scene, every: bool) -> None:
    """Until it is finished no registry starts on it; the same command ends it, and all is there."""
    target = str(scene.scratch / f"source-{every}")
    commands = BackupCommands(scene.data, target)
    assert commands.run("create").code == 0
    undisturbed = scene.server.run(
        "backup", "restore", "--data", str(scene.scratch / f"first-{every}"), "--from", target
    )
    assert undisturbed.exit_code == 0
    crashes = _crashes(undisturbed.passes, every=every)
    assert {name.partition(":")[0] for name in crashes} >= {
        "restore.reserved",
        "restore.blob.stored",
        "restore.rows.loaded",
        "restore.committed",
    }
    for number, crash in enumerate(crashes):
        data = scene.scratch / f"restored-{number}"
        words = ("backup", "restore", "--data", str(data), "--from", target)
        assert scene.server.run(*words, failpoints=crash).signal == signal.SIGKILL, crash
        if not crash.startswith("restore.committed"):
            with pytest.raises(MetadataError):
                asyncio.run(_open(data))
            again = replace(commands, data=data).run("restore")
            assert again.code == 0, (crash, again)
        assert asyncio.run(_restores_on_record(f"sqlite://{data}/metadata/entrepot.db")) == 1, crash
        assert asyncio.run(_contents(data)) == scene.contents, crash
        shutil.rmtree(data)


async def _restores_on_record(url: str) -> int:
    found: int = await RawDatabase(url).value(
        "SELECT count(*) FROM audit_records WHERE action = 'backup.restore'"
    )
    return found


def test_a_restore_into_postgresql_is_killed_and_finished(scene: Scene, empty_postgres_url: str) -> None:
    """The mark holds there as well: nobody serves what is half restored, and the rows come all at once."""
    target, data = str(scene.scratch / "for-postgresql"), scene.scratch / "cluster"
    assert BackupCommands(scene.data, target).run("create").code == 0
    config = scene.scratch / "cluster.toml"
    config.write_text(f'[metadata]\nurl = "{empty_postgres_url}"\n')
    commands = BackupCommands(data, target, config)
    words = ("backup", "restore", "--data", str(data), "--from", target, "--config", str(config))
    for crash in ("restore.reserved", "restore.blob.stored:2", "restore.rows.loaded"):
        assert scene.server.run(*words, failpoints=crash).signal == signal.SIGKILL, crash
        assert asyncio.run(is_reserved(empty_postgres_url)), crash

    again = commands.run("restore")

    assert again.code == 0, again
    assert "going on" in again.errors
    assert asyncio.run(_restores_on_record(empty_postgres_url)) == 1
    settings = scratch_settings(data, metadata__url=empty_postgres_url)
    assert asyncio.run(_contents_of(settings)) == scene.contents


def test_a_restore_into_postgresql_that_is_killed_when_all_is_there_is_on_record_i11(
    scene: Scene, empty_postgres_url: str
) -> None:
    """Behind all records that were restored; and the log goes on from there."""
    target, data = str(scene.scratch / "for-postgresql-log"), scene.scratch / "cluster-log"
    assert BackupCommands(scene.data, target).run("create").code == 0
    config = scene.scratch / "cluster-log.toml"
    config.write_text(f'[metadata]\nurl = "{empty_postgres_url}"\n')
    words = ("backup", "restore", "--data", str(data), "--from", target, "--config", str(config))

    assert scene.server.run(*words, failpoints="restore.committed").signal == signal.SIGKILL

    assert not asyncio.run(is_reserved(empty_postgres_url))
    database = RawDatabase(empty_postgres_url)
    told = asyncio.run(database.fetch("SELECT action FROM audit_records ORDER BY id"))
    assert len(told) > 2
    assert [action for (action,) in told].index("backup.restore") == len(told) - 1
    settings = scratch_settings(data, metadata__url=empty_postgres_url)
    assert asyncio.run(_contents_of(settings)) == scene.contents


async def _contents_of(settings: Settings) -> dict[str, bytes]:
    async with in_process_registry(settings) as registry:
        return await everything_of(registry.client)


async def _open(data: Path) -> None:
    store = await open_metadata(f"sqlite://{data}/metadata/entrepot.db", 1, 5.0)
    await store.aclose()


def test_a_prune_killed_anywhere_is_finished_by_the_next(scene: Scene) -> None:
    """No snapshot that is listed lacks anything, and the next prune ends it."""
    source = scene.scratch / "to-prune"
    commands = BackupCommands(scene.data, str(source))
    for _ in range(3):
        assert commands.run("create").code == 0
    for crash in ("prune.begun:1", "prune.snapshot.removed:1", "prune.snapshot.removed:2"):
        to = scene.scratch / crash.replace(":", "-")
        shutil.copytree(source, to)
        words = ("backup", "prune", "--data", str(scene.data), "--from", str(to), "--keep", "1")
        assert scene.server.run(*words, failpoints=crash).signal == signal.SIGKILL
        pruned = replace(commands, target=str(to))
        assert pruned.run("verify", "--all", "--fast").code == 0, crash

        assert pruned.run("prune", "--keep", "1").code == 0

        assert len(pruned.run("list").report) == 1
        assert pruned.run("create").code == 0
