"""What the HTTP process may hold is bounded, and running out of descriptors is survived (I12, F10)."""

from __future__ import annotations

import hashlib
import random
import resource
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

import httpx
import pytest

from entrepot.processes.assignment import Role
from tests.plumbing.patience import PATIENCE_SECONDS
from tests.processes.running import wait_for
from tests.running.entrepot import RunningEntrepot
from tests.running.process_resources import open_files, resident_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_UPLOADS: Final = "/v2/team/app/blobs/uploads/"
_MIB: Final = 1 << 20
_BLOCK: Final = random.Random(12).randbytes(_MIB)
_BIG_MIB: Final = 512
_PUSHED_MIB: Final = 48
_PULLED_MIB: Final = 64
_CLIENTS: Final = 8
_TAKEN_BY_EVERYBODY: Final = 3
"""Descriptors below this number are never free, and a process with this limit gets no others."""


@pytest.fixture
def product(tmp_path: Path) -> Iterator[RunningEntrepot]:
    """A registry with all settings as they are delivered."""
    running = RunningEntrepot(tmp_path)
    running.start()
    try:
        running.wait_until_ready()
        yield running
        running.stop()
    finally:
        running.end()


def _pieces(size_mib: int, first: bytes = b"") -> Iterator[bytes]:
    """Yield `first` and so many MiB of the same bytes: what is tested does not look at them."""
    yield first
    for _ in range(size_mib):
        yield _BLOCK


def _push(client: httpx.Client, size_mib: int, first: bytes = b"") -> str:
    hasher = hashlib.sha256()
    for piece in _pieces(size_mib, first):
        hasher.update(piece)
    digest = f"sha256:{hasher.hexdigest()}"
    location = client.post(_UPLOADS).headers["location"]
    assert client.patch(location, content=_pieces(size_mib, first)).status_code == 202
    assert client.put(location, params={"digest": digest}).status_code == 201
    return f"/v2/team/app/blobs/{digest}"


def _pull_range(client: httpx.Client, path: str, start_mib: int) -> None:
    start, end = start_mib * _MIB, (start_mib + _PULLED_MIB) * _MIB - 1
    received = 0
    with client.stream("GET", path, headers={"Range": f"bytes={start}-{end}"}) as answer:
        assert answer.status_code == 206
        for piece in answer.iter_raw():
            received += len(piece)
    assert received == _PULLED_MIB * _MIB


@pytest.mark.slow
def test_i12_memory_does_not_grow_with_what_is_pushed_and_pulled(product: RunningEntrepot) -> None:
    """Eight clients push 48 MiB each while eight pull 64 MiB ranges of a blob of 512 MiB, three times over.

    The first time the process grows by what it works with, some MiB per client; afterwards it grows no more.
    """
    pid = product.pid(Role.HTTP)
    with httpx.Client(base_url=product.url, timeout=120) as client:
        big = _push(client, _BIG_MIB)
    fresh = resident_bytes(pid)
    peaks = [_peak_under_load(product, pid, big, number) for number in range(3)]

    assert peaks[0] - fresh < 2 * _CLIENTS * 4 * _MIB, f"{fresh / _MIB:.0f} MiB became {peaks[0] / _MIB:.0f}"
    assert max(peaks) - peaks[0] < 16 * _MIB, [peak // _MIB for peak in peaks]


def _peak_under_load(product: RunningEntrepot, pid: int, big: str, load: int) -> int:
    """Push and pull with all clients at once; return the most memory the process had meanwhile."""

    def push(number: int) -> None:
        with httpx.Client(base_url=product.url, timeout=120) as client:
            _push(client, _PUSHED_MIB, first=b"load %d client %d" % (load, number))

    def pull(number: int) -> None:
        with httpx.Client(base_url=product.url, timeout=120) as client:
            _pull_range(client, big, number * 8)

    peak = 0
    with ThreadPoolExecutor(2 * _CLIENTS) as threads:
        under_way = [threads.submit(act, number) for number in range(_CLIENTS) for act in (push, pull)]
        while not all(one.done() for one in under_way):
            peak = max(peak, resident_bytes(pid))
            time.sleep(0.005)
        for one in under_way:
            one.result()
    return peak


def test_f10_with_few_descriptors_fewer_connections_are_taken_and_all_succeed(
    product: RunningEntrepot,
) -> None:
    """The limit is read at the start of the process: it keeps so many for itself that it never runs out."""
    before = product.pids(Role.HTTP)
    resource.prlimit(product.parent.pid, resource.RLIMIT_NOFILE, (160, 160))
    product.parent.send_signal(signal.SIGHUP)
    wait_for(
        lambda: len(product.pids(Role.HTTP)) == 1 and product.pids(Role.HTTP) != before,
        PATIENCE_SECONDS,
        product.log_tail,
    )

    def push(number: int) -> str:
        with httpx.Client(base_url=product.url, timeout=60) as client:
            return _push(client, 1, first=b"%d" % number)

    with ThreadPoolExecutor(60) as threads:
        paths = list(threads.map(push, range(60)))
    assert len(set(paths)) == 60
    assert product.events("request.failed") == []


def test_f10_a_process_without_a_free_descriptor_says_so_and_recovers(product: RunningEntrepot) -> None:
    """Pushes and pulls get 503, never 404; once there are descriptors again, the session goes on. Nothing leaks."""
    pid = product.pid(Role.HTTP)
    content = b"bytes of a layer"
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    with httpx.Client(base_url=product.url, timeout=30) as client:
        big = _push(client, 1)
        location = client.post(_UPLOADS).headers["location"]
        before = len(open_files(pid))
        soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (_TAKEN_BY_EVERYBODY, hard))
        try:
            for _ in range(5):
                refused = client.patch(location, content=content)
                assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
            assert [client.get(big, headers=part).status_code for part in ({}, {"Range": "bytes=1-"})] == [
                503,
                503,
            ]
            assert client.get("/v2/").status_code == 200
        finally:
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))
        assert client.get(location).headers["range"] == "0-0"
        assert client.patch(location, content=content).status_code == 202
        assert client.put(location, params={"digest": digest}).status_code == 201
        assert client.get(f"/v2/team/app/blobs/{digest}").content == content
        wait_for(
            lambda: len(open_files(pid)) <= before + 2,
            PATIENCE_SECONDS,
            lambda: f"{before}: {open_files(pid)}",
        )
