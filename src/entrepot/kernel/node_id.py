"""A random name for a node's data directory, made once, so that nodes never take each other's leases for their own."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Final

from entrepot.kernel.durable_directories import create_directory, sync_directory
from entrepot.kernel.ids import new_public_id

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["read_or_create_node_id"]

_FILE: Final = "node-id"


def read_or_create_node_id(data_directory: Path) -> str:
    """Return the id in `<data>/node-id`, writing a new one first where there is none. Blocks.

    Several processes may call this at once: the file appears with its whole content, and all return the same id. So it
    does after a power cut: a node that woke up with another id, or none, would not know its own leases.

    Raises:
        OSError: the directory can't be written.
    """
    path = data_directory / _FILE
    with contextlib.suppress(FileNotFoundError):
        return path.read_text(encoding="ascii").strip()
    create_directory(data_directory, 0o750)
    draft = path.with_name(f"{_FILE}.{os.getpid()}")
    with draft.open("w", encoding="ascii") as file:
        file.write(new_public_id())
        file.flush()
        os.fsync(file.fileno())
    with contextlib.suppress(FileExistsError):
        os.link(draft, path)
    draft.unlink()
    sync_directory(data_directory)
    return path.read_text(encoding="ascii").strip()
