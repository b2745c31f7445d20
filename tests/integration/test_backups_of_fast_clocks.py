"""Snapshots that a clock dated ahead, which was put back since, take no place and bring nothing by themselves (F27)."""

from __future__ import annotations

import asyncio
import json
import secrets
from typing import TYPE_CHECKING

import pytest

from entrepot.backup import creation, dates
from entrepot.backup.dates import part_by_date, stamp_of
from entrepot.backup.healing import BackupBlobRecovery
from entrepot.backup.repository import open_repository
from entrepot.blobstore.filesystem.store import FilesystemBlobStore
from entrepot.oci.digest import Digest
from tests.asgi.small_images import LAYER_TYPE, descriptor, image, push_blob, put
from tests.drivers.metadata.raw_database import RawDatabase
from tests.integration.backed_up import contents, filled, on_registry, stored_blobs
from tests.running.backups import BackupCommands, Finished

if TYPE_CHECKING:
    from pathlib import Path

    from tests.asgi.services import InProcessRegistry

_HOUR = 3_600_000
_YEARS = 13 * 365 * 24 * _HOUR
_TODAY = b"a layer of today"


@pytest.fixture
def commands(tmp_path: Path) -> BackupCommands:
    """Commands for a registry that is there."""
    commands = BackupCommands(tmp_path / "data", str(tmp_path / "backup"))
    filled(commands)
    return commands


def _create(commands: BackupCommands, ahead: int = 0) -> str:
    """Take a snapshot under a clock of the database that is ahead, and return its id."""

    def dated_ahead(taken_at: int) -> str:
        return f"{stamp_of(taken_at + ahead)}-{secrets.token_hex(4)}"

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(creation, "_new_id", dated_ahead)
        created = commands.run("create")
    assert created.code == 0, created
    assert ("Prunes and restores leave it out" in created.errors) is (ahead > _HOUR)
    return str(created.report["id"])


def _set_clock(monkeypatch: pytest.MonkeyPatch, milliseconds: int) -> None:
    monkeypatch.setattr(dates, "machine_milliseconds", lambda: milliseconds)


def _push_today(commands: BackupCommands) -> None:
    async def push(registry: InProcessRegistry) -> None:
        await push_blob(registry.client, _TODAY)
        assert (
            await put(registry.client, "today", image(layers=[descriptor(_TODAY, LAYER_TYPE)]))
        ).status == 201

    on_registry(commands.data, push)


def _listed(commands: BackupCommands) -> list[str]:
    return [row["id"] for row in commands.run("list").report]


def _restored_into(commands: BackupCommands, directory: Path, *arguments: str) -> Finished:
    return BackupCommands(directory, commands.target).run("restore", *arguments)


@pytest.mark.parametrize(
    ("milliseconds", "is_ahead"), [(-_YEARS, False), (_HOUR - 1000, False), (_HOUR, True)]
)
def test_a_snapshot_is_dated_ahead_when_it_is_later_than_now_and_an_hour_f27(
    milliseconds: int, is_ahead: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1_795_000_000_000
    _set_clock(monkeypatch, now)
    snapshot = f"{stamp_of(now + milliseconds + 1)}-00000000"

    dated = part_by_date([snapshot])

    assert (dated.past, dated.ahead) == (((), (snapshot,)) if is_ahead else ((snapshot,), ()))


def test_new_snapshots_stay_and_older_ones_go_beside_some_that_are_dated_ahead_f27(
    commands: BackupCommands, tmp_path: Path
) -> None:
    """As many of the newest as asked for; what the others need stays as well, and can be restored by name."""
    ahead = [_create(commands, _YEARS), _create(commands, 2 * _HOUR)]
    ahead.reverse()
    before = contents(commands.data)
    older = _create(commands)
    _push_today(commands)
    newest = [_create(commands), _create(commands, _HOUR // 2)]

    planned = commands.run("prune", "--keep", "2", "--dry-run")
    assert _listed(commands) == [older, *newest, *ahead]
    pruned = commands.run("prune", "--keep", "2")

    assert (planned.code, pruned.code) == (0, 0)
    assert planned.report == pruned.report
    assert (pruned.report["kept"], pruned.report["removed"], pruned.report["ahead"]) == (
        newest,
        [older],
        ahead,
    )
    assert _listed(commands) == [*newest, *ahead]
    for told in (planned, pruned):
        assert "2 snapshots are dated ahead of the clock of this host" in told.errors
        assert (
            f"{ahead[0]}, {ahead[1]}. Not counted, and kept; `entrepot backup prune --snapshot ID`"
            in told.errors
        )
    assert commands.run("verify", "--all").code == 0
    assert _restored_into(commands, tmp_path / "ahead", "--snapshot", ahead[0]).code == 0
    assert contents(tmp_path / "ahead") == before


def test_what_only_a_snapshot_that_is_dated_ahead_needs_stays_f27(commands: BackupCommands) -> None:
    _push_today(commands)
    ahead = _create(commands, _YEARS)
    database = RawDatabase(f"sqlite://{commands.data}/metadata/entrepot.db")
    digest = Digest.of_bytes(_TODAY)

    async def delete(registry: InProcessRegistry) -> None:
        body = image(layers=[descriptor(_TODAY, LAYER_TYPE)])
        for path in (f"manifests/{Digest.of_bytes(body)}", f"blobs/{digest}"):
            assert (await registry.client.request("DELETE", f"/v2/team/app/{path}")).status == 202

    on_registry(commands.data, delete)
    asyncio.run(database.fetch(f"DELETE FROM manifest_references WHERE digest = '{digest}'"))
    asyncio.run(database.fetch(f"DELETE FROM blobs WHERE digest = '{digest}'"))
    newest = _create(commands)

    pruned = commands.run("prune", "--keep", "1")
    assert (pruned.report["blobs"], _listed(commands)) == (0, [newest, ahead])
    assert commands.run("verify", "--all").code == 0

    removed = commands.run("prune", "--snapshot", ahead)
    assert (removed.report["removed"], removed.report["blobs"]) == ([ahead], 1)
    assert commands.run("verify", "--all").code == 0


@pytest.mark.parametrize("command", ["restore", "verify", "list"])
def test_the_newest_that_is_not_dated_ahead_is_taken_and_the_others_are_named_f27(
    commands: BackupCommands, tmp_path: Path, command: str
) -> None:
    ahead = _create(commands, _YEARS)
    _push_today(commands)
    newest = _create(commands)

    if command == "restore":
        finished = _restored_into(commands, tmp_path / "restored")
        assert finished.report["snapshot"] == newest
        assert contents(tmp_path / "restored") == contents(commands.data)
    else:
        finished = commands.run(command)
    if command == "verify":
        assert [outcome["snapshot"] for outcome in finished.report] == [newest]
    if command == "list":
        assert [(row["id"], row["dated_ahead"]) for row in finished.report] == [
            (newest, False),
            (ahead, True),
        ]
        assert "complete, ahead" in commands.run("list", output="text").output

    assert finished.code == 0
    assert "1 snapshot is dated ahead of the clock of this host" in finished.errors
    assert ahead in finished.errors


def test_a_newer_backup_names_the_one_before_it_not_one_that_is_dated_ahead_f27(
    commands: BackupCommands,
) -> None:
    _create(commands, _YEARS)
    first = commands.run("create")
    second = commands.run("create")

    assert (first.report["previous"], second.report["previous"]) == (None, first.report["id"])


def test_a_list_tells_the_state_of_the_newest_that_is_not_dated_ahead_f27(
    commands: BackupCommands,
) -> None:
    """What watches over backups must not believe one that is dated ahead for years."""
    _create(commands, _YEARS)
    assert commands.run("list").code == 1, "there is none but that one"
    assert _create(commands)
    assert commands.run("list").code == 0
    _push_today(commands)
    (lost,) = [
        path
        for path in stored_blobs(commands.data / "storage")
        if path.stat().st_size == len(_TODAY) and path.read_bytes() == _TODAY
    ]
    lost.write_bytes(b"x" * len(_TODAY))
    assert commands.run("create").code == 1

    listed = commands.run("list")

    assert listed.code == 1
    assert [row["state"] for row in listed.report] == ["complete", "incomplete", "complete"]
    verified = commands.run("verify")
    assert [outcome["snapshot"] for outcome in verified.report] == [listed.report[0]["id"]]


def test_where_all_are_dated_ahead_nothing_is_removed_and_a_name_is_asked_for_f27(
    commands: BackupCommands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock of the host stands at 1970, most likely."""
    ids = [_create(commands), _create(commands)]
    before = contents(commands.data)
    _set_clock(monkeypatch, 300_000)

    refused = [
        commands.run("prune", "--keep", "1"),
        commands.run("prune", "--keep", "1", "--dry-run"),
        commands.run("verify"),
        _restored_into(commands, tmp_path / "restored"),
    ]

    for finished in refused:
        assert finished.code == 1
        assert (
            "2 snapshots are dated ahead of the clock of this host (1970-01-01T00:05:00Z)" in finished.errors
        )
        assert "Is this host's clock right?" in finished.errors
        assert "--snapshot ID" in finished.errors
    assert _listed(commands) == ids
    assert not (tmp_path / "restored" / "metadata").exists()
    assert not (tmp_path / "backup" / "backup" / "pruning").exists()
    assert commands.run("list").code == 1
    assert commands.run("verify", "--snapshot", ids[0]).code == 0
    assert commands.run("verify", "--all").code == 0
    assert _restored_into(commands, tmp_path / "restored", "--snapshot", ids[1]).code == 0
    assert contents(tmp_path / "restored") == before


def test_manifests_are_healed_from_a_backup_whatever_its_date_f27(
    commands: BackupCommands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is brought back is hashed, so an old one does no harm; but the newest is asked first."""
    _create(commands, _YEARS)
    _push_today(commands)
    _create(commands)
    today = Digest.of_bytes(image(layers=[descriptor(_TODAY, LAYER_TYPE)]))
    plain = Digest.of_bytes(image())

    async def found() -> tuple[bool, bool]:
        store = FilesystemBlobStore(tmp_path / "backup")
        recovery = await BackupBlobRecovery.over(await open_repository(store, ""))
        bodies = [await recovery.read_manifest(digest) for digest in (today, plain)]
        await store.aclose()
        return bodies[0] is not None, bodies[1] == image()

    assert asyncio.run(found()) == (True, True)
    _set_clock(monkeypatch, 300_000)
    assert asyncio.run(found()) == (False, True)


def test_a_snapshot_is_removed_by_its_name_and_that_is_on_record_i11(commands: BackupCommands) -> None:
    first, ahead, newest = _create(commands), _create(commands, _YEARS), _create(commands)
    database = RawDatabase(f"sqlite://{commands.data}/metadata/entrepot.db")
    told = "SELECT object_name, body FROM audit_records WHERE action = 'backup.prune' ORDER BY id"

    planned = commands.run("prune", "--snapshot", ahead, "--dry-run")
    assert _listed(commands) == [first, newest, ahead]
    assert asyncio.run(database.fetch(told)) == []
    pruned = commands.run("prune", "--snapshot", ahead)

    assert (planned.code, pruned.code) == (0, 0)
    assert planned.report == pruned.report
    assert (pruned.report["removed"], pruned.report["kept"]) == ([ahead], [first, newest])
    assert pruned.errors.count("dated ahead") == 0
    assert _listed(commands) == [first, newest]
    assert commands.run("verify", "--all").code == 0
    ((name, body),) = asyncio.run(database.fetch(told))
    assert name == ahead
    assert json.loads(body)["change"]["after"] == {"snapshots": ahead, "discard_unfinished": False}


def test_a_snapshot_that_is_dated_ahead_is_none_to_be_left_with_f27(commands: BackupCommands) -> None:
    """A restore would take none of them by itself."""
    first, ahead = _create(commands), [_create(commands, _YEARS + days * 24 * _HOUR) for days in range(2)]

    refused = commands.run("prune", "--snapshot", first)

    assert (refused.code, f"snapshot {first} is the last complete one" in refused.errors) == (1, True)
    assert _listed(commands) == [first, *ahead]
    assert commands.run("prune", "--snapshot", ahead[0]).report["removed"] == [ahead[0]]


def test_names_that_leave_nothing_or_are_nobodys_remove_nothing(commands: BackupCommands) -> None:
    first, second = _create(commands), _create(commands)

    unknown = commands.run("prune", "--snapshot", first, "--snapshot", "20260101T000000000Z-00000000")
    everything = commands.run("prune", "--snapshot", first, "--snapshot", second, "--snapshot", first)

    assert (unknown.code, everything.code) == (1, 1)
    assert "no finished snapshot 20260101T000000000Z-00000000" in unknown.errors
    assert "no finished snapshot would be left" in everything.errors
    for wrong in ((), ("--keep", "1", "--snapshot", first), ("--keep", "0")):
        assert commands.run("prune", *wrong).code == 2
    assert _listed(commands) == [first, second]
    assert commands.run("create").code == 0, "no mark of a prune is left"
    assert commands.run("prune", "--snapshot", first, "--snapshot", first).report["removed"] == [first]
