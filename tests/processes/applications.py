"""What the children run in these tests: an application small enough to be no suspect when a process misbehaves."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge

from entrepot.observability.logging import get_request_logger
from entrepot.settings import Settings, SettingsError

if TYPE_CHECKING:
    from pathlib import Path

    from entrepot.kernel.asgi import Application, Receive, Scope, Send

REFUSE_FILE = "refuse"
"""When this file lies in the data directory, the application refuses its settings."""
CRASH_FILE = "crash"
"""When this file lies in the data directory, the application breaks while being built."""
UNREADABLE_FILE = "unreadable"
"""When this file lies in the data directory, reading counts as broken; `unwritable` likewise for writing."""
STOP_SLOWLY_FILE = "stop-slowly"
"""When this file lies in the data directory, the background worker takes no notice of being asked to stop."""

LAST_PATH = "/last"
"""Of a request that the application logs as its last act."""


def build_http_application(settings: Settings) -> Application:
    """Answer /v2/, /pid, /sleep?seconds and uploads."""
    if (settings.data.directory / REFUSE_FILE).exists():
        raise SettingsError(("storage.root: refused by a test",))
    if (settings.data.directory / CRASH_FILE).exists():
        message = "broken by a test"
        raise RuntimeError(message)
    requests = Counter("test_requests_total", "Requests of the test application.")
    alive = Gauge("test_alive", "Living processes.", multiprocess_mode="livesum")

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _live(receive, send)
            return
        requests.inc()
        alive.set(1)
        body = await _answer(scope, receive)
        headers = [(b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return application


async def _live(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            get_request_logger().info(
                "request.completed",
                operation="test",
                method="GET",
                path=LAST_PATH,
                status=200,
                milliseconds=0,
                address="",
            )
            return


async def _answer(scope: Scope, receive: Receive) -> bytes:
    if scope["path"] == "/pid":
        return str(os.getpid()).encode()
    if scope["path"] == "/sleep":
        await asyncio.sleep(float(scope["query_string"]))
    received_bytes = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            break
        received_bytes += len(message.get("body", b""))
        if not message.get("more_body", False):
            break
    return str(received_bytes).encode()


@dataclass(frozen=True, slots=True)
class Result:
    """A ProbeResult."""

    ok: bool
    detail: str


class Probes:
    """Health by the presence of files."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    async def read_ready(self) -> Result:
        return self._look("unreadable")

    async def tokens_ready(self) -> Result:
        return self._look("unsealable")

    async def write_ready(self) -> Result:
        return self._look("unwritable")

    async def aclose(self) -> None:
        return

    def _look(self, name: str) -> Result:
        broken = (self._directory / name).exists()
        return Result(ok=not broken, detail=f"a test made it {name}" if broken else "fine")


def build_health_probes(settings: Settings) -> Probes:
    """Return probes that a test can break by creating a file."""
    return Probes(settings.data.directory)


class Worker:
    """Waits for the end."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    async def run(self, stop: asyncio.Event) -> None:
        await stop.wait()
        if (self._directory / STOP_SLOWLY_FILE).exists():
            await asyncio.sleep(3600)


def build_background_worker(settings: Settings) -> Worker:
    """Return a worker without work."""
    return Worker(settings.data.directory)
