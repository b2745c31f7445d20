"""Lets two files share blocks until one of them changes (FICLONE: btrfs, XFS, bcachefs, ZFS)."""

from __future__ import annotations

import fcntl
from typing import Final

__all__ = ["clone_file"]

_FICLONE: Final = 0x40049409
"""From <linux/fs.h>; see ioctl_ficlone(2)."""


def clone_file(target: int, source: int) -> None:
    """Make the open file `target` a copy of the open file `source` without copying its bytes.

    Raises:
        OSError: the file system can't, or they lie on two; `target` is as it was.
    """
    fcntl.ioctl(target, _FICLONE, source)
