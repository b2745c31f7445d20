"""The client's command line as a person uses it, in this process."""

from __future__ import annotations

import contextlib
import io
from typing import TYPE_CHECKING

import pytest

from entrepot.ops.application import run_command_line

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["ClientCommandLine"]


class ClientCommandLine:
    """The command line in this process, with a configuration directory of its own; nobody sits at a terminal."""

    def __init__(self, home: Path, host: str) -> None:
        self.home = home
        self.host = host

    def run(self, command: str, *, stdin: str = "", code: int = 0) -> str:
        """Run a command that has to end with `code` and return what it printed."""
        return self._run(command, stdin, code)[0]

    def say(self, command: str, *, stdin: str = "", code: int = 0) -> str:
        """Run a command that has to end with `code` and return what it said beside its results."""
        return self._run(command, stdin, code)[1]

    def _run(self, command: str, stdin: str, code: int) -> tuple[str, str]:
        out, err = io.StringIO(), io.StringIO()
        with (
            pytest.MonkeyPatch.context() as patch,
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            patch.setenv("XDG_CONFIG_HOME", str(self.home))
            patch.setattr("sys.stdin", io.StringIO(stdin))
            ended = run_command_line(command.split())
        assert ended == code, err.getvalue()
        return out.getvalue(), err.getvalue()

    def log_in(self, name: str, secret: str) -> None:
        """Log in with a password or a token."""
        self.run(f"login {self.host} -u {name} --password-stdin", stdin=f"{secret}\n")
