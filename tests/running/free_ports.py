"""Ports for the servers of a test run, which no other run on this machine gives out and the kernel to no client.

A port that the kernel offered and that is free again until a server takes it may be offered to anybody meanwhile. With
two runs side by side that would happen some times in a hundred runs. These lie below those that the kernel offers, and
each run has blocks of its own: a block belongs to whoever holds a socket with its name.
"""

from __future__ import annotations

import functools
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["find_free_pair", "find_free_port"]

_FIRST: Final = 10_000
_BLOCK: Final = 200
_OFFERED = Path("/proc/sys/net/ipv4/ip_local_port_range")
_names: Final[list[socket.socket]] = []


def find_free_port() -> int:
    """Return a port that nobody listens on at this moment, another one each time until all have been given out.

    Raises:
        RuntimeError: other runs hold every block, or nothing is free in those of this one.
    """
    ports = _ports_of(os.getpid())
    for _ in range(_FIRST):
        port = next(ports)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError("no port is free")


def find_free_pair(distance: int) -> int:
    """Return such a port of which the one at this distance above it is free, too, and in the hands of no other run.

    Raises:
        RuntimeError: as above.
    """
    for _ in range(_FIRST):
        port = find_free_port()
        if port % _BLOCK + distance >= _BLOCK:  # in another block
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port + distance))
            except OSError:
                continue
            return port
    raise RuntimeError("no two ports are free")


@functools.cache
def _ports_of(process_id: int) -> Iterator[int]:
    """Return the ports of one process: one that was forked off gives out others than its parent."""
    return _ports()


def _ports() -> Iterator[int]:
    given: list[int] = []
    end = int(_OFFERED.read_text().split()[0])
    for start in range(_FIRST, end - _BLOCK, _BLOCK):
        name = socket.socket(socket.AF_UNIX)
        try:
            name.bind(f"\0entrepot-test-ports-{start}")
        except OSError:
            name.close()
            continue
        _names.append(name)
        block = range(start, start + _BLOCK)
        yield from block
        given += block
    if not given:
        raise RuntimeError("other runs of the tests hold all ports")
    while True:
        yield from given
