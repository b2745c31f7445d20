"""Brings the loopback interface of a fresh network namespace up, then becomes the command it is given.

Run inside `unshare --net`; written without `ip` because a bare machine may lack it (netdevice(7), SIOCSIFFLAGS).
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import sys

_SIOCSIFFLAGS = 0x8914
_IFF_UP = 0x1


def bring_loopback_up() -> None:
    """Set the `up` flag of `lo`; raises OSError without the right to."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", _IFF_UP))


def main() -> None:
    """Run the rest of the command line in place of this process."""
    bring_loopback_up()
    os.execvp(sys.argv[1], sys.argv[1:])  # noqa: S606 - becoming the command is the point


if __name__ == "__main__":
    main()
