"""Facts that the journal tells of and the database lacks, though it has given greater numbers since (F11, F47)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from entrepot.blobstore.filesystem.store import FilesystemBlobStore
from entrepot.bootstrap import open_stores
from entrepot.lifecycle.scrub import journal_phase
from entrepot.lifecycle.scrub.findings import Kind, Outcome
from entrepot.lifecycle.scrub.options import Mode, ScrubOptions
from entrepot.lifecycle.scrub.standing import why_nothing_may_be_removed
from entrepot.registry.sweeps.orphans import OrphanSweep, SweepOptions
from tests.asgi.services import in_process_registry
from tests.asgi.small_images import image, put
from tests.integration.rebuilding import (
    compact,
    compacted_registry,
    database_of,
    lose_database,
    push_segment,
    rebuild,
    segments_of,
)
from tests.integration.scrubbing import REPAIR, find_damage, verify_settings
from tests.integration.test_commands import run
from tests.running.moved_clocks import steady_clock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from entrepot.settings import Settings


@pytest.fixture
async def settings(tmp_path: Path) -> Settings:
    """A registry whose journal lies in the segments `1-3`, `4-6` and `7-7`."""
    settings = await compacted_registry(tmp_path / "data")
    await push_segment(settings, "b", "c", "d")
    await push_segment(settings, "e")
    return settings


async def _rebuild_without_a_segment(settings: Settings) -> None:
    """Let a file of the journal be gone during a rebuild, and put it back afterwards."""
    segment = segments_of(settings)[1]
    content = segment.read_bytes()
    segment.unlink()
    lose_database(settings)
    assert (await rebuild(settings))[0] == 0
    segment.write_bytes(content)


@pytest.mark.parametrize("batch", [1, 2, 2_000])
async def test_f11_facts_that_came_back_behind_a_rebuild_are_told(
    settings: Settings, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However few are asked for at a time; a repair leaves them, as only a catch-up can take them in."""
    assert await verify_settings(settings) == []
    await _rebuild_without_a_segment(settings)
    monkeypatch.setattr(journal_phase, "_FACTS", batch)
    for options in (ScrubOptions(), REPAIR):
        (finding,) = await verify_settings(settings, options)

        assert (finding.kind, finding.outcome, finding.is_damage) == (Kind.DATABASE_GAP, Outcome.FOUND, True)
        assert finding.detail.startswith(
            "the database lacks 3 facts that the journal tells of: 4-6; run entrepot"
        )

    assert (await rebuild(settings, "--catch-up"))[0] == 0
    assert await verify_settings(settings) == []


async def test_f11_the_command_does_not_say_that_a_sweep_may_take_what_they_tell_of(
    settings: Settings, tmp_path: Path
) -> None:
    """The bytes of an acknowledged image's manifest belong to no row until the facts are in the database."""
    await _rebuild_without_a_segment(settings)

    done = run(tmp_path, "verify", "--fast", "--data", str(settings.data.directory))

    assert (done.returncode, "database-gap" in done.stdout, "in time" in done.stdout) == (1, True, False)
    assert "3 objects" in done.stdout
    assert "the sweep removes none before entrepot rebuild --catch-up" in done.stdout


async def test_f11_nothing_is_swept_until_the_facts_are_there_and_a_verification_has_seen_it(
    settings: Settings, tmp_path: Path
) -> None:
    """The sweep would have removed the objects that only those facts tell of (F47, I8)."""
    await _rebuild_without_a_segment(settings)
    assert await _sweep(settings) == ("", 3)

    assert run(tmp_path, "verify", "--fast", "--data", str(settings.data.directory)).returncode == 1
    assert "rebuild --catch-up" in (await _sweep(settings))[0]

    assert (await rebuild(settings, "--catch-up"))[0] == 0
    assert (await _sweep(settings))[0] != ""
    assert run(tmp_path, "verify", "--data", str(settings.data.directory)).returncode == 0
    assert await _sweep(settings) == ("", 0)


async def test_f11_nothing_is_swept_while_a_line_is_lost_that_the_database_does_not_know(
    settings: Settings, tmp_path: Path
) -> None:
    """A sound copy may come back, and the objects that only the line tells of must be there by then (F47, I8)."""
    segment = segments_of(settings)[1]
    whole = segment.read_bytes()
    lines = whole.splitlines(keepends=True)
    segment.write_bytes(b"".join([lines[0], b"{damaged\n", *lines[2:]]))
    lose_database(settings)
    code, report = await rebuild(settings)
    assert (code, report["lost_parts"]) == (1, 1)
    assert "mend it or give it up" in (await _sweep(settings))[0]

    verify = ("verify", "--fast", "--data", str(settings.data.directory))
    done = run(tmp_path, *verify)

    assert (done.returncode, "journal-lost" in done.stdout, "in time" in done.stdout) == (1, True, False)
    assert "mend it or give it up" in (await _sweep(settings))[0]

    segment.write_bytes(whole)
    assert (await rebuild(settings, "--catch-up"))[0] == 0
    assert run(tmp_path, *verify).returncode == 0
    assert await _sweep(settings) == ("", 0)


async def _sweep(settings: Settings) -> tuple[str, int]:
    """Do a pass; return why nothing may be removed, and how many orphans it saw for the first time."""
    async with open_stores(settings) as stores:
        clock = await steady_clock(stores.metadata)
        objection = partial(why_nothing_may_be_removed, stores.metadata)
        once = SweepOptions(grace_seconds=3_600, period_seconds=0, page_pause_seconds=0)
        report = await OrphanSweep(stores.metadata, stores.blobs, once, clock, objection).run()
        return report.refused, report.found


async def test_f11_no_more_numbers_are_kept_than_fit_into_memory(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _rebuild_without_a_segment(settings)
    monkeypatch.setattr(journal_phase, "_MOST_MISSING", 2)

    (finding,) = await verify_settings(settings)

    assert "lacks 2 facts or more that the journal tells of: 4-5 …" in finding.detail


async def test_f11_a_registry_whose_facts_wait_or_are_compacted_meanwhile_is_sound(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Entries of facts that no segment has; then they go while they are read, and newer ones come."""
    async with in_process_registry(settings) as registry:
        for tag in "fgh":
            await put(registry.client, tag, image(annotations={"n": tag}))
        assert await find_damage(registry.stores) == []
        met = 0
        read = FilesystemBlobStore.read

        async def reading(
            store: FilesystemBlobStore, key: str, start: int = 0, end: int | None = None
        ) -> AsyncIterator[bytes]:
            nonlocal met
            met += key.startswith("journal/")
            if key.startswith("journal/") and met == 1:
                await put(registry.client, "i", image(annotations={"n": "i"}))
                await compact(registry.stores)
                await put(registry.client, "j", image(annotations={"n": "j"}))
            async for chunk in read(store, key, start, end):
                yield chunk

        monkeypatch.setattr(FilesystemBlobStore, "read", reading)

        assert await find_damage(registry.stores) == []
        assert met > 1


async def test_f11_a_fact_that_is_committed_behind_a_greater_one_is_sound(settings: Settings) -> None:
    """As PostgreSQL's may be, whose numbers are drawn before: the database has it once the journal tells of it."""
    await database_of(settings).fetch("UPDATE outbox SET journalled_at = NULL WHERE id = 5")

    assert await verify_settings(settings) == []


async def test_f11_a_rebuilt_registry_is_sound_and_numbers_that_nobody_got_accuse_nobody(
    settings: Settings,
) -> None:
    """What was rolled back has a number, and no line in the journal."""
    await database_of(settings).fetch("UPDATE sqlite_sequence SET seq = seq + 9 WHERE name = 'outbox'")
    async with in_process_registry(settings) as registry:
        await put(registry.client, "f", image(annotations={"n": "f"}))
    lose_database(settings)
    assert (await rebuild(settings))[0] == 0

    assert await verify_settings(settings) == []


@pytest.mark.parametrize("fault", ["a word", "a line", "the first line", "the lines behind it as well"])
async def test_f11_a_line_that_only_the_journal_had_is_not_taken_out(settings: Settings, fault: str) -> None:
    """A rebuild left its fact out, so the database can't complete the file: it may still be mended."""
    segment = segments_of(settings)[1]
    whole = segment.read_bytes()
    first, second, third = whole.splitlines(keepends=True)
    word = second.replace(b'"payload"', b'"paylo')
    damaged = {
        "a word": first + word + third,
        "a line": first + b"{damaged\n" + third,
        "the first line": b"{damaged\n" + second + third,
        "the lines behind it as well": first + word + third,
    }[fault]
    segment.write_bytes(damaged)
    lose_database(settings)
    assert (await rebuild(settings))[0] == 1
    if fault == "the lines behind it as well":
        damaged = (
            first + word
        )  # one fact is lacking that the database knows, and one line is damaged: another one's
        segment.write_bytes(damaged)

    for options in (ScrubOptions(), ScrubOptions(mode=Mode.REHEARSE), REPAIR):
        found = {one.kind: one for one in await verify_settings(settings, options)}
        lost = found.pop(Kind.JOURNAL_LOST)
        assert (lost.outcome, lost.is_damage, lost.key.endswith(segment.name)) == (Outcome.FOUND, True, True)
        assert "the database does not know all that it may have told of" in lost.detail
        assert found.keys() <= {Kind.JOURNAL_GAP}
        assert segment.read_bytes() == damaged

    segment.write_bytes(whole)
    assert (await rebuild(settings, "--catch-up"))[0] == 0
    assert await verify_settings(settings) == []
