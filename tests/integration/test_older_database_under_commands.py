"""A database is replaced under a command that pushes for hours (F47): it ends, and says what to do."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import structlog.testing

from entrepot.backup.merging import RepositoryMerge
from entrepot.metadata.errors import MetadataUnavailableError
from entrepot.ops import watched_work
from entrepot.ops.application import run_command_line
from entrepot.ops.images import import_images
from entrepot.settings import metadata_path
from entrepot.transfer.importing import Importer
from tests.asgi.services import scratch_settings
from tests.integration.backed_up import filled
from tests.integration.importing import TreeWriter
from tests.integration.rebuilding import compacted_registry
from tests.running.backups import BackupCommands

if TYPE_CHECKING:
    from collections.abc import Callable

_SECONDS = 60


def _replaces(data: Path, aside: Path) -> Callable[[], None]:
    """Return what puts a copy of the database, as it is now, in its place."""
    path = metadata_path(scratch_settings(data))
    older = Path(shutil.copy(path, aside))

    def replace() -> None:
        older.replace(path)

    return replace


def _keep_the_log(*_: object) -> None:
    """Leave the log of this process as it is."""


def _import(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    tree = TreeWriter(tmp_path / "tree")
    tree.add_image("app", "v1")
    with structlog.testing.capture_logs():
        code = run_command_line(
            ("import", "--from-distribution", str(tree.root), "--data", str(tmp_path / "data"))
        )
    said = capsys.readouterr()
    return code, said.out, said.err


@pytest.fixture
def replace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """A registry is there; a call replaces its database."""
    monkeypatch.setattr(import_images, "configure_logging", _keep_the_log)
    asyncio.run(compacted_registry(tmp_path / "data"))
    return _replaces(tmp_path / "data", tmp_path / "older.db")


def test_f47_an_import_ends_in_the_middle_once_its_database_is_another_one(
    tmp_path: Path,
    replace: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """However long it would go on."""
    monkeypatch.setattr(watched_work, "_LOOK_SECONDS", 0.01)

    ends: list[str] = []

    async def never_end(_importer: Importer) -> None:
        replace()
        try:
            async with asyncio.timeout(_SECONDS):
                await asyncio.Event().wait()
        except BaseException as error:
            ends.append(type(error).__name__)
            raise

    monkeypatch.setattr(Importer, "run", never_end)
    code, _, errors = _import(tmp_path, capsys)

    assert (code, ends, "was replaced or removed under this process" in errors) == (
        1,
        ["CancelledError"],
        True,
    )
    assert "Broken off: what was pushed last may be lost" in errors
    assert "run the same command again" not in errors


@pytest.mark.parametrize("fails", [False, True])
def test_f47_an_import_reports_nothing_that_went_into_another_database(
    *,
    tmp_path: Path,
    replace: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    fails: bool,
) -> None:
    """It looks once more at its end, also where it ends with an error, as of connections that were cut."""
    compare = Importer.compare

    async def replace_and_compare(importer: Importer) -> None:
        replace()
        if fails:
            raise MetadataUnavailableError("the server closed the connection")
        await compare(importer)

    monkeypatch.setattr(Importer, "compare", replace_and_compare)
    code, output, errors = _import(tmp_path, capsys)

    assert (code, output, "start this node again" in errors) == (1, "", True)
    assert "run the same command again" not in errors


def test_f47_an_import_that_fails_for_another_reason_says_so(
    tmp_path: Path,
    replace: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Then the same command goes on; and one that nothing befalls is as it was."""
    assert _import(tmp_path, capsys)[0] == 0
    assert callable(replace)

    async def fail(_importer: Importer) -> None:
        raise MetadataUnavailableError("the server closed the connection")

    monkeypatch.setattr(Importer, "compare", fail)
    shutil.rmtree(tmp_path / "tree")
    code, _, errors = _import(tmp_path, capsys)

    assert (code, "the server closed the connection" in errors) == (1, True)
    assert "run the same command again" in errors


def test_f47_a_restore_of_repositories_reports_nothing_that_went_into_another_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rehearsal pushes nothing, and is not watched."""
    commands = BackupCommands(tmp_path / "data", str(tmp_path / "backup"))
    filled(commands)
    assert commands.run("create").code == 0
    run = RepositoryMerge.run

    async def run_and_replace(merge: RepositoryMerge, chosen: object) -> object:
        report = await run(merge, chosen)  # type: ignore[arg-type]  # handed on
        _replaces(commands.data, tmp_path / "older.db")()
        return report

    monkeypatch.setattr(RepositoryMerge, "run", run_and_replace)
    chosen = ("--repository", "team/app", "--as", "team/again")
    rehearsed = commands.run("restore", *chosen, "--dry-run")
    with structlog.testing.capture_logs():
        restored = commands.run("restore", *chosen)

    assert (rehearsed.code, restored.code, restored.output) == (0, 1, ""), (rehearsed, restored)
    assert "was replaced or removed under this process" in restored.errors
