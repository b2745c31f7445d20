"""A version of the product that was landed before, taken out of the history and run as it was."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tests.running.entrepot import RunningEntrepot

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["HistoryMissingError", "OldCode", "OldEntrepot", "check_out", "knows_accounts"]

ROOT: Final = Path(__file__).parents[2]
_LOCK: Final = "requirements/runtime.txt"


class HistoryMissingError(Exception):
    """The version isn't in the history of this clone."""


@dataclass(frozen=True, slots=True)
class OldCode:
    """A version, by the git object ids of its source and its lock: they outlive a rebase, the commit's id does not."""

    source: str
    lock: str

    @classmethod
    def of_commit(cls, commit: str) -> OldCode:
        """Return the code of a commit.

        Raises:
            HistoryMissingError: there is no such commit here.
        """
        source, lock = (_git("rev-parse", f"{commit}:{path}").decode().strip() for path in ("src", _LOCK))
        return cls(source, lock)


def check_out(code: OldCode, directory: Path) -> Path:
    """Write the source of a version below `directory` and return the folder to import it from.

    It runs in this environment, so what it depends on must be locked as it was then, whatever came beside it since;
    else make an environment of its own with the `scripts/create-venv` of that version.

    Raises:
        HistoryMissingError: a shallow clone, or a source archive.
    """
    archive = _git("archive", "--format=tar", "--prefix=src/", code.source)
    directory.mkdir(parents=True, exist_ok=True)
    subprocess.run(["tar", "-x", "-C", str(directory)], input=archive, check=True)
    changed = _locked(_git("cat-file", "blob", code.lock)) - _locked((ROOT / _LOCK).read_bytes())
    assert changed == set(), "it was locked to other versions of its dependencies"
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


def _locked(lock: bytes) -> set[str]:
    """Return the packages of a lock file, each with its version."""
    return set(re.findall(r"^[\w.-]+==[^\s\\]+", lock.decode(), re.MULTILINE))


def _git(*arguments: str) -> bytes:
    done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, check=False)
    if done.returncode != 0:
        raise HistoryMissingError(done.stderr.decode().strip())
    return done.stdout


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
        self._source = source
        if not knows_accounts(source):
            del self.settings["access"]["accounts"]  # it refuses to start with a setting it does not know

    def run_command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command of that version beside it, or on what it left, and return what came of it."""
        return subprocess.run(
            [sys.executable, "-P", "-m", "entrepot", *words, "--config", str(self._settings_file)],
            env={"PYTHONPATH": str(self._source)},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )


def knows_accounts(source: Path) -> bool:
    """Whether the version in `source` has the setting `access.accounts`."""
    folder = source / "entrepot" / "settings"
    return any("\n    accounts: " in file.read_text() for file in folder.rglob("*.py"))
