"""Snapshots that were taken while a clock was behind, and those of a clock ahead whose date has come (F27)."""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from entrepot.backup import dates
from entrepot.backup.dates import next_time, stamp_of
from entrepot.backup.format import BegunSnapshot
from entrepot.backup.repository import open_repository
from entrepot.blobstore.filesystem.store import FilesystemBlobStore
from entrepot.blobstore.keys import snapshot_begun_key, snapshot_manifest_key
from entrepot.kernel.clock import machine_milliseconds
from entrepot.metadata.sql import postgres_dump, sqlite_dump
from entrepot.metadata.sql.dump_statements import FACTS
from entrepot.metadata.sql.statements import Statement
from tests.asgi.services import in_process_registry, scratch_settings
from tests.asgi.small_images import LAYER_TYPE, descriptor, image, push_blob, put
from tests.drivers.metadata.raw_database import RawDatabase
from tests.integration.backed_up import contents, filled, on_registry, stored_blobs
from tests.running.backups import BackupCommands, Finished

if TYPE_CHECKING:
    from tests.asgi.services import InProcessRegistry

_HOUR = 3_600_000
_DAY = 24 * _HOUR
_NOW = machine_milliseconds()
_LOST = b"a layer that is lost"


@pytest.fixture
def commands(tmp_path: Path) -> BackupCommands:
    """Commands for a registry that is there."""
    commands = BackupCommands(tmp_path / "data", str(tmp_path / "backup"))
    filled(commands)
    return commands


class _Clocks:
    """The clock of the database when it is dumped, and this host's, each off by so many milliseconds."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch

    def set(self, database: int, host: int) -> None:
        """Let both go wrong by so much."""
        facts = Statement(FACTS.name, FACTS.sql.replace("{now}", f"{{now}} + ({database})"))
        for dump in (sqlite_dump, postgres_dump):
            self._monkeypatch.setattr(dump, "FACTS", facts)
        self._monkeypatch.setattr(dates, "machine_milliseconds", lambda: _NOW + host)


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> _Clocks:
    """Clocks that are right."""
    return _Clocks(monkeypatch)


def _push(commands: BackupCommands, *tags: str) -> None:
    async def push(registry: InProcessRegistry) -> None:
        for tag in tags:
            assert (await put(registry.client, tag, image(annotations={"tag": tag}))).status == 201

    on_registry(commands.data, push)


def _push_and_lose(commands: BackupCommands) -> Path:
    """Push an image whose layer the registry loses before it is backed up; return where that lay."""

    async def push(registry: InProcessRegistry) -> None:
        await push_blob(registry.client, _LOST)
        body = image(layers=[descriptor(_LOST, LAYER_TYPE)])
        assert (await put(registry.client, "lost", body)).status == 201

    on_registry(commands.data, push)
    (path,) = [one for one in stored_blobs(commands.data / "storage") if one.read_bytes() == _LOST]
    path.write_bytes(b"x" * len(_LOST))
    return path


def _create(commands: BackupCommands) -> str:
    created = commands.run("create")
    assert created.code == 0, created
    return str(created.report["id"])


def _restored(commands: BackupCommands, directory: Path) -> tuple[str, dict[str, bytes]]:
    restored = BackupCommands(directory, commands.target).run("restore")
    assert restored.code == 0, restored
    return str(restored.report["snapshot"]), contents(directory)


def _verified(commands: BackupCommands) -> Finished:
    verified = commands.run("verify")
    assert verified.code == 0, verified
    return verified


def _listed(commands: BackupCommands) -> list[str]:
    return [row["id"] for row in commands.run("list").report]


def _undoubted(commands: BackupCommands) -> list[str]:
    """Return the ids that are listed, none of which is doubtful."""
    listed = commands.run("list")
    assert (listed.code, listed.errors) == (0, "")
    return [row["id"] for row in listed.report if not row["doubtful"]]


def _set_back(commands: BackupCommands) -> tuple[str, str]:
    """Let a registry go back to an image of its disks; return the snapshots before that image and after it."""
    older = _create(commands)
    image_of_disks = commands.data.with_name("image")
    shutil.copytree(commands.data, image_of_disks)
    _push(commands, *(f"undone-{number}" for number in range(8)))
    undone = _create(commands)
    shutil.rmtree(commands.data)
    shutil.move(image_of_disks, commands.data)
    return older, undone


def _on_postgres(tmp_path: Path, url: str) -> BackupCommands:
    """Return commands for an empty registry over PostgreSQL."""
    config = tmp_path / "entrepot.toml"
    config.write_text(f'[metadata]\nurl = "{url}"\n')

    async def start() -> None:
        async with in_process_registry(scratch_settings(tmp_path / "data", metadata__url=url)):
            pass

    asyncio.run(start())
    return BackupCommands(tmp_path / "data", str(tmp_path / "backup"), config)


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_a_backup_of_a_database_whose_clock_is_behind_is_the_newest_f27(
    tmp_path: Path, clocks: _Clocks, request: pytest.FixtureRequest, engine: str
) -> None:
    """Its name bears a time right after the last one's, its manifest the time it was taken; whoever asks is told."""
    commands = BackupCommands(tmp_path / "data", str(tmp_path / "backup"))
    if engine == "postgresql":
        commands = _on_postgres(tmp_path, request.getfixturevalue("empty_postgres_url"))
    else:
        filled(commands)
    clocks.set(-_DAY, 0)
    yesterday = commands.run("create")
    clocks.set(-3 * _DAY, 0)
    behind = commands.run("create")

    assert (yesterday.code, behind.code) == (0, 0), behind
    assert yesterday.report["behind_milliseconds"] == 0
    assert "behind" not in yesterday.errors
    assert behind.report["id"].partition("-")[0] == stamp_of(yesterday.report["created_at"] + 1)
    assert behind.report["created_at"] + behind.report["behind_milliseconds"] == (
        yesterday.report["created_at"] + 1
    )
    assert "is behind that of the last backup by 1 day, 23:" in behind.errors
    assert f"the name of this one, {behind.report['id']}, bears" in behind.errors
    assert _listed(commands) == [yesterday.report["id"], behind.report["id"]]
    taken = datetime.fromtimestamp(behind.report["created_at"] // 1000, UTC).isoformat()
    assert commands.run("list").report[1]["created_at"] == taken
    assert taken in commands.run("list", output="text").output
    assert [outcome["snapshot"] for outcome in _verified(commands).report] == [behind.report["id"]]
    pruned = commands.run("prune", "--keep", "1")
    assert (pruned.report["kept"], pruned.report["removed"]) == (
        [behind.report["id"]],
        [yesterday.report["id"]],
    )


def _begun_by_another(tmp_path: Path, snapshot: str) -> None:
    """Leave what a backup of another registry leaves that is under way."""

    async def begin() -> None:
        store = FilesystemBlobStore(tmp_path / "backup")
        repository = await open_repository(store, "")
        document = BegunSnapshot(incarnation="another", taken_at=_NOW)
        await repository.put_document(snapshot_begun_key(snapshot), document)
        await store.aclose()

    asyncio.run(begin())


def test_what_is_not_finished_is_earlier_and_what_is_dated_ahead_is_passed_by_f27(
    commands: BackupCommands, tmp_path: Path
) -> None:
    """The alarm for old backups goes by the clock, whatever the name bears."""
    first = _create(commands)
    soon, ahead = (f"{stamp_of(_NOW + milliseconds)}-00000000" for milliseconds in (_HOUR // 2, _DAY))
    _begun_by_another(tmp_path, soon)
    _begun_by_another(tmp_path, ahead)

    second = commands.run("create")

    assert second.code == 0
    assert second.report["id"].partition("-")[0] == stamp_of(_NOW + _HOUR // 2 + 1)
    assert second.report["previous"] == first
    assert "is behind that of the last backup by 0:" in second.errors
    assert _listed(commands) == [first, soon, second.report["id"], ahead]
    database = RawDatabase(f"sqlite://{commands.data}/metadata/entrepot.db")
    completed = asyncio.run(database.value("SELECT due_at FROM sweeps WHERE name = 'backup'"))
    assert second.report["created_at"] <= completed <= machine_milliseconds()


def test_the_time_a_snapshot_bears_f27() -> None:
    taken_at = 1_795_000_000_500
    ids = [f"{stamp_of(taken_at + more)}-ffffffff" for more in (-_DAY, 0, 41)]

    assert next_time(taken_at, []) == taken_at
    assert next_time(taken_at, ids[:1]) == taken_at
    assert next_time(taken_at, ids[:2]) == taken_at + 1
    assert next_time(taken_at, [*ids, "a copy", "20269999T999999999Z-1"]) == taken_at + 42


@pytest.mark.parametrize("since", ["a push", "no fact"])
@pytest.mark.parametrize("was", ["behind", "ahead"])
def test_what_was_made_before_is_not_the_newest_whatever_it_is_dated_f27(
    commands: BackupCommands, tmp_path: Path, clocks: _Clocks, was: str, since: str
) -> None:
    """One clock was two days behind, until it was put right; the other one a day ahead, and that day is over.

    Rights that were taken since are no facts, and a restore must not give them back.
    """
    if was == "behind":
        clocks.set(-_DAY, 0)
        yesterday = _create(commands)
        clocks.set(-2 * _DAY, -2 * _DAY)
    else:
        clocks.set(0, -_DAY)
        yesterday = _create(commands)
        clocks.set(-_DAY, -_DAY)
    if since == "a push":
        _push(commands, "later")
    told = commands.run("create")
    newest = told.report["id"]
    clocks.set(0, 0)

    assert "1 snapshot is dated ahead of the clock of this host" in told.errors
    assert "If this host's clock is behind, set it" in told.errors
    assert newest < yesterday, "or the case is none"
    planned = commands.run("prune", "--keep", "1", "--dry-run")
    assert planned.report["kept"] == [newest]
    pruned = commands.run("prune", "--keep", "1")
    assert pruned.report == planned.report
    assert (pruned.report["removed"], pruned.report["doubtful"]) == ([], [yesterday])
    listed = commands.run("list")
    assert [(row["id"], row["doubtful"]) for row in listed.report] == [(newest, False), (yesterday, True)]
    assert "complete, doubtful" in commands.run("list", output="text").output
    verified = _verified(commands)
    assert [outcome["snapshot"] for outcome in verified.report] == [newest]
    for finished in (pruned, listed, verified):
        assert f"1 snapshot is dated after a newer one of the same registry: {yesterday}. " in finished.errors
    assert _restored(commands, tmp_path / "restored") == (newest, contents(commands.data))


def test_what_is_doubtful_stays_until_it_is_named_or_older_than_all_f27(
    commands: BackupCommands, clocks: _Clocks
) -> None:
    clocks.set(-_DAY, 0)
    yesterday = _create(commands)
    clocks.set(-2 * _DAY, -2 * _DAY)
    _push(commands, "later")
    behind = _create(commands)
    clocks.set(0, 0)
    today = _create(commands)

    kept = commands.run("prune", "--keep", "2").report
    assert (kept["kept"], kept["removed"], kept["doubtful"]) == ([behind, today], [], [yesterday])
    kept = commands.run("prune", "--keep", "1").report
    assert (kept["kept"], kept["removed"], kept["doubtful"]) == ([today], [behind], [yesterday])
    assert _listed(commands) == [yesterday, today]
    kept = commands.run("prune", "--keep", "1").report
    assert (kept["kept"], kept["removed"], kept["doubtful"]) == ([today], [yesterday], [])


def test_a_doubtful_one_is_removed_by_its_name_and_taken_when_the_other_is_gone_f27(
    commands: BackupCommands, tmp_path: Path, clocks: _Clocks
) -> None:
    clocks.set(-_DAY, 0)
    first, second = _create(commands), _create(commands)
    clocks.set(-2 * _DAY, -2 * _DAY)
    _push(commands, "later")
    behind = _create(commands)
    clocks.set(0, 0)

    removed = commands.run("prune", "--snapshot", first).report
    assert (removed["kept"], removed["doubtful"]) == ([behind], [second])
    removed = commands.run("prune", "--snapshot", behind).report
    assert (removed["kept"], removed["doubtful"]) == ([second], [])
    assert _restored(commands, tmp_path / "restored")[0] == second


def test_a_prune_leaves_what_a_restore_takes_though_doubtful_ones_stay_f27(
    commands: BackupCommands, tmp_path: Path, clocks: _Clocks
) -> None:
    """One that is complete, but holds less, is no substitute for the last complete one."""
    clocks.set(-_DAY, 0)
    yesterday = _create(commands)
    clocks.set(-2 * _DAY, -2 * _DAY)
    _push(commands, "later")
    behind = _create(commands)
    clocks.set(0, 0)
    _push_and_lose(commands)
    incomplete = commands.run("create")
    assert incomplete.code == 1

    pruned = commands.run("prune", "--keep", "1")

    assert (pruned.report["removed"], pruned.report["doubtful"]) == ([], [yesterday])
    assert _listed(commands) == [behind, yesterday, incomplete.report["id"]]
    assert _restored(commands, tmp_path / "restored")[0] == behind


def test_an_incomplete_one_makes_no_older_one_the_newest_f27(
    commands: BackupCommands, tmp_path: Path, clocks: _Clocks
) -> None:
    """A restore takes what holds the most of those that are complete."""
    clocks.set(-3 * _DAY, 0)
    _create(commands)
    _push(commands, "later")
    clocks.set(-_DAY, 0)
    yesterday = _create(commands)
    _push_and_lose(commands)
    clocks.set(-2 * _DAY, -2 * _DAY)
    incomplete = commands.run("create")
    clocks.set(0, 0)

    assert (incomplete.code, incomplete.report["id"] < yesterday) == (1, True)
    assert _restored(commands, tmp_path / "restored")[0] == yesterday
    assert commands.run("list").code == 1, "the newest one is incomplete"


def test_a_registry_that_was_set_back_is_backed_up_as_it_is_now(
    commands: BackupCommands, tmp_path: Path
) -> None:
    """The whole machine went back to an image of its disks: its next backup holds less than the last, and is newer."""
    older, undone = _set_back(commands)
    path = _push_and_lose(commands)
    incomplete = commands.run("create")
    path.write_bytes(_LOST)
    now = [incomplete.report["id"], _create(commands)]

    assert incomplete.code == 1
    assert _undoubted(commands) == [older, undone, *now]
    assert _restored(commands, tmp_path / "restored") == (now[1], contents(commands.data))
    assert commands.run("prune", "--keep", "2").report["kept"] == now


def test_a_prune_by_name_makes_no_other_snapshot_doubtful_f27(
    commands: BackupCommands, tmp_path: Path
) -> None:
    """What was made after the registry was set back stays the newest, though the first of it is removed."""
    older, undone = _set_back(commands)
    now: list[str] = []
    for tag in ("first", "second", "third"):
        _push(commands, tag)
        now.append(_create(commands))

    removed = commands.run("prune", "--snapshot", now[0]).report

    assert (removed["kept"], removed["doubtful"]) == ([older, undone, *now[1:]], [])
    assert _undoubted(commands) == [older, undone, *now[1:]]
    assert commands.run("prune", "--keep", "2", "--dry-run").report["kept"] == now[1:]
    assert _restored(commands, tmp_path / "restored") == (now[2], contents(commands.data))


def test_a_prune_that_spares_the_last_complete_one_makes_no_other_snapshot_doubtful_f27(
    commands: BackupCommands, tmp_path: Path
) -> None:
    """The one that it spares is of before the registry was set back, and the incomplete ones between them go."""
    older, undone = _set_back(commands)
    path = _push_and_lose(commands)
    incomplete = [str(commands.run("create").report["id"]) for _ in range(3)]

    pruned = commands.run("prune", "--keep", "1").report

    assert (pruned["kept"], pruned["removed"]) == ([undone, incomplete[2]], [older, *incomplete[:2]])
    path.write_bytes(_LOST)
    newest = _create(commands)
    assert _undoubted(commands) == [undone, incomplete[2], newest]
    assert _restored(commands, tmp_path / "restored") == (newest, contents(commands.data))
    assert commands.run("prune", "--keep", "1").report["kept"] == [newest]


def test_a_machine_whose_clock_is_set_back_with_its_disks_is_backed_up_as_it_is_now_f27(
    commands: BackupCommands, tmp_path: Path, clocks: _Clocks
) -> None:
    """It went on from what its memory held as well; what holds more was there before, so it is not the newest."""
    clocks.set(-_DAY, 0)
    older, undone = _set_back(commands)
    clocks.set(-_DAY - 2 * _HOUR, -_DAY - 2 * _HOUR)
    now = _create(commands)
    clocks.set(0, 0)

    assert now < older < undone, "or the case is none"
    listed = commands.run("list").report
    assert [(row["id"], row["doubtful"]) for row in listed] == [(now, False), (older, True), (undone, True)]
    assert _restored(commands, tmp_path / "restored") == (now, contents(commands.data))


def test_the_first_backup_of_a_registry_that_was_set_back_tells_which_snapshots_hold_more(
    commands: BackupCommands, tmp_path: Path
) -> None:
    """Of its own, whoever else has backed up to the target since; what follows has nothing to add."""
    other = BackupCommands(tmp_path / "other", commands.target)
    filled(other)
    _, undone = _set_back(commands)
    elsewhere = other.run("create")
    first, second = (commands.run("create", "--label", label) for label in ("first", "second"))

    assert "set back" not in elsewhere.errors
    assert first.errors.count("set back") == 1
    assert (
        f"1 earlier snapshot holds more of this registry, which was set back since then: {undone}. "
        in first.errors
    )
    assert "set back" not in second.errors


def test_snapshots_that_hold_more_are_told_though_one_that_was_dated_ahead_lies_behind_them_f27(
    commands: BackupCommands, clocks: _Clocks
) -> None:
    """By its id it comes between, with fewer facts than either; that its time is over changes nothing."""
    clocks.set(_DAY, _DAY)
    ahead = _create(commands)
    clocks.set(0, 0)
    _, undone = _set_back(commands)
    clocks.set(2 * _DAY, 2 * _DAY)
    now = commands.run("create")

    assert undone < ahead < now.report["id"], "or the case is none"
    assert (
        f"1 earlier snapshot holds more of this registry, which was set back since then: {undone}. "
        in now.errors
    )


def test_a_manifest_that_names_no_overtaken_ones_is_read(commands: BackupCommands) -> None:
    """That of a former program, which did not write the field, doubts none."""
    ids = [_create(commands), _create(commands)]
    path = Path(commands.target) / snapshot_manifest_key(ids[0])
    document = json.loads(path.read_bytes().splitlines()[0])
    assert document.pop("overtaken") == []
    body = json.dumps(document).encode()
    path.write_bytes(body + b"\n" + hashlib.sha256(body).hexdigest().encode() + b"\n")

    assert _undoubted(commands) == ids
    assert commands.run("verify", "--all").code == 0


def test_registries_that_share_a_target_are_not_compared_f27(
    commands: BackupCommands, tmp_path: Path, clocks: _Clocks
) -> None:
    other = BackupCommands(tmp_path / "other", commands.target)
    on_registry(other.data, lambda registry: push_blob(registry.client, b"a layer"))
    later = _create(other)
    clocks.set(-_DAY, -_DAY)
    earlier = _create(commands)
    clocks.set(0, 0)

    listed = commands.run("list")

    assert [(row["id"], row["doubtful"]) for row in listed.report] == [(earlier, False), (later, False)]
    assert [outcome["snapshot"] for outcome in _verified(commands).report] == [later]
