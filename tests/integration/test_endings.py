"""How a command ends that can't show its result, or is stopped before it has begun."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.asgi.services import scratch_settings
from tests.integration.test_commands import ENTREPOT, clean_environment, run
from tests.running.laid_schema import lay_schema_for

_FULL: Final = Path("/dev/full")
"""Takes nothing, as a file on a full disk."""
_UNWRITTEN: Final = re.compile(
    r"entrepot: (?:standard output can.t be written|something could not be written, a file or standard output): "
    r"No space left on device\."
)
_STOPPED: Final = """
import importlib.abc, os, signal, sys

class Stopping(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == {name!r}:
            os.kill(os.getpid(), signal.SIGINT)
        return None

sys.meta_path.insert(0, Stopping())
sys.argv = ["entrepot", "version"]
from entrepot.__main__ import main
main()
"""

_CLOSED: Final = """
import os, sys
from pathlib import Path
from entrepot.client.streams import has_output, open_closed_streams
open_closed_streams()
database = os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY)
print("a line of a log", file=sys.stderr, flush=True)
print("a result", flush=True)
kept = [os.get_inheritable(number) for number in range(3)]
os.write(database, repr((database, has_output(), sys.stdin.read(), kept)).encode())
"""
_ENDED_BY: Final = """
import os, signal, sys
opened = os.open

def opening(path, *rest, **more):
    descriptor = opened(path, *rest, **more)
    if os.path.basename(path).startswith(".log.jsonl."):
        os.kill(os.getpid(), signal.SIGTERM)
    return descriptor

os.open = opening
from entrepot.__main__ import main
main()
"""


def _unheard(tmp_path: Path, *words: str, **environment: str) -> tuple[int, str]:
    with _FULL.open("wb") as full:
        done = subprocess.run(
            [*ENTREPOT, *words],
            env=clean_environment(tmp_path, **environment),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=60,
        )
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    ("words", "code"),
    [(("verify",), 3), (("audit", "verify", "--database"), 3), (("migrate", "--check"), 1)],
    ids=["verify", "audit-verify", "migrate-check"],
)
def test_output_that_can_not_be_written_is_told_and_is_no_damage(
    tmp_path: Path, words: tuple[str, ...], code: int
) -> None:
    data = str(tmp_path / "data")
    assert run(tmp_path, "migrate", "--data", data).returncode == 0
    assert run(tmp_path, *words, "--data", data).returncode == 0

    ended, said = _unheard(tmp_path, *words, "--data", data)

    assert ended == code
    assert _UNWRITTEN.match(said.splitlines()[-1])
    assert "Traceback" not in said


@pytest.mark.parametrize("words", [("version",), ("completion", "bash")], ids=["short", "long"])
@pytest.mark.parametrize("environment", [{}, {"PYTHONUNBUFFERED": "1"}], ids=["buffered", "unbuffered"])
def test_so_it_is_where_the_output_goes_out_at_once(
    tmp_path: Path, words: tuple[str, ...], environment: dict[str, str]
) -> None:
    code, said = _unheard(tmp_path, *words, **environment)

    assert (code, said.count("\n")) == (1, 1)
    assert _UNWRITTEN.match(said)


def test_a_shell_that_closed_the_output_wants_none(tmp_path: Path) -> None:
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" >&-', "sh", *ENTREPOT, "version"],
        env=clean_environment(tmp_path),
        stderr=subprocess.PIPE,
        check=False,
        timeout=60,
    )

    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("name", ["entrepot.ops.application", "cyclopts", "entrepot.ops.version"])
def test_ctrl_c_before_the_command_has_begun_ends_it_without_a_word(tmp_path: Path, name: str) -> None:
    """Most of the time of a short command goes by with imports."""
    done = subprocess.run(
        [sys.executable, "-c", _STOPPED.format(name=name)],
        env=clean_environment(tmp_path),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_descriptors_that_a_shell_closed_are_taken_by_nothing_that_is_opened(tmp_path: Path) -> None:
    """A line of a log would be written into a database that got the number of standard error."""
    database = tmp_path / "database"
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", sys.executable, "-c", _CLOSED, str(database)],
        check=False,
        timeout=60,
    )

    assert (done.returncode, database.read_text()) == (0, repr((3, False, "", [True] * 3)))


def test_a_command_without_standard_error_does_its_work(tmp_path: Path) -> None:
    data = _made_registry(tmp_path)
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" 2>&-', "sh", *ENTREPOT, "keys", "list", "--data", data],
        env=clean_environment(tmp_path),
        stdout=subprocess.PIPE,
        text=True,
        check=False,
        timeout=60,
    )

    assert (done.returncode, done.stdout.split()[:2]) == (0, ["ID", "STATE"])


def test_sigterm_ends_a_command_as_ctrl_c_does_and_leaves_no_draft(tmp_path: Path) -> None:
    """It comes when the draft has been opened. A shell makes 143 of it."""
    data, place = _made_registry(tmp_path), tmp_path / "out"
    place.mkdir()
    words = ("audit", "export", "--output", str(place / "log.jsonl"), "--data", data)
    done = subprocess.run(
        [sys.executable, "-c", _ENDED_BY, *words],
        env=clean_environment(tmp_path),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert (done.returncode, done.stdout) == (-signal.SIGTERM, "")
    assert done.stderr.startswith("entrepot: interrupted")
    assert list(place.iterdir()) == []


def _made_registry(tmp_path: Path) -> str:
    """Return a data directory with an empty database."""
    settings = scratch_settings(tmp_path / "data")
    lay_schema_for(settings)
    return str(settings.data.directory)
