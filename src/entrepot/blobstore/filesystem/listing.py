"""Lists files as object keys in byte order, one directory in memory at a time."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from entrepot.blobstore.driver import StoredObject

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["list_folders", "walk_objects"]


def list_folders(root: Path, prefix: str) -> list[str]:
    """Return the names of the directories in the directory `prefix` under `root`, in byte order.

    Raises:
        OSError: it can't be read.
    """
    try:
        with os.scandir(root / prefix) as entries:
            return sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
    except (FileNotFoundError, NotADirectoryError):
        return []


def walk_objects(root: Path, prefix: str, start_after: str) -> Iterator[StoredObject]:
    """Yield the files under `root` whose key starts with `prefix` and is greater than `start_after`, in byte order.

    Directories and files that vanish meanwhile are left out.

    Raises:
        OSError: a directory can't be read.
    """
    base, _, _ = prefix.rpartition("/")
    yield from _walk(root, f"{base}/" if base else "", prefix, start_after)


def _walk(root: Path, base: str, prefix: str, start_after: str) -> Iterator[StoredObject]:
    for key, entry in _sorted_entries(root, base, start_after):
        if not (key.startswith(prefix) or prefix.startswith(key)):
            continue
        if key.endswith("/"):
            if key > start_after or start_after.startswith(key):
                yield from _walk(root, key, prefix, start_after)
        elif key > start_after and key.startswith(prefix):
            try:
                yield StoredObject(key, entry.stat(follow_symlinks=False).st_size)
            except FileNotFoundError:
                continue


def _sorted_entries(root: Path, base: str, start_after: str) -> list[tuple[str, os.DirEntry[str]]]:
    """Return the entries of a directory with their keys; a directory sorts by its name *with* the slash, as keys do.

    What certainly lies before `start_after` is left out while reading: a directory may hold very many names, of which a
    look at its end needs few.
    """
    passed = start_after.removeprefix(base) if start_after.startswith(base) else ""
    try:
        with os.scandir(root / base) as entries:
            named = [
                (
                    f"{base}{entry.name}/" if entry.is_dir(follow_symlinks=False) else f"{base}{entry.name}",
                    entry,
                )
                for entry in entries
                if entry.name >= passed or passed.startswith(entry.name)
            ]
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted(named, key=lambda pair: pair[0])
