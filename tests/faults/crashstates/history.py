"""What may be left after a power cut: a model of the weakest file system that still renames atomically.

- Bytes of a file are certain only up to its last fsync or fdatasync. Each later write or truncation may be there or
  not, whatever became of those before it.
- A name is certain only after an fsync of the directory it lies in; an fsync of the file does not count. The same is
  true of a name that was removed: it may be back.
- A rename happens whole or not at all, and is certain after an fsync of the directory it leads to.
- A write that is in doubt may be torn (:class:`Damage`).
- What is in doubt does not get into a directory that is not there: a file system that keeps a journal writes the
  directory's own name first, or with it. What was synced into such a directory is lost with it all the same.

This allows more than any file system with a journal does, so what holds here holds there. The method is that of ALICE
(Pillai et al., OSDI 2014).
"""

from __future__ import annotations

import hashlib
import sys
from bisect import bisect_left
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple

from tests.faults.crashstates.operations import (
    ROOT_NODE,
    AddEntry,
    Mark,
    Operation,
    RemoveEntry,
    Rename,
    Settle,
    SyncDirectory,
    SyncFile,
    Truncate,
    Write,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["CrashState", "Damage", "DamageKind", "FileState", "History", "Tree"]

Tree = dict[str, bytes | None]
"""Path → bytes of a file, or None for a directory; relative, with slashes, parents before children."""

SECTOR_BYTES: Final = 512
PAGE_BYTES: Final = 4096
_NEVER: Final = sys.maxsize


class DamageKind(StrEnum):
    """How a write got to the disk by half."""

    PREFIX = "prefix"
    """Its first bytes are there, a whole number of sectors."""
    PAGES = "pages"
    """Some of its pages are there, in any order."""
    ZEROS = "zeros"
    """The file has grown, and holds zeros where it did."""
    GARBAGE = "garbage"
    """The file has grown, and holds what lay on the disk before."""


@dataclass(frozen=True, slots=True, order=True)
class Damage:
    """What became of one write: `extent` is the bytes of a prefix, or a mask of pages (bit 0 is the first)."""

    operation: int
    kind: DamageKind
    extent: int = 0


@dataclass(frozen=True, slots=True)
class CrashState:
    """The power fails after `length` operations; those of `lost` never reached the disk, those of `damaged` by half."""

    length: int
    lost: frozenset[int] = frozenset()
    damaged: tuple[Damage, ...] = ()


class FileState(NamedTuple):
    """What is left of a file: the last operation on it that left a trace, and which before it are lost or damaged."""

    path: str
    node: int
    last: int = 0
    lost: frozenset[int] = frozenset()
    damaged: tuple[Damage, ...] = ()


@dataclass(slots=True)
class _File:
    """The operations on the bytes of one node, by index."""

    operations: list[int] = field(default_factory=list[int])
    name: str = ""


class History:
    """A log of operations, examined. `root` is the directory (a name in the root) that trees are taken from."""

    def __init__(self, operations: Sequence[Operation], root: str) -> None:
        self.operations: Final = operations
        self._written: Final = [one.node if isinstance(one, Write | Truncate) else None for one in operations]
        self._root = root
        self._files: dict[int, _File] = {}
        self._entries: list[int] = []
        self._names: dict[tuple[int, frozenset[int]], dict[str, int]] = {}
        self._wholes: dict[tuple[int, frozenset[int], int], tuple[FileState, ...]] = {}
        self._certain_at: Final = [_NEVER] * len(operations)
        self.begin: Final = self._examine()

    def volatile(self, length: int) -> list[int]:
        """Return which of the first `length` operations are in doubt when the power fails after them."""
        return [
            index for index in range(length) if self._certain_at[index] >= length and self.has_effect(index)
        ]

    def with_consequences(self, length: int, lost: frozenset[int]) -> frozenset[int]:
        """Return `lost` and what of the first `length` operations can't have happened without it."""
        gone: set[int] = set()
        consequences: list[int] = []
        for index in self._entries[: bisect_left(self._entries, length)]:
            operation = self.operations[index]
            assert isinstance(operation, AddEntry | RemoveEntry | Rename)
            if index not in lost:
                if operation.directory not in gone or self._certain_at[index] < length:
                    continue
                consequences.append(index)
            if isinstance(operation, AddEntry) and operation.is_directory:
                gone.add(operation.node)
        return lost.union(consequences) if consequences else lost

    def has_effect(self, index: int) -> bool:
        """Whether an operation changes what is on the disk."""
        return isinstance(self.operations[index], AddEntry | RemoveEntry | Rename | Write | Truncate)

    def marks(self, length: int) -> list[bytes]:
        """Return what the client had been told, since recording began, after `length` operations."""
        seen = self.operations[self.begin : length]
        return [operation.text for operation in seen if isinstance(operation, Mark)]

    def name_of(self, node: int) -> str:
        """Return the last name a file got."""
        return self._files[node].name

    def tree(self, state: CrashState) -> Tree:
        """Return what is on the disk in `state`."""
        return {
            path: self._bytes(node, state) if node in self._files else None
            for path, node in self.paths(state).items()
        }

    def paths(self, state: CrashState) -> dict[str, int]:
        """Return the nodes below the root by path."""
        count, lost = self._names_key(state)
        if (count, lost) not in self._names:
            self._names[count, lost] = self._walk(self._entries[:count], lost)
        return self._names[count, lost]

    def signature(self, state: CrashState) -> tuple[FileState, ...]:
        """Return a value that is equal for states with equal trees, and seldom different for them."""
        whole = self._whole(state)
        touched = {self.written_node(index) for index in state.lost}
        touched.update(self.written_node(one.operation) for one in state.damaged)
        if touched <= {None}:
            return whole
        return tuple(
            self._file_state(file.path, file.node, state) if file.node in touched else file for file in whole
        )

    def _names_key(self, state: CrashState) -> tuple[int, frozenset[int]]:
        lost = frozenset(index for index in state.lost if self.written_node(index) is None)
        return bisect_left(self._entries, state.length), lost

    def _whole(self, state: CrashState) -> tuple[FileState, ...]:
        """Return the signature of the state with the same names in which no bytes are missing."""
        key = (*self._names_key(state), state.length)
        if key not in self._wholes:
            if next(iter(self._wholes), key)[2] != state.length:
                self._wholes.clear()  # states come in the order of their length
            unhurt = CrashState(state.length)
            self._wholes[key] = tuple(
                self._file_state(path, node, unhurt) for path, node in self.paths(state).items()
            )
        return self._wholes[key]

    def written_node(self, index: int) -> int | None:
        """Return the file whose bytes an operation changes, None for one that changes names or nothing."""
        return self._written[index]

    def _file_state(self, path: str, node: int, state: CrashState) -> FileState:
        if node not in self._files:
            return FileState(path, node)
        own = self._files[node].operations
        count = bisect_left(own, state.length)
        while count and own[count - 1] in state.lost:
            count -= 1
        last = own[count - 1] if count else 0
        return FileState(
            path,
            node,
            last,
            frozenset(index for index in state.lost if index < last and self.written_node(index) == node),
            tuple(one for one in state.damaged if self.written_node(one.operation) == node),
        )

    def _examine(self) -> int:
        """Find out when each operation becomes certain; return where recording begins."""
        begin = 0
        bytes_in_doubt: dict[int, list[int]] = {}
        names_in_doubt: dict[int, list[int]] = {}
        for index, operation in enumerate(self.operations):
            match operation:
                case Write(node=node) | Truncate(node=node):
                    self._files[node].operations.append(index)
                    bytes_in_doubt.setdefault(node, []).append(index)
                case AddEntry() | RemoveEntry() | Rename():
                    self._entries.append(index)
                    self._note_name(operation)
                    names_in_doubt.setdefault(operation.directory, []).append(index)
                case SyncFile(node=node):
                    self._settle(bytes_in_doubt.pop(node, []), index)
                case SyncDirectory(node=node):
                    self._settle(names_in_doubt.pop(node, []), index)
                case Settle():
                    begin = index + 1
                    for indices in (*bytes_in_doubt.values(), *names_in_doubt.values()):
                        self._settle(indices, index)
                    bytes_in_doubt.clear()
                    names_in_doubt.clear()
                case Mark():
                    pass
        return begin

    def _settle(self, indices: list[int], at: int) -> None:
        for index in indices:
            self._certain_at[index] = at

    def _note_name(self, operation: AddEntry | RemoveEntry | Rename) -> None:
        if isinstance(operation, AddEntry) and not operation.is_directory:
            self._files.setdefault(operation.node, _File()).name = operation.name
        elif isinstance(operation, Rename) and operation.node in self._files:
            self._files[operation.node].name = operation.name

    def _walk(self, entries: list[int], lost: frozenset[int]) -> dict[str, int]:
        directories: dict[int, dict[str, int]] = {ROOT_NODE: {}}
        for index in entries:
            if index not in lost:
                _apply_entry(directories, self.operations[index])
        root = directories[ROOT_NODE].get(self._root, ROOT_NODE)
        found: dict[str, int] = {}
        waiting = [("", root)]
        while waiting:
            base, directory = waiting.pop()
            for name, node in sorted(directories.get(directory, {}).items()):
                found[base + name] = node
                if node not in self._files:
                    waiting.append((f"{base}{name}/", node))
        return found

    def _bytes(self, node: int, state: CrashState) -> bytes:
        damaged: Mapping[int, Damage] = {one.operation: one for one in state.damaged}
        content = bytearray()
        for index in self._files[node].operations:
            if index >= state.length:
                break
            if index in state.lost:
                continue
            operation = self.operations[index]
            if isinstance(operation, Truncate):
                del content[operation.size :]
                content.extend(bytes(operation.size - len(content)))
            elif isinstance(operation, Write):
                _apply_write(content, operation, damaged.get(index))
        return bytes(content)


def _apply_entry(directories: dict[int, dict[str, int]], operation: Operation) -> None:
    match operation:
        case AddEntry(directory=directory, name=name, node=node):
            directories.setdefault(directory, {})[name] = node
        case RemoveEntry(directory=directory, name=name):
            directories.setdefault(directory, {}).pop(name, None)
        case Rename():
            directories.setdefault(operation.from_directory, {}).pop(operation.from_name, None)
            directories.setdefault(operation.directory, {})[operation.name] = operation.node
        case _:
            pass


def _apply_write(content: bytearray, write: Write, damage: Damage | None) -> None:
    if damage is None:
        _put(content, write.offset, write.data)
    elif damage.kind is DamageKind.PREFIX:
        _put(content, write.offset, write.data[: damage.extent])
    elif damage.kind is DamageKind.PAGES:
        for number, start in enumerate(range(0, len(write.data), PAGE_BYTES)):
            if damage.extent >> number & 1:
                _put(content, write.offset + start, write.data[start : start + PAGE_BYTES])
    else:
        grown = write.offset + len(write.data) - len(content)
        if grown > 0:
            junk = hashlib.shake_256(write.offset.to_bytes(8, "big")).digest(grown)
            content.extend(bytes(grown) if damage.kind is DamageKind.ZEROS else junk)


def _put(content: bytearray, offset: int, data: bytes) -> None:
    if not data:
        return
    if offset > len(content):
        content.extend(bytes(offset - len(content)))
    content[offset : offset + len(data)] = data
