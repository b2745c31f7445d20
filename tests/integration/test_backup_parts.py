"""Parts of a backup come back into a registry that is there: its database, lost blobs, single repositories."""

from __future__ import annotations

import asyncio
import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from entrepot.backup.errors import BackupDamagedError
from entrepot.backup.healing import BackupBlobRecovery
from entrepot.backup.repository import open_repository
from entrepot.blobstore.filesystem.store import FilesystemBlobStore
from entrepot.lifecycle.errors import MassDamageError
from entrepot.lifecycle.scrub.options import ScrubGround
from entrepot.metadata.sql.dumping import reserve_for_load
from entrepot.oci.digest import Digest
from entrepot.ops.application import run_command_line
from entrepot.registry.hashing import HashingPool
from tests.asgi.small_images import LAYER, image, push_blob, push_blobs, put
from tests.drivers.metadata.raw_database import RawDatabase
from tests.integration.backed_up import LARGE, contents, filled, on_registry, stored_blobs
from tests.integration.rebuilding import compact
from tests.integration.scrubbing import REPAIR, find_damage, verify_stores
from tests.running.backups import BackupCommands

if TYPE_CHECKING:
    from pathlib import Path

    from tests.asgi.services import InProcessRegistry


@pytest.fixture
def commands(tmp_path: Path) -> BackupCommands:
    """Commands for a registry that is there."""
    return BackupCommands(tmp_path / "data", str(tmp_path / "backup"))


def test_a_database_older_than_its_blobs(commands: BackupCommands) -> None:
    """F47: the database comes back onto the store that outlived it; later facts keep their numbers in the journal."""
    before = filled(commands)
    commands.run("create")
    database = RawDatabase(f"sqlite://{commands.data}/metadata/entrepot.db")
    incarnation = asyncio.run(database.value("SELECT incarnation FROM instance"))

    async def push_more(registry: InProcessRegistry) -> None:
        assert (await put(registry.client, "later", image())).status == 201

    on_registry(commands.data, push_more)
    last = asyncio.run(database.value("SELECT max(id) FROM outbox"))
    for path in (commands.data / "metadata").iterdir():
        path.unlink()

    # A restore of the database that was killed must not be taken for one of everything.
    assert not asyncio.run(reserve_for_load(database.url, "killed"))
    refused = commands.run("restore")
    assert (refused.code, "journal" in refused.errors) == (1, True), refused

    restored = commands.run("restore", "--database-only")
    leases = asyncio.run(database.value("SELECT count(*) FROM sweeps WHERE lease_until IS NOT NULL"))
    assert leases == 0
    assert asyncio.run(database.count("sweeps")) >= 1, "how far work on this store has come is known again"

    assert restored.code == 0, restored
    assert asyncio.run(database.value("SELECT incarnation FROM instance")) == incarnation
    assert contents(commands.data) == before
    # Until it has caught up it is only read from; then it has what was pushed after the snapshot, too.
    assert run_command_line(("rebuild", "--catch-up", "--data", str(commands.data))) == 0
    assert contents(commands.data)["team/app/manifests/later"] == image()
    on_registry(commands.data, lambda registry: put(registry.client, "after", image()))
    assert asyncio.run(database.value("SELECT max(id) FROM outbox")) > last
    assert on_registry(commands.data, lambda registry: find_damage(registry.stores)) == []


def test_f47_a_file_of_somebody_elses_in_the_journal_stops_no_restore(commands: BackupCommands) -> None:
    """As a copy by hand leaves one; it has no number that later facts must not take."""
    filled(commands)
    commands.run("create")
    on_registry(commands.data, lambda registry: put(registry.client, "later", image()))
    database = RawDatabase(f"sqlite://{commands.data}/metadata/entrepot.db")
    last = asyncio.run(database.value("SELECT max(id) FROM outbox"))
    for path in (commands.data / "metadata").iterdir():
        path.unlink()
    (entries,) = (commands.data / "storage" / "journal").glob("*/entries")
    (entries / "copied-by-hand").write_bytes(b"")

    restored = commands.run("restore", "--database-only")

    assert restored.code == 0, restored
    run_command_line(("rebuild", "--catch-up", "--data", str(commands.data)))
    on_registry(commands.data, lambda registry: put(registry.client, "after", image()))
    assert asyncio.run(database.value("SELECT max(id) FROM outbox")) > last


def test_blobs_older_than_the_database(commands: BackupCommands) -> None:
    """F47: bytes that are gone or cut come back from the backup, and are served again at once."""
    before = filled(commands)
    commands.run("create")
    files = [path for path in (commands.data / "storage" / "blobs").rglob("*") if path.is_file()]
    files[0].unlink()
    files[1].write_bytes(b"short")
    next((commands.data / "storage" / "manifests").rglob("*/*/*/*")).unlink()

    planned = commands.run("restore", "--blobs-only", "--dry-run")
    healed = commands.run("restore", "--blobs-only")

    assert len(planned.report["healed"]) == len(healed.report["healed"]) == 3
    assert healed.report["lost"] == {}
    assert contents(commands.data) == before
    assert commands.run("restore", "--blobs-only").report["healed"] == []


def test_what_no_backup_has_stays_lost(commands: BackupCommands) -> None:
    """It is told by digest, with exit code 1."""
    filled(commands)
    commands.run("create")
    on_registry(commands.data, lambda registry: push_blob(registry.client, b"pushed later"))
    for path in (commands.data / "storage" / "blobs").rglob("*"):
        if path.is_file() and path.read_bytes() == b"pushed later":
            path.unlink()

    healed = commands.run("restore", "--blobs-only")

    assert healed.code == 1
    assert list(healed.report["lost"]) == [str(Digest.of_bytes(b"pushed later"))]


def test_one_repository_comes_back_into_a_registry_in_use(commands: BackupCommands, tmp_path: Path) -> None:
    """Under its own name or another; tags set since then stay, unless they are to be overwritten."""
    before = filled(commands)
    commands.run("create")
    other = BackupCommands(tmp_path / "other", commands.target)
    moved = image(annotations={"a": "b"})

    async def begin(registry: InProcessRegistry) -> None:
        await push_blobs(registry.client)
        assert (await put(registry.client, "plain", moved)).status == 201

    on_registry(other.data, begin)
    planned = other.run("restore", "--repository", "team/*", "--dry-run")
    restored = other.run("restore", "--repository", "team/app")

    assert planned.report["report"]["repositories"] == 2
    assert planned.report["report"]["blobs"] == 3, "two of each repository, but those that are there"
    assert restored.code == 0, restored
    assert restored.report["report"]["kept_tags"] == ["team/app:plain"]
    assert restored.report["report"]["manifests"] == 4
    after = contents(other.data)
    assert after["team/app/manifests/plain"] == moved
    assert after["team/app/manifests/multi"] == before["team/app/manifests/multi"]
    assert "team/other/tags" not in after

    assert other.run("restore", "--repository", "team/app", "--overwrite").report["report"]["tags"] == 1
    assert contents(other.data)["team/app/manifests/plain"] == before["team/app/manifests/plain"]
    again = other.run("restore", "--repository", "team/app", "--overwrite").report["report"]
    assert (again["blobs"], again["manifests"], again["tags"]) == (0, 0, 0)

    renamed = other.run("restore", "--repository", "team/other", "--as", "copies/other")
    assert renamed.report["report"]["blobs"] == 0, "the registry has both blobs, so they are linked"
    assert contents(other.data)["copies/other/manifests/v1"] == before["team/other/manifests/v1"]
    assert other.run("restore", "--all-repositories", "--as", "one").code == 2
    assert other.run("restore", "--repository", "no/such").code == 1


def test_f47_a_restored_registry_takes_pushes_though_its_new_storage_has_no_journal_yet(
    commands: BackupCommands, tmp_path: Path
) -> None:
    """What was journalled elsewhere counts as not written here, until the worker writes it."""
    filled(commands)
    on_registry(commands.data, lambda registry: compact(registry.stores))
    commands.run("create")
    other = BackupCommands(tmp_path / "other", commands.target)
    assert other.run("restore").code == 0

    for _ in range(2):
        on_registry(other.data, _push_and_compact)


def test_f47_a_storage_that_was_lost_is_filled_again_and_then_taken_for_the_right_one(
    commands: BackupCommands,
) -> None:
    """Blobs come from the backup; nothing else is pushed until somebody says that nothing more will come back."""
    before = filled(commands)
    on_registry(commands.data, lambda registry: compact(registry.stores))
    commands.run("create")
    shutil.rmtree(commands.data / "storage")

    refused = commands.run("restore", "--all-repositories")
    assert (refused.code, "its storage lacks what its database has written there" in refused.errors) == (
        1,
        True,
    )
    planned = commands.run("restore", "--blobs-only", "--dry-run")
    assert (planned.code, "this storage may be a wrong one" in planned.errors) == (0, True)
    keys = _storage_keys(commands)
    held_back = commands.run("restore", "--blobs-only")
    assert (held_back.code, "say --force" in held_back.errors) == (1, True)
    assert _storage_keys(commands) == keys
    assert commands.run("restore", "--blobs-only", "--force").code == 0
    assert contents(commands.data) == before
    on_registry(commands.data, _repair)

    on_registry(commands.data, _push_and_compact)
    after = contents(commands.data)
    assert {key: after[key] for key in before if not key.endswith("/tags")} == {
        key: body for key, body in before.items() if not key.endswith("/tags")
    }


def _storage_keys(commands: BackupCommands) -> list[object]:
    """Return where the database has the bytes of its blobs."""
    database = RawDatabase(f"sqlite://{commands.data}/metadata/entrepot.db")
    rows = asyncio.run(database.fetch("SELECT digest, storage_key FROM blobs ORDER BY digest"))
    return [key for _, key in rows]


async def _repair(registry: InProcessRegistry) -> None:
    """Repair as `entrepot verify --repair` does, which stops, and as with `--force`; then nothing is damaged."""
    stores = registry.stores
    with ThreadPoolExecutor(2) as executor:
        ground = ScrubGround(stores.metadata, stores.blobs, HashingPool(executor))
        with pytest.raises(MassDamageError, match="run it again with --force"):
            await verify_stores(ground, REPAIR)
        progress, (gap,) = await verify_stores(ground, replace(REPAIR, force=True))
    assert (progress.damaged, gap.kind.value, gap.outcome.value) == ({}, "journal-gap", "healed")


async def _push_and_compact(registry: InProcessRegistry) -> None:
    assert (await put(registry.client, "later", image())).status == 201
    await compact(registry.stores)


def test_all_repositories_are_merged_into_an_empty_registry(commands: BackupCommands, tmp_path: Path) -> None:
    """By pushing, so the registry may run; what is attached to images comes along."""
    before = filled(commands)
    commands.run("create")
    other = BackupCommands(tmp_path / "other", commands.target)
    assert run_command_line(("migrate", "--data", str(other.data))) == 0

    assert other.run("restore", "--all-repositories").code == 0

    assert contents(other.data) == before

    async def referrers(registry: InProcessRegistry) -> None:
        reply = await registry.client.request("GET", f"/v2/team/app/referrers/{Digest.of_bytes(image())}")
        assert len(json.loads(reply.body)["manifests"]) == 1

    on_registry(other.data, referrers)


def test_single_blobs_are_given_out_for_healing(commands: BackupCommands, tmp_path: Path) -> None:
    """By digest and size; what is not there is `None`, and what is damaged never ends well."""
    filled(commands)
    commands.run("create")
    digest, large = Digest.of_bytes(LAYER), Digest.of_bytes(LARGE)
    for path in stored_blobs(tmp_path / "backup"):
        if path.stat().st_size == len(LARGE):
            path.write_bytes(b"x" * len(LARGE))

    async def look() -> None:
        store = FilesystemBlobStore(tmp_path / "backup")
        recovery = await BackupBlobRecovery.over(await open_repository(store, ""))
        assert await recovery.read_manifest(Digest.of_bytes(image())) == image()
        assert await recovery.read_manifest(Digest.of_bytes(b"never pushed")) is None
        assert recovery.name.startswith("backup ")
        whole = await recovery.open(digest, len(LAYER))
        assert whole is not None
        assert b"".join([chunk async for chunk in whole]) == LAYER
        assert await recovery.open(digest, len(LAYER) + 1) is None
        assert await recovery.open(Digest.of_bytes(b"never pushed"), 1) is None
        damaged = await recovery.open(large, len(LARGE))
        assert damaged is not None
        with pytest.raises(BackupDamagedError):
            async for _ in damaged:
                pass
        await store.aclose()

    asyncio.run(look())


def test_f47_numbers_that_a_segment_of_a_former_program_ends_with_are_not_given_again(
    commands: BackupCommands,
) -> None:
    """However long before the snapshot's last fact it begins."""
    filled(commands)
    database = RawDatabase(f"sqlite://{commands.data}/metadata/entrepot.db")
    asyncio.run(database.fetch("UPDATE sqlite_sequence SET seq = 15000 WHERE name = 'outbox'"))
    on_registry(commands.data, lambda registry: put(registry.client, "late", image()))
    commands.run("create")
    for path in (commands.data / "metadata").iterdir():
        path.unlink()
    (journal,) = (commands.data / "storage" / "journal").iterdir()
    (journal / "segments").mkdir(exist_ok=True)
    (journal / "segments" / f"{2:020d}-{20_000:020d}").write_bytes(b"")

    restored = commands.run("restore", "--database-only")

    assert restored.code == 0, restored
    assert asyncio.run(database.value("SELECT seq FROM sqlite_sequence WHERE name = 'outbox'")) == 20_000
