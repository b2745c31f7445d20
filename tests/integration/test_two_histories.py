"""A journal that tells of different facts under one number (F47): nobody takes one history for the whole."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from entrepot.bootstrap import open_stores
from entrepot.lifecycle.scrub.findings import Kind
from entrepot.lifecycle.scrub.options import ScrubGround, ScrubOptions
from entrepot.registry.hashing import HashingPool
from tests.asgi.history import picture_of
from tests.integration.rebuilding import (
    compacted_registry,
    database_of,
    lose_database,
    rebuild,
    segments_of,
    unsealed,
)
from tests.integration.scrubbing import verify_stores

if TYPE_CHECKING:
    from pathlib import Path

    from entrepot.lifecycle.scrub.findings import Finding
    from entrepot.settings import Settings


@pytest.fixture
async def settings(tmp_path: Path) -> Settings:
    """A registry whose journal lies in one segment."""
    return await compacted_registry(tmp_path / "data")


def _add_rival(settings: Settings) -> str:
    """Write a segment of another history beside the only one, as a former program did, and return its name."""
    (segment,) = segments_of(settings)
    rival = segment.with_name(f"{3:020d}-{3:020d}")
    rival.write_bytes(_changed(segment.read_bytes()).splitlines(keepends=True)[-1])
    return rival.name


def _changed(lines: bytes) -> bytes:
    """Return facts of another history under the same numbers, of which only the third differs."""
    return unsealed(lines).replace(b'"manifest.put"', b'"tag.delete"')


async def test_f47_a_rebuild_from_two_histories_fails_and_names_numbers_and_files(settings: Settings) -> None:
    """Rehearsed or not; what it made is there, for whoever has nothing better."""
    rival = _add_rival(settings)
    lose_database(settings)
    for options in (("--dry-run",), ()):
        code, report = await rebuild(settings, *options)

        (spot,) = report["spots"]
        assert (code, spot["key"].rpartition("/")[2]) == (1, rival)
        assert f"tells of other facts 3 than {spot['key'].rpartition('/')[0]}/" in spot["reason"]
        assert "move the files" in spot["reason"]


async def test_f47_a_database_is_not_caught_up_from_two_histories(
    settings: Settings, capfd: pytest.CaptureFixture[str]
) -> None:
    """Nothing is changed, and a dry run says so beforehand."""
    rival = _add_rival(settings)
    await database_of(settings).fetch("DELETE FROM outbox WHERE id > 2")
    before = await picture_of(database_of(settings))

    code, _ = await rebuild(settings, "--catch-up")
    told = capfd.readouterr().err
    rehearsed, report = await rebuild(settings, "--catch-up", "--dry-run")

    assert (code, rehearsed) == (1, 1)
    assert f"{rival} tells of other facts 3 than" in told
    assert report["database"]["refusal"] in told
    assert await picture_of(database_of(settings)) == before


async def test_f47_a_database_with_another_first_fact_than_the_journal_is_not_caught_up(
    settings: Settings, capfd: pytest.CaptureFixture[str]
) -> None:
    """However old it is: a catch-up and its dry run compare all facts, and one that rehearsed must not say more."""
    await database_of(settings).fetch("UPDATE outbox SET repository = 'team/other' WHERE id = 1")

    rehearsed, report = await rebuild(settings, "--catch-up", "--dry-run")
    code, _ = await rebuild(settings, "--catch-up")

    assert (rehearsed, code) == (1, 1)
    assert "fact 1 of the database is another one" in report["database"]["refusal"]
    assert report["database"]["refusal"] in capfd.readouterr().err


async def _diverged(settings: Settings) -> list[Finding]:
    async with open_stores(settings) as stores:
        with ThreadPoolExecutor(2) as executor:
            ground = ScrubGround(stores.metadata, stores.blobs, HashingPool(executor))
            _, findings = await verify_stores(ground, ScrubOptions())
    return [one for one in findings if one.kind is Kind.JOURNAL_DIVERGED]


async def test_f47_a_verification_tells_of_two_histories(settings: Settings) -> None:
    rival = _add_rival(settings)

    (finding,) = await _diverged(settings)

    assert (finding.name.rpartition("/")[2], "other facts 3 than" in finding.detail) == (rival, True)


async def test_f47_a_verification_compares_the_facts_with_the_database_not_their_numbers_alone(
    settings: Settings,
) -> None:
    """A segment of a foreign registry in the place of the right one, under its name."""
    assert await _diverged(settings) == []
    (segment,) = segments_of(settings)
    segment.write_bytes(_changed(segment.read_bytes()))

    (finding,) = await _diverged(settings)

    assert finding.is_damage
    assert finding.name.rpartition("/")[2] == segment.name
    assert finding.detail == "tells of other facts 3 than the database"


async def test_f47_of_two_histories_the_one_that_is_not_the_database_s_is_named(settings: Settings) -> None:
    """Of the journal's own files, one tells the same as the database; the other contradicts both."""
    (segment,) = segments_of(settings)
    right = segment.with_name(f"{3:020d}-{3:020d}")
    right.write_bytes(segment.read_bytes().splitlines(keepends=True)[-1])
    segment.write_bytes(_changed(segment.read_bytes()))

    found = {one.name.rpartition("/")[2]: one.detail for one in await _diverged(settings)}

    assert found[segment.name] == "tells of other facts 3 than the database"
    assert found[right.name].endswith(f"{segment.name}, whose are taken")
