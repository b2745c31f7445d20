"""Uploads that outlast the drain: what has arrived is kept, and they go on elsewhere at once (F40, I7)."""

from __future__ import annotations

import contextlib
import hashlib
import random
import socket
import sqlite3
import time
from typing import TYPE_CHECKING, Any, Final

import httpx
import pytest

from tests.plumbing.patience import PATIENCE_SECONDS
from tests.processes.running import wait_for
from tests.running.entrepot import RunningEntrepot

if TYPE_CHECKING:
    from pathlib import Path

_UPLOADS: Final = "/v2/team/app/blobs/uploads/"
_LAYER: Final = random.Random(7).randbytes(24_000_000)
_SENT: Final = 20_000_000
_AT_HAND: Final = 2_000_000
"""More than the registry keeps in memory of what it has taken."""
_DIGEST: Final = f"sha256:{hashlib.sha256(_LAYER).hexdigest()}"


@pytest.mark.parametrize("pieces", [1, 40], ids=["at once", "in pieces"])
def test_f40_what_has_arrived_when_the_drain_ends_is_kept(tmp_path: Path, pieces: int) -> None:
    """The session ends where the bytes did and nobody holds it; the next process goes on from there (F40)."""
    product = RunningEntrepot(tmp_path, settings={"http": {"drain_timeout_seconds": 1.5}})
    with product, httpx.Client(base_url=product.url) as client:
        location = client.post(_UPLOADS).headers["location"]
        with socket.create_connection(("127.0.0.1", product.port), timeout=PATIENCE_SECONDS) as patch:
            _send_head(patch, product, location)
            for start in range(0, _SENT, _SENT // pieces):
                patch.sendall(_LAYER[start : start + _SENT // pieces])
            staged = product.data_directory / "storage" / "uploads" / location.rpartition("/")[2]
            wait_for(lambda: _size(staged) > _SENT - _AT_HAND, PATIENCE_SECONDS, product.log_tail)
            time.sleep(1)  # all of it is with the registry then
            product.stop()
            with contextlib.suppress(ConnectionResetError):
                assert patch.recv(100) == b"", "an answer that the client could take for the registry's word"
    assert product.events("process.killed") == []
    assert _sessions(product) == [(_SENT, None)]

    with product, httpx.Client(base_url=product.url, timeout=30) as client:
        status = client.get(location)
        assert (status.status_code, status.headers["range"]) == (204, f"0-{_SENT - 1}")
        rest = {"Content-Range": f"{_SENT}-{len(_LAYER) - 1}"}
        assert client.patch(location, content=_LAYER[_SENT:], headers=rest).status_code == 202
        assert client.put(location, params={"digest": _DIGEST}).status_code == 201
        product.stop()


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _send_head(patch: socket.socket, product: RunningEntrepot, location: str) -> None:
    head = f"PATCH {location} HTTP/1.1\r\nHost: {product.host}\r\nContent-Length: {len(_LAYER)}\r\n\r\n"
    patch.sendall(head.encode())


def _sessions(product: RunningEntrepot) -> list[tuple[Any, ...]]:
    """Return how many bytes each session has, and who holds it."""
    with contextlib.closing(sqlite3.connect(product.data_directory / "metadata" / "entrepot.db")) as database:
        return database.execute("SELECT byte_offset, lease_owner FROM upload_sessions").fetchall()
