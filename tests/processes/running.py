"""A registry running as processes, with what a test does to it: ask, wait, read its log, kill one of its processes."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

from tests.plumbing.patience import PATIENCE_SECONDS
from tests.processes.certificates import unverified_context
from tests.running.free_ports import find_free_port

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence

    from entrepot.processes.assignment import Role

ROOT = Path(__file__).parent.parent.parent
TEST_COMMAND = (sys.executable, "-m", "tests.processes.serve")
_Value = TypeVar("_Value")


class RunningRegistry:
    """Writes a settings file, starts `command <settings file>` on it and captures the log. Use as context manager.

    `settings` are TOML sections as nested dicts; addresses and the data directory are filled in. It has no accounts
    unless they say so.
    """

    def __init__(
        self,
        directory: Path,
        *,
        settings: dict[str, dict[str, Any]] | None = None,
        command: Sequence[str] = TEST_COMMAND,
        data_directory: Path | None = None,
        port: int = 0,
    ) -> None:
        directory.mkdir(exist_ok=True)
        self.data_directory = data_directory or directory / "data"
        self.port = port or find_free_port()
        self.ops_port = find_free_port()
        self.settings: dict[str, dict[str, Any]] = {
            "data": {"directory": str(self.data_directory)},
            "http": {"listen": f"127.0.0.1:{self.port}"},
            "ops": {"listen": f"127.0.0.1:{self.ops_port}"},
            "access": {"accounts": False},
        }
        for section, values in (settings or {}).items():
            self.settings.setdefault(section, {}).update(values)
        self._settings_file = directory / "entrepot.toml"
        self._log_file = directory / "log.jsonl"
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None
        self._leftovers = contextlib.ExitStack()

    def __enter__(self) -> Self:
        starts = len(self.events("serve.ready"))
        self.start()
        self.wait_until_ready()
        self.wait_for_event(
            "serve.ready", starts + 1
        )  # of the background worker, too, for which no probe asks
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def start(self) -> None:
        """Start without waiting."""
        self.write_settings()
        with self._log_file.open("ab") as log:
            self._process = subprocess.Popen(
                [*self._command, str(self._settings_file)],
                stdout=log,
                stderr=log,
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'src'}"},
                start_new_session=True,
            )

    def write_settings(self) -> None:
        """Write the settings file anew from `settings`."""
        lines: list[str] = []
        for section, values in self.settings.items():
            lines.append(f"[{section}]")
            lines.extend(f"{key} = {json.dumps(value)}" for key, value in values.items())
        self._settings_file.write_text("\n".join(lines))

    @property
    def parent(self) -> subprocess.Popen[bytes]:
        """The process started by the command."""
        assert self._process is not None
        return self._process

    def wait_until_ready(self) -> None:
        """Wait until /readyz says so."""

        def look() -> bool:
            assert self.parent.poll() is None, self.log_text()
            return self.get_ops("/readyz")[0] == 200

        wait_for(look, PATIENCE_SECONDS, lambda: f"not ready: {self.log_text()}")

    def wait_exit(self, timeout_seconds: float = PATIENCE_SECONDS) -> int:
        """Wait for the parent's end and return its exit code."""
        return self.parent.wait(timeout_seconds)

    def end(self) -> None:
        """Kill it, if it still runs: what a test wants to know of an orderly end it asks before."""
        self._leftovers.close()
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait(PATIENCE_SECONDS)

    def close_at_the_end(self, left: socket.socket) -> None:
        """Close a socket with the registry, unless it is closed by then: of a test that fails nothing stays open."""
        self._leftovers.callback(left.close)

    def pids(self, role: Role) -> list[int]:
        """Living processes of a role, oldest first."""
        try:
            children = Path(f"/proc/{self.parent.pid}/task/{self.parent.pid}/children").read_text().split()
        except FileNotFoundError:
            return []
        found = [
            int(pid)
            for pid in children
            if f"entrepot.processes.launch {role} " in read_command_line(int(pid))
        ]
        return sorted(found)

    def pid(self, role: Role) -> int:
        """The only process of a role; waits for one to be started or a replaced one to end."""
        return wait_for(
            lambda: pids if len(pids := self.pids(role)) == 1 else [],
            PATIENCE_SECONDS,
            lambda: f"{role}: {self.pids(role)} in place of one process: {self.log_text()}",
        )[0]

    def wait_for_event(
        self, event: str, count: int = 1, timeout_seconds: float = PATIENCE_SECONDS, **facts: object
    ) -> dict[str, Any]:
        """Wait until the log holds `count` lines of `event` with these facts; return the last of them."""
        found = wait_for(
            lambda: matching if len(matching := self.events(event, **facts)) >= count else [],
            timeout_seconds,
            lambda: f"no {event} {facts}: {self.log_text()}",
        )
        return found[-1]

    def events(self, event: str | None = None, **facts: object) -> list[dict[str, Any]]:
        """Log lines so far, in order, of one event with these facts."""
        written = self._log_file.read_bytes() if self._log_file.exists() else b""
        whole = written.rpartition(b"\n")[0].splitlines()  # the last one may be under way
        lines: list[dict[str, Any]] = [json.loads(line) for line in whole if line.startswith(b"{")]
        return [
            line
            for line in lines
            if event in {None, line["event"]} and all(line.get(key) == value for key, value in facts.items())
        ]

    def log_text(self) -> str:
        """The whole log."""
        return self._log_file.read_text()

    def get(self, path: str, timeout_seconds: float = 30) -> tuple[int, bytes]:
        """Ask the public listener."""
        scheme = "https" if self.settings.get("tls") else "http"
        return ask(f"{scheme}://127.0.0.1:{self.port}{path}", timeout_seconds)

    def get_ops(self, path: str, method: str = "GET") -> tuple[int, bytes]:
        """Ask the ops listener; 0 when it can't be reached."""
        try:
            return ask(f"http://127.0.0.1:{self.ops_port}{path}", 30, method)
        except OSError:
            return 0, b""


def ask(url: str, timeout_seconds: float, method: str = "GET") -> tuple[int, bytes]:
    """One request over a new connection; status and body."""
    request = urllib.request.Request(url, method=method)
    context = unverified_context() if url.startswith("https:") else None
    try:
        with urllib.request.urlopen(request, timeout=timeout_seconds, context=context) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def wait_for(look: Callable[[], _Value], timeout_seconds: float, explain: Callable[[], str]) -> _Value:
    """Look again and again until the result is true; return it."""
    give_up_at = time.monotonic() + timeout_seconds
    while not (value := look()):
        if time.monotonic() > give_up_at:
            raise AssertionError(explain())
        time.sleep(0.02)
    return value


def read_command_line(pid: int) -> str:
    """The command line of a process; empty when it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def is_alive(pid: int) -> bool:
    """Whether a process exists and is more than an entry waiting for its parent."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
