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

    It runs in this environment. What it was locked to and is locked otherwise today, or not at all, is installed beside
    its source, with the hashes of then: it is found there first.

    Raises:
        HistoryMissingError: a shallow clone, or a source archive.
        subprocess.CalledProcessError: something can't be installed.
    """
    archive = _git("archive", "--format=tar", "--prefix=src/", code.source)
    directory.mkdir(parents=True, exist_ok=True)
    subprocess.run(["tar", "-x", "-C", str(directory)], input=archive, check=True)
    source = directory / "src"
    then, today = _locked(_git("cat-file", "blob", code.lock)), _locked((ROOT / _LOCK).read_bytes())
    _install([then[requirement] for requirement in then.keys() - today.keys()], source)
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


def _locked(lock: bytes) -> dict[str, str]:
    """Return the entries of a lock file, with their hashes, by package and version."""
    return {
        entry.split(maxsplit=1)[0]: entry
        for entry in re.findall(r"^[\w.-]+==.*?(?=^\S|\Z)", lock.decode(), re.MULTILINE | re.DOTALL)
    }


def _install(entries: list[str], directory: Path) -> None:
    if not entries:
        return
    quick = Path(sys.executable).with_name("uv")
    pip = [quick, "pip"] if quick.exists() else [sys.executable, "-m", "pip"]
    lock = directory.with_name("requirements.txt")
    lock.write_text("\n".join(entries))
    options = ["--quiet", "--no-deps", "--require-hashes", "--only-binary", ":all:"]
    subprocess.run([*pip, "install", *options, "--target", directory, "-r", lock], check=True)


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
