"""Evidence files name commit, seed and time, and can't be overwritten by a fact of the same name."""

from __future__ import annotations

import json
import platform
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.plumbing.evidence import LongRun, write_evidence

if TYPE_CHECKING:
    from pathlib import Path


def _work_tree(folder: Path) -> str:
    """Make a work tree with one commit, and return its id."""
    git = ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@example.org"]
    (folder / "src").mkdir()
    (folder / "src" / "a.py").write_text("a = 1\n")
    subprocess.run(["git", "init", "-q", str(folder)], check=True)
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "-q", "-m", "x"], check=True)
    return subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout[:40]


def test_evidence_names_commit_seed_and_what_was_counted(tmp_path: Path) -> None:
    """The file holds the frame and the facts, and says when the code was not that of the commit."""
    commit = _work_tree(tmp_path)
    run = LongRun(seed=7)
    path = write_evidence("crash-states", {"tried": 3}, run, directory=tmp_path / "out", root=tmp_path)
    clean = json.loads(path.read_bytes())
    (tmp_path / "src" / "a.py").write_text("a = 2\n")
    write_evidence("crash-states", {"tried": 3}, run, directory=tmp_path / "out", root=tmp_path)
    changed = json.loads(path.read_bytes())

    assert path == tmp_path / "out" / "crash-states.json"
    assert clean["started"].endswith("+00:00")
    assert clean["seconds"] >= 0
    assert (clean["suite"], clean["commit"], clean["seed"], clean["tried"], clean["python"]) == (
        "crash-states",
        commit,
        7,
        3,
        platform.python_version(),
    )
    assert (clean["changed_since"], changed["changed_since"]) == ([], ["src/a.py"])


def test_a_fact_may_not_take_a_name_of_the_frame(tmp_path: Path) -> None:
    """A run can't claim another commit than the one it ran on."""
    with pytest.raises(ValueError, match="commit, seed"):
        write_evidence("x", {"seed": 1, "commit": "abc"}, LongRun(seed=1), directory=tmp_path, root=tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suite", ["", "Crash", "a b", "../x", "a-"])
def test_a_suite_is_named_by_words(suite: str, tmp_path: Path) -> None:
    """The name becomes a file's."""
    with pytest.raises(ValueError, match="lower-case"):
        write_evidence(suite, {}, LongRun(seed=1), directory=tmp_path)
