"""A server that the benchmark starts, waits for, asks for its cost and ends; what is special to each is in `kinds`."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import ssl
import subprocess
import time
from typing import TYPE_CHECKING, Final

from bench.clients import NOBODY
from bench.processes import cpu_seconds

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from bench.clients import Clients
    from bench.cores import Cores

__all__ = ["Server", "ServerError", "connect", "find_free_port"]

_START_SECONDS: Final = 30.0
_STOP_SECONDS: Final = 40.0
_POLL_SECONDS: Final = 0.002
_ANSWERS: Final = (200, 401)
"""Who presents nothing is asked for a name by a server that has accounts, and that is an answer, too."""


class ServerError(Exception):
    """A server that did not start, or ended by itself; the text holds the end of its log."""


class Server:
    """One server on loopback. `configuration` holds the texts by name that say how it is set up; `clients` ask it."""

    def __init__(
        self,
        name: str,
        command: list[str],
        port: int,
        directory: Path,
        *,
        configuration: Mapping[str, str],
        ready_path: str = "/v2/",
        is_encrypted: bool = False,
        clients: Clients = NOBODY,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.clients = clients
        self._environment = dict(environment or {})
        self.port = port
        self.configuration = dict(configuration)
        self._command = command
        self._ready_path = ready_path
        self.is_encrypted = is_encrypted
        self._log = directory / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def host(self) -> str:
        """Address and port."""
        return f"127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """The process that was started; its children do the work where it has any."""
        if self._process is None:
            raise ServerError(f"{self.name} does not run")
        return self._process.pid

    def start(self, cores: Cores) -> float:
        """Start it and return how many seconds went by until the first answer.

        Raises:
            ServerError: no answer came.
        """
        began = time.perf_counter()
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                cores.pin_server(*self._command),
                stdout=log,
                stderr=log,
                env={**os.environ, **self._environment},
            )
        while not self._answers():
            if self._process.poll() is not None or time.perf_counter() - began > _START_SECONDS:
                self.stop()
                raise ServerError(f"{self.name} does not answer\n{self.log_tail()}")
            time.sleep(_POLL_SECONDS)
        return time.perf_counter() - began

    def stop(self) -> None:
        """End it; kill it when it does not end."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._process = None

    def cpu_seconds(self) -> float:
        """Return the processor time it took so far, its children included."""
        return cpu_seconds(self.pid)

    def log_tail(self) -> str:
        """Return the end of what it wrote."""
        return self._log.read_text(errors="replace")[-4000:] if self._log.exists() else ""

    def _answers(self) -> bool:
        with contextlib.closing(
            connect(self.port, _START_SECONDS, is_encrypted=self.is_encrypted)
        ) as connection:
            try:
                connection.request("GET", self._ready_path)
                return connection.getresponse().status in _ANSWERS
            except (OSError, http.client.HTTPException):
                return False


def connect(port: int, timeout_seconds: float, *, is_encrypted: bool) -> http.client.HTTPConnection:
    """Return a connection to a server on this machine; whose certificate it has is not asked."""
    if not is_encrypted:
        return http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_seconds)
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return http.client.HTTPSConnection("127.0.0.1", port, timeout=timeout_seconds, context=context)


def find_free_port() -> int:
    """Return a port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
