"""What a long run did, written to docs/evidence/ so that a reader need not believe it nor run it again.

A file names the commit, the seed and the time of the run, and counts what was tried. Figures without these say nothing.
"""

from __future__ import annotations

import datetime as dt
import platform
import re
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["EVIDENCE", "LongRun", "write_evidence"]

_ROOT: Final = Path(__file__).resolve().parents[2]
EVIDENCE: Final = _ROOT / "docs" / "evidence"
"""Where the files lie, one per suite: `<suite>.json`."""

_CODE: Final = ("--", "src", "tests", "requirements", "pyproject.toml")
"""What a run depends on; that other files have changed says nothing about it."""

_SUITE: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def _utc_now() -> str:
    moment = dt.datetime.now(dt.UTC)  # noqa: TID251 - tells a reader when; nothing is computed from it
    return moment.isoformat(timespec="seconds")


@dataclass(frozen=True, slots=True)
class LongRun:
    """A run that has begun: make one before the work, with the seed that repeats it."""

    seed: int
    started: str = field(default_factory=_utc_now)
    began: float = field(default_factory=time.monotonic)

    def seconds(self) -> float:
        """Return how long it has taken so far."""
        return time.monotonic() - self.began


def write_evidence(
    suite: str,
    facts: Mapping[str, Any],
    run: LongRun,
    *,
    covers: Sequence[str] = ("src/entrepot",),
    directory: Path = EVIDENCE,
    root: Path = _ROOT,
) -> Path:
    """Write `<directory>/<suite>.json` and return its path.

    Args:
        suite: lower-case words joined by hyphens, such as `crash-states`.
        facts: what JSON can hold: operations, counters of coverage, settings of the run. They stand beside `suite`,
            `commit`, `covers`, `changed_since` (files that differ from the commit), `seed`, `started`, `seconds` and
            `python`, and may not be called so.
        run: the run that ends now.
        covers: the code that the run says something about, as paths in the work tree. Their git object ids are written
            down: they outlive a rebase, which the id of a commit does not (`evidence_age`).
        directory: where to write.
        root: the work tree whose commit is named.

    Raises:
        ValueError: `suite` is no such name, or a fact has a name that is taken.
    """
    if _SUITE.fullmatch(suite) is None:
        raise ValueError(f"{suite!r} is not lower-case words joined by hyphens")
    frame: dict[str, Any] = {
        "suite": suite,
        "commit": _git(root, "rev-parse", "HEAD").strip() or "unknown",
        "covers": {path: _git(root, "rev-parse", f"HEAD:{path}").strip() or "unknown" for path in covers},
        "changed_since": [line[3:] for line in _git(root, "status", "--porcelain", *_CODE).splitlines()],
        "seed": run.seed,
        "started": run.started,
        "seconds": round(run.seconds(), 1),
        "python": platform.python_version(),
    }
    if taken := sorted(frame.keys() & facts.keys()):
        raise ValueError(f"every evidence file has these already: {', '.join(taken)}")
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{suite}.json"
    path.write_bytes(msgspec.json.format(msgspec.json.encode(frame | dict(facts)), indent=2) + b"\n")
    return path


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else ""
