"""Facts that wait again among new ones: how many numbers a segment covers, and how a longer one is found (F47)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from entrepot.bootstrap import open_stores
from entrepot.registry.journal import writer
from entrepot.registry.store_match.ownership import Discrepancy, find_discrepancy, find_foreign_facts
from tests.integration.rebuilding import (
    compacted_registry,
    copy_database,
    database_of,
    push_segment,
    restore_database,
    segments_of,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from entrepot.settings import Settings

_FAR = 15_000
_WITHOUT_LIMIT = 1_000_000


@pytest.fixture
async def settings(tmp_path: Path) -> Settings:
    """A registry whose first segment is `1-3`, and whose next facts have numbers from 15,001 on."""
    settings = await compacted_registry(tmp_path / "data")
    await database_of(settings).fetch(f"UPDATE sqlite_sequence SET seq = {_FAR} WHERE name = 'outbox'")
    return settings


async def _let_old_facts_wait(settings: Settings) -> None:
    """As `verify --repair` does where their segment was damaged."""
    await database_of(settings).fetch("UPDATE outbox SET journalled_at = NULL WHERE id <= 3")


def _names(settings: Settings) -> Sequence[tuple[int, int]]:
    return [
        (int(first), int(last)) for first, last in (path.name.split("-") for path in segments_of(settings))
    ]


async def _discrepancy(settings: Settings) -> Discrepancy | None:
    async with open_stores(settings) as stores:
        return await find_discrepancy(stores.metadata, stores.blobs)


async def _longest(settings: Settings) -> str:
    async with open_stores(settings) as stores:
        return (await stores.metadata.outbox.written()).longest_segment.rpartition("/")[2]


async def _written_by_a_former_program(
    settings: Settings, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Copy the database, let old facts wait, and push: all goes into one segment that begins far before the copy."""
    await push_segment(settings, "x")
    await database_of(settings).fetch("DELETE FROM sweeps WHERE name = 'longest segment'")
    copy_database(settings, copy)
    await _let_old_facts_wait(settings)
    with monkeypatch.context() as former:
        former.setattr(writer, "SEGMENT_SPAN", _WITHOUT_LIMIT)
        await push_segment(settings, "y")
    await database_of(settings).fetch("DELETE FROM sweeps WHERE name = 'longest segment'")
    assert _names(settings) == [(1, 3), (1, _FAR + 2), (_FAR + 1, _FAR + 1)]


async def test_f47_a_segment_ends_before_it_covers_too_many_numbers(settings: Settings) -> None:
    """In one run: what lies far behind does not wait for the next one."""
    await _let_old_facts_wait(settings)
    await push_segment(settings, "x")

    assert _names(settings) == [(1, 3), (_FAR + 1, _FAR + 1)]
    assert await database_of(settings).value("SELECT count(*) FROM outbox WHERE journalled_at IS NULL") == 0


async def test_f47_an_older_copy_is_told_by_a_segment_that_begins_long_before_its_end(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a former program, whose database has not noted it: the copy knows less than the segment's end."""
    await _written_by_a_former_program(settings, tmp_path / "copy", monkeypatch)
    assert await _discrepancy(settings) is None
    restore_database(settings, tmp_path / "copy")

    found = await _discrepancy(settings)

    assert found is not None
    assert f"-{_FAR + 2:020d} tells of what this database has not seen yet" in found.reason
    async with open_stores(settings) as stores:
        assert await find_foreign_facts(stores.metadata, stores.blobs) == found.reason


async def test_f47_a_copy_that_has_overtaken_such_a_segment_is_told_by_its_facts(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It gave the numbers anew, so that nothing in the journal is ahead of it."""
    await _written_by_a_former_program(settings, tmp_path / "copy", monkeypatch)
    restore_database(settings, tmp_path / "copy")
    await database_of(settings).fetch(
        "INSERT INTO outbox (at, kind, repository, actor, payload, journalled) "
        "VALUES (1, 'tag.delete', 'team/app', 'another', x'7b7d', 1)"
    )

    found = await _discrepancy(settings)

    assert found is not None
    assert f"-{_FAR + 2:020d} tells of other facts" in found.reason


async def test_f47_the_worker_notes_the_longest_segment_once_and_nobody_looks_for_it_again(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copy of such a database knows it as well; what comes later is never longer."""
    assert await _longest(settings) == f"{1:020d}-{3:020d}"
    await _written_by_a_former_program(settings, tmp_path / "copy", monkeypatch)
    await push_segment(settings, "z")
    noted = f"{1:020d}-{_FAR + 2:020d}"
    assert await _longest(settings) == noted
    copy_database(settings, tmp_path / "later")
    await _let_old_facts_wait(settings)
    await push_segment(settings, "u", "v")

    assert await _longest(settings) == noted
    restore_database(settings, tmp_path / "later")
    found = await _discrepancy(settings)
    assert found is not None
    assert "has not seen yet" in found.reason
