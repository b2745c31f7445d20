"""What kind of file system a path lies on: locks and memory maps can't be trusted on those of a network."""

from __future__ import annotations

from pathlib import Path
from typing import Final

__all__ = ["NETWORK_FILESYSTEMS", "filesystem_kind"]

NETWORK_FILESYSTEMS: Final = frozenset(
    {
        "9p",
        "afs",
        "beegfs",
        "ceph",
        "cifs",
        "fuse.ceph",
        "fuse.ceph-fuse",
        "fuse.glusterfs",
        "fuse.juicefs",
        "fuse.rclone",
        "fuse.s3fs",
        "fuse.sshfs",
        "gpfs",
        "lustre",
        "ncpfs",
        "nfs",
        "nfs4",
        "smb3",
        "smbfs",
    }
)
"""Names that the kernel gives to file systems whose bytes another machine may change (proc(5), mountinfo)."""

_MOUNTS: Final = Path("/proc/self/mountinfo")
_FIELDS_BEFORE_MOUNT_POINT: Final = 4


def filesystem_kind(path: Path) -> str:
    """Return the kernel's name of the file system that `path`, or its nearest existing parent, lies on.

    `unknown` where the kernel doesn't tell, as on anything but Linux.
    """
    if not _MOUNTS.exists():
        return "unknown"
    resolved = path.resolve()
    best, kind = Path(), "unknown"
    for line in _MOUNTS.read_text(encoding="utf-8", errors="surrogateescape").splitlines():
        before, _, after = line.partition(" - ")
        mount_point = Path(_unescape(before.split(" ")[_FIELDS_BEFORE_MOUNT_POINT]))
        # A later line of the same mount point lies over the earlier one.
        if resolved.is_relative_to(mount_point) and len(mount_point.parts) >= len(best.parts):
            best, kind = mount_point, after.split(" ")[0]
    return kind


def _unescape(text: str) -> str:
    """Undo the octal escapes of blanks and backslashes in mountinfo."""
    for escape, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(escape, character)
    return text
