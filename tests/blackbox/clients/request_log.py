"""What a client asked of the registry, read from the registry's log: how a test sees that nothing was sent twice."""

from __future__ import annotations

import contextlib
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import httpx

from tests.processes.running import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.running.entrepot import RunningEntrepot

__all__ = ["AnsweredRequest", "RequestLog", "watch_requests"]

_LOG_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class AnsweredRequest:
    """One request to one repository and its answer. The log has no query."""

    method: str
    path: str
    status: int
    operation: str


@dataclass(slots=True)
class RequestLog:
    """The requests to one repository while it was watched, in the order they were answered.

    Challenges are left out: with accounts a client is told by one what to bring, and asks again.
    """

    answered: list[AnsweredRequest] = field(default_factory=list[AnsweredRequest])

    def statuses(self, method: str, below: str) -> list[int]:
        """Return the statuses of requests with this method whose path goes on with `below` after the name."""
        return [
            request.status
            for request in self.answered
            if request.method == method and f"/{below}" in request.path
        ]

    @property
    def sent_bodies(self) -> list[AnsweredRequest]:
        """Requests that carried bytes of a blob: empty when a push found everything there."""
        return [
            request
            for request in self.answered
            if request.method in {"PATCH", "PUT"} and "/blobs/uploads/" in request.path
        ]

    @property
    def begun_uploads(self) -> list[int]:
        """Statuses of POST: 201 for a mounted (or whole) blob, 202 for a session."""
        return self.statuses("POST", "blobs/uploads/")


@contextlib.contextmanager
def watch_requests(registry: RunningEntrepot, repository: str) -> Iterator[RequestLog]:
    """Yield a log that is filled when the block ends."""
    seen = RequestLog()
    _lines_until_now(registry, registry.log_size())  # those of before, which are not to be seen
    start = registry.log_size()
    yield seen
    seen.answered.extend(
        AnsweredRequest(line["method"], line["path"], line["status"], line["operation"])
        for line in _lines_until_now(registry, start)
        if line["event"] == "request.completed"
        and line["path"].startswith(f"/v2/{repository}/")
        and line["status"] != 401
    )


def _lines_until_now(registry: RunningEntrepot, start: int) -> list[dict[str, Any]]:
    # A request is logged after its answer went out, so the log may be a moment behind the client.
    marker = f"marker-{uuid.uuid4()}"
    # With accounts it is answered 401, which is logged as well.
    httpx.get(f"{registry.url}/v2/", headers={"x-request-id": marker})

    def look() -> list[dict[str, Any]]:
        lines = registry.log_lines(start)
        return lines if any(line.get("request.id") == marker for line in lines) else []

    return wait_for(look, _LOG_SECONDS, lambda: f"the log never showed {marker}")
