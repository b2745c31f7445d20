"""Backups of an embedded registry, from the command line: taken, listed, verified, pruned and restored."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import sqlite3
from functools import partial
from pathlib import Path
from typing import Literal

import pytest

from entrepot.auth.host import host_operator
from entrepot.auth.keys.signing_keys import SigningKeys
from entrepot.backup import creation, passphrase
from entrepot.backup.creation import BackupCreation, CreationOptions
from entrepot.backup.repository import create_or_open_repository
from entrepot.blobstore.filesystem.store import FilesystemBlobStore
from entrepot.blobstore.keys import BACKUP_PRUNING
from entrepot.bootstrap.keys import open_sealing
from entrepot.metadata.sql.dumping import open_dump
from entrepot.metadata.sql.opening import open_metadata
from entrepot.oci.digest import Digest
from entrepot.settings import metadata_url
from tests.asgi.services import InProcessRegistry, in_process_registry, scratch_settings
from tests.asgi.small_images import LAYER_TYPE, descriptor, image, index, push_blob, put
from tests.drivers.metadata.raw_database import RawDatabase
from tests.integration.backed_up import (
    CANARY,
    LARGE,
    contents,
    filled,
    on_registry,
    stored_blobs,
    with_passphrase,
)
from tests.integration.scrubbing import find_damage
from tests.running.backups import BackupCommands


@pytest.fixture(autouse=True)
def _quick_passphrases(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passphrase, "SCRYPT_COST", 1 << 10)


@pytest.fixture
def commands(tmp_path: Path) -> BackupCommands:
    """Commands for a registry that is there."""
    return BackupCommands(tmp_path / "data", str(tmp_path / "backup"))


@pytest.mark.parametrize("sealed", [False, True])
def test_a_registry_comes_back_byte_for_byte(
    commands: BackupCommands,
    tmp_path: Path,
    sealed: bool,
) -> None:
    """Into an empty data directory; it is another database over another store, and can be pushed to at once."""
    before = filled(commands)
    if sealed:
        commands = with_passphrase(commands, tmp_path)
    created = commands.run("create", "--label", "nightly")
    elsewhere = BackupCommands(tmp_path / "elsewhere", commands.target, more=commands.more)

    restored = elsewhere.run("restore")

    assert (created.code, restored.code) == (0, 0), (created, restored)
    assert contents(elsewhere.data) == before
    told = "SELECT object_name, subject, body FROM audit_records WHERE action = 'backup.restore'"
    ((snapshot, subject, body),) = asyncio.run(
        RawDatabase(f"sqlite://{elsewhere.data}/metadata/entrepot.db").fetch(told)
    )
    assert (snapshot, subject) == (created.report["id"], host_operator().subject)
    assert json.loads(body)["change"]["after"]["blobs"] == 3
    assert created.report["label"] == "nightly"
    assert created.report["new_blobs"] == created.report["blobs"] == 3
    databases = [RawDatabase(f"sqlite://{one.data}/metadata/entrepot.db") for one in (commands, elsewhere)]
    first, second = (asyncio.run(one.value("SELECT incarnation FROM instance")) for one in databases)
    assert first != second
    unjournalled = "SELECT count(*) FROM outbox WHERE journalled_at IS NOT NULL"
    assert asyncio.run(databases[1].value(unjournalled)) == 0
    keys = "SELECT count(*) FROM outbox o JOIN blobs b ON instr(CAST(o.payload AS TEXT), b.storage_key)"
    assert asyncio.run(databases[1].value(keys)) >= 3

    async def push_more(registry: InProcessRegistry) -> None:
        await push_blob(registry.client, b"more")
        assert (await put(registry.client, "plain", image())).status == 201

    on_registry(elsewhere.data, push_more)
    assert on_registry(elsewhere.data, lambda registry: find_damage(registry.stores)) == []


def test_a_second_backup_copies_only_what_is_new(commands: BackupCommands, tmp_path: Path) -> None:
    """Blobs are shared by all snapshots, and each snapshot can be restored by itself."""
    before = filled(commands)
    commands.run("create")
    files = set(stored_blobs(tmp_path / "backup"))

    async def push_more(registry: InProcessRegistry) -> None:
        await push_blob(registry.client, b"a new layer")
        body = image(layers=[descriptor(b"a new layer", LAYER_TYPE)])
        assert (await put(registry.client, "newer", body)).status == 201

    on_registry(commands.data, push_more)
    second = commands.run("create")
    listed = commands.run("list").report

    assert second.report["new_blobs"] == 1
    assert second.report["new_blob_bytes"] == len(b"a new layer")
    assert second.report["previous"] == listed[0]["id"]
    assert len(set(stored_blobs(tmp_path / "backup")) - files) == 1
    assert [row["state"] for row in listed] == ["complete", "complete"]
    first = BackupCommands(tmp_path / "first", commands.target)
    assert first.run("restore", "--snapshot", listed[0]["id"]).code == 0
    assert contents(first.data) == before


def test_an_encrypted_backup_holds_no_plain_text(commands: BackupCommands, tmp_path: Path) -> None:
    """Neither contents nor digests nor names of repositories; and without the passphrase nothing is told."""
    filled(commands)
    sealed = with_passphrase(commands, tmp_path)
    assert sealed.run("create").code == 0
    everything = b"".join(
        str(path).encode() + path.read_bytes() for path in (tmp_path / "backup").rglob("*") if path.is_file()
    )

    digest = Digest.of_bytes(LARGE).hex
    for secret in (CANARY, b"team/app", b"team", digest.encode(), bytes.fromhex(digest)):
        assert secret not in everything.replace(str(tmp_path).encode(), b"")
    for wrong in (commands, with_passphrase(commands, tmp_path, "wrong")):
        for command in ("list", "verify", "create"):
            refused = wrong.run(command)
            assert refused.code == 1
            assert "passphrase" in refused.errors or "encrypted" in refused.errors
    assert sealed.run("verify").code == 0
    assert len(sealed.run("list").report) == 1


def test_a_passphrase_is_refused_where_nothing_is_encrypted(commands: BackupCommands, tmp_path: Path) -> None:
    """Whoever gives one believes that the backup is sealed."""
    filled(commands)
    commands.run("create")

    refused = with_passphrase(commands, tmp_path).run("create")

    assert refused.code == 1
    assert "not encrypted" in refused.errors


@pytest.mark.parametrize("sealed", [False, True])
def test_the_master_key_is_in_no_backup_and_a_restore_says_which_is_missing_s27(
    commands: BackupCommands, tmp_path: Path, sealed: bool
) -> None:
    """Not in a sealed one either: who has the passphrase must not sign tokens. With the key in place all is well."""
    filled(commands)
    key = _make_keys(commands.data)
    if sealed:
        commands = with_passphrase(commands, tmp_path)
    assert commands.run("create").code == 0
    stored = b"".join(path.read_bytes() for path in Path(commands.target).rglob("*") if path.is_file())
    restored = BackupCommands(tmp_path / "restored", commands.target, more=commands.more)
    with_key = BackupCommands(tmp_path / "with-key", commands.target, more=commands.more)
    shutil.copytree(commands.data / "secrets", with_key.data / "secrets")

    said = restored.run("restore", output="text")
    complete = with_key.run("restore")

    assert (said.code, complete.code) == (0, 0)
    assert key in said.output
    assert "entrepot keys renew" in said.output
    assert complete.report["missing_master_keys"] == []
    assert (commands.data / "secrets" / "master.key").read_bytes().strip() not in stored
    assert not (restored.data / "secrets").exists()


def _make_keys(data: Path) -> str:
    """Do what the first start with accounts does, and return the id of the master key."""

    async def make() -> str:
        settings = scratch_settings(data)
        metadata = await open_metadata(metadata_url(settings), 1, 5.0)
        sealing = await open_sealing(settings, metadata)
        await SigningKeys(metadata, sealing, "token").ensure()
        await metadata.aclose()
        return sealing.key_id

    return asyncio.run(make())


@pytest.mark.parametrize("sealed", [False, True])
def test_damage_to_a_backup_is_found_and_told(
    commands: BackupCommands,
    tmp_path: Path,
    sealed: bool,
) -> None:
    """A flipped bit by reading, a missing or shortened file also by the fast look; restoring says what is without."""
    filled(commands)
    if sealed:
        commands = with_passphrase(commands, tmp_path)
    commands.run("create")
    assert commands.run("verify").report[0]["report"]["problems"] == []
    largest = max(stored_blobs(tmp_path / "backup"), key=lambda path: path.stat().st_size)
    content = bytearray(largest.read_bytes())
    content[len(content) // 2] ^= 1
    largest.write_bytes(content)

    assert commands.run("verify", "--fast").code == 0
    found = commands.run("verify")
    assert found.code == 1
    assert len(found.report[0]["report"]["problems"]) == 1
    elsewhere = BackupCommands(tmp_path / "elsewhere", commands.target, more=commands.more)
    restored = elsewhere.run("restore")
    assert restored.code == 1
    assert list(restored.report["report"]["missing"]) == [str(Digest.of_bytes(LARGE))]

    largest.write_bytes(content[:-1])
    assert commands.run("verify", "--fast").code == 1
    largest.unlink()
    assert commands.run("verify", "--fast").code == 1
    # What is gone from the backup, the next one copies again.
    assert commands.run("create").report["new_blobs"] == 1
    assert commands.run("verify", "--all").code == 0


def test_damaged_rows_are_found(commands: BackupCommands, tmp_path: Path) -> None:
    """Rows are read by every look, and a restore that can't read them leaves the database marked."""
    filled(commands)
    commands.run("create")
    (chunk,) = (tmp_path / "backup").rglob("tags.*")
    chunk.write_bytes(chunk.read_bytes()[:-1] + b"x")

    assert "hashes to something else" in commands.run("verify", "--fast").output
    elsewhere = BackupCommands(tmp_path / "elsewhere", commands.target)
    refused = elsewhere.run("restore")
    assert refused.code == 1
    assert "damaged" in refused.errors


def test_bytes_the_registry_has_lost_are_told_and_the_rest_is_saved(
    commands: BackupCommands, tmp_path: Path
) -> None:
    """The backup goes on, says which blob is damaged, exits with 1 and is no complete snapshot."""
    filled(commands)
    for path in (commands.data / "storage" / "blobs").rglob("*"):
        if path.is_file() and path.stat().st_size == len(LARGE):
            path.write_bytes(b"x" * len(LARGE))

    created = commands.run("create")

    assert created.code == 1
    assert not created.report["complete"]
    assert [blob["digest"] for blob in created.report["damaged"]] == [str(Digest.of_bytes(LARGE))]
    assert len(stored_blobs(tmp_path / "backup")) == 2
    assert [row["state"] for row in commands.run("list").report] == ["incomplete"]
    refused = BackupCommands(tmp_path / "elsewhere", commands.target).run("restore")
    assert "no finished snapshot" in refused.errors
    elsewhere = BackupCommands(tmp_path / "rest", commands.target)
    restored = elsewhere.run("restore", "--snapshot", created.report["id"])
    assert restored.code == 1, "what is there comes back all the same"
    assert list(restored.report["report"]["missing"]) == [str(Digest.of_bytes(LARGE))]
    assert "INCOMPLETE" in commands.run("create", output="text").output


def test_the_last_complete_snapshot_outlives_incomplete_ones(commands: BackupCommands) -> None:
    """It is what a restore takes; who wants it gone makes another complete one first."""
    filled(commands)
    first = str(commands.run("create").report["id"])
    on_registry(commands.data, lambda registry: push_blob(registry.client, b"pushed later"))
    (lost,) = [
        path for path in stored_blobs(commands.data / "storage") if path.read_bytes() == b"pushed later"
    ]
    lost.write_bytes(b"pushed_later")
    incomplete = [str(commands.run("create").report["id"]) for _ in range(3)]

    kept = commands.run("prune", "--keep", "1")
    refused = commands.run("prune", "--snapshot", first)

    assert (kept.code, kept.report["removed"], kept.report["kept"]) == (
        0,
        incomplete[:2],
        [first, incomplete[2]],
    )
    assert (refused.code, f"snapshot {first} is the last complete one" in refused.errors) == (1, True)
    assert [row["id"] for row in commands.run("list").report] == [first, incomplete[2]]

    lost.write_bytes(b"pushed later")
    newest = str(commands.run("create").report["id"])
    assert commands.run("prune", "--snapshot", first).report["removed"] == [first]
    assert commands.run("prune", "--keep", "1").report["kept"] == [newest]


def test_a_disk_that_fails_at_one_blob_costs_only_that_one(
    commands: BackupCommands, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a bad sector does (F6); a store that fails at everything makes no snapshot."""
    filled(commands)
    for path in (commands.data / "storage" / "blobs").rglob("*"):
        if path.is_file() and path.stat().st_size == len(LARGE):
            path.unlink()
            path.mkdir()  # what can be opened and not be read

    created = commands.run("create")

    assert created.code == 1
    assert [blob["digest"] for blob in created.report["damaged"]] == [str(Digest.of_bytes(LARGE))]
    assert "can't be read" in created.report["damaged"][0]["reason"]
    monkeypatch.setattr(creation, "_MOST_UNREADABLE", 0)
    assert "more than 0 blobs fail" in commands.run("create").errors


def test_only_what_is_empty_is_restored_into(commands: BackupCommands, tmp_path: Path) -> None:
    """A database with rows, or a store with blobs, is refused with what to do, and nothing is changed."""
    before = filled(commands)
    commands.run("create")

    refused = commands.run("restore")

    assert refused.code == 1
    assert "not empty" in refused.errors
    assert "--database-only" in refused.errors
    assert contents(commands.data) == before
    wrong = BackupCommands(commands.data, str(tmp_path / "nowhere"))
    assert "no backup repository" in wrong.run("list").errors
    assert not (tmp_path / "nowhere").exists()
    inside = BackupCommands(commands.data, str(commands.data / "storage" / "backups"))
    assert inside.run("create").code == 2


def test_a_backup_under_load_is_one_moment(commands: BackupCommands, tmp_path: Path) -> None:
    """Pushes and deletes go on meanwhile; whatever the snapshot mentions is in it, and all of it can be pulled."""
    filled(commands)

    async def load(registry: InProcessRegistry, stop: asyncio.Event) -> int:
        pushed = 0
        while not stop.is_set() or pushed <= 5:
            blob = b"layer %d" % pushed
            await push_blob(registry.client, blob)
            body = image(layers=[descriptor(blob, LAYER_TYPE)])
            assert (await put(registry.client, f"load-{pushed}", body)).status == 201
            if pushed % 3 == 0:
                reply = await registry.client.request("DELETE", f"/v2/team/app/manifests/load-{pushed}")
                assert reply.status == 202
            pushed += 1
        return pushed

    async def back_up_beside(registry: InProcessRegistry) -> None:
        stop = asyncio.Event()
        pushing = asyncio.create_task(load(registry, stop))
        await asyncio.sleep(0.3)
        for _ in range(3):
            assert (await asyncio.to_thread(commands.run, "create")).code == 0
        assert not pushing.done()
        stop.set()
        await pushing

    on_registry(commands.data, back_up_beside)

    for number, listed in enumerate(commands.run("list").report):
        elsewhere = BackupCommands(tmp_path / f"elsewhere-{number}", commands.target)
        assert elsewhere.run("restore", "--snapshot", listed["id"]).code == 0
        tags = [path for path in contents(elsewhere.data) if path.startswith("team/app/manifests/load-")]
        assert len(tags) == listed["tags"] - 4


def test_old_snapshots_and_what_only_they_needed_go(commands: BackupCommands, tmp_path: Path) -> None:
    """What is kept can still be restored; a dry run removes nothing."""
    filled(commands)
    commands.run("create")

    async def delete_heavy(registry: InProcessRegistry) -> None:
        heavy = image(layers=[descriptor(LARGE, LAYER_TYPE)])
        for path in (
            f"manifests/{Digest.of_bytes(index(image(), heavy))}",
            f"manifests/{Digest.of_bytes(heavy)}",
            f"blobs/{Digest.of_bytes(LARGE)}",
        ):
            reply = await registry.client.request("DELETE", f"/v2/team/app/{path}")
            assert reply.status == 202, reply

    on_registry(commands.data, delete_heavy)
    # No collector removes rows yet; what it will do once is done here by hand.
    database = RawDatabase(f"sqlite://{commands.data}/metadata/entrepot.db")
    asyncio.run(database.fetch(f"DELETE FROM manifest_references WHERE digest = '{Digest.of_bytes(LARGE)}'"))
    asyncio.run(database.fetch(f"DELETE FROM blobs WHERE digest = '{Digest.of_bytes(LARGE)}'"))
    commands.run("create")
    before = contents(commands.data)

    planned = commands.run("prune", "--keep", "1", "--dry-run")
    assert len(commands.run("list").report) == 2
    pruned = commands.run("prune", "--keep", "1")

    assert planned.report == pruned.report
    assert (len(pruned.report["removed"]), pruned.report["blobs"]) == (1, 1)
    assert len(commands.run("list").report) == 1
    assert commands.run("verify").code == 0
    elsewhere = BackupCommands(tmp_path / "elsewhere", commands.target)
    assert elsewhere.run("restore").code == 0
    assert contents(elsewhere.data) == before


def test_backups_and_prunes_keep_out_of_each_others_way(commands: BackupCommands, tmp_path: Path) -> None:
    """A backup is refused while blobs may be going; a prune, while a backup may count on them."""
    filled(commands)
    commands.run("create")
    mark = tmp_path / "backup" / BACKUP_PRUNING
    mark.write_bytes(b"")

    refused = commands.run("create")
    assert refused.code == 1
    assert "prune" in refused.errors
    assert commands.run("prune", "--keep", "1").code == 0
    assert not mark.exists()

    begun = next((tmp_path / "backup").rglob("begun"))
    unfinished = tmp_path / "backup" / "snapshots" / "20990101T000000000Z-00000000" / "begun"
    unfinished.parent.mkdir(exist_ok=True)
    unfinished.write_bytes(begun.read_bytes())
    assert commands.run("prune", "--keep", "1").code == 1
    assert commands.run("list").report[-1]["state"] == "unfinished"
    assert commands.run("prune", "--keep", "1", "--discard-unfinished").code == 0
    assert len(commands.run("list").report) == 1
    unfinished.parent.mkdir(exist_ok=True)
    unfinished.write_bytes(begun.read_bytes())
    assert commands.run("create").code == 0, "what a killed backup of the same database left is cleared away"
    assert not unfinished.exists()


def test_options_that_make_no_sense_together_are_refused(commands: BackupCommands) -> None:
    """Before anything is opened, but what there is to back up."""
    filled(commands)
    for arguments in (
        ("--database-only", "--blobs-only"),
        ("--blobs-only", "--repository", "a"),
        ("--as", "name"),
        ("--overwrite",),
        ("--rate", "much"),
    ):
        assert commands.run("restore", *arguments).code == 2
    assert BackupCommands(commands.data, "ftp://host/x").run("create").code == 2
    assert commands.run("prune", "--keep", "0").code == 2


async def test_nothing_is_swept_while_blobs_are_copied(commands: BackupCommands, tmp_path: Path) -> None:
    """From before the database is read until the last blob, no sweep of orphans has its turn."""

    class Watching:
        """Tries to begin a sweep whenever a kind of work begins."""

        def __init__(self) -> None:
            self.tried: dict[str, bool] = {}

        def begin(
            self, title: str, total: int | None = None, unit: Literal["bytes", "items"] = "bytes"
        ) -> None:
            """Try it."""
            del total, unit
            database = sqlite3.connect(commands.data / "metadata" / "entrepot.db")
            with contextlib.closing(database):
                held = database.execute("SELECT lease_until FROM sweeps WHERE name = 'orphans'").fetchall()
            self.tried[title] = bool(held and held[0][0])

        def advance(self, count: int, note: str = "") -> None:
            """Nothing."""

        def say(self, line: str) -> None:
            """Nothing."""

    watching = Watching()
    async with in_process_registry(scratch_settings(commands.data)) as registry:
        await push_blob(registry.client, b"layer")
        store = FilesystemBlobStore(tmp_path / "backup")
        await store.prepare()
        stores = registry.stores
        backup = BackupCreation(
            stores.metadata,
            stores.blobs,
            await create_or_open_repository(store, ""),
            partial(open_dump, metadata_url(registry.settings)),
            CreationOptions(),
            watching,
        )
        assert (await backup.run()).complete
        assert await stores.metadata.write(lambda tx: tx.orphans.hold("orphans", 1)) is not None
        await store.aclose()

    assert watching.tried == {"rows": True, "blobs": True}
