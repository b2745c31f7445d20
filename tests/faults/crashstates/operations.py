"""What a file system was asked to do, in order: the log from which every state after a crash is computed.

Files and directories are numbered when they appear, since a name says nothing of what it named before a rename. The
root is number 0. The log is a sequence of MessagePack records, each after its length (four bytes, big-endian), so that
one that was cut off by a crash of the recorder is noticed.
"""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "ROOT_NODE",
    "AddEntry",
    "Mark",
    "Operation",
    "OperationLog",
    "RemoveEntry",
    "Rename",
    "Settle",
    "SyncDirectory",
    "SyncFile",
    "Truncate",
    "Write",
    "read_operations",
]

ROOT_NODE: Final = 0
_LENGTH: Final = struct.Struct(">I")


class AddEntry(msgspec.Struct, frozen=True, tag="add"):
    """A name appears in a directory: create, mkdir, or link (then `node` has another name already)."""

    directory: int
    name: str
    node: int
    is_directory: bool = False


class RemoveEntry(msgspec.Struct, frozen=True, tag="remove"):
    """A name disappears: unlink or rmdir."""

    directory: int
    name: str


class Rename(msgspec.Struct, frozen=True, tag="rename"):
    """A name moves, replacing what had the new one: atomically, as every file system in use does it."""

    from_directory: int
    from_name: str
    directory: int
    name: str
    node: int


class Write(msgspec.Struct, frozen=True, tag="write"):
    """Bytes at an offset of a file."""

    node: int
    offset: int
    data: bytes


class Truncate(msgspec.Struct, frozen=True, tag="truncate"):
    """A file gets a size: cut, or filled up with zeros."""

    node: int
    size: int


class SyncFile(msgspec.Struct, frozen=True, tag="sync"):
    """fsync or fdatasync of a file returned."""

    node: int


class SyncDirectory(msgspec.Struct, frozen=True, tag="sync-directory"):
    """fsync of a directory returned."""

    node: int


class Settle(msgspec.Struct, frozen=True, tag="settle"):
    """Everything so far is durable: the end of what was there before recording began."""


class Mark(msgspec.Struct, frozen=True, tag="mark"):
    """The client has got an answer: `text` says which."""

    text: bytes


Operation = AddEntry | RemoveEntry | Rename | Write | Truncate | SyncFile | SyncDirectory | Settle | Mark


class OperationLog:
    """Appends operations to a file."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._encoder = msgspec.msgpack.Encoder()

    def add(self, operation: Operation) -> None:
        """Write one record."""
        record = self._encoder.encode(operation)
        os.write(self._descriptor, _LENGTH.pack(len(record)) + record)


def read_operations(path: Path) -> list[Operation]:
    """Return the whole log.

    Raises:
        ValueError: its last record is cut off.
    """
    decoder = msgspec.msgpack.Decoder(Operation)
    content = memoryview(path.read_bytes())
    operations: list[Operation] = []
    position = 0
    while position < len(content):
        if len(content) - position < _LENGTH.size:
            raise ValueError("the log of operations is cut off")
        (length,) = _LENGTH.unpack_from(content, position)
        position += _LENGTH.size
        if len(content) - position < length:
            raise ValueError("the log of operations is cut off")
        operations.append(decoder.decode(content[position : position + length]))
        position += length
    return operations
