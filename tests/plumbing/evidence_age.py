"""How many commits changed the code that a file of evidence is about since it was measured (decision 25).

Found in this order: the newest commit at which every covered path had the recorded object id, which survives rebasing
and squashing; the named commit, when it is an ancestor; else the commits written after the run began.
"""

from __future__ import annotations

import subprocess
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

__all__ = ["DEFAULT_COVERS", "MOST_COMMITS", "UnknownAgeError", "commits_since"]

MOST_COMMITS: Final = 30
"""Evidence older than this, counted in commits that touch what it covers, proves nothing any more."""

DEFAULT_COVERS: Final = ("src/entrepot",)
"""What evidence without a list covers."""

_LOOK_BACK: Final = 4 * MOST_COMMITS


class UnknownAgeError(Exception):
    """The history that is here doesn't tell how old the evidence is."""


def commits_since(document: Mapping[str, Any], root: Path) -> int:
    """Return how many commits touched what `document` covers after it was measured, as far as the history here tells.

    Raises:
        UnknownAgeError: the history is cut off too early (a shallow clone), or there is none.
    """
    recorded: dict[str, str] = document.get("covers") or dict.fromkeys(DEFAULT_COVERS, "unknown")
    paths = sorted(recorded)
    touching = _git(root, "rev-list", f"--max-count={_LOOK_BACK}", "HEAD", "--", *paths)
    if touching is None:
        raise UnknownAgeError("there is no git history here")
    commits = touching.split()
    by_content = _newest_with(recorded, commits, root)
    if by_content is not None:
        return by_content
    named = str(document.get("commit", ""))
    if _git(root, "merge-base", "--is-ancestor", named, "HEAD") is not None:
        return int(_git(root, "rev-list", "--count", f"{named}..HEAD", "--", *paths) or 0)
    return _written_after(str(document["started"]), commits, root)


def _newest_with(recorded: Mapping[str, str], commits: Sequence[str], root: Path) -> int | None:
    """Return how many commits follow the newest one at which all paths are what they were, None if there is none."""
    questions = "".join(f"{commit}:{path}\n" for commit in commits for path in recorded)
    finished = subprocess.run(
        ["git", "-C", str(root), "cat-file", "--batch-check=%(objectname)"],
        input=questions,
        capture_output=True,
        text=True,
        check=True,
    )
    answers = finished.stdout.splitlines()
    wanted = list(recorded.values())
    for index in range(len(commits)):
        if answers[index * len(wanted) : (index + 1) * len(wanted)] == wanted:
            return index
    return None


def _written_after(started: str, commits: Sequence[str], root: Path) -> int:
    """Count by the dates at which commits were written, which a rebase keeps."""
    moment = datetime.fromisoformat(started).timestamp()
    times = (_git(root, "show", "-s", "--format=%at", *commits) or "").split() if commits else []
    later = sum(int(time) > moment for time in times)
    is_cut = _git(root, "rev-parse", "--is-shallow-repository") == "true"
    if is_cut and later == len(times) and later < _LOOK_BACK:
        raise UnknownAgeError("the history here begins after the run: git fetch --unshallow")
    return later


def _git(root: Path, *arguments: str) -> str | None:
    done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else None
