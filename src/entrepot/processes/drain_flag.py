"""One byte of memory shared by parent and children: whether the node is on its way out.

A file on disk would do, but not on a full or failed disk, and a node that can't say "not ready" is sent requests.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

__all__ = ["DrainFlag"]

_SERVING = b"\x00"
_DRAINING = b"\x01"


@dataclass(frozen=True, slots=True)
class DrainFlag:
    """A flag in an anonymous file; a child gets the same one by inheriting `descriptor`."""

    descriptor: int

    @classmethod
    def create(cls) -> DrainFlag:
        """Return a new flag that is down."""
        descriptor = os.memfd_create("entrepot-drain-flag", os.MFD_CLOEXEC)
        os.pwrite(descriptor, _SERVING, 0)
        return cls(descriptor)

    def put_up(self) -> None:
        """Say that the node is draining; it can't be taken back."""
        os.pwrite(self.descriptor, _DRAINING, 0)

    def is_up(self) -> bool:
        """Whether the node is draining."""
        return os.pread(self.descriptor, 1, 0) == _DRAINING
