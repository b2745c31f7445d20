"""A client that knows of nothing on this machine, and a registry that says what a test wants."""

from __future__ import annotations

import io
import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from entrepot.ops.application import run_command_line
from tests.unit.client.scripted_api import scripted_api

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.unit.client.scripted_api import ScriptedApi


@dataclass(frozen=True, slots=True)
class Result:
    """What a command ended with."""

    code: int
    out: str
    err: str


class Client:
    """The command line, run in this process with a configuration directory of its own."""

    def __init__(self, home: Path, patch: pytest.MonkeyPatch, captured: pytest.CaptureFixture[str]) -> None:
        self.file = home / "entrepot" / "client.json"
        self._patch = patch
        self._captured = captured

    def run(self, *arguments: str, stdin: str = "") -> Result:
        """Run one command; nobody sits at a terminal."""
        self._patch.setattr("sys.stdin", io.StringIO(stdin))
        code = run_command_line(arguments)
        out, err = self._captured.readouterr()
        return Result(code, out, err)

    def stored(self) -> Any:
        """Return what the file of logins holds."""
        return json.loads(self.file.read_text())

    def log_in(self, api: ScriptedApi, secret: str = "ept_stored", kind: str = "token") -> None:
        """Store a login as the current one, without asking anybody."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        servers = {api.url: {"user": "alice", "kind": kind, "secret": secret}}
        document = {"format": 1, "current": api.url, "servers": servers}
        self.file.touch(mode=0o600)
        self.file.write_text(json.dumps(document))


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Client:
    """A client without logins."""
    for name in [name for name in os.environ if name.startswith("REGISTRY_CLIENT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("TZ", "UTC")
    return Client(tmp_path, monkeypatch, capsys)


@pytest.fixture
def api() -> Iterator[ScriptedApi]:
    """A registry that knows nothing yet."""
    with scripted_api() as started:
        yield started
