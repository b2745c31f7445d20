"""Dry runs of commands on the host: they say what would be done, and where there is nothing they make nothing."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Final

import pytest

from entrepot.ops.application import run_command_line
from entrepot.ops.images import import_images
from entrepot.ops.verify import verify
from tests.integration.importing import TreeWriter

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_IMPORT: Final = "import --from-distribution {place}/tree"
_REBUILD: Final = "rebuild"
_RESTORE: Final = "backup restore --from {place}/backup"
_MISSING: Final = "there is no registry in {place}/data: no database {place}/data/metadata/entrepot.db"
_WOULD_BE_MADE: Final = f"{_MISSING}; without --dry-run a new one is made there"
_DONE, _FAILED = 0, 1


def _keep_the_log_of_this_process(*_: object) -> None:
    pass


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A place with a registry in `data` that holds an image, a backup of it, and a tree with another image."""
    place = tmp_path_factory.mktemp("original")
    for name in ("first", "tree"):
        TreeWriter(place / name).add_image(f"team/{name}", "v1")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ENTREPOT_CONFIG", os.devnull)
        patch.setattr(import_images, "configure_logging", _keep_the_log_of_this_process)
        patch.setattr(verify, "_keep_log_away", _keep_the_log_of_this_process)
        for words in (f"import --from-distribution {place}/first", f"backup create --to {place}/backup"):
            assert run_command_line([*words.split(), "--data", str(place / "data")]) == 0
        yield place


@pytest.fixture
def place(original: Path, tmp_path: Path) -> Path:
    """A copy of it, to be spoiled."""
    return shutil.copytree(original, tmp_path / "place")


def _everything(place: Path) -> list[str]:
    return sorted(str(path) for path in place.rglob("*"))


def _make_nothing(
    place: Path,
    expected: Sequence[tuple[str, int, str]],
    capsys: pytest.CaptureFixture[str],
    option: str = "--dry-run",
) -> None:
    """Run commands, and compare the code of each, what it says, and all that there is before and after."""
    capsys.readouterr()
    for words, code, told in expected:
        before = _everything(place)
        arguments = [*words.format(place=place).split(), option, "--data", str(place / "data")]
        ended = run_command_line(arguments)
        said = "".join(capsys.readouterr())
        assert (ended, told.format(place=place) in said) == (code, True), (words, ended, said)
        assert _everything(place) == before, words


def test_on_a_mistyped_path_a_dry_run_makes_nothing(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It says that there is nothing, and tells of the other side what it can."""
    (place / "data").rename(place / "registry")

    _make_nothing(
        place,
        [
            (_IMPORT, _DONE, _WOULD_BE_MADE),
            (_IMPORT, _DONE, "1 set, 0 there before"),
            (
                _REBUILD,
                _FAILED,
                "there is no storage to rebuild a database from: no directory {place}/data/storage",
            ),
            (_RESTORE, _DONE, _WOULD_BE_MADE),
            (f"{_RESTORE} --database-only", _DONE, "would be restored"),
            (f"{_RESTORE} --blobs-only", _FAILED, _MISSING),
            (f"{_RESTORE} --repository team/*", _FAILED, _MISSING),
        ],
        capsys,
    )
    _make_nothing(place, [(_REBUILD, _FAILED, "there is no storage to rebuild")], capsys, "--verify")


def test_a_dry_run_of_a_restore_refuses_what_the_restore_refuses(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And the restore itself makes no lock and no directory before it knows."""
    for made in ("storage", "node-id", "run"):
        path = place / "data" / made
        if path.exists():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    restores = [
        (_RESTORE, _FAILED, "the database is not empty"),
        (f"{_RESTORE} --database-only", _FAILED, "the database is not empty"),
    ]

    _make_nothing(place, restores, capsys)
    _make_nothing(place, restores, capsys, "--parallel=2")


def test_a_dry_run_makes_no_storage_that_is_lost(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nor the name of a node that has none."""
    shutil.rmtree(place / "data" / "storage")
    (place / "data" / "node-id").unlink()

    _make_nothing(
        place,
        [
            (_IMPORT, _DONE, "1 set, 0 there before"),
            (_REBUILD, _FAILED, "the storage holds no journal"),
            (f"{_RESTORE} --blobs-only", _DONE, "would be brought back"),
            (f"{_RESTORE} --repository team/first --as team/other", _DONE, "would be pushed"),
            ("verify --repair", _FAILED, ""),
        ],
        capsys,
    )


def test_a_dry_run_makes_no_database_that_is_lost(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What would be made from the storage is told."""
    shutil.rmtree(place / "data" / "metadata")

    _make_nothing(
        place,
        [
            (_IMPORT, _DONE, _WOULD_BE_MADE),
            (_REBUILD, _DONE, "There is no database yet, or an empty one: entrepot rebuild makes it."),
            (f"{_RESTORE} --database-only", _DONE, _WOULD_BE_MADE),
        ],
        capsys,
    )
