"""Tells on what kind of file system a directory lies: locks and fsync mean too little on network file systems."""

from __future__ import annotations

import ctypes
import os
import struct
from typing import TYPE_CHECKING, Final

from entrepot.kernel.library_calls import call_library

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["UNSUITABLE_KINDS", "filesystem_kind"]

_KINDS: Final = {
    0x0000EF53: "ext4",
    0x58465342: "xfs",
    0x9123683E: "btrfs",
    0xF2F52010: "f2fs",
    0x2FC12FC1: "zfs",
    0xCA451A4E: "bcachefs",
    0x01021994: "tmpfs",
    0x794C7630: "overlay",
    0x65735546: "fuse",
    0x00006969: "nfs",
    0x0000517B: "smb",
    0xFF534D42: "cifs",
    0xFE534D42: "smb2",
    0x0000564C: "ncp",
    0x5346414F: "afs",
    0x6B414653: "afs",
    0x73757245: "coda",
    0x01021997: "9p",
    0x00C36400: "ceph",
    0x0BD00BD0: "lustre",
    0x47504653: "gpfs",
    0x7461636F: "ocfs2",
    0x01161970: "gfs2",
    0xBACBACBC: "vmhgfs",
}
"""f_type of statfs(2) → name, as linux/magic.h and the manual page list them."""

UNSUITABLE_KINDS: Final = frozenset(
    {
        "nfs",
        "smb",
        "cifs",
        "smb2",
        "ncp",
        "afs",
        "coda",
        "9p",
        "ceph",
        "lustre",
        "gpfs",
        "ocfs2",
        "gfs2",
        "vmhgfs",
    }
)
"""Kinds another machine can write to, or whose locks and fsync were not tried with this driver."""

_STATFS_BYTES: Final = 512
"""More than any libc's `struct statfs`; only its first word is read."""


def filesystem_kind(path: Path) -> str:
    """Return the kind of the file system that holds `path`: `ext4`, `nfs`, … or `0x…` for one not in the table.

    Python offers statvfs(3) only, which does not tell the kind, so statfs(2) is called through the C library.

    Raises:
        OSError: `path` can't be examined.
    """
    answer = ctypes.create_string_buffer(_STATFS_BYTES)
    call_library("statfs", os.fsencode(path), answer, about=str(path))
    (word,) = struct.unpack_from("@l", answer.raw)
    magic = word & 0xFFFFFFFF
    return _KINDS.get(magic, f"{magic:#x}")
