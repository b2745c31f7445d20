"""The soak would notice: a leak among noise, a value that was never sampled, an answer that is wrong, a dead server."""

from __future__ import annotations

import os
import random
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from entrepot.processes.assignment import Role
from tests.running.entrepot import RunningEntrepot
from tests.soak.client import SoakClient
from tests.soak.connection import Answer, Connection, FailedRequestError, Record, StoppedError
from tests.soak.flatness import Bound, judge, slope_per_hour
from tests.soak.large_blobs import LargeBlobs
from tests.soak.reading_threads import ReadingThreads

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

_MIB = 1 << 20
_BOUND = Bound("memory", 4 * _MIB, 100 * _MIB)


def _samples(growth_per_hour: float) -> list[dict[str, float]]:
    """Return an hour of samples with noise of half a MiB and now and then a peak of ten."""
    chance = random.Random(7)
    peaks = dict.fromkeys(range(0, 360, 40), 10 * _MIB)
    return [
        {
            "seconds": 10.0 * number,
            "memory": 50 * _MIB
            + growth_per_hour * number / 360
            + chance.uniform(-0.5, 0.5) * _MIB
            + peaks.get(number, 0),
        }
        for number in range(360)
    ]


@pytest.mark.parametrize(("growth_mib", "holds"), [(0, True), (-20, True), (3, True), (8, False)])
def test_a_leak_is_told_from_noise(growth_mib: int, holds: bool) -> None:
    (verdict,) = judge(_samples(growth_mib * _MIB), 600, [_BOUND])

    assert verdict.holds is holds
    assert abs(verdict.growth_per_hour / _MIB - growth_mib) < 0.5


def test_a_value_that_reaches_too_much_fails_however_flat_it_is() -> None:
    (verdict,) = judge(_samples(0), 600, [Bound("memory", 4 * _MIB, 40 * _MIB)])

    assert not verdict.holds


def test_what_was_never_sampled_is_no_success() -> None:
    with pytest.raises(AssertionError, match="descriptors was not sampled"):
        judge(_samples(0), 600, [Bound("descriptors", 1, 1)])


def test_one_point_has_no_slope() -> None:
    assert slope_per_hour([(0.0, 1.0)]) == 0.0


def test_a_wrong_answer_and_a_dead_server_are_failed_requests(tmp_path: Path) -> None:
    """A status that must not be is a failure; so is each request while nobody answers, and the client goes on."""
    stop = threading.Event()
    with RunningEntrepot(tmp_path) as product:
        record = Record()
        connection = Connection(product.port, 100, stop, record)
        with pytest.raises(FailedRequestError):
            connection.request("manifest.pull", "GET", "/v2/none/manifests/none", expect={200})
        assert (record.failed_requests, record.latencies) == (1, [])
        assert "404" in record.failures[0]

        client = SoakClient(0, product.port, 100, 1, stop, lambda _: False)
        client.start()
        time.sleep(0.5)
        product.kill(Role.HTTP)
        time.sleep(0.5)
        stop.set()
        client.join(20)
        assert client.record.failed_requests > 0
        assert client.record.latencies
        with pytest.raises(StoppedError):
            connection.request("ping", "GET", "/v2/", expect={200})
        connection.close()


class _Lying(Connection):
    """Answers with the first status that is hoped for, and with the same headers and content whatever was sent."""

    def __init__(self, stands_at: int, record: Record) -> None:
        super().__init__(0, 1, threading.Event(), record)
        self._headers = {"location": "/v2/upload", "range": f"0-{stands_at - 1}"}

    def request(
        self, operation: str, method: str, target: str, *, expect: Collection[int], **_: object
    ) -> Answer:
        return Answer(next(iter(expect)), self._headers, b"something else")

    def leave(self, *_: object, **__: object) -> None:
        """Be gone."""


@pytest.mark.parametrize(
    ("action", "stands_at", "sentence"),
    [
        ("push", 1, "is not what was pushed"),
        ("leave_and_cancel", 9 << 20, "it stands at 9437184"),
        ("leave_and_go_on", 9 << 20, "it stands at 9437184"),
        ("be_refused", 5, "5 bytes of a body that was refused"),
    ],
)
def test_a_large_blob_that_is_another_or_stands_where_it_cannot_is_a_failed_request(
    action: str, stands_at: int, sentence: str
) -> None:
    record = Record()
    large_blobs: Any = LargeBlobs(_Lying(stands_at, record), random.Random(3), lambda _: False)

    with pytest.raises(FailedRequestError):
        getattr(large_blobs, action)("app")
    (failure,) = record.failures
    assert sentence in failure
    assert len(failure) < 300


def test_a_socket_that_is_held_once_is_read_by_no_thread() -> None:
    """The test is the server: its event loop has one descriptor, and a thread would have another."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as client:
            accepted, address = listener.accept()
            threads = ReadingThreads(os.getpid(), port)
            with accepted:
                assert not threads.read(address[1])
                with accepted.dup():
                    assert threads.read(client.getsockname()[1])
