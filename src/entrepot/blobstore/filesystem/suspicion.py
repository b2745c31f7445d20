"""Remembers that an fsync failed, for all processes of a node and until the registry is started anew (F7)."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import structlog

from entrepot.blobstore.errors import StorageSuspectError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Suspicion"]

_log: Any = structlog.get_logger()

_MOST_BYTES: Final = 4096


class Suspicion:
    """What speaks against a disk.

    A process that is started again after a crash, or by a reload, would otherwise trust the disk anew, and the ops
    listener would never hear of it. So the reason is also left in a file, the marker, which the parent removes when
    the registry is started by a person. Where the marker can't be written either, this process alone remembers; then
    the readiness probe, which writes too, finds out by itself. All methods block and may be called on any thread.
    """

    def __init__(self, marker: Path | None) -> None:
        self._marker = marker
        self._reason = ""

    def reason(self) -> str:
        """Return what failed, here or in another process of the node; empty while nothing did."""
        if not self._reason and self._marker is not None:
            self._reason = _read(self._marker)
        return self._reason

    def require_none(self) -> None:
        """Raise when an fsync has failed.

        Raises:
            StorageSuspectError: with what failed.
        """
        if reason := self.reason():
            raise StorageSuspectError(reason)

    def arouse(self, detail: str) -> StorageSuspectError:
        """Stop trusting the disk, say so once, and return the error to raise."""
        if not self.reason():
            self._reason = detail
            if self._marker is not None:
                _write(self._marker, detail)
            _log.error("disk.suspect", reason=detail)
        return StorageSuspectError(detail)


def _read(marker: Path) -> str:
    try:
        descriptor = os.open(marker, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return ""
    try:
        return os.read(descriptor, _MOST_BYTES).decode("utf-8", "replace") or "an fsync failed"
    except OSError as error:
        return f"{marker} can't be read: {error.strerror}"
    finally:
        os.close(descriptor)


def _write(marker: Path, detail: str) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
    with suppress(OSError):
        descriptor = os.open(marker, flags, 0o600)
        try:
            os.write(descriptor, detail.encode()[:_MOST_BYTES])
        finally:
            os.close(descriptor)
