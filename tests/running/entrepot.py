"""The product as its user starts it, `entrepot serve --config …`, and what a test from outside does with it."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tests.plumbing.patience import PATIENCE_SECONDS
from tests.processes.running import RunningRegistry, is_alive, wait_for

if TYPE_CHECKING:
    from collections.abc import Mapping

    from entrepot.processes.assignment import Role

__all__ = ["RunningEntrepot"]

_LOG_TAIL_CHARACTERS: Final = 20_000


class RunningEntrepot(RunningRegistry):
    """One registry with its own directory, ports and settings file. Use as context manager, or start and stop it.

    `settings` are TOML sections by dotted name (`{"storage.s3": {"bucket": "b"}}`); addresses and the data directory
    are filled in, and it has no accounts unless they say so. `environment` is added to that of the registry's
    processes; `ENTREPOT_*` variables of this process are kept from them, since the registry refuses to start with one
    it does not know. Start it on the main thread: it is stopped when the thread that started it ends.
    """

    def __init__(
        self,
        directory: Path,
        *,
        settings: dict[str, dict[str, Any]] | None = None,
        environment: Mapping[str, str] | None = None,
        data_directory: Path | None = None,
        port: int = 0,
    ) -> None:
        removed = [f"--unset={name}" for name in os.environ if name.startswith("ENTREPOT_")]
        added = [f"{name}={value}" for name, value in (environment or {}).items()]
        # Both programs replace themselves by the command, so the process started is the registry's parent process. The
        # kernel stops it with the thread that started it, so that a killed test run leaves nothing behind.
        command = (
            *("setpriv", "--pdeathsig", "TERM", "env"),
            *removed,
            *added,
            sys.executable,
            "-m",
            "entrepot",
            "serve",
            "--config",
        )
        super().__init__(
            directory, settings=settings, command=command, data_directory=data_directory, port=port
        )

    def wait_until_ready(self) -> None:
        """Wait until /readyz says so, with patience: the store is probed first, and the machine may be busy."""

        def look() -> bool:
            assert self.parent.poll() is None, self.log_tail()
            return self.get_ops("/readyz")[0] == 200

        wait_for(look, PATIENCE_SECONDS, lambda: f"not ready after {PATIENCE_SECONDS:g} s\n{self.log_tail()}")

    @property
    def host(self) -> str:
        """Address and port, as they begin an image reference."""
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """The address as a URL without a path."""
        return f"http://{self.host}"

    def processes(self) -> list[int]:
        """The parent and everything below it, as process ids."""
        found = [self.parent.pid]
        for pid in found:  # grows while it is walked
            found.extend(_children(pid))
        return found

    def kill(self, role: Role) -> int:
        """Kill the only process of a role with SIGKILL and return its id."""
        pid = self.pid(role)
        os.kill(pid, signal.SIGKILL)
        return pid

    def stop(self) -> None:
        """Stop it as an operator does, and check that it ends soon, with exit code 0 and without leaving a process."""
        processes = self.processes()
        self.parent.send_signal(signal.SIGTERM)
        exit_code = self.wait_exit()
        assert exit_code == 0, f"exit code {exit_code} after SIGTERM\n{self.log_tail()}"
        wait_for(
            lambda: not any(is_alive(pid) for pid in processes),
            PATIENCE_SECONDS,
            lambda: f"left behind: {[pid for pid in processes if is_alive(pid)]}\n{self.log_tail()}",
        )

    def log_size(self) -> int:
        """How many bytes the log has, to read on from later."""
        return self._log_file.stat().st_size if self._log_file.exists() else 0

    def log_lines(self, from_byte: int = 0) -> list[dict[str, Any]]:
        """The log's complete lines since it had `from_byte` bytes."""
        with self._log_file.open("rb") as log:
            log.seek(from_byte)
            lines = log.read().rpartition(b"\n")[0].splitlines()
        return [json.loads(line) for line in lines if line.startswith(b"{")]

    def log_tail(self, from_byte: int = 0) -> str:
        """The end of the log, of what was written since it had `from_byte` bytes."""
        with self._log_file.open("rb") as log:
            log.seek(from_byte)
            text = log.read().decode(errors="replace")
        return text if len(text) <= _LOG_TAIL_CHARACTERS else f"…\n{text[-_LOG_TAIL_CHARACTERS:]}"


def _children(pid: int) -> list[int]:
    try:
        threads = list(Path(f"/proc/{pid}/task").iterdir())
        return [int(child) for thread in threads for child in (thread / "children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []
