"""Journals of earlier databases: their files are the only copy of what they tell (F11, F47)."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest

from entrepot.bootstrap import open_stores
from entrepot.lifecycle.scrub.findings import Kind
from entrepot.lifecycle.scrub.standing import why_nothing_may_be_removed
from entrepot.settings import storage_root
from tests.asgi.services import in_process_registry
from tests.asgi.small_images import image, push_blobs, put
from tests.integration.rebuilding import (
    compact,
    compacted_registry,
    database_of,
    lose_database,
    push_segment,
    rebuild,
    segments_of,
    unsealed,
)
from tests.integration.scrubbing import REPAIR, find_damage

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from entrepot.lifecycle.scrub.findings import Finding
    from entrepot.lifecycle.scrub.options import ScrubOptions
    from entrepot.settings import Settings

_FORCED = replace(REPAIR, force=True)


@dataclass(frozen=True, slots=True)
class _Two:
    """A storage with the journals of two databases; the earlier one's lies in the segments `1-3`, `4-5`, `7-7`."""

    settings: Settings
    earlier: str
    later: str

    @property
    def segment(self) -> Path:
        """The earlier one's second segment."""
        return storage_root(self.settings) / f"journal/{self.earlier}/segments/{4:020d}-{5:020d}"

    @property
    def folder(self) -> str:
        """What findings call the earlier one's journal."""
        return f"journal/{self.earlier}/"

    async def rebuild(self) -> int:
        """Make the database from both; return the exit code."""
        lose_database(self.settings)
        return (await rebuild(self.settings, "--incarnation", self.earlier, "--incarnation", self.later))[0]

    async def verify(self, options: ScrubOptions | None = None) -> Sequence[Finding]:
        """Verify everything; return what was found."""
        async with open_stores(self.settings) as stores:
            return await find_damage(stores, options)

    async def keeps_the_sweep_away(self) -> bool:
        """Whether anything is known that only these files may tell of."""
        async with open_stores(self.settings) as stores:
            return await why_nothing_may_be_removed(stores.metadata) != ""


@pytest.fixture
async def two(tmp_path: Path) -> _Two:
    """Somebody has started a new registry on old storage."""
    settings = await compacted_registry(tmp_path / "data")
    await push_segment(settings, "b", "c")
    await database_of(settings).fetch("UPDATE sqlite_sequence SET seq = seq + 1 WHERE name = 'outbox'")
    async with in_process_registry(settings) as registry:
        assert (await put(registry.client, "e", image(annotations={"n": "e"}))).status == 201
        await compact(registry.stores)
        earlier = await registry.stores.metadata.instance.incarnation()
    lose_database(settings)
    folder = segments_of(settings)[0].parents[1]
    shutil.move(folder, tmp_path / "aside")
    async with in_process_registry(settings) as registry:
        await push_blobs(registry.client)
        assert (await put(registry.client, "d", image(annotations={"n": "d"}))).status == 201
        await compact(registry.stores)
        later = await registry.stores.metadata.instance.incarnation()
    shutil.move(tmp_path / "aside", folder)
    made = _Two(settings, earlier, later)
    assert made.segment.exists()
    return made


@pytest.mark.parametrize("damage", ["zeros", "a torn line", "cut at a line", "a foreign name"])
async def test_f11_a_part_that_can_not_be_read_is_lost_until_a_sound_copy_is_there(
    two: _Two, damage: str
) -> None:
    assert await two.rebuild() == 0
    assert await two.verify() == []
    whole = two.segment.read_bytes()
    damaged = {
        "zeros": bytes(len(whole)),
        "a torn line": whole[:-9],
        "cut at a line": whole.splitlines(True)[0],
    }
    key = two.segment
    if damage == "a foreign name":
        key = two.segment.with_name("copy")
    key.write_bytes(damaged.get(damage, whole))

    for options in (None, REPAIR):
        (finding,) = await two.verify(options)

        assert (finding.kind, finding.is_damage) == (Kind.JOURNAL_LOST, True)
        assert finding.key == f"{two.folder}segments/{key.name}"
        assert "put a sound copy of the file in its place" in finding.detail
        assert await two.keeps_the_sweep_away()

    key.unlink()
    two.segment.write_bytes(whole)
    assert await two.verify() == []
    assert not await two.keeps_the_sweep_away()


async def test_f11_a_sound_copy_behind_a_rebuild_asks_for_another_one(two: _Two) -> None:
    """The rebuild could not read it, and says itself that the sweep must rest."""
    whole = two.segment.read_bytes()
    two.segment.write_bytes(whole[:-9])
    assert await two.rebuild() == 1
    assert await two.keeps_the_sweep_away()
    assert [finding.kind for finding in await two.verify()] == [Kind.JOURNAL_LOST]

    two.segment.write_bytes(whole)
    assert [finding.kind for finding in await two.verify()] == [Kind.DATABASE_GAP]
    assert await two.keeps_the_sweep_away()

    assert await two.rebuild() == 0
    assert await two.verify() == []
    assert not await two.keeps_the_sweep_away()


@pytest.mark.parametrize("options", [None, REPAIR, _FORCED])
async def test_f11_what_came_back_behind_a_rebuild_is_told_and_no_catch_up_ends_it(
    two: _Two, tmp_path: Path, options: ScrubOptions | None
) -> None:
    """Not even who forces a repair may lose it: the facts are there."""
    away = tmp_path / "away"
    shutil.move(two.segment, away)
    assert await two.rebuild() == 0
    assert await two.verify() == []
    shutil.move(away, two.segment)

    for _ in range(2):
        (finding,) = await two.verify(options)
        assert (finding.kind, finding.name) == (Kind.DATABASE_GAP, two.folder)
        assert "tells of 6 facts, others than the 4 that this one was made from" in finding.detail
        assert (await rebuild(two.settings, "--catch-up"))[0] == 0
        assert await two.keeps_the_sweep_away()

    shutil.move(two.segment, away)
    assert await two.verify() == []
    assert not await two.keeps_the_sweep_away()


async def test_f11_what_is_gone_is_lost_until_a_forced_repair_gives_it_up(two: _Two) -> None:
    assert await two.rebuild() == 0
    whole = two.segment.read_bytes()
    two.segment.unlink()

    for options in (None, REPAIR):
        (finding,) = await two.verify(options)
        assert (finding.kind, finding.name) == (Kind.JOURNAL_LOST, two.folder)
        assert "tells of 4 facts instead of the 6" in finding.detail
        assert await two.keeps_the_sweep_away()

    (given_up,) = await two.verify(_FORCED)
    assert (given_up.kind, given_up.is_damage) == (Kind.JOURNAL_GAP, False)
    assert "given up" in given_up.detail
    assert await two.verify() == []
    assert not await two.keeps_the_sweep_away()

    two.segment.write_bytes(whole)
    assert [finding.kind for finding in await two.verify()] == [Kind.DATABASE_GAP]


async def test_f11_other_facts_in_the_place_of_as_many_are_told(two: _Two) -> None:
    """Their number alone would not tell."""
    assert await two.rebuild() == 0
    lines = unsealed(two.segment.read_bytes()).replace(b'"sequence":5', b'"sequence":6')
    two.segment.unlink()
    two.segment.with_name(f"{4:020d}-{6:020d}").write_bytes(lines)

    (finding,) = await two.verify()

    assert finding.kind is Kind.DATABASE_GAP
    assert "tells of 6 facts, others than the 6 that" in finding.detail


async def test_f11_of_what_a_former_program_rebuilt_the_first_reading_is_noted(two: _Two) -> None:
    assert await two.rebuild() == 0
    await database_of(two.settings).fetch("DELETE FROM sweeps WHERE name = 'readings'")
    assert await two.verify() == []
    two.segment.unlink()

    assert [finding.kind for finding in await two.verify()] == [Kind.JOURNAL_LOST]


async def test_f11_a_fact_that_tells_of_something_else_is_lost_until_a_sound_copy_is_there(two: _Two) -> None:
    """A byte of a name was flipped: nothing else would notice, as there are no rows to compare it with."""
    assert await two.rebuild() == 0
    whole = two.segment.read_bytes()
    two.segment.write_bytes(unsealed(whole).replace(b'"tags":["b"]', b'"tags":["r"]'))
    assert two.segment.read_bytes() != whole

    for options in (None, REPAIR):
        (finding,) = await two.verify(options)
        assert (finding.kind, finding.name) == (Kind.JOURNAL_LOST, two.folder)
        assert "its 6 facts do not tell what those told that this one was made from" in finding.detail
        assert await two.keeps_the_sweep_away()

    two.segment.write_bytes(whole)
    assert await two.verify() == []
    assert not await two.keeps_the_sweep_away()
    two.segment.write_bytes(unsealed(whole).replace(b'"tags":["b"]', b'"tags":["r"]'))
    (given_up,) = await two.verify(_FORCED)
    assert (given_up.kind, given_up.is_damage) == (Kind.JOURNAL_GAP, False)
    assert await two.verify() == []


async def test_f11_a_journal_that_was_copied_by_a_program_tells_the_same(two: _Two) -> None:
    """Its payloads are spaced differently, and in another order."""
    assert await two.rebuild() == 0
    lines = [json.loads(line) for line in two.segment.read_bytes().splitlines()]
    for line in lines:
        line["payload"] = dict(reversed(line["payload"].items()))
    two.segment.write_text("".join(f"{json.dumps(line)}\n" for line in lines))

    assert await two.verify() == []


async def test_f11_of_what_a_former_program_noted_only_the_numbers_count_until_it_is_read(two: _Two) -> None:
    assert await two.rebuild() == 0
    await database_of(two.settings).fetch(
        "UPDATE sweeps SET progress = json_remove(progress, '$.settled.' || $1 || '.contents') "
        "WHERE name = 'readings'".replace("$1", f"'{two.earlier}'")
    )
    whole = two.segment.read_bytes()
    two.segment.write_bytes(unsealed(whole).replace(b'"tags":["b"]', b'"tags":["r"]'))
    assert await two.verify() == []
    two.segment.write_bytes(whole)

    assert [finding.kind for finding in await two.verify()] == [Kind.JOURNAL_LOST]


@pytest.mark.parametrize(("old", "new"), [(b'"kind":"m', b'"kind":"l'), (b'"sha256', b'"rha256')])
async def test_f11_what_no_rebuild_understands_keeps_the_sweep_away_until_one_does(
    two: _Two, old: bytes, new: bytes
) -> None:
    """A byte was flipped of what a former program wrote, or a newer one wrote it: only it tells of what was pushed."""
    whole = two.segment.read_bytes()
    two.segment.write_bytes(unsealed(whole).replace(old, new, 1))
    assert await two.rebuild() == 1
    assert await two.keeps_the_sweep_away()

    for options in (None, REPAIR, _FORCED):
        (finding,) = await two.verify(options)
        assert (finding.kind, finding.name) == (Kind.DATABASE_GAP, two.folder)
        assert "tells of 6 facts, others than the 5 that this one was made from" in finding.detail
        assert await two.keeps_the_sweep_away()

    two.segment.write_bytes(whole)
    assert await two.rebuild() == 0
    assert await two.verify() == []
    assert not await two.keeps_the_sweep_away()


async def test_f11_what_no_rebuild_understands_is_given_up_with_its_file(two: _Two) -> None:
    two.segment.write_bytes(unsealed(two.segment.read_bytes()).replace(b'"sha256', b'"rha256', 1))
    assert await two.rebuild() == 1
    (finding,) = await two.verify()
    assert "move the files away" in finding.detail
    two.segment.unlink()

    assert [one.kind for one in await two.verify(REPAIR)] == [Kind.JOURNAL_LOST]
    assert [one.is_damage for one in await two.verify(_FORCED)] == [False]
    assert await two.verify() == []
    assert not await two.keeps_the_sweep_away()
