"""Check of who owns what lies in the data directory: root's commands and copies leave files that nobody can use."""

from __future__ import annotations

import os
import stat
from itertools import islice
from typing import TYPE_CHECKING, Final

from entrepot.ops.checks.finding import Finding, passed, warned
from entrepot.settings import storage_root

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from entrepot.settings import Settings

__all__ = ["check_ownership", "find_misplaced"]

_LOOKED_INTO: Final = (
    "",
    "run",
    "metadata",
    "storage",
    "storage/uploads",
    "storage/blobs",
    "storage/journal",
    "backups",
    "secrets",
)
_MOST_ENTRIES: Final = 1000
"""Per directory: whoever owns the first thousand files of a store owns, as a rule, the others, too."""
_PRIVATE: Final = ("metadata", "run", "backups", "secrets")
_SHOWN: Final = 3


def check_ownership(settings: Settings) -> Finding:
    """Check owners and modes at the top of the data directory and of the blob store."""
    directory = settings.data.directory
    if not directory.is_dir():
        return passed("ownership", f"{directory} does not exist yet")
    owner = directory.stat().st_uid
    faults = list(find_misplaced(directory, owner))
    root = storage_root(settings)
    if settings.storage.driver == "filesystem" and root.is_dir() and not root.is_relative_to(directory):
        faults += find_misplaced(root, owner)
    if not faults:
        return passed(
            "ownership", f"what lies in {directory} belongs to user {owner}, and others can't change it"
        )
    more = f" and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
    remedy = (
        f"With the registry stopped: chown -R {owner} {directory} && chmod -R o-w,g-w {directory}; "
        "run commands as the registry's user from now on."
    )
    return warned("ownership", "; ".join(faults[:_SHOWN]) + more, remedy)


def find_misplaced(directory: Path, owner: int) -> Iterator[str]:
    """Yield a sentence for each entry that another user owns or could change, or may read though it is private."""
    for name in _LOOKED_INTO:
        place = directory / name
        if not place.is_dir():
            continue
        if name == "":
            yield from _judge(directory, directory.lstat(), owner, private=False)
        with os.scandir(place) as entries:
            for entry in islice(entries, _MOST_ENTRIES):
                try:
                    state = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue  # a temporary file, gone since
                private = (name or entry.name).partition("/")[0] in _PRIVATE
                yield from _judge(place / entry.name, state, owner, private=private)


def _judge(path: Path, state: os.stat_result, owner: int, *, private: bool) -> Iterator[str]:
    if stat.S_ISLNK(state.st_mode):
        return  # its own mode means nothing
    mode = stat.S_IMODE(state.st_mode)
    if state.st_uid != owner:
        yield f"{path} belongs to user {state.st_uid}, not {owner}"
    elif mode & stat.S_IWOTH:
        yield f"{path} can be changed by everybody (mode {mode:04o})"
    elif private and mode & (stat.S_IROTH | stat.S_IWGRP):
        yield f"{path} is private but has mode {mode:04o}"
