"""Parts of the journal that are damaged, of which a database that was rebuilt from it knows only some (F11, F47)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from entrepot.bootstrap import open_stores
from entrepot.lifecycle.scrub import journal_phase
from entrepot.lifecycle.scrub.findings import Kind, Outcome
from entrepot.lifecycle.scrub.options import Mode, ScrubOptions
from tests.integration.rebuilding import (
    compact,
    compacted_registry,
    lose_database,
    push_segment,
    rebuild,
    segments_of,
    unsealed,
)
from tests.integration.scrubbing import REPAIR, verify_settings

if TYPE_CHECKING:
    from pathlib import Path

    from entrepot.settings import Settings


@pytest.fixture
async def settings(tmp_path: Path) -> Settings:
    """A registry whose journal lies in the segments `1-3` and `4-8`."""
    settings = await compacted_registry(tmp_path / "data")
    await push_segment(settings, *"bcdef")
    return settings


def _lines_of(settings: Settings) -> dict[int, bytes]:
    """Return the lines of the whole journal by their numbers."""
    texts = b"".join(segment.read_bytes() for segment in segments_of(settings)).splitlines(keepends=True)
    return dict(enumerate(texts, 1))


def _write_segment(settings: Settings, first: int, last: int, content: bytes) -> Path:
    """Let there be a segment that is named by these numbers."""
    segment = segments_of(settings)[0].with_name(f"{first:020d}-{last:020d}")
    segment.write_bytes(content)
    return segment


def _bytes_of(segment: Path) -> bytes:
    return segment.read_bytes()


async def _compact(settings: Settings) -> None:
    async with open_stores(settings) as stores:
        await compact(stores)


async def _require_lost(settings: Settings, segment: Path) -> None:
    """Verify in every way: the segment is damage, and stays as it is."""
    before = _bytes_of(segment)
    for options in (ScrubOptions(), ScrubOptions(mode=Mode.REHEARSE), REPAIR):
        (lost,) = [
            one for one in await verify_settings(settings, options) if one.kind is not Kind.JOURNAL_GAP
        ]
        assert (lost.kind, lost.outcome, lost.is_damage) == (Kind.JOURNAL_LOST, Outcome.FOUND, True)
        assert lost.key.endswith(segment.name)
        assert _bytes_of(segment) == before


async def _require_mended_by(settings: Settings, segment: Path, content: bytes) -> None:
    """Put a sound copy in its place, and do as the finding says."""
    first, last = map(int, segment.name.split("-"))
    _write_segment(settings, first, last, content)
    assert (await rebuild(settings, "--catch-up"))[0] == 0
    assert await verify_settings(settings) == []


@pytest.mark.parametrize("batch", [1, 2_000])
async def test_f11_facts_of_interleaving_segments_do_not_stand_for_a_torn_line_between_them(
    settings: Settings, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the numbers 5 to 7 another segment tells of 5 and 7, which the database knows: the torn line told of 6."""
    lines = _lines_of(settings)
    _write_segment(settings, 5, 7, lines[5] + lines[7])
    whole = b"".join(lines[number] for number in (4, 6, 8))
    segment = _write_segment(settings, 4, 8, whole.replace(lines[6], bytes(20) + lines[6][20:]))
    lose_database(settings)
    assert (await rebuild(settings))[0] == 1
    monkeypatch.setattr(journal_phase, "_FACTS", batch)

    await _require_lost(settings, segment)

    await _require_mended_by(settings, segment, whole)


async def test_f11_lines_that_lost_their_ends_are_not_counted_as_one(settings: Settings) -> None:
    """Zeros lie over the end of the lines 5 and 6, and over the beginning of 7, which a killed worker's lacks."""
    lines = _lines_of(settings)
    _write_segment(settings, 4, 6, lines[4] + lines[5] + lines[6])
    whole = segments_of(settings)[-1].read_bytes()
    begin, end = len(lines[4]) + 40, len(lines[4] + lines[5] + lines[6]) + 12
    segment = _write_segment(settings, 4, 8, whole[:begin] + bytes(end - begin) + whole[end:])
    lose_database(settings)
    assert (await rebuild(settings))[0] == 1

    await _require_lost(settings, segment)

    await _require_mended_by(settings, segment, whole)


@pytest.mark.parametrize("held", [(4, 5, 6), (6, 7, 8), (5, 6), ()])
async def test_f11_a_segment_that_ends_short_of_its_name_is_lost_to_who_lacks_the_rest(
    settings: Settings, held: tuple[int, ...]
) -> None:
    """It was cut where a line ends, or emptied, before a rebuild: no line is torn, and a sound copy may come back."""
    lines, segment = _lines_of(settings), segments_of(settings)[-1]
    whole = segment.read_bytes()
    segment.write_bytes(b"".join(lines[number] for number in held))
    lose_database(settings)
    assert (await rebuild(settings))[0] == 1

    await _require_lost(settings, segment)

    await _require_mended_by(settings, segment, whole)


@pytest.mark.parametrize("held", [(4,), ()])
async def test_f11_interleaving_segments_of_which_one_ends_short_are_written_anew_from_who_knows_all(
    settings: Settings, held: tuple[int, ...]
) -> None:
    """A database that was never rebuilt has what lay there, and what lies in between."""
    lines = _lines_of(settings)
    _write_segment(settings, 5, 7, lines[5] + lines[7])
    _write_segment(settings, 4, 8, b"".join(lines[number] for number in held))

    found = {one.kind: one.outcome for one in await verify_settings(settings, REPAIR)}

    assert found[Kind.JOURNAL_UNREADABLE] is Outcome.HEALED
    assert Kind.JOURNAL_LOST not in found
    assert await verify_settings(settings) == []


@pytest.mark.parametrize("content", [b"", b"{damaged\n"])
async def test_f11_what_was_lost_is_given_up_by_moving_the_file_away(
    settings: Settings, content: bytes
) -> None:
    """What the database knows of it is written again; then all is sound, and the sweep goes on."""
    lines, segment = _lines_of(settings), segments_of(settings)[-1]
    segment.write_bytes(lines[4] + lines[5] + content)
    lose_database(settings)
    assert (await rebuild(settings))[0] == 1
    await _compact(settings)
    await _require_lost(settings, segment)
    segment.unlink()

    assert [one.kind for one in await verify_settings(settings, REPAIR)] == [Kind.JOURNAL_GAP]
    await _compact(settings)

    assert await verify_settings(settings) == []
    assert (await rebuild(settings, "--catch-up"))[0] == 0


async def test_f11_what_the_database_knows_is_written_anew_however_its_lines_lost_their_ends(
    settings: Settings,
) -> None:
    """No fact is lost with them."""
    segment = segments_of(settings)[-1]
    whole = segment.read_bytes()
    segment.write_bytes(whole[:40] + bytes(len(whole) - 80) + whole[-40:])

    (healed,) = [one for one in await verify_settings(settings, REPAIR) if one.kind is not Kind.JOURNAL_GAP]

    assert (healed.kind, healed.outcome) == (Kind.JOURNAL_UNREADABLE, Outcome.HEALED)
    assert segment.read_bytes() == whole
    assert await verify_settings(settings) == []


async def test_f11_the_worker_that_writes_facts_again_leaves_a_torn_line_of_another_one(
    settings: Settings,
) -> None:
    """The known ones around it are damaged later, and what is written for them has the name of the damaged file."""
    lines = _lines_of(settings)
    segment = segments_of(settings)[-1]
    torn = b"{damaged\n"
    segment.write_bytes(lines[4] + torn + lines[6] + lines[7] + lines[8])
    lose_database(settings)
    assert (await rebuild(settings))[0] == 1
    await _compact(settings)
    segment.write_bytes(torn * 5)
    await _require_lost(settings, segment)

    await _compact(settings)

    assert segment.read_bytes() == torn * 5
    assert [one.kind for one in await verify_settings(settings)] == [Kind.JOURNAL_LOST]
    await _require_mended_by(settings, segment, b"".join(lines[number] for number in range(4, 9)))


async def _require_one_line_torn(
    settings: Settings, flipped: tuple[bytes, bytes], *, is_rebuilt: bool
) -> None:
    """Damage a line by putting the second for the first in it; nobody but who was rebuilt without it has lost it."""
    lines, segment = _lines_of(settings), segments_of(settings)[-1]
    whole = segment.read_bytes()
    segment.write_bytes(whole.replace(lines[6], lines[6].replace(*flipped, 1)))
    assert _bytes_of(segment) != whole
    if is_rebuilt:
        lose_database(settings)
        code, report = await rebuild(settings)
        assert (code, report["lost_parts"], report["applied"]) == (1, 1, 7)
        await _require_lost(settings, segment)
        await _require_mended_by(settings, segment, whole)
        return

    found = {one.kind: one.outcome for one in await verify_settings(settings, REPAIR)}

    assert found.pop(Kind.JOURNAL_UNREADABLE) is Outcome.HEALED
    assert found.keys() <= {Kind.JOURNAL_GAP}
    assert _bytes_of(segment) == whole
    assert await verify_settings(settings) == []


_FLIPPED = {
    "a name that is no UTF-8": (b"team", b"\xf4eam"),
    "a payload that is no UTF-8": (b'"sha256', b'"sha\xb256'),
    "a payload that is no JSON": (b'"tags":[', b'"tags":\x1b'),
    "a payload with a wrong escape": (b'"sha256', b'"\\ha256'),
    "a payload that is no object": (b'"payload":{', b'"payload":['),
}


@pytest.mark.parametrize("fault", _FLIPPED)
@pytest.mark.parametrize("is_rebuilt", [False, True])
async def test_f11_a_flipped_byte_that_leaves_a_line_half_legible_stops_nobody(
    settings: Settings, fault: str, *, is_rebuilt: bool
) -> None:
    """Wherever it lies. Who knows the fact writes it anew; who was rebuilt without it has lost it."""
    await _require_one_line_torn(settings, _FLIPPED[fault], is_rebuilt=is_rebuilt)


_OTHERWISE = {
    "a tag": (b'"tags":["d"]', b'"tags":["f"]'),
    "a digest": (b'"sha256:', b'"sha256:0'),
    "a repository": (b'"repository":"team/app"', b'"repository":"team/apq"'),
    "a kind": (b'"manifest.put"', b'"manifest.put."'),
    "a number": (b'{"sequence":6,', b'{"sequence":7,'),
    "a time": (b'"at_milliseconds":1', b'"at_milliseconds":3'),
    "the checksum": (b'"checksum":', b'"checksum":1'),
}


@pytest.mark.parametrize("fault", _OTHERWISE)
@pytest.mark.parametrize("is_rebuilt", [False, True])
async def test_f11_a_line_that_tells_of_something_else_by_a_flipped_byte_is_torn(
    settings: Settings, fault: str, *, is_rebuilt: bool
) -> None:
    """Its checksum is wrong, so nothing is made of it that never was."""
    await _require_one_line_torn(settings, _OTHERWISE[fault], is_rebuilt=is_rebuilt)


async def test_f11_lines_of_former_programs_have_no_checksum_and_are_sound(settings: Settings) -> None:
    for segment in segments_of(settings):
        segment.write_bytes(unsealed(_bytes_of(segment)))
    assert await verify_settings(settings) == []
    lose_database(settings)

    assert (await rebuild(settings))[0] == 0

    assert await verify_settings(settings) == []
