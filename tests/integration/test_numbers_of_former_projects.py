"""Numbers of projects are not given again by a database that was made anew or is an older copy (decision 50).

Notes of pulls outlive a database, and name their project by its number: its log would be another project's.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from entrepot.metadata.project_store import NewProject
from entrepot.metadata.sql.opening import open_metadata
from entrepot.settings import metadata_url
from tests.asgi.services import scratch_settings
from tests.integration.rebuilding import (
    compacted_registry,
    copy_database,
    lose_database,
    rebuild,
    restore_database,
)
from tests.running.backups import BackupCommands

if TYPE_CHECKING:
    from pathlib import Path

    from entrepot.settings import Settings


async def _make_project(settings: Settings, name: str) -> int:
    metadata = await open_metadata(metadata_url(settings), 1, 5.0)
    new = NewProject(name * 32, name, "", None, is_public=False, repository_creation="operators")
    try:
        number = await metadata.write(lambda tx: tx.projects.insert(new))
    finally:
        await metadata.aclose()
    assert number is not None
    return number


@pytest.mark.parametrize("way", ["made anew", "an older copy", "a snapshot", "a snapshot of the database"])
async def test_a_project_gets_no_number_of_one_that_the_database_has_not_seen_i6(
    tmp_path: Path, way: str
) -> None:
    settings = await compacted_registry(tmp_path / "data")
    backups = BackupCommands(settings.data.directory, str(tmp_path / "backup"))
    assert (await asyncio.to_thread(backups.run, "create")).code == 0
    copy_database(settings, tmp_path / "copy")
    former = [await _make_project(settings, name) for name in "abc"]

    match way:
        case "made anew":
            lose_database(settings)
            code, _ = await rebuild(settings)
        case "an older copy":
            restore_database(settings, tmp_path / "copy")
            code, _ = await rebuild(settings, "--catch-up")
        case "a snapshot of the database":
            lose_database(settings)
            code = (await asyncio.to_thread(backups.run, "restore", "--database-only")).code
        case _:
            elsewhere = BackupCommands(tmp_path / "elsewhere", backups.target)
            code = (await asyncio.to_thread(elsewhere.run, "restore")).code
            settings = scratch_settings(elsewhere.data)

    assert code == 0
    assert await _make_project(settings, "d") > max(former)
