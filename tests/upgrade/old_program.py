"""A version of the product that was landed before, taken out of the history and run as it was."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tests.running.entrepot import RunningEntrepot

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["HistoryMissingError", "OldEntrepot", "check_out"]

ROOT: Final = Path(__file__).parents[2]
_LOCK: Final = "requirements/runtime.txt"


class HistoryMissingError(Exception):
    """The commit isn't in this clone."""


def check_out(commit: str, directory: Path) -> Path:
    """Write the source of the product at `commit` below `directory` and return the folder to import it from.

    It runs in this environment, so what it depends on must be locked as it was then; else make an environment of its
    own with the `scripts/create-venv` of that commit.

    Raises:
        HistoryMissingError: a shallow clone, or a source archive.
    """
    archive = subprocess.run(
        ["git", "-C", str(ROOT), "archive", commit, "src", _LOCK], capture_output=True, check=False
    )
    if archive.returncode != 0:
        raise HistoryMissingError(archive.stderr.decode().strip())
    directory.mkdir(parents=True, exist_ok=True)
    subprocess.run(["tar", "-x", "-C", str(directory)], input=archive.stdout, check=True)
    then, now = ((root / _LOCK).read_text() for root in (directory, ROOT))
    assert then == now, f"{commit} was locked to other versions of its dependencies"
    source = directory / "src"
    asked = "import entrepot; print(entrepot.__file__)"
    found = subprocess.run(
        [sys.executable, "-P", "-c", asked],
        env={"PYTHONPATH": str(source)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.startswith(str(source)), found.stdout
    return source


class OldEntrepot(RunningEntrepot):
    """A registry of the version in `source`; everything else is as with the one of the head."""

    def __init__(
        self,
        directory: Path,
        source: Path,
        *,
        settings: dict[str, dict[str, Any]] | None = None,
        environment: Mapping[str, str] | None = None,
        data_directory: Path | None = None,
    ) -> None:
        super().__init__(
            directory,
            settings=settings,
            environment={**(environment or {}), "PYTHONPATH": str(source)},
            data_directory=data_directory,
        )
