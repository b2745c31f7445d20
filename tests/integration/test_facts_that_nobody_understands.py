"""Lines of the journal that are JSON still and tell of nothing that this program understands (F11, F47).

A byte of them was flipped and they have no checksum, as former programs wrote none, or a newer program wrote them. To
count them as known would lose what they told of.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from entrepot.bootstrap import open_stores
from entrepot.lifecycle.scrub.findings import Kind
from entrepot.lifecycle.scrub.standing import why_nothing_may_be_removed
from entrepot.registry.sweeps.orphans import OrphanSweep, SweepOptions
from tests.asgi.services import in_process_registry
from tests.asgi.small_images import NAME, image, put
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
from tests.running.moved_clocks import steady_clock

if TYPE_CHECKING:
    from pathlib import Path

    from entrepot.settings import Settings


@pytest.fixture
async def settings(tmp_path: Path) -> Settings:
    """A registry whose journal lies in the segments `1-3` and `4-6`."""
    settings = await compacted_registry(tmp_path / "data")
    await push_segment(settings, "b", "c", "d")
    return settings


async def _sweep(settings: Settings) -> tuple[str, int]:
    """Do a pass; return why nothing may be removed, and how many orphans it saw for the first time."""
    async with open_stores(settings) as stores:
        clock = await steady_clock(stores.metadata)
        objection = partial(why_nothing_may_be_removed, stores.metadata)
        once = SweepOptions(grace_seconds=3_600, period_seconds=0, page_pause_seconds=0)
        report = await OrphanSweep(stores.metadata, stores.blobs, once, clock, objection).run()
        return report.refused, report.found


def _flip(segment: Path, number: int, old: bytes, new: bytes) -> None:
    lines = unsealed(segment.read_bytes()).splitlines(keepends=True)
    line = next(line for line in lines if line.startswith(b'{"sequence":%d,' % number))
    segment.write_bytes(b"".join(lines).replace(line, line.replace(old, new, 1)))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"kind":"m', b'"kind":"l'),
        (b'"sha256', b'"rha256'),
        (b'"digest"', b'"dhgest"'),
        (b'"repository":"t', b'"repository":"T'),
    ],
)
async def test_f11_what_nobody_understands_is_not_known_and_a_sound_copy_brings_it_in(
    settings: Settings, old: bytes, new: bytes
) -> None:
    """The sweep leaves what it told of; the kinds of a newer program come in with that one likewise."""
    segment = segments_of(settings)[1]
    whole = segment.read_bytes()
    _flip(segment, 5, old, new)
    lose_database(settings)

    code, report = await rebuild(settings)

    assert (code, report["applied"], report["lost_parts"]) == (1, 5, 1)
    assert [spot["key"] for spot in report["spots"]] == ["fact 5"]
    assert "can't be read" in (await _sweep(settings))[0]
    for options in (None, REPAIR):
        (finding,) = await verify_settings(settings, options)
        assert (finding.kind, finding.is_damage) == (Kind.DATABASE_GAP, True)
        assert "the database lacks" in (await _sweep(settings))[0]

    segment.write_bytes(whole)
    code, report = await rebuild(settings, "--catch-up")
    assert (code, report["applied"]) == (0, 1)
    assert await verify_settings(settings) == []
    assert await _sweep(settings) == ("", 0)
    async with in_process_registry(settings) as registry:
        paths = [f"/v2/{NAME}/manifests/{tag}" for tag in "abcd"]
        assert {(await registry.client.request("GET", path)).status for path in paths} == {200}


async def test_f11_what_nobody_understands_is_given_up_as_the_finding_says(settings: Settings) -> None:
    segment = segments_of(settings)[1]
    _flip(segment, 5, b'"sha256', b'"rha256')
    lose_database(settings)
    assert (await rebuild(settings))[0] == 1
    (finding,) = await verify_settings(settings)
    assert "move the file away" in finding.detail
    assert (await rebuild(settings, "--catch-up"))[1]["applied"] == 0

    segment.unlink()
    assert {one.kind for one in await verify_settings(settings, REPAIR)} == {Kind.JOURNAL_GAP}
    async with open_stores(settings) as stores:
        await compact(stores)

    assert await verify_settings(settings) == []
    assert (await _sweep(settings))[0] == ""
    assert (await rebuild(settings, "--catch-up"))[0] == 0
    async with in_process_registry(settings) as registry:
        assert (await put(registry.client, "c", image(annotations={"n": "c"}))).status == 201


@pytest.mark.parametrize("number", [5, 6])
async def test_f11_numbers_of_what_nobody_understands_are_not_given_again(
    settings: Settings, number: int
) -> None:
    """Not that of the journal's last fact either; and pushes go on."""
    _flip(segments_of(settings)[1], number, b'"sha256', b'"rha256')
    lose_database(settings)
    assert (await rebuild(settings))[0] == 1
    async with in_process_registry(settings) as registry:
        assert (await put(registry.client, "n", image(annotations={"n": "n"}))).status == 201
        await compact(registry.stores)
        assert await registry.stores.metadata.orphans.last_fact() == 8
        recorded = await registry.stores.metadata.replay.recorded(0, 100)
    assert [fact.sequence for fact in recorded] == [n for n in range(1, 9) if n != number]
