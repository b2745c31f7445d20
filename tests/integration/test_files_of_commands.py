"""Files that commands on the host write: one writer each, nobody else's file touched."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from entrepot.ops.application import run_command_line
from entrepot.ops.audit import export as audit_export
from entrepot.ops.running import run_to_its_end
from tests.asgi.services import scratch_settings
from tests.integration.test_commands import ENTREPOT, clean_environment, empty_config, run
from tests.running.laid_schema import lay_schema_for

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from pathlib import Path


def _leave_logging_alone(*_: object) -> None:
    """Take the place of what is for a process of its own."""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data directory with an empty database."""
    settings = scratch_settings(tmp_path / "data")
    lay_schema_for(settings)
    return settings.data.directory


def test_of_exports_to_one_file_at_once_one_is_kept_whole(tmp_path: Path, data: Path) -> None:
    """The others say that the name is taken, and leave nothing behind."""
    place = tmp_path / "out"
    place.mkdir()
    file = place / "log.jsonl"
    command = [*ENTREPOT, "audit", "export", "--output", str(file), "--data", str(data)]
    started = [
        subprocess.Popen(command, env=clean_environment(tmp_path), stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    said = [process.communicate(timeout=60)[1] for process in started]

    assert sorted(process.returncode for process in started) == [0, 2, 2], said
    assert sum(f"{file} exists; it would be overwritten" in one for one in said) == 2
    assert [path.name for path in place.iterdir()] == ["log.jsonl"]
    verified = run(tmp_path, "audit", "verify", str(file), "--accept-unsigned")
    assert verified.returncode == 0, verified.stdout + verified.stderr


def test_a_name_that_is_taken_while_the_export_is_written_is_not_taken_away(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "log.jsonl"

    def meanwhile(work: Coroutine[Any, Any, Any]) -> object:
        file.write_bytes(b"somebody else's")
        return run_to_its_end(work)

    monkeypatch.setenv("ENTREPOT_CONFIG", str(empty_config(tmp_path)))
    monkeypatch.setattr(audit_export, "configure_logging", _leave_logging_alone)
    monkeypatch.setattr(audit_export, "run_to_its_end", meanwhile)

    code = run_command_line(("audit", "export", "--output", str(file), "--data", str(data)))

    assert (code, "exists; it would be overwritten" in capsys.readouterr().err) == (2, True)
    assert file.read_bytes() == b"somebody else's"


def test_an_export_follows_and_replaces_nothing_that_lies_there(tmp_path: Path, data: Path) -> None:
    file, beside, victim = tmp_path / "log.jsonl", tmp_path / "log.jsonl.part", tmp_path / "victim"
    victim.write_bytes(b"dear")
    beside.symlink_to(victim)
    nowhere = tmp_path / "nowhere.jsonl"
    nowhere.symlink_to(tmp_path / "missing" / "file")

    done = run(tmp_path, "audit", "export", "--output", str(file), "--data", str(data))
    refused = run(tmp_path, "audit", "export", "--output", str(nowhere), "--data", str(data))

    assert (done.returncode, refused.returncode) == (0, 2), done.stderr + refused.stderr
    assert (victim.read_bytes(), beside.is_symlink()) == (b"dear", True)
    assert (file.is_symlink(), file.stat().st_mode & 0o777) == (False, 0o600)
    assert f"{nowhere} exists" in refused.stderr
