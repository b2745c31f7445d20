"""Slow and greedy clients against the product: they are ended, what they hold is bounded, others are served (F41, I12).

Every limit is shortened by the settings, so that each test sees it act. Nothing here is measured in time: a healthy
client simply has to succeed while the others are at it.
"""

from __future__ import annotations

import contextlib
import hashlib
import random
import socket
import threading
import time
from typing import TYPE_CHECKING, Final

import httpx
import pytest

from entrepot.processes.assignment import Role
from tests.processes.running import wait_for
from tests.running.entrepot import RunningEntrepot
from tests.running.process_resources import open_files, resident_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_UPLOADS: Final = "/v2/team/app/blobs/uploads/"
_MIB: Final = 1 << 20
_HEAD_SECONDS: Final = 9
_SILENCE_SECONDS: Final = 4
_LIMITS: Final = {
    "head_seconds": _HEAD_SECONDS,
    "bodies": 8,
    "bodies_per_address": 4,
    "wait_seconds": 20,
    "min_body_bytes_per_second": 10_000,
    "pace_window_seconds": 1,
    "silence_seconds": _SILENCE_SECONDS,
}
_GONE_SECONDS: Final = 60.0
"""How long a test waits for what must end by itself, on a machine that may be busy."""
_STALLED_BYTES: Final = 6 * _MIB
"""What one answer that nobody reads may hold: about 2 MiB by count, the rest is the allocator's."""
_BIG: Final = random.Random(41).randbytes(1 * _MIB) * 64


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEntrepot]:
    """A registry with short limits."""
    running = RunningEntrepot(tmp_path_factory.mktemp("limits"), settings={"limits": dict(_LIMITS)})
    running.start()
    try:
        running.wait_until_ready()
        yield running
        running.stop()
    finally:
        running.end()


@pytest.fixture(scope="module")
def big_blob(product: RunningEntrepot) -> str:
    """The path of a blob that fits into no buffer between the disk and a client."""
    return _push(product, _BIG)


@contextlib.contextmanager
def _opened(product: RunningEntrepot, heads: Sequence[bytes]) -> Iterator[list[socket.socket]]:
    """Open a connection for each head, and send it."""
    with contextlib.ExitStack() as stack:
        opened: list[socket.socket] = []
        for head in heads:
            connection = stack.enter_context(
                socket.create_connection(("127.0.0.1", product.port), _GONE_SECONDS)
            )
            connection.sendall(head)
            opened.append(connection)
        yield opened


def _head(product: RunningEntrepot, method: str, target: str, *fields: str) -> bytes:
    lines = (f"{method} {target} HTTP/1.1", f"Host: {product.host}", *fields, "", "")
    return "\r\n".join(lines).encode()


def _client(address: str = "127.0.0.9") -> httpx.Client:
    """A healthy client at an address of its own."""
    return httpx.Client(transport=httpx.HTTPTransport(local_address=address), timeout=60)


def _push(product: RunningEntrepot, content: bytes, address: str = "127.0.0.9") -> str:
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    with _client(address) as client:
        began = client.post(f"{product.url}{_UPLOADS}")
        assert began.status_code == 202, began.text
        location = f"{product.url}{began.headers['location']}"
        assert client.patch(location, content=content).status_code == 202
        assert client.put(location, params={"digest": digest}).status_code == 201
    return f"/v2/team/app/blobs/{digest}"


def _push_and_pull(product: RunningEntrepot) -> None:
    """What a healthy client does meanwhile."""
    content = random.randbytes(200_000)
    path = _push(product, content)
    with _client() as client:
        assert client.get(f"{product.url}{path}").content == content


def _begin(product: RunningEntrepot) -> str:
    response = httpx.post(f"{product.url}{_UPLOADS}", timeout=60)
    assert response.status_code == 202, response.text
    location: str = response.headers["location"]
    return location


def _sockets(product: RunningEntrepot) -> int:
    return sum(name.startswith("socket:") for name in open_files(product.pid(Role.HTTP)))


def _wait_for_release(product: RunningEntrepot, sockets: int) -> None:
    """Wait until the process holds no more sockets than before."""
    wait_for(
        lambda: _sockets(product) <= sockets,
        _GONE_SECONDS,
        lambda: f"{_sockets(product)} sockets are left, there were {sockets}",
    )


def _read_to_end(connection: socket.socket) -> bytes:
    """What the server sends until it ends the connection."""
    received = bytearray()
    connection.settimeout(_GONE_SECONDS)
    with contextlib.suppress(ConnectionResetError):
        while piece := connection.recv(65536):
            received += piece
    return bytes(received)


def test_f41_heads_that_never_end_are_cut_off(product: RunningEntrepot) -> None:
    """Slowloris: 300 clients send a header line each half second; none lives longer than the time for a head."""
    before = _sockets(product)
    unfinished = _head(product, "GET", "/v2/").removesuffix(b"\r\n")
    with _opened(product, [unfinished] * 300) as connections:
        stopped = threading.Event()
        dribbling = threading.Thread(target=_dribble, args=(connections, stopped))
        dribbling.start()
        try:
            _push_and_pull(product)
            _wait_for_release(product, before)
        finally:
            stopped.set()
            dribbling.join()
    _push_and_pull(product)


def _dribble(connections: list[socket.socket], stopped: threading.Event) -> None:
    while not stopped.wait(0.5):
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.sendall(b"X-Header: a\r\n")


@pytest.mark.parametrize("head_kib", [64, 100, 1000])
def test_f41_a_head_that_no_client_needs_is_431_and_the_end(product: RunningEntrepot, head_kib: int) -> None:
    head = _head(product, "GET", "/v2/", f"X-Padding: {'a' * (head_kib * 1024)}")
    with _opened(product, [b""]) as (connection,):
        sending = threading.Thread(target=_send_what_is_taken, args=(connection, head))
        sending.start()
        answer = _read_to_end(connection)
        sending.join()
    assert answer.startswith(b"HTTP/1.1 431 "), answer[:200]


def _send_what_is_taken(connection: socket.socket, data: bytes) -> None:
    with contextlib.suppress(OSError):
        connection.sendall(data)


def test_f41_ordinary_long_heads_are_taken(product: RunningEntrepot) -> None:
    """A token of 16 KiB is long, and known to exist."""
    assert httpx.get(f"{product.url}/v2/", headers={"X-Token": "a" * 16384}).status_code == 200


@pytest.mark.parametrize(
    ("piece", "pause_seconds"), [(b"x" * 100, 0.1), (b"", 1.0)], ids=["dribbles", "stops"]
)
def test_f41_a_body_that_dribbles_or_stops_is_408_and_keeps_what_arrived(
    product: RunningEntrepot, piece: bytes, pause_seconds: float
) -> None:
    """The client is told, its place is given to others, and a better line goes on where the bad one broke off."""
    content = random.randbytes(300_000)
    location = _begin(product)
    head = _head(product, "PATCH", location, f"Content-Length: {len(content)}")
    with _opened(product, [head]) as (slow,):
        slow.sendall(content[:70_000])
        sent = 70_000
        slow.settimeout(pause_seconds)
        answer = b""
        end = time.monotonic() + _GONE_SECONDS
        while not answer and time.monotonic() < end:
            slow.sendall(content[sent : sent + len(piece)])
            sent += len(piece)
            with contextlib.suppress(TimeoutError):
                answer = slow.recv(4096)
        assert answer.startswith(b"HTTP/1.1 408 "), answer
        assert b"connection: close" in answer.lower()

    kept = int(httpx.get(f"{product.url}{location}").headers["range"].removeprefix("0-")) + 1
    assert 70_000 <= kept <= sent
    rest = httpx.patch(f"{product.url}{location}", content=content[kept:])
    assert rest.status_code == 202, rest.text
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    assert httpx.put(f"{product.url}{location}", params={"digest": digest}).status_code == 201


def test_f41_slow_bodies_keep_no_other_address_from_pushing(product: RunningEntrepot) -> None:
    """One address has all its places taken by stalled bodies, and more of them wait; another address pushes at once.

    Even the greedy address can begin sessions and pull meanwhile, since neither needs a place.
    """
    before = _sockets(product)
    heads = [_head(product, "PATCH", _begin(product), "Content-Length: 1000000") + b"x" for _ in range(8)]
    with _opened(product, heads) as connections:
        wait_for(
            lambda: _taken_places(product) == 4,
            _GONE_SECONDS,
            lambda: f"{_taken_places(product)} places taken",
        )
        _push_and_pull(product)
        _begin(product)
        assert _taken_places(product) <= 4
        answers = [_read_to_end(connection)[:12] for connection in connections]
        assert answers == [b"HTTP/1.1 408"] * 8
    _wait_for_release(product, before)
    wait_for(
        lambda: _taken_places(product) == 0,
        _GONE_SECONDS,
        lambda: f"{_taken_places(product)} places taken",
    )


def _taken_places(product: RunningEntrepot) -> float:
    return _metric(product, "registry_bodies_in_progress")


def _metric(product: RunningEntrepot, name: str) -> float:
    text = product.get_ops("/metrics")[1].decode()
    return sum(float(line.split()[1]) for line in text.splitlines() if line.partition(" ")[0] == name)


@pytest.mark.parametrize("fields", [(), ("Range: bytes=1-60000000",)], ids=["whole", "range"])
def test_f41_clients_that_never_read_are_disconnected(
    product: RunningEntrepot, big_blob: str, fields: tuple[str, ...]
) -> None:
    """30 clients ask for 64 MiB each and take nothing: memory stays, and every socket and file is let go of."""
    pid, before = product.pid(Role.HTTP), _sockets(product)
    _push_and_pull(product)
    resident_before = resident_bytes(pid)
    with _opened(product, [_head(product, "GET", big_blob, *fields)] * 30):
        wait_for(lambda: _blob_files(pid) >= 30, _GONE_SECONDS, lambda: f"{_blob_files(pid)} blobs are open")
        _push_and_pull(product)
        grown = resident_bytes(pid) - resident_before
        _wait_for_release(product, before)
    wait_for(lambda: _blob_files(pid) == 0, _GONE_SECONDS, lambda: f"{_blob_files(pid)} blobs are still open")
    assert grown < 30 * _STALLED_BYTES, f"30 answers that nobody reads hold {grown / _MIB:.0f} MiB"
    _push_and_pull(product)


def _blob_files(pid: int) -> int:
    return sum("/blobs/sha256/" in name for name in open_files(pid))


def test_f41_two_thousand_idle_connections_cost_little_and_end(product: RunningEntrepot) -> None:
    """Descriptors grow by the connections and no more, memory by some KiB each; later all of it is back."""
    pid, before = product.pid(Role.HTTP), _sockets(product)
    _push_and_pull(product)
    resident_before = resident_bytes(pid)
    with _opened(product, [b""] * 2000):
        wait_for(
            lambda: _sockets(product) >= before + 1900,
            _GONE_SECONDS,
            lambda: f"{_sockets(product)} sockets are open",
        )
        held = len(open_files(pid))
        grown = resident_bytes(pid) - resident_before
        _push_and_pull(product)
        _wait_for_release(product, before)
    assert held <= 2000 + before + 100
    assert grown < 64 * _MIB, f"2,000 idle connections hold {grown / _MIB:.0f} MiB"
    _push_and_pull(product)
