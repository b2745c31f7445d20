"""The files of checkpoints, by which they leave the database: one each, whole or not there."""

from __future__ import annotations

import fcntl
import os
import re
from typing import TYPE_CHECKING, Any, Final

import structlog

from entrepot.audit.checkpoint_format import encode_checkpoint, name_of_signed
from entrepot.audit.checkpoint_judge import is_signed, tells_what_was_signed
from entrepot.kernel.durable_directories import create_directory, sync_directory

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from entrepot.metadata.audit_store import CheckpointRow

__all__ = ["write_new"]

_log: Any = structlog.get_logger()

_FILE_MODE: Final = 0o640
_LINK: Final = re.compile(r"[0-9a-f]{16}")


def write_new(directory: Path, checkpoints: Iterable[CheckpointRow]) -> list[CheckpointRow]:
    """Write the files that are not there; return of which checkpoints. Blocks.

    One process of a node at a time, or two would write one draft. What is there stays: what a database tells later, as
    an older copy of it does that goes another way, gets a name beside it.
    """
    create_directory(directory, 0o750)
    lock = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        written: list[CheckpointRow] = []
        for checkpoint in checkpoints:
            if not (is_signed(checkpoint) and tells_what_was_signed(checkpoint)):
                continue  # whoever verifies with these files would be told of it for ever
            content = encode_checkpoint(checkpoint) + b"\n"
            name = _free_name(directory, checkpoint, content)
            if name:
                _write(directory, name, content)
                written.append(checkpoint)
        return written
    finally:
        os.close(lock)


def _free_name(directory: Path, checkpoint: CheckpointRow, content: bytes) -> str:
    """Return the name for a checkpoint's file, empty where a file of its has this content."""
    place = f"{checkpoint.sequence:020d}"
    for name in (f"{place}.json", f"{place}-{_mark(checkpoint)}.json"):
        try:
            if (directory / name).read_bytes() == content:
                return ""
        except FileNotFoundError:
            return name
        except PermissionError as error:
            # Made by a command that another user ran: it is there, and must not keep later ones from theirs.
            _log.warning("audit.checkpoint.unreadable", path=str(directory / name), reason=str(error))
            return ""
    return ""


def _mark(checkpoint: CheckpointRow) -> str:
    """Return what tells checkpoints of one place apart in names of files.

    What somebody else signed may have anything for a hash, as a slash, which no file can be called by.
    """
    link = checkpoint.chain_hash[:16]
    return link if _LINK.fullmatch(link) else name_of_signed(checkpoint.signed)[:16]


def _write(directory: Path, name: str, content: bytes) -> None:
    """Write a file that is whole or not there, also after a power cut. Blocks."""
    draft = directory / f".{name}"
    with draft.open("wb") as file:
        os.fchmod(file.fileno(), _FILE_MODE)  # whatever the umask of who runs this is
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.rename(directory / name)
    sync_directory(directory)
