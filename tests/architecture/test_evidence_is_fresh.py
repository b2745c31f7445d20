"""What docs/evidence claims is about the code of today, give or take thirty commits."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.plumbing.evidence import EVIDENCE, LongRun, write_evidence
from tests.plumbing.evidence_age import DEFAULT_COVERS, MOST_COMMITS, UnknownAgeError, commits_since

if TYPE_CHECKING:
    from pathlib import Path

_REMEDY = "run `make test-long` for it (docs/how-to/long-tests.md) and commit the new file"


def test_evidence_is_not_older_than_thirty_commits(pytestconfig: pytest.Config) -> None:
    """Only commits that touch what a run covers count; where the history can't tell, that is a failure too."""
    root = pytestconfig.rootpath
    if not (root / ".git").exists():
        pytest.skip("a source archive has no history to compare with")
    faults = [fault for path in sorted(EVIDENCE.glob("*.json")) if (fault := _fault_of(path, root))]

    assert faults == [], _REMEDY


def _fault_of(path: Path, root: Path) -> str:
    document = json.loads(path.read_bytes())
    try:
        age = commits_since(document, root)
    except UnknownAgeError as error:
        return f"{path.name}: can't tell how old it is: {error}"
    covered = ", ".join(document.get("covers", DEFAULT_COVERS))
    return f"{path.name}: {age} commits changed {covered}" if age > MOST_COMMITS else ""


def test_evidence_is_about_committed_code() -> None:
    """Nobody could repeat a run of code that was changed by hand meanwhile."""
    for path in sorted(EVIDENCE.glob("*.json")):
        document = json.loads(path.read_bytes())
        covers = tuple(document.get("covers", DEFAULT_COVERS))
        changed = [name for name in document.get("changed_since", []) if name.startswith(covers)]
        assert changed == [], path.name


def test_evidence_is_of_runs_that_passed() -> None:
    """A run that says it failed proves nothing; it has to be looked into, and run again."""
    failed = [
        path.name
        for path in sorted(EVIDENCE.glob("*.json"))
        if json.loads(path.read_bytes()).get("passed") is False
    ]

    assert failed == [], _REMEDY


class _History:
    """A work tree whose commits are made one by one."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._number = 0
        (root / "src" / "entrepot").mkdir(parents=True)
        self.git("init", "-q", "-b", "main")

    def git(self, *arguments: str) -> str:
        identity = ("-c", "user.name=a", "-c", "user.email=a@example.org")
        command = ["git", "-C", str(self.root), *identity, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def commit(self, path: str = "src/entrepot/a.py") -> None:
        self._number += 1
        (self.root / path).write_text(f"a = {self._number}\n")
        self.git("add", ".")
        self.git("commit", "-q", "-m", "x", "--date", f"2026-01-01T00:{self._number:02d}:00+00:00")

    def evidence(self, started: str) -> dict[str, Any]:
        run = LongRun(seed=1, started=started)
        path = write_evidence("x", {}, run, directory=self.root / "out", root=self.root)
        document: dict[str, Any] = json.loads(path.read_bytes())
        return document


@pytest.fixture
def history(tmp_path: Path) -> _History:
    """Return a history of three commits."""
    made = _History(tmp_path / "tree")
    for _ in range(3):
        made.commit()
    return made


def test_only_commits_that_touch_the_code_make_it_older(history: _History) -> None:
    document = history.evidence("2026-01-01T00:03:30+00:00")
    ages = [commits_since(document, history.root)]
    for path in ("README", "src/entrepot/a.py", "src/entrepot/b.py", "README"):
        history.commit(path)
        ages.append(commits_since(document, history.root))

    assert ages == [0, 0, 1, 2, 2]


def test_evidence_survives_that_its_commit_is_rewritten(history: _History) -> None:
    """Squashed and rebased, the same content has the same object id, whatever the commit is called."""
    document = history.evidence("2026-01-01T00:03:30+00:00")
    history.git("reset", "-q", "--soft", "HEAD~2")
    history.git("commit", "-q", "--amend", "-m", "squashed")
    history.git("reflog", "expire", "--expire=now", "--all")
    history.git("gc", "-q", "--prune=now")
    history.commit()

    assert commits_since(document, history.root) == 1


def test_where_the_content_never_was_dates_decide(history: _History) -> None:
    """Landed on top of others' changes, the measured content was never a state of this branch."""
    document = history.evidence("2026-01-01T00:02:30+00:00")
    document["covers"] = dict.fromkeys(document["covers"], "0" * 40)
    document["commit"] = "0" * 40

    assert commits_since(document, history.root) == 1


def test_a_clone_without_the_history_says_so(history: _History, tmp_path: Path) -> None:
    """A shallow clone knows evidence about its own content, and admits that it can't judge older one."""
    old = history.evidence("2026-01-01T00:03:30+00:00")
    history.commit()
    new = history.evidence("2026-01-01T00:04:30+00:00")
    shallow = tmp_path / "shallow"
    history.git("clone", "-q", "--depth", "1", f"file://{history.root}", str(shallow))

    assert commits_since(new, shallow) == 0
    with pytest.raises(UnknownAgeError, match="unshallow"):
        commits_since(old, shallow)


def test_without_git_nothing_is_claimed(tmp_path: Path) -> None:
    with pytest.raises(UnknownAgeError):
        commits_since({"covers": {"src": "0" * 40}, "started": "2026-01-01T00:00:00+00:00"}, tmp_path)
