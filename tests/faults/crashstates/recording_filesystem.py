"""A FUSE file system that passes everything on to a directory and writes down what was asked, in order.

Started by `mounting.py` as a process of its own (`python -m tests.faults.crashstates.recording_filesystem`): a process
that waits for a page of its own file system, as SQLite does for its shared memory, would wait for ever.

Some things are not recorded. SQLite's `-shm` file is a memory map that its first opener after a crash discards, and
what lies in `run/` is nobody's after a restart. Times, modes and owners carry no promise. `sync_file_range` does not
reach FUSE, and promises nothing. Locks are the kernel's.
"""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from entrepot.processes.parent_death import die_with_parent
from tests.faults.crashstates.operations import (
    ROOT_NODE,
    AddEntry,
    Mark,
    OperationLog,
    RemoveEntry,
    Rename,
    Settle,
    SyncDirectory,
    SyncFile,
    Truncate,
    Write,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["MARKS", "SETTLE", "Mischief", "Mounted"]

MARKS: Final = "marks"
"""A file in the root of the mount: each write to it is a :class:`Mark`, and nothing else is known of it."""

SETTLE: Final = b"settle"
"""What to write there to have everything so far counted as durable."""

_UNRECORDED_SUFFIX: Final = "-shm"
_UNRECORDED_FOLDER: Final = "/run/"
_MARKS_NODE: Final = -1
_STAT_FIELDS: Final = (
    "st_mode",
    "st_ino",
    "st_nlink",
    "st_uid",
    "st_gid",
    "st_size",
    "st_blocks",
    "st_blksize",
)
_STATFS_FIELDS: Final = (
    "f_bavail",
    "f_bfree",
    "f_blocks",
    "f_bsize",
    "f_favail",
    "f_ffree",
    "f_files",
    "f_flag",
    "f_frsize",
    "f_namemax",
)


class Mischief(msgspec.Struct, frozen=True):
    """How writes to files below a directory called `below` go wrong (F4).

    With `short` each takes half of its bytes and says so, as write(2) may. The write number `lying` (from 1; 0 is none)
    takes nothing and claims to have taken everything, as a disk with a broken cache does.
    """

    short: bool = False
    lying: int = 0
    below: str = ""


class Mounted(msgspec.Struct, frozen=True):
    """What the process is started with: where everything lies, who started it, and what goes wrong."""

    backing: str
    mount: str
    log: str
    parent: int
    mischief: Mischief = Mischief()


class RecordingFilesystem:
    """The operations libfuse asks for (mfusepy finds them by name). One thread calls them, one after the other."""

    use_ns = True
    """Times are whole nanoseconds."""

    def __init__(self, backing: Path, log: OperationLog, mischief: Mischief) -> None:
        self._backing = backing
        self._log = log
        self._mischief = mischief
        self._writes_seen = 0
        self._nodes: dict[str, int] = {"/": ROOT_NODE}
        self._open: dict[int, tuple[int | None, str]] = {}
        self._next_node = ROOT_NODE + 1
        self._record_what_is_there()

    def init_with_config(self, connection: Any, config: Any) -> None:
        """Have unlinked files vanish at once, open or not, and show the inode numbers of the directory behind."""
        config.hard_remove = 1
        config.use_ino = 1

    def getattr(self, path: str, fh: int | None = None) -> dict[str, int]:
        """Describe a file."""
        status = os.lstat(self._real(path))
        described = {name: getattr(status, name) for name in _STAT_FIELDS}
        for name in ("st_atime", "st_mtime", "st_ctime"):
            described[name] = getattr(status, f"{name}_ns")
        return described

    def statfs(self, path: str) -> dict[str, int]:
        """Describe the file system behind."""
        status = os.statvfs(self._real(path))
        return {name: getattr(status, name) for name in _STATFS_FIELDS}

    def opendir(self, path: str) -> int:
        """Open a directory."""
        descriptor = os.open(self._real(path), os.O_RDONLY | os.O_DIRECTORY)
        self._open[descriptor] = (self._nodes.get(path), path)
        return descriptor

    def readdir(self, path: str, fh: int) -> Iterator[str]:
        """List a directory."""
        yield from (".", "..", *os.listdir(fh))

    def releasedir(self, path: str, fh: int) -> None:
        """Close a directory."""
        self.release(path, fh)

    def fsyncdir(self, path: str, datasync: int, fh: int) -> None:
        """Record that the entries of a directory are durable."""
        node, _ = self._open[fh]
        if node is not None:
            self._log.add(SyncDirectory(node))

    def create(self, path: str, mode: int, flags: int) -> int:
        """Create and open a file."""
        is_new = not self._real(path).exists()
        descriptor = os.open(self._real(path), _without_append(flags) | os.O_CREAT, mode)
        if is_new:
            self._add(path)
        self._open[descriptor] = (self._nodes.get(path), path)
        return descriptor

    def open(self, path: str, flags: int) -> int:
        """Open a file."""
        descriptor = os.open(self._real(path), _without_append(flags))
        self._open[descriptor] = (self._nodes.get(path), path)
        if flags & os.O_TRUNC:
            self._record_size(self._nodes.get(path), 0)
        return descriptor

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
        """Read."""
        return os.pread(fh, size, offset)

    def write(self, path: str, data: bytes, offset: int, fh: int) -> int:
        """Write, or do the mischief that was asked for."""
        node, opened = self._open[fh]
        if node == _MARKS_NODE:
            self._log.add(Settle() if data == SETTLE else Mark(data))
            return len(data)
        if self._mischief.below in Path(opened).parts:
            self._writes_seen += 1
            if self._writes_seen == self._mischief.lying:
                return len(data)
            if self._mischief.short:
                data = data[: (len(data) + 1) // 2]
        written = os.pwrite(fh, data, offset)
        if node is not None:
            self._log.add(Write(node, offset, data[:written]))
        return written

    def truncate(self, path: str, length: int, fh: int | None = None) -> None:
        """Cut or extend a file."""
        os.truncate(self._real(path), length)
        self._record_size(self._nodes.get(path), length)

    def fsync(self, path: str, datasync: int, fh: int) -> None:
        """Record that the bytes of a file are durable; they need not be, on the disk of a test."""
        node, _ = self._open[fh]
        if node is not None and node != _MARKS_NODE:
            self._log.add(SyncFile(node))

    def release(self, path: str, fh: int) -> None:
        """Close a file."""
        del self._open[fh]
        os.close(fh)

    def mkdir(self, path: str, mode: int) -> None:
        """Create a directory."""
        self._real(path).mkdir(mode)
        self._add(path, is_directory=True)

    def unlink(self, path: str) -> None:
        """Remove a file's name."""
        self._real(path).unlink()
        self._remove(path)

    def rmdir(self, path: str) -> None:
        """Remove an empty directory."""
        self._real(path).rmdir()
        self._remove(path)

    def rename(self, old: str, new: str) -> None:
        """Rename a file or directory with all that is in it."""
        self._real(old).rename(self._real(new))
        node = self._nodes[old]
        for path in [one for one in self._nodes if one == old or one.startswith(f"{old}/")]:
            self._nodes[new + path.removeprefix(old)] = self._nodes.pop(path)
        (from_directory, from_name), (directory, name) = self._place(old), self._place(new)
        self._log.add(Rename(from_directory, from_name, directory, name, node))

    def link(self, target: str, source: str) -> None:
        """Give the file `source` the further name `target`."""
        os.link(self._real(source), self._real(target))
        self._nodes[target] = self._nodes[source]
        directory, name = self._place(target)
        self._log.add(AddEntry(directory, name, self._nodes[source]))

    def chmod(self, path: str, mode: int) -> None:
        """Set a mode."""
        self._real(path).chmod(mode)

    def chown(self, path: str, uid: int, gid: int) -> None:
        """Set an owner."""
        os.chown(self._real(path), uid, gid)

    def utimens(self, path: str, times: tuple[int, int]) -> None:
        """Set times."""
        os.utime(self._real(path), ns=times)

    def _record_what_is_there(self) -> None:
        for folder, directories, files in os.walk(self._backing):
            base = "/" if Path(folder) == self._backing else f"/{Path(folder).relative_to(self._backing)}/"
            for name in sorted(directories):
                self._add(base + name, is_directory=True)
            for name in sorted(files):
                self._add(base + name)
                node = self._nodes.get(base + name, _MARKS_NODE)
                if node != _MARKS_NODE:
                    self._log.add(Write(node, 0, (Path(folder) / name).read_bytes()))
        self._log.add(Settle())

    def _add(self, path: str, *, is_directory: bool = False) -> None:
        if path == f"/{MARKS}":
            self._nodes[path] = _MARKS_NODE
        elif not path.endswith(_UNRECORDED_SUFFIX) and _UNRECORDED_FOLDER not in path:
            self._nodes[path] = self._next_node
            self._next_node += 1
            directory, name = self._place(path)
            self._log.add(AddEntry(directory, name, self._nodes[path], is_directory))

    def _remove(self, path: str) -> None:
        if self._nodes.pop(path, _MARKS_NODE) != _MARKS_NODE:
            self._log.add(RemoveEntry(*self._place(path)))

    def _record_size(self, node: int | None, size: int) -> None:
        if node is not None and node != _MARKS_NODE:
            self._log.add(Truncate(node, size))

    def _place(self, path: str) -> tuple[int, str]:
        folder, _, name = path.rpartition("/")
        return self._nodes[folder or "/"], name

    def _real(self, path: str) -> Path:
        return self._backing / path.lstrip("/")


def _without_append(flags: int) -> int:
    """The kernel turns appends into offsets already; pwrite(2) would ignore these in a file opened for appending."""
    return flags & ~(os.O_APPEND | os.O_EXCL)


def main() -> None:
    """Serve a mount until it is taken down."""
    chosen = msgspec.json.decode(sys.argv[1], type=Mounted)
    die_with_parent(chosen.parent)
    os.umask(0)
    filesystem = RecordingFilesystem(Path(chosen.backing), OperationLog(Path(chosen.log)), chosen.mischief)
    fuse: Any = importlib.import_module("mfusepy").FUSE
    fuse(filesystem, chosen.mount, foreground=True, nothreads=True, fsname="recording")


if __name__ == "__main__":
    main()
