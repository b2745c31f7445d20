"""One client's connection: paced requests, each judged by the status it must have, timed and counted."""

from __future__ import annotations

import http.client
import socket
import struct
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Collection, Mapping

__all__ = ["Answer", "Connection", "FailedRequestError", "Record", "StoppedError"]

_TIMEOUT_SECONDS: Final = 30.0
"""A request that takes longer has failed."""
_REQUESTS_PER_CONNECTION: Final = 200
"""Then a new one is opened, so that accepting and closing are part of the load too."""
_DETAILS_KEPT: Final = 20
_RESET: Final = struct.pack("ii", 1, 0)
"""SO_LINGER, on, for no time: closing sends a reset, and what the other end has not read yet is lost (socket(7))."""


class FailedRequestError(Exception):
    """A request was answered otherwise than it must be, or not at all. It is already in the record."""


class StoppedError(Exception):
    """The run is over."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; the names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(slots=True)
class Record:
    """What one client did. Only its own thread writes; others may read at any time."""

    latencies: list[tuple[str, float]] = field(default_factory=list[tuple[str, float]])
    """Operation and seconds of each request that was answered rightly, in order."""
    failures: list[str] = field(default_factory=list[str])
    """The first failures in words."""
    failed_requests: int = 0
    late_seconds: float = 0.0
    """By how much the client was behind its schedule at the worst moment: the rate was not kept while it was."""

    def fail(self, sentence: str) -> None:
        """Count a failure."""
        self.failed_requests += 1
        if len(self.failures) < _DETAILS_KEPT:
            self.failures.append(sentence)


class Connection:
    """Sends the requests of one client, at a steady rate, over one connection at a time."""

    def __init__(self, port: int, requests_per_second: float, stop: threading.Event, record: Record) -> None:
        self._port = port
        self._interval_seconds = 1 / requests_per_second
        self._stop = stop
        self._record = record
        self._due_at = time.monotonic()
        self._connection: http.client.HTTPConnection | None = None
        self._sent = 0

    def request(
        self,
        operation: str,
        method: str,
        target: str,
        *,
        expect: Collection[int],
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Wait for the turn of the next request, send it and return the answer.

        Raises:
            FailedRequestError: no answer in time, or a status that is not in `expect`.
            StoppedError: the run ended while waiting.
        """
        self._wait_for_turn()
        began_at = time.monotonic()
        try:
            answer = self._exchange(method, target, body, headers or {})
        except (OSError, http.client.HTTPException) as error:
            self.close()
            self._record.fail(f"{operation}: {method} {target}: {error!r}")
            raise FailedRequestError from error
        if answer.status not in expect:
            self._record.fail(f"{operation}: {method} {target}: {answer.status} {answer.body[:300]!r}")
            raise FailedRequestError
        self._record.latencies.append((operation, time.monotonic() - began_at))
        return answer

    def leave(
        self,
        operation: str,
        method: str,
        target: str,
        part: bytes,
        headers: Mapping[str, str],
        *,
        by_reset: bool,
        before_leaving: Callable[[int], None],
    ) -> None:
        """Send a request with part of its body on a connection of its own, and leave instead of waiting for an answer.

        `before_leaving` is told the own port of that connection.

        Raises:
            FailedRequestError: the part was not taken.
            StoppedError: the run ended while waiting.
        """
        self._wait_for_turn()
        began_at = time.monotonic()
        leaving = self._open()
        try:
            leaving.request(method, target, part, dict(headers))
            before_leaving(leaving.sock.getsockname()[1])
            if by_reset:
                leaving.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        except OSError as error:
            self._record.fail(f"{operation}: {method} {target}: {error!r}")
            raise FailedRequestError from error
        finally:
            leaving.close()
        self._record.latencies.append((operation, time.monotonic() - began_at))

    def require(self, condition: bool, sentence: str) -> None:
        """Count an answer whose content is wrong as a failed request.

        Raises:
            FailedRequestError: the condition doesn't hold.
        """
        if not condition:
            self._record.fail(sentence)
            raise FailedRequestError

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._sent = 0

    def _wait_for_turn(self) -> None:
        self._due_at += self._interval_seconds
        now = time.monotonic()
        if self._stop.wait(max(0.0, self._due_at - now)):
            raise StoppedError
        self._record.late_seconds = max(self._record.late_seconds, now - self._due_at)

    def _open(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self._port, timeout=_TIMEOUT_SECONDS)

    def _exchange(self, method: str, target: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
        if self._sent >= _REQUESTS_PER_CONNECTION:
            self.close()
        if self._connection is None:
            self._connection = self._open()
        self._sent += 1
        self._connection.request(method, target, body, dict(headers))
        with self._connection.getresponse() as response:
            content = response.read()
            names = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, names, content)
