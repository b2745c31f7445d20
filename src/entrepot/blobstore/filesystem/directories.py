"""Creates directories so that what is put into them survives a power cut, with as few fsyncs as can be justified."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from entrepot.blobstore.keys import BLOBS, MANIFESTS

if TYPE_CHECKING:
    from pathlib import Path

    from entrepot.blobstore.filesystem.durable import DurableOperations

__all__ = ["DIRECTORY_MODE", "DirectoryTree", "is_prunable"]

DIRECTORY_MODE: Final = 0o750
_MOST_REMEMBERED: Final = 16_384
_PRUNABLE_DEPTH: Final = 5
"""Segments of `blobs/<alg>/<2 hex>/<hex>/<id>`: only such a key's own directory is ever removed."""


def is_prunable(key: str) -> bool:
    """Whether the directory of `key` is removed with its last object: the directory of one digest, never above."""
    return key.startswith((BLOBS, MANIFESTS)) and key.count("/") == _PRUNABLE_DEPTH - 1


class DirectoryTree:
    """The directories under a root, and which of their names are known to be durable.

    A name counts as durable only when *this* process has fsynced the directory that holds it: another process may have
    created it and died before its own fsync. And only names that nobody ever removes are remembered: one that is
    removed and created again by others would be remembered wrongly. The directory of a single digest is therefore
    never remembered, which costs nothing in the usual case, since it is new.
    """

    def __init__(self, root: Path, operations: DurableOperations) -> None:
        self._root = root
        self._operations = operations
        self._lock = threading.Lock()
        self._durable: set[Path] = set()

    def create_for(self, key: str) -> tuple[Path, ...]:
        """Create the directories on the way to `key`; return those whose entries must be fsynced, deepest first.

        The directory that will hold the object itself is always the first of them.

        Raises:
            OSError: a directory can't be created.
        """
        directory = self._root
        to_sync: list[Path] = []
        for name in key.split("/")[:-1]:
            parent, directory = directory, directory / name
            if not self._is_durable(directory):
                with suppress(FileExistsError):
                    self._operations.make_directory(directory, DIRECTORY_MODE)
                to_sync.append(parent)
        to_sync.append(directory)
        to_sync.reverse()
        return tuple(to_sync)

    def remember(self, key: str) -> None:
        """Note that all of what :meth:`create_for` returned for `key` has been fsynced."""
        names = key.split("/")[:-1]
        if is_prunable(key):
            names.pop()
        directory = self._root
        with self._lock:
            if len(self._durable) + len(names) > _MOST_REMEMBERED:
                self._durable.clear()
            for name in names:
                directory /= name
                self._durable.add(directory)

    def forget_all(self) -> None:
        """Drop what is remembered, because somebody removed directories by hand."""
        with self._lock:
            self._durable.clear()

    def prune_for(self, key: str) -> None:
        """Remove the directory of a deleted object when it was the last one in it; never fails."""
        if is_prunable(key):
            with suppress(OSError):
                (self._root / key).parent.rmdir()

    def _is_durable(self, directory: Path) -> bool:
        with self._lock:
            return directory in self._durable
