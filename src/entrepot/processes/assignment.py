"""What a child is told and tells back, over descriptors only: secrets stay out of argv, environment and disk."""

from __future__ import annotations

import os
from enum import StrEnum

import msgspec

from entrepot.settings import Settings, dump_settings, parse_dumped_settings

__all__ = [
    "Assignment",
    "Ready",
    "Refused",
    "Report",
    "Role",
    "StatusPipe",
    "parse_report",
    "read_assignment",
]

_MAX_ASSIGNMENT_BYTES = 16 * 1024 * 1024


class Role(StrEnum):
    """The three kinds of children."""

    HTTP = "http"
    BACKGROUND = "background"
    OPS = "ops"


class Assignment(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a child needs; it reads no settings file, environment variable or argument of its own.

    `listener` is the inherited listening socket (-1 for the background worker), `status` the pipe for reports,
    `drain_flag` the shared flag; `factory` is the dotted path (`module:name`) that builds what the child runs.
    """

    role: Role
    factory: str
    listener: int
    status: int
    drain_flag: int
    settings_dump: str

    @property
    def settings(self) -> Settings:
        """The effective settings. Raises SettingsError if they come from another version of the program."""
        return parse_dumped_settings(self.settings_dump.encode())

    @staticmethod
    def dump(settings: Settings) -> str:
        """Return the value for `settings_dump`; it holds secrets in clear."""
        return dump_settings(settings).decode()

    def to_memory_file(self) -> int:
        """Return the descriptor of an anonymous file with this assignment, positioned at its start."""
        descriptor = os.memfd_create("entrepot-assignment", os.MFD_CLOEXEC)
        content = msgspec.json.encode(self)
        while content:
            content = content[os.write(descriptor, content) :]
        os.lseek(descriptor, 0, os.SEEK_SET)
        return descriptor


def read_assignment(descriptor: int) -> Assignment:
    """Read the assignment from `descriptor` (a child's standard input) and put /dev/null in its place."""
    chunks: list[bytes] = []
    while chunk := os.read(descriptor, _MAX_ASSIGNMENT_BYTES):
        chunks.append(chunk)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, descriptor)
    os.close(null)
    return msgspec.json.decode(b"".join(chunks), type=Assignment)


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """The child does its work from now on."""


class Refused(msgspec.Struct, frozen=True, tag="refused"):
    """The child can't work with these settings or this database; trying again without a change is of no use."""

    reason: str
    exit_code: int


Report = Ready | Refused


def parse_report(line: bytes) -> Report:
    """Return the report in one line that a StatusPipe wrote. Raises msgspec.DecodeError for anything else."""
    report: Report = msgspec.json.decode(line, type=Ready | Refused)
    return report


class StatusPipe:
    """The child's end of the pipe on which it says, once, that it is ready or that it refuses."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        os.set_inheritable(descriptor, False)  # noqa: FBT003  # takes no keyword

    def send(self, report: Report) -> None:
        """Write one report; a pipe takes a line this short in one piece and without waiting."""
        os.write(self._descriptor, msgspec.json.encode(report) + b"\n")
