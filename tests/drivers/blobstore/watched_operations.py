"""The system calls of the filesystem driver, recorded, and made to fail when a test says so (F5-F7, count budgets)."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from entrepot.blobstore.filesystem import DurableOperations

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["WatchedOperations"]


class WatchedOperations(DurableOperations):
    """Does what the real calls do, remembers them in order, and raises the errors it was given.

    `fail_next` maps the name of a method to the errno its next call fails with; `most_bytes_per_write` makes the kernel
    take no more than that at once. `longest_write` is the most bytes it was ever given at once.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.log: list[tuple[str, str]] = []
        self.fail_next: dict[str, int] = {}
        self.most_bytes_per_write: int | None = None
        self.longest_write = 0

    @property
    def counts(self) -> Counter[str]:
        """How often each method was called."""
        return Counter(name for name, _ in self.log)

    def write_at(self, descriptor: int, buffers: Sequence[bytes | memoryview], offset: int) -> int:
        """Write, perhaps less than asked for."""
        self.longest_write = max(self.longest_write, sum(map(len, buffers)))
        if self.most_bytes_per_write is not None:
            joined = b"".join(buffers)[: self.most_bytes_per_write]
            self._enter("write_at", _name_of(descriptor))
            return super().write_at(descriptor, [joined], offset)
        if "write_at" in self.fail_next:
            super().write_at(descriptor, [b"torn"], offset)
        self._enter("write_at", _name_of(descriptor))
        return super().write_at(descriptor, buffers, offset)

    def take_room(self, descriptor: int, offset: int, size: int) -> None:
        """Set blocks aside."""
        self._enter("take_room", _name_of(descriptor))
        super().take_room(descriptor, offset, size)

    def start_writing_back(self, descriptor: int, offset: int, size: int) -> None:
        """Start the write-back of a range."""
        self._enter("start_writing_back", _name_of(descriptor))
        super().start_writing_back(descriptor, offset, size)

    def sync_data(self, descriptor: int) -> None:
        """Sync a file."""
        self._enter("sync_data", _name_of(descriptor))
        super().sync_data(descriptor)

    def sync_directory(self, directory: Path) -> None:
        """Sync a directory."""
        self._enter("sync_directory", directory)
        super().sync_directory(directory)

    def rename(self, source: Path, target: Path) -> None:
        """Rename a file."""
        self._enter("rename", target)
        super().rename(source, target)

    def make_directory(self, directory: Path, mode: int) -> None:
        """Create a directory; those that exist already are not counted."""
        if "make_directory" in self.fail_next or not directory.exists():
            self._enter("make_directory", directory)
        super().make_directory(directory, mode)

    def _enter(self, name: str, path: Path) -> None:
        self.log.append((name, os.path.relpath(path, self.root)))
        if name in self.fail_next:
            code = self.fail_next.pop(name)
            raise OSError(code, os.strerror(code), str(path))


def _name_of(descriptor: int) -> Path:
    return Path(f"/proc/self/fd/{descriptor}").readlink()
