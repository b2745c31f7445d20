"""Whether a thread of the registry reads a connection, seen from outside.

A thread reads from a descriptor of its own, a duplicate, which the event loop takes away before it goes on to read
itself (docs/decisions/0045-bodies-on-threads.md). So while a request's body is sent, a socket that the process holds
twice is one that a thread reads. Threads themselves have no names outside of Python before 3.14.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

from tests.running.process_resources import open_files

__all__ = ["ReadingThreads"]

_PATIENCE_SECONDS: Final = 0.3
_BETWEEN_LOOKS_SECONDS: Final = 0.01


class ReadingThreads:
    """Looks at the process that serves HTTP."""

    def __init__(self, pid: int, port: int) -> None:
        """Look at the process `pid`, which listens on `port`."""
        self._pid = pid
        self._port = port

    def read(self, client_port: int) -> bool:
        """Whether a thread is reading, now or soon, what comes from a port of a client on this machine."""
        name = f"socket:[{self._inode(client_port)}]"
        give_up_at = time.monotonic() + _PATIENCE_SECONDS
        while open_files(self._pid).count(name) < 2:
            if time.monotonic() > give_up_at:
                return False
            time.sleep(_BETWEEN_LOOKS_SECONDS)
        return True

    def _inode(self, client_port: int) -> str:
        """Return the number of the registry's socket. Source: proc_net_tcp.txt of the kernel."""
        for line in Path(f"/proc/{self._pid}/net/tcp").read_text().splitlines()[1:]:
            _, local, remote, *others = line.split()
            if local.endswith(f":{self._port:04X}") and remote.endswith(f":{client_port:04X}"):
                return others[6]
        raise AssertionError(f"port {client_port} is not connected")
