"""A part of the journal that does not hold what its name says, though no line of it is torn (F11)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from entrepot.bootstrap import open_stores
from entrepot.ops.application import run_command_line
from entrepot.registry.store_match.ownership import find_discrepancy
from entrepot.settings import storage_root
from tests.asgi.history import picture_of
from tests.asgi.services import in_process_registry, scratch_settings
from tests.asgi.small_images import image, push_blobs, put
from tests.integration.rebuilding import (
    compact,
    copy_database,
    database_of,
    lose_database,
    rebuild,
    restore_database,
    segments_of,
)

if TYPE_CHECKING:
    from pathlib import Path

    from entrepot.settings import Settings

_SEGMENTS = 3


@pytest.fixture
async def settings(tmp_path: Path) -> Settings:
    """A registry whose journal lies in three segments, each with several facts."""
    settings = scratch_settings(tmp_path / "data")
    async with in_process_registry(settings) as registry:
        await push_blobs(registry.client)
        for part in range(_SEGMENTS):
            for number in range(3):
                await put(registry.client, f"v{part}.{number}", _image(part, number))
            await compact(registry.stores)
    assert len(segments_of(settings)) == _SEGMENTS
    return settings


def _image(part: int, number: int) -> bytes:
    return image(annotations={"n": f"{part}.{number}"})


def _shorten(segment: Path, fault: str) -> str:
    """Damage a segment and return what is to be told of it."""
    first, last = map(int, segment.name.split("-"))
    lines = segment.read_bytes().splitlines(keepends=True)
    segment.write_bytes(b"".join(lines[:-2]) if fault == "cut at a line" else b"")
    held = f"facts {first} to {last - 2}" if last - 2 > first else f"fact {first}"
    return f"it holds {held if fault == 'cut at a line' else 'no fact'} instead of facts {first} to {last}"


async def _require_writable(settings: Settings) -> None:
    async with open_stores(settings) as stores:
        assert await find_discrepancy(stores.metadata, stores.blobs) is None
    async with in_process_registry(settings) as registry:
        assert (await put(registry.client, "new", image(annotations={"n": "new"}))).status == 201


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("fault", ["emptied", "cut at a line"])
async def test_f11_a_short_segment_is_told_and_its_numbers_are_not_given_again(
    settings: Settings, fault: str, place: int
) -> None:
    """The rebuild fails, and leaves a database that is ahead of every name, so that it can be written to."""
    segments = segments_of(settings)
    told = _shorten(segments[place], fault)
    last = int(segments[-1].name.split("-")[1])
    lose_database(settings)
    for options in (("--dry-run",), ()):
        code, report = await rebuild(settings, *options)

        assert (code, [spot["reason"] for spot in report["spots"]]) == (1, [told])
        assert report["last_fact"] == last

    await _require_writable(settings)
    assert await database_of(settings).value(f"SELECT count(*) FROM outbox WHERE id > {last}") == 2


async def test_f11_a_database_that_was_rebuilt_without_the_end_of_its_journal_is_caught_up(
    settings: Settings, tmp_path: Path
) -> None:
    """As former programs left it, shut against writes: the same command as for any other older copy leads out."""
    newest = segments_of(settings)[-1]
    newest.rename(tmp_path / "newest")
    lose_database(settings)
    assert (await rebuild(settings))[0] == 0
    await database_of(settings).fetch("DELETE FROM outbox WHERE kind = 'database.rebuilt'")
    newest.write_bytes(b"")

    code, report = await rebuild(settings, "--catch-up")

    assert (code, report["applied"], "it holds no fact" in report["spots"][0]["reason"]) == (1, 0, True)
    await _require_writable(settings)


async def test_f11_empty_entries_are_told_and_their_numbers_are_not_given_again(settings: Settings) -> None:
    """The last seconds before the loss, whose facts have no segment yet."""
    async with in_process_registry(settings) as registry:
        for tag in ("later", "last"):
            await put(registry.client, tag, image(annotations={"n": tag}))
    entries = sorted((storage_root(settings) / "journal").glob("*/entries/*"))
    for entry in entries:
        entry.write_bytes(b"")
    lose_database(settings)

    code, report = await rebuild(settings)

    numbers = [int(entry.name) for entry in entries]
    assert (code, len(numbers)) == (1, 2)
    assert [spot["reason"] for spot in report["spots"]] == [
        f"it holds no fact instead of fact {number}" for number in numbers
    ]
    assert report["last_fact"] == numbers[-1]
    await _require_writable(settings)


async def test_f47_an_object_with_facts_that_its_name_does_not_cover_is_told(settings: Settings) -> None:
    """As of another registry: what has a smaller number than what was read before it is no rival of that."""
    segments = segments_of(settings)
    segments[1].write_bytes(segments[0].read_bytes())
    lose_database(settings)

    code, report = await rebuild(settings)

    assert (code, len(report["spots"])) == (1, 1)
    assert report["spots"][0]["key"].endswith(segments[1].name)


@pytest.mark.parametrize("options", [(), ("--catch-up",), ("--dry-run",)])
async def test_f11_a_name_with_a_number_that_no_fact_can_have_is_told(
    settings: Settings, options: tuple[str, ...]
) -> None:
    """And no number is made of it: pushes go on with those behind the last fact."""
    last = int(segments_of(settings)[-1].name.split("-")[1])
    strange = segments_of(settings)[0].with_name(f"{last + 1:020d}-{'9' * 20}")
    strange.touch()
    if options != ("--catch-up",):
        lose_database(settings)

    code, report = await rebuild(settings, *options)

    ((key, reason),) = [(spot["key"], spot["reason"]) for spot in report["spots"]]
    assert (code, key.rpartition("/")[2], report["last_fact"]) == (1, strange.name, last)
    assert reason == "its name is not that of an entry or segment"


async def test_a_copy_that_is_caught_up_tells_of_damage_that_it_knows_nothing_of(
    settings: Settings, tmp_path: Path
) -> None:
    """What it told is in the copy, but would be lost with it."""
    copy_database(settings, tmp_path / "copy")
    async with in_process_registry(settings) as registry:
        await put(registry.client, "later", image(annotations={"n": "later"}))
        await compact(registry.stores)
    pictured = await picture_of(database_of(settings))
    restore_database(settings, tmp_path / "copy")
    told = _shorten(segments_of(settings)[0], "emptied")

    code, report = await rebuild(settings, "--catch-up")

    assert (code, [spot["reason"] for spot in report["spots"]]) == (1, [told])
    assert await picture_of(database_of(settings)) == pictured


async def test_a_segment_that_is_gone_leaves_numbers_that_no_fact_has(
    settings: Settings, capfd: pytest.CaptureFixture[str]
) -> None:
    """Which is told of, but is no failure: what was rolled back leaves such numbers, too."""
    gone = segments_of(settings)[1]
    gone.unlink()
    first, last = map(int, gone.name.split("-"))
    lose_database(settings)

    code, report = await rebuild(settings)

    (gaps,) = report["gaps"]
    assert (code, gaps["count"], gaps["longest"]) == (0, last - first + 1, [[first, last]])
    arguments = ("rebuild", "--data", str(settings.data.directory), "--dry-run")
    assert await asyncio.to_thread(run_command_line, arguments) == 0
    assert f"  unused        3, at {first}-{last}: numbers in the journal of" in capfd.readouterr().out
