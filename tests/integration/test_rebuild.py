"""The database is lost: `entrepot rebuild` makes it again from the storage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest

from entrepot.bootstrap import open_stores
from entrepot.oci.digest import Digest
from entrepot.settings import metadata_path, storage_root
from tests.asgi.history import DELETED_TAG, MOUNTED, live_through_everything, picture_of, times_of
from tests.asgi.services import in_process_registry, scratch_settings
from tests.asgi.small_images import CONFIG, INDEX_TYPE, LAYER, NAME, image, index, push_blobs, put
from tests.integration.rebuilding import compact, database_of, lose_database, rebuild
from tests.integration.scrubbing import find_damage

if TYPE_CHECKING:
    from pathlib import Path

    from entrepot.settings import Settings
    from tests.asgi.client import AsgiClient

_DAY: Final = 86_400_000


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Where the registry of a test lives."""
    return scratch_settings(tmp_path / "data")


async def _status(client: AsgiClient, path: str, name: str = NAME) -> int:
    return (await client.request("GET", f"/v2/{name}/{path}")).status


async def test_everything_comes_back_as_it_was(settings: Settings) -> None:
    """Rows, references, history, deletes, creators, times, numbers and the identity are those of the lost database."""
    async with in_process_registry(settings) as registry:
        await live_through_everything(registry.client)
        await database_of(settings).fetch(f"UPDATE outbox SET at = at - {_DAY}")
        await compact(registry.stores)
    before = await picture_of(database_of(settings))
    _, last = await times_of(database_of(settings))
    lose_database(settings)

    code, report = await rebuild(settings)

    after = await picture_of(database_of(settings))
    assert code == 0, report
    for table, rows in before.items():
        assert after[table] == rows, table
    assert report["totals"]["tags"] == len(before["tags"])
    assert report["losses"] == report["lost_tags"] == report["spots"] == []
    # All that happened did so a day ago, but for the tag that a push took back, which no fact of its own tells of.
    assert (await times_of(database_of(settings)))[1] <= last - _DAY + 60_000


async def test_facts_that_were_never_compacted_are_enough(settings: Settings) -> None:
    """A database that died before any link was journalled: the manifests tell which blobs their repositories had."""
    async with in_process_registry(settings) as registry:
        await live_through_everything(registry.client)
    before = await picture_of(database_of(settings))
    lose_database(settings)

    code, report = await rebuild(settings)

    after = await picture_of(database_of(settings))
    assert code == 0, report
    for table in ("tags", "manifests", "references", "history", "incarnation"):
        assert after[table] == before[table], table
    assert set(after["links"]) <= set(before["links"])
    async with in_process_registry(settings) as registry:
        for digest in (Digest.of_bytes(CONFIG), Digest.of_bytes(LAYER)):
            assert await _status(registry.client, f"blobs/{digest}") == 200
            assert await _status(registry.client, f"blobs/{digest}", MOUNTED) == 200
        assert await _status(registry.client, f"manifests/{DELETED_TAG}") == 404


async def test_the_journal_goes_on_and_pushes_work(settings: Settings) -> None:
    """New facts have numbers of their own under the old name, and a second loss is survived as the first was."""
    async with in_process_registry(settings) as registry:
        await live_through_everything(registry.client)
        await compact(registry.stores)
    lose_database(settings)
    await rebuild(settings)
    async with in_process_registry(settings) as registry:
        await live_through_everything(registry.client, "again")
        await compact(registry.stores)
        assert (await rebuild(settings, "--dry-run"))[0] == 0
    before = await picture_of(database_of(settings))
    lose_database(settings)

    code, _ = await rebuild(settings)

    after = await picture_of(database_of(settings))
    assert code == 0
    assert {table for table, rows in before.items() if after[table] != rows} == set()
    kinds = await database_of(settings).fetch("SELECT count(*) FROM outbox WHERE kind = 'database.rebuilt'")
    assert kinds == [(2,)]


async def test_a_database_that_is_not_empty_is_refused(settings: Settings) -> None:
    """Nothing is changed, and the message names the other way; one that was merely started is as good as new."""
    async with in_process_registry(settings) as registry:
        await live_through_everything(registry.client)
    before = await picture_of(database_of(settings))

    code, _ = await rebuild(settings)

    assert code == 1
    assert await picture_of(database_of(settings)) == before
    lose_database(settings)
    async with in_process_registry(settings):
        pass
    assert (await rebuild(settings))[0] == 0
    assert await picture_of(database_of(settings)) != before  # links came back without their facts
    assert (await picture_of(database_of(settings)))["tags"] == before["tags"]


async def test_a_storage_without_a_journal_is_refused(
    settings: Settings, capfd: pytest.CaptureFixture[str]
) -> None:
    """An empty storage, or the wrong one, is told from a registry without content."""
    storage_root(settings).mkdir(parents=True)
    code, report = await rebuild(settings)

    assert (code, report) == (1, {})
    assert "the storage holds no journal" in capfd.readouterr().err


async def test_dry_run_tells_all_and_changes_nothing(settings: Settings) -> None:
    """It reads beside a running registry, leaves every file as it is, and comes to the result of the real run."""
    async with in_process_registry(settings) as registry:
        await live_through_everything(registry.client)
        await compact(registry.stores)
    lose_database(settings)
    before = _files(settings)

    told = await rebuild(settings, "--dry-run")

    assert _files(settings) == before
    code, done = await rebuild(settings)
    assert (told[0], code) == (0, 0)
    assert (told[1]["totals"], told[1]["facts"]) == (done["totals"], done["facts"])
    assert "database" not in told[1]


async def test_a_database_that_cannot_be_read_is_told_and_left_alone(
    settings: Settings, capfd: pytest.CaptureFixture[str]
) -> None:
    """A dry run says what is wrong with it and what would come out; a rebuild does not touch it."""
    async with in_process_registry(settings) as registry:
        await live_through_everything(registry.client)
    damaged = b"not a database, but long enough to look at " * 200
    lose_database(settings)
    metadata_path(settings).parent.mkdir()
    metadata_path(settings).write_bytes(damaged)

    told, code = await rebuild(settings, "--dry-run"), (await rebuild(settings))[0]

    assert (told[0], code) == (0, 1)
    assert "no SQLite database" in told[1]["database"]["problem"]
    assert "no SQLite database" in capfd.readouterr().err
    assert metadata_path(settings).read_bytes() == damaged


def _files(settings: Settings) -> dict[str, int]:
    root = settings.data.directory
    return {
        str(path.relative_to(root)): path.stat().st_mtime_ns for path in root.rglob("*") if path.is_file()
    }


async def test_what_no_fact_mentions_is_counted_and_left_to_the_sweep(settings: Settings) -> None:
    """Blobs and manifests of pushes that never were, and half an upload, are not made part of any repository."""
    async with in_process_registry(settings) as registry:
        await push_blobs(registry.client)
        await put(registry.client, "v1", image())
        stray = Digest.of_bytes(b"stray")
        blobs = registry.stores.blobs
        await blobs.put(f"blobs/sha256/{stray.hex[:2]}/{stray.hex}/{'0' * 32}", b"stray")
        await blobs.put(f"manifests/sha256/{stray.hex[:2]}/{stray.hex}/{'0' * 32}", b"stray")
        await blobs.put(f"uploads/{'0' * 32}", b"half")
    lose_database(settings)

    code, report = await rebuild(settings)

    assert code == 0
    assert report["leftovers"] == {
        "manifests": 1,
        "blobs": 1,
        "blob_bytes": 5,
        "staged": 1,
        "staged_bytes": 4,
    }
    assert report["totals"]["blobs"] == 2


@pytest.mark.parametrize("setting", ["accept", "refuse"])
async def test_sparse_indexes_come_back_where_they_are_accepted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setting: str
) -> None:
    """An index that lists what its repository never had is whole under the setting it was pushed with, and no other."""
    settings = scratch_settings(tmp_path / "data", registry__sparse_indexes="accept")
    sparse = index(image(), image(annotations={"n": "elsewhere"}))
    async with in_process_registry(settings) as registry:
        await push_blobs(registry.client)
        await put(registry.client, "v1", image())
        assert (await put(registry.client, "sparse", sparse, INDEX_TYPE)).status == 201
    lose_database(settings)
    monkeypatch.setenv("ENTREPOT_REGISTRY_SPARSE_INDEXES", setting)

    code, report = await rebuild(settings)

    assert (code, [one["tag"] for one in report["lost_tags"]]) == (
        (0, []) if setting == "accept" else (1, ["sparse"])
    )


async def _two_databases(settings: Settings) -> list[str]:
    """Let two databases, one after the other, write to one storage; return their incarnations, oldest first."""
    incarnations: list[str] = []
    for tag in ("one", "two"):
        # A program from before the check at the start took the pushes of the second one.
        hidden = None if tag == "one" else _hide_journal(settings)
        async with in_process_registry(settings) as registry:
            incarnations.append(await registry.stores.metadata.instance.incarnation())
            await push_blobs(registry.client)
            assert (await put(registry.client, tag, image(annotations={"n": tag}))).status == 201
            assert (await put(registry.client, "latest", image(annotations={"n": tag}))).status == 201
        if hidden is not None:
            hidden.rename(storage_root(settings) / "journal" / incarnations[0])
        lose_database(settings)
    return incarnations


def _hide_journal(settings: Settings) -> Path:
    (journal,) = (storage_root(settings) / "journal").iterdir()
    return journal.rename(settings.data.directory / "hidden")


async def test_several_journals_want_a_choice(settings: Settings) -> None:
    """Each is described; one may be chosen, and then the storage still holds what the database does not know."""
    first, second = await _two_databases(settings)

    code, report = await rebuild(settings)

    assert (code, report["finished"]) == (2, False)
    told: dict[str, Any] = {one["incarnation"]: one for one in report["journals"]}
    assert set(told) == {first, second}
    assert told[first]["repositories"] == [NAME]
    assert (await rebuild(settings, "--incarnation", "unknown"))[0] == 1
    assert (await rebuild(settings, "--incarnation", first))[0] == 0
    async with in_process_registry(settings) as registry:
        assert await _status(registry.client, "manifests/one") == 200
        assert await _status(registry.client, "manifests/two") == 404
        assert (await put(registry.client, "three", image())).status == 405


async def test_several_journals_are_replayed_in_the_order_given(settings: Settings) -> None:
    """Both histories are there, the later one on top; the database is the later one and takes pushes."""
    first, second = await _two_databases(settings)

    code, report = await rebuild(settings, "--incarnation", first, "--incarnation", second)

    assert (code, report["incarnation"], report["ancestors"]) == (0, second, [first])
    async with in_process_registry(settings) as registry:
        assert await registry.stores.metadata.instance.incarnation() == second
        for tag in ("one", "two"):
            assert await _status(registry.client, f"manifests/{tag}") == 200
        latest = await registry.client.request("GET", f"/v2/{NAME}/manifests/latest")
        assert latest.body == image(annotations={"n": "two"})
        assert (await put(registry.client, "three", image())).status == 201
    async with open_stores(settings) as stores:
        assert await find_damage(stores) == []
