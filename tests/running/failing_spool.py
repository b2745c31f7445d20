"""Files of the audit log's spool that fail when a test says so."""

from __future__ import annotations

import errno
import os

from entrepot.audit.spool_writer import SpoolFiles

__all__ = ["FailingFiles"]


class FailingFiles(SpoolFiles):
    """The real calls, which fail when they are told to.

    Attributes:
        room: how many bytes of each write are taken, `None` for all; with 0 it fails.
        append_error: what a write fails with then.
        flush_error: what a flush fails with, `None` for none.
        appends: how many writes there were, failed ones included.
    """

    def __init__(self) -> None:
        self.room: int | None = None
        self.append_error = errno.ENOSPC
        self.flush_error: OSError | None = None
        self.flushes = 0
        self.appends = 0

    def append(self, descriptor: int, frames: bytes) -> int:
        """See the base."""
        self.appends += 1
        if self.room is None:
            return super().append(descriptor, frames)
        if self.room == 0:
            raise OSError(self.append_error, os.strerror(self.append_error))
        return super().append(descriptor, frames[: self.room])

    def flush(self, descriptor: int) -> None:
        """See the base."""
        self.flushes += 1
        if self.flush_error is not None:
            raise self.flush_error
        super().flush(descriptor)
