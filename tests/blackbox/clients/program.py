"""Runs a client program so that its failure tells everything: what was run, what it wrote, how long it took."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["CONFINED", "ClientFailedError", "Program", "scratch_environment"]

_LET_GO: Final = """
findmnt --list --noheadings --output TARGET | sort --reverse | while read -r mount; do
    case $mount in $0/*) umount --lazy --quiet "$mount" ;; esac
done
exec "$@"
"""
CONFINED: Final = (
    *("setpriv", "--pdeathsig", "TERM", "unshare", "--mount"),
    *("sh", "-c", _LET_GO, tempfile.gettempdir()),
)
"""Begins the command of a daemon (as root): it ends with the test run, and what it mounts vanishes with it.

It lets go of what other tests have mounted at that moment: its copies would keep those file systems until it ends.
"""


class ClientFailedError(AssertionError):
    """A client program ended with another status than the test expects, or did not end in time."""


@dataclass(frozen=True, slots=True)
class Program:
    """A program with the options every call takes, and its environment."""

    command: tuple[str, ...]
    environment: Mapping[str, str]
    timeout_seconds: float = 100

    def run(self, *arguments: str, standard_input: bytes = b"") -> str:
        """Run it and return what it wrote to standard output; raise ClientFailedError unless it exits 0."""
        status, output, errors, seconds = self._finish(arguments, standard_input)
        if status != 0:
            raise self._failure(arguments, f"exit status {status} after {seconds:.1f} s", output, errors)
        return output.decode()

    def run_failing(self, *arguments: str) -> str:
        """Run it and return what it wrote to standard error; raise ClientFailedError if it exits 0."""
        status, output, errors, seconds = self._finish(arguments, b"")
        if status == 0:
            raise self._failure(
                arguments, f"succeeded after {seconds:.1f} s, which it must not", output, errors
            )
        return errors.decode()

    def _finish(self, arguments: tuple[str, ...], standard_input: bytes) -> tuple[int, bytes, bytes, float]:
        started = time.monotonic()
        with subprocess.Popen(
            [*self.command, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(self.environment),
            start_new_session=True,
        ) as process:
            try:
                output, errors = process.communicate(standard_input, self.timeout_seconds)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                output, errors = process.communicate()
                raise self._failure(
                    arguments, f"no end after {self.timeout_seconds:g} s", output, errors
                ) from None
        return process.returncode, output, errors, time.monotonic() - started

    def _failure(
        self, arguments: tuple[str, ...], outcome: str, output: bytes, errors: bytes
    ) -> ClientFailedError:
        return ClientFailedError(
            f"{outcome}\n$ {shlex.join([*self.command, *arguments])}\n"
            f"--- standard output\n{output.decode(errors='replace')}"
            f"--- standard error\n{errors.decode(errors='replace')}"
        )


def scratch_environment(home: Path, **more: str) -> dict[str, str]:
    """Return an environment in which a program finds nothing of the user's and leaves nothing behind."""
    temporary = home / "tmp"
    temporary.mkdir(parents=True, exist_ok=True)
    (home / "auth.json").write_text("{}")  # buildah refuses to start when the file it is told of is absent
    return {
        "PATH": os.environ["PATH"],
        "LANG": "C.UTF-8",
        "HOME": str(home),
        "TMPDIR": str(temporary),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "XDG_DATA_HOME": str(home / ".local" / "share"),
        "REGISTRY_AUTH_FILE": str(home / "auth.json"),
        "DOCKER_CONFIG": str(home / ".docker"),
        **more,
    }
