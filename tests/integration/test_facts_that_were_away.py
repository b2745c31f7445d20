"""Facts that the journal tells of and a database lacks, though it knows later ones (F1, F11).

As where a file of the journal was away while the database was rebuilt, and is there again. They come behind what the
database knows, and must not undo it.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from entrepot.auth.grants import ProjectGrant
from entrepot.auth.host import host_operator
from entrepot.auth.modes import ModeGate, Modes
from entrepot.auth.project_actions import DeleteRepository
from entrepot.ops.application import run_command_line
from entrepot.registry.journal.writer import Journal
from entrepot.registry.repositories import ProjectRepositories
from tests.asgi.history import MOUNTED, live_through_everything, picture_of
from tests.asgi.services import in_process_registry, scratch_settings
from tests.asgi.small_images import image, push_blobs, put
from tests.integration.rebuilding import compact, database_of, lose_database, rebuild, segments_of
from tests.plumbing.identity_doubles import no_obstacle

if TYPE_CHECKING:
    from pathlib import Path

    from entrepot.settings import Settings
    from tests.asgi.services import InProcessRegistry

_Lines = list[bytes]


async def _live(settings: Settings) -> None:
    async with in_process_registry(settings) as registry:
        await live_through_everything(registry.client)
        await compact(registry.stores)
    lose_database(settings)
    await rebuild(settings)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A registry that was rebuilt from all of its journal, which lies in one segment."""
    settings = scratch_settings(tmp_path_factory.mktemp("original") / "data")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ENTREPOT_CONFIG", os.devnull)
        asyncio.run(_live(settings))
    return settings


@pytest.fixture
def settings(original: Settings, tmp_path: Path) -> Settings:
    """A copy of it."""
    shutil.copytree(original.data.directory, tmp_path / "data")
    return scratch_settings(tmp_path / "data")


async def _alive(settings: Settings) -> dict[str, list[tuple[Any, ...]]]:
    """Return what can be pulled, and which facts are known."""
    picture = await picture_of(database_of(settings))
    alive = {name: picture[name] for name in ("repositories", "links", "tags", "facts")}
    return alive | {"manifests": [row for row in picture["manifests"] if "live" in row]}


def _numbers(lines: _Lines) -> tuple[int, int]:
    return json.loads(lines[0])["sequence"], json.loads(lines[-1])["sequence"]


def _split(settings: Settings, first: int, last: int) -> Path:
    """Let a part of the only segment lie in a file of its own, and return that."""
    (segment,) = segments_of(settings)
    lines = segment.read_bytes().splitlines(keepends=True)
    segment.unlink()
    inner = [line for line in lines if first <= json.loads(line)["sequence"] <= last]
    for part in (lines[: lines.index(inner[0])], inner, lines[lines.index(inner[-1]) + 1 :]):
        if part:
            begin, end = _numbers(part)
            segment.with_name(f"{begin:020d}-{end:020d}").write_bytes(b"".join(part))
    begin, end = _numbers(inner)
    return segment.with_name(f"{begin:020d}-{end:020d}")


async def _rebuild_without(settings: Settings, first: int, last: int) -> None:
    """Lose the database and make it again while some facts are away."""
    part = _split(settings, first, last)
    away = part.rename(settings.data.directory / "away")
    lose_database(settings)
    await rebuild(settings)
    away.rename(part)


@pytest.mark.parametrize(
    ("first", "last"),
    [
        (1, 2),  # links that manifests told of meanwhile
        (4, 4),  # a tag that was moved since
        (5, 5),  # a manifest for want of which an index was left out
        (5, 6),  # a tag that was not
        (12, 12),  # the deletion of that tag
        (14, 14),  # the deletion of that manifest
        (16, 16),  # the deletion of a manifest that was pushed again since, under another tag
        (5, 17),
        (21, 21),  # a link that was taken away since
    ],
)
async def test_f1_facts_that_come_back_bring_what_no_later_one_changed(
    original: Settings, settings: Settings, first: int, last: int
) -> None:
    """Whatever is away, the database comes to what it would be with it."""
    await _rebuild_without(settings, first, last)
    assert await _alive(settings) != await _alive(original)

    code, report = await rebuild(settings, "--catch-up")

    assert (code, report["applied"]) == (0, last - first + 1), report
    assert await _alive(settings) == await _alive(original)


async def test_f1_a_dry_run_names_the_command_that_brings_them_in(
    settings: Settings, capfd: pytest.CaptureFixture[str]
) -> None:
    """It does not say that the database knows everything; once they are in, it does."""
    await _rebuild_without(settings, 4, 6)

    code, report = await rebuild(settings, "--dry-run")
    told = report["database"]
    assert (code, told["earlier_facts"], told["first_unseen"], told["unseen_facts"]) == (0, 3, 4, 3)
    assert told["database_is_behind"]
    arguments = ("rebuild", "--data", str(settings.data.directory), "--dry-run")
    assert await asyncio.to_thread(run_command_line, arguments) == 0

    said = capfd.readouterr().out
    assert "The database lacks 3 facts of the journal, from 4 on, though it knows later ones" in said
    assert "entrepot rebuild --catch-up" in said
    assert "what is shown above is a rebuild of an empty database" in said
    await rebuild(settings, "--catch-up")
    assert await asyncio.to_thread(run_command_line, arguments) == 0
    assert "knows everything" in capfd.readouterr().out


async def _delete_mounted(registry: InProcessRegistry) -> None:
    journal = Journal(registry.stores.blobs, await registry.stores.metadata.instance.incarnation())
    service = ProjectRepositories(registry.stores.metadata, journal, ModeGate(Modes(), None, no_obstacle))
    project, _, name = MOUNTED.partition("/")
    number = await database_of(registry.settings).value(f"SELECT id FROM projects WHERE name = '{project}'")
    await service.delete(ProjectGrant(DeleteRepository, int(number), project, host_operator()), name)


@pytest.mark.parametrize("filled_again", [False, True])
async def test_i5_the_deletion_of_a_repository_comes_back(tmp_path: Path, *, filled_again: bool) -> None:
    """Of one that was filled again what was there before can't be told from what came later: it stays, and is named."""
    settings = scratch_settings(tmp_path / "data")
    async with in_process_registry(settings) as registry:
        await live_through_everything(registry.client)
        await _delete_mounted(registry)
        if filled_again:
            await push_blobs(registry.client, MOUNTED)
        await put(registry.client, "again", image(annotations={"n": "1"}))
        if filled_again:
            await put(registry.client, "again", image(annotations={"n": "1"}), name=MOUNTED)
        await compact(registry.stores)
    deletion = await database_of(settings).value("SELECT id FROM outbox WHERE kind = 'repository.delete'")
    lose_database(settings)
    await rebuild(settings)
    expected = await _alive(settings)
    await _rebuild_without(settings, deletion, deletion)

    code, report = await rebuild(settings, "--catch-up")

    if filled_again:
        ((what, repository),) = [(loss["what"], loss["repository"]) for loss in report["losses"]]
        assert (code, what, repository) == (1, "deletion", MOUNTED)
        tags = {(row[0], row[1]) for row in (await _alive(settings))["tags"]}
        assert tags == {(row[0], row[1]) for row in expected["tags"]} | {(MOUNTED, "copy")}
    else:
        assert (code, await _alive(settings)) == (0, expected)
