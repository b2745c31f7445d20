"""Files of the journal whose names are none of an entry or a segment, and lines that do not fit a name (F11, F47)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from entrepot.bootstrap import open_stores
from entrepot.lifecycle.scrub.findings import Kind, Outcome
from entrepot.lifecycle.scrub.standing import why_nothing_may_be_removed
from tests.integration.rebuilding import compacted_registry, lose_database, push_segment, rebuild, segments_of
from tests.integration.scrubbing import REPAIR, verify_settings

if TYPE_CHECKING:
    from pathlib import Path

    from entrepot.settings import Settings

_SECOND = f"{4:020d}-{6:020d}"


@pytest.fixture
async def settings(tmp_path: Path) -> Settings:
    """A registry whose journal lies in the segments `1-3`, `4-6` and `7-7`."""
    settings = await compacted_registry(tmp_path / "data")
    await push_segment(settings, "b", "c", "d")
    await push_segment(settings, "e")
    return settings


async def _keeps_the_sweep_away(settings: Settings) -> bool:
    async with open_stores(settings) as stores:
        return await why_nothing_may_be_removed(stores.metadata) != ""


@pytest.mark.parametrize("name", ["copy", f"old-{_SECOND}", f"{_SECOND}~", f"{_SECOND} (copy)"])
async def test_f11_what_only_a_file_tells_of_that_nobody_finds_by_its_name_is_lost(
    settings: Settings, name: str
) -> None:
    """Until it has its name again, or is moved away."""
    segment = segments_of(settings)[1]
    odd = segment.rename(segment.with_name(name))
    lose_database(settings)

    code, report = await rebuild(settings)

    assert (code, report["applied"], report["lost_parts"]) == (1, 4, 1)
    assert await _keeps_the_sweep_away(settings)
    for options in (None, REPAIR):
        (finding,) = await verify_settings(settings, options)
        assert (finding.kind, finding.key.endswith(f"/{name}")) == (Kind.JOURNAL_LOST, True)
        assert await _keeps_the_sweep_away(settings)
    odd.rename(segment)
    code, report = await rebuild(settings, "--catch-up")
    assert (code, report["applied"]) == (0, 3)
    assert await verify_settings(settings) == []


async def test_f11_a_copy_under_another_name_of_what_is_known_is_no_damage(settings: Settings) -> None:
    segment = segments_of(settings)[1]
    segment.with_name("copy").write_bytes(segment.read_bytes())

    (finding,) = await verify_settings(settings)

    assert (finding.kind, finding.is_damage) == (Kind.JOURNAL_UNREADABLE, False)
    lose_database(settings)
    code, report = await rebuild(settings)
    assert (code, report["applied"], report["lost_parts"]) == (1, 7, 0)


@pytest.mark.parametrize("name", [f"{_SECOND}~", "a b"])
async def test_f11_a_file_whose_name_no_store_can_hold_breaks_nothing_off(
    settings: Settings, name: str
) -> None:
    """As an editor leaves one behind who mends another; who moves it away has a sound journal again."""
    odd = segments_of(settings)[1].with_name(name)
    odd.write_bytes(b"{damaged")

    (finding,) = await verify_settings(settings)

    assert (finding.kind, finding.key.endswith(f"/{name}")) == (Kind.JOURNAL_LOST, True)
    assert (await rebuild(settings, "--catch-up"))[0] == 1
    odd.unlink()
    assert await verify_settings(settings) == []


_FLIPPED = {
    "the first one's number, to a smaller one": (4, 0),
    "the last one's number, to a greater one": (6, 7),
    "a number, to one before the name": (5, 1),
    "a number, to one behind the name": (5, 54),
    "a number, to its neighbour's": (5, 4),
}


@pytest.mark.parametrize("fault", _FLIPPED)
@pytest.mark.parametrize("is_rebuilt", [False, True])
async def test_f11_a_number_that_does_not_fit_is_damage_and_no_other_fact(
    settings: Settings, fault: str, *, is_rebuilt: bool
) -> None:
    """What the line tells happened under its own number, and would undo what came later under another."""
    segment = segments_of(settings)[1]
    whole = segment.read_bytes()
    old, new = (b'{"sequence":%d,' % number for number in _FLIPPED[fault])
    segment.write_bytes(whole.replace(old, new))
    if is_rebuilt:
        lose_database(settings)
        code, report = await rebuild(settings)
        assert (code, report["lost_parts"]) == (1, 1)
        assert {spot["key"].rpartition("/")[2] for spot in report["spots"]} == {segment.name}
        for options in (None, REPAIR):
            (lost,) = await verify_settings(settings, options)
            assert (lost.kind, lost.key.endswith(segment.name)) == (Kind.JOURNAL_LOST, True)
        segment.write_bytes(whole)
        assert (await rebuild(settings, "--catch-up"))[0] == 0
    else:
        found = {one.kind: one.outcome for one in await verify_settings(settings, REPAIR)}
        assert found.pop(Kind.JOURNAL_UNREADABLE) is Outcome.HEALED
        assert found.keys() <= {Kind.JOURNAL_GAP}
        assert segment.read_bytes() == whole
    assert await verify_settings(settings) == []
