"""The product itself, as `entrepot serve` starts it, while its processes are replaced and killed under an upload."""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import signal
import socket
import time
from typing import TYPE_CHECKING, Final

import httpx
import pytest

from entrepot.processes.assignment import Role
from tests.plumbing.patience import PATIENCE_SECONDS
from tests.processes.running import wait_for
from tests.running.entrepot import RunningEntrepot

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_UPLOADS: Final = "/v2/team/app/blobs/uploads/"
_LAYER: Final = random.Random(5).randbytes(2_000_000)
_DIGEST: Final = f"sha256:{hashlib.sha256(_LAYER).hexdigest()}"


@pytest.fixture
def product(tmp_path: Path) -> Iterator[RunningEntrepot]:
    """A registry on SQLite and disk of its own."""
    running = RunningEntrepot(tmp_path)
    running.start()
    try:
        running.wait_until_ready()
        yield running
        running.stop()
    finally:
        running.end()


class _SlowPatch:
    """A PATCH whose body a test sends piece by piece."""

    def __init__(self, product: RunningEntrepot, location: str) -> None:
        self._left = _LAYER
        self._socket = socket.create_connection(("127.0.0.1", product.port), timeout=PATIENCE_SECONDS)
        product.close_at_the_end(self._socket)
        head = f"PATCH {location} HTTP/1.1\r\nHost: {product.host}\r\nContent-Length: {len(_LAYER)}\r\n\r\n"
        self._socket.sendall(head.encode())

    def send(self, size_bytes: int) -> None:
        """Send the next piece."""
        piece, self._left = self._left[:size_bytes], self._left[size_bytes:]
        self._socket.sendall(piece)

    def finish(self) -> bytes:
        """Send the rest and return the status line."""
        self.send(len(self._left))
        return self._socket.recv(4096).partition(b"\r\n")[0]

    def close(self) -> None:
        """Hang up."""
        self._socket.close()


def _begin(product: RunningEntrepot) -> str:
    response = httpx.post(f"{product.url}{_UPLOADS}")
    assert response.status_code == 202
    return response.headers["location"]


def _finish(product: RunningEntrepot, location: str) -> int:
    return httpx.put(f"{product.url}{location}", params={"digest": _DIGEST}).status_code


@pytest.mark.slow
def test_f40_an_upload_of_ten_seconds_outlives_a_reload(product: RunningEntrepot) -> None:
    """SIGHUP replaces the HTTP process; the old one ends the upload, the new one finishes it (F40)."""
    location = _begin(product)
    patch = _SlowPatch(product, location)
    before = product.pid(Role.HTTP)
    for tenth in range(100):
        if tenth == 20:
            product.parent.send_signal(signal.SIGHUP)
        patch.send(10_000)
        time.sleep(0.1)
    product.wait_for_event("process.replaced", role="http", former_pid=before)

    assert patch.finish() == b"HTTP/1.1 202 Accepted"
    assert _finish(product, location) == 201
    patch.close()


def test_f1_a_killed_http_process_does_not_block_its_uploads(product: RunningEntrepot) -> None:
    """After kill -9 in the middle of a PATCH the next process takes the upload on at once (F1, I7)."""
    location = _begin(product)
    patch = _SlowPatch(product, location)
    patch.send(1_500_000)
    staged = product.data_directory / "storage" / "uploads" / location.rpartition("/")[2]
    wait_for(staged.exists, PATIENCE_SECONDS, product.log_tail)
    product.kill(Role.HTTP)
    patch.close()
    product.wait_until_ready()

    status = httpx.get(f"{product.url}{location}")
    assert (status.status_code, status.headers["range"]) == (204, "0-0")
    response = httpx.patch(f"{product.url}{location}", content=_LAYER)
    assert response.status_code == 202, response.text
    assert _finish(product, location) == 201
    assert httpx.get(f"{product.url}/v2/team/app/blobs/{_DIGEST}").content == _LAYER


def test_i1_pushes_go_on_while_every_process_is_killed_in_turn(product: RunningEntrepot) -> None:
    """Whatever was acknowledged stays; a request that met a killed process is repeated and succeeds (I1, I7)."""
    pushed: list[str] = []
    for number, role in enumerate([Role.HTTP, Role.BACKGROUND, Role.OPS, Role.HTTP]):
        os.kill(product.pid(role), signal.SIGKILL)
        content = b"blob %d" % number
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        _push_patiently(product, digest, content)
        pushed.append(digest)
        product.wait_until_ready()

    for number, digest in enumerate(pushed):
        assert httpx.get(f"{product.url}/v2/team/app/blobs/{digest}").content == b"blob %d" % number


def _push_patiently(product: RunningEntrepot, digest: str, content: bytes) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx.TransportError):
            response = httpx.post(f"{product.url}{_UPLOADS}", params={"digest": digest}, content=content)
            assert response.status_code == 201, response.text
            return
        time.sleep(0.1)
    pytest.fail(f"no push in {PATIENCE_SECONDS:g} s\n{product.log_tail()}")


def test_no_answered_request_is_missing_from_the_log_after_sigterm(product: RunningEntrepot) -> None:
    """Lines that wait for others are written before the process ends."""
    asked = [f"request-{number:03d}" for number in range(200)]
    with httpx.Client(base_url=product.url) as client:
        for request_id in asked:
            assert client.get("/v2/", headers={"x-request-id": request_id}).status_code == 200
    product.stop()

    logged = [line.get("request.id") for line in product.log_lines() if line["event"] == "request.completed"]
    assert [request_id for request_id in logged if request_id in asked] == asked


def test_a_scrape_counts_what_was_answered_a_second_ago(product: RunningEntrepot) -> None:
    """Counts are handed on twice a second, though nothing more is asked; a killed process loses no more than that."""
    before = _answered_pings(product)
    while before != (settled := _settled_pings(product)):  # the probes of the start
        before = settled
    for _ in range(7):
        assert httpx.get(f"{product.url}/v2/").status_code == 200

    wait_for(
        lambda: _answered_pings(product) - before >= 7,
        PATIENCE_SECONDS,
        lambda: f"{_answered_pings(product)} answers are counted, {before} of them from before",
    )
    assert _settled_pings(product) - before == 7


def _settled_pings(product: RunningEntrepot) -> float:
    """What is counted after twice the time in which counts are handed on."""
    time.sleep(1)
    return _answered_pings(product)


def _answered_pings(product: RunningEntrepot) -> float:
    text = product.get_ops("/metrics")[1].decode()
    labels = '{operation="ping",status="200"} '
    counts = [
        line.rpartition(" ")[2] for line in text.splitlines() if f"registry_requests_total{labels}" in line
    ]
    return sum(float(count) for count in counts)
