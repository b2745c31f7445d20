"""Moves large blobs over one or several connections at once, with little work of its own, checking each answer."""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import secrets
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from bench.servers import connect

if TYPE_CHECKING:
    import http.client
    from collections.abc import Callable

__all__ = ["main"]

_BUFFER_BYTES: Final = 1024 * 1024
_STAMP_BYTES: Final = 4096
_TIMEOUT_SECONDS: Final = 300


@dataclass(frozen=True, slots=True)
class _Client:
    """A connection, and the headers that say whose it is."""

    connection: http.client.HTTPConnection
    headers: dict[str, str]


def main(arguments: list[str]) -> int:
    """Move the blobs; print the seconds from the first request to the last answer as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("direction", choices=["get", "put"])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--path", required=True, help="what to get, or where to begin uploads")
    parser.add_argument("--bytes", type=int, required=True, help="size of each blob")
    parser.add_argument("--at-once", type=int, required=True)
    parser.add_argument("--authorizations", type=Path, required=True)
    parser.add_argument("--tls", action="store_true")
    chosen = parser.parse_args(arguments)
    if chosen.direction == "get":
        moves = [_prepare_get(client, chosen.path, chosen.bytes) for client in _connect_all(chosen)]
    else:
        moves = _prepare_puts(_connect_all(chosen), chosen.path, chosen.bytes)
    json.dump({"seconds": _run_together(moves)}, sys.stdout)
    return 0


def _run_together(moves: list[Callable[[], None]]) -> float:
    barrier = threading.Barrier(len(moves) + 1)

    def run(move: Callable[[], None]) -> None:
        barrier.wait()
        move()

    with ThreadPoolExecutor(len(moves)) as pool:
        running = [pool.submit(run, move) for move in moves]
        barrier.wait()
        began = time.perf_counter()
        for future in running:
            future.result()
        return time.perf_counter() - began


def _prepare_get(client: _Client, path: str, size: int) -> Callable[[], None]:
    buffer = bytearray(_BUFFER_BYTES)

    def get() -> None:
        client.connection.request("GET", path, headers=client.headers)
        response = client.connection.getresponse()
        received = 0
        while count := response.readinto(buffer):
            received += count
        if response.status != 200 or received != size:
            raise ConnectionError(f"GET {path}: status {response.status}, {received} of {size} bytes")

    return get


def _prepare_puts(clients: list[_Client], path: str, size: int) -> list[Callable[[], None]]:
    """Make blobs that no server has seen: their first bytes differ, the rest is shared to spare memory."""
    rest = memoryview(secrets.token_bytes(size - _STAMP_BYTES))
    return [_prepare_put(client, path, secrets.token_bytes(_STAMP_BYTES), rest) for client in clients]


def _prepare_put(client: _Client, path: str, stamp: bytes, rest: memoryview) -> Callable[[], None]:
    connection = client.connection
    hasher = hashlib.sha256(stamp)
    hasher.update(rest)
    digest = f"sha256:{hasher.hexdigest()}"

    def put() -> None:
        """Upload as Docker and skopeo do: POST, everything in one PATCH, an empty PUT with the digest."""
        location = _expect(client, 202, "POST", path)
        connection.putrequest("PATCH", location)
        connection.putheader("Content-Type", "application/octet-stream")
        connection.putheader("Content-Length", str(len(stamp) + len(rest)))
        for name, value in client.headers.items():
            connection.putheader(name, value)
        connection.endheaders()
        connection.send(stamp)
        connection.send(rest)
        location = _read_answer(connection, 202, "PATCH")
        separator = "&" if urlsplit(location).query else "?"
        _expect(client, 201, "PUT", f"{location}{separator}digest={digest}")

    return put


def _connect_all(chosen: argparse.Namespace) -> list[_Client]:
    """Connect one client after the other, each with credentials of its own as far as there are any."""
    values = chosen.authorizations.read_text().splitlines()
    known = itertools.cycle([{"Authorization": value} for value in values] or [{}])
    clients = [
        _Client(connect(chosen.port, _TIMEOUT_SECONDS, is_encrypted=chosen.tls), headers)
        for headers in itertools.islice(known, chosen.at_once)
    ]
    for client in clients:
        client.connection.connect()
    return clients


def _expect(client: _Client, status: int, method: str, target: str) -> str:
    client.connection.request(method, target, headers={"Content-Length": "0", **client.headers})
    return _read_answer(client.connection, status, method)


def _read_answer(connection: http.client.HTTPConnection, status: int, method: str) -> str:
    """Check the status and return path and query of the Location."""
    response = connection.getresponse()
    text = response.read()
    if response.status != status:
        raise ConnectionError(f"{method}: expected {status}, got {response.status} {text[:500]!r}")
    parts = urlsplit(response.getheader("Location") or "")
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
