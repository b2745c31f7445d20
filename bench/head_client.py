"""Asks for heads over several connections from one thread: wrk waits for the body that a HEAD never brings."""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import selectors
import socket
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["main"]

_END: Final = b"\r\n\r\n"


class _Connection:
    """One connection with at most one request under way."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._received = b""

    def ask(self, request: bytes) -> None:
        self.socket.sendall(request)

    def read(self) -> bytes | None:
        """Return a whole head, `None` while it is incomplete."""
        part = self.socket.recv(65536)
        if not part:
            raise ConnectionError("the server closed a connection")
        self._received += part
        if not self._received.endswith(_END):
            return None
        head, self._received = self._received, b""
        return head


def main(arguments: list[str]) -> int:
    """Run for some seconds; print requests and seconds as JSON. Any other status than the expected one ends it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--paths", type=Path, required=True)
    parser.add_argument("--authorizations", type=Path, required=True)
    parser.add_argument("--status", type=int, required=True)
    parser.add_argument("--connections", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    chosen = parser.parse_args(arguments)
    clients = [f"Authorization: {value}\r\n" for value in chosen.authorizations.read_text().splitlines()]
    requests = [
        f"HEAD {path} HTTP/1.1\r\nHost: 127.0.0.1:{chosen.port}\r\n{client}\r\n".encode()
        for path, client in zip(
            chosen.paths.read_text().splitlines(), itertools.cycle(clients or [""]), strict=False
        )
    ]
    count, seconds = _ask_for(
        chosen.port, itertools.cycle(requests), chosen.status, chosen.connections, chosen.seconds
    )
    json.dump({"requests": count, "seconds": seconds}, sys.stdout)
    return 0


def _ask_for(
    port: int, requests: Iterator[bytes], status: int, connections: int, seconds: float
) -> tuple[int, float]:
    expected = f"HTTP/1.1 {status} ".encode()
    count = 0
    with contextlib.ExitStack() as stack:
        selector = stack.enter_context(selectors.EpollSelector())
        opened = [_Connection(port) for _ in range(connections)]
        began = time.perf_counter()
        for connection in opened:
            stack.callback(connection.socket.close)
            selector.register(connection.socket, selectors.EVENT_READ, connection)
            connection.ask(next(requests))
        while time.perf_counter() < began + seconds:
            for key, _ in selector.select():
                connection = key.data
                head = connection.read()
                if head is None:
                    continue
                if not head.startswith(expected):
                    raise ConnectionError(f"expected {status}, got {head[:300]!r}")
                count += 1
                connection.ask(next(requests))
        return count, time.perf_counter() - began


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
