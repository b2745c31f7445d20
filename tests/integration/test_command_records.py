"""What commands on the host leave in the audit log when they copy things out, take backups away or repair (I11)."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from entrepot.auth.host import host_operator
from entrepot.ops.application import run_command_line
from tests.integration.backed_up import filled
from tests.running.backups import BackupCommands


def _leave_logging_alone(*_: object) -> None:
    """Do nothing: the log is that of all tests of this process."""


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BackupCommands:
    """Commands for a registry that is there, with images."""
    for name in ("images.export_images.configure_logging", "verify.verify._keep_log_away"):
        monkeypatch.setattr(f"entrepot.ops.{name}", _leave_logging_alone)
    commands = BackupCommands(tmp_path / "data", str(tmp_path / "backup"))
    filled(commands)
    return commands


def _records(commands: BackupCommands) -> list[tuple[str, str, str, Any]]:
    """Return what there is of commands on the host: action, outcome, subject and what the change left."""
    with closing(sqlite3.connect(f"{commands.data}/metadata/entrepot.db")) as connection:
        rows = connection.execute(
            "SELECT action, outcome, subject, body FROM audit_records WHERE action NOT LIKE 'settings.%' ORDER BY id"
        ).fetchall()
    return [
        (action, outcome, subject, json.loads(body).get("change", {}).get("after"))
        for action, outcome, subject, body in rows
        if action in {"image.export", "registry.repair", "support-bundle.create"}
        or action.startswith("backup.")
    ]


def _run(commands: BackupCommands, *words: str) -> int:
    return run_command_line((*words, "--data", str(commands.data)))


def test_what_copies_out_removes_backups_or_repairs_is_on_record_i11(
    commands: BackupCommands, tmp_path: Path
) -> None:
    layouts, bundle = tmp_path / "layouts", tmp_path / "bundle.tar.gz"
    ended = [
        _run(commands, "export", "--all", "--to", str(layouts)),
        _run(commands, "backup", "create", "--to", commands.target, "--label", "nightly"),
        _run(commands, "backup", "restore", "--from", commands.target, "--blobs-only"),
        _run(commands, "backup", "prune", "--from", commands.target, "--keep", "1"),
        _run(commands, "verify", "--repair"),
        _run(commands, "support-bundle", "--output", str(bundle)),
    ]

    assert ended == [0] * 6
    operator = host_operator().subject
    assert _records(commands) == [
        ("image.export", "success", operator, {"images": ["--all"], "to": str(layouts)}),
        ("backup.create", "success", operator, {"label": "nightly"}),
        ("backup.restore", "success", operator, {"blobs_only": True}),
        ("backup.prune", "success", operator, {"keep": 1, "discard_unfinished": False}),
        ("registry.repair", "success", operator, {"repositories": [], "fast": False}),
        ("support-bundle.create", "success", operator, {"to": str(bundle)}),
    ]


def test_a_file_whose_name_is_no_utf8_does_not_stop_what_is_recorded(
    commands: BackupCommands, tmp_path: Path
) -> None:
    bundle = tmp_path / "b\udcff.tar.gz"

    assert _run(commands, "support-bundle", "--output", str(bundle)) == 0
    assert _records(commands)[-1][3] == {"to": f"{tmp_path}/b\\udcff.tar.gz"}


def test_of_a_bundle_code_file_and_record_tell_the_same(
    commands: BackupCommands,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is made where only its output can't be written; where the file can't, the record says that, too."""
    bundle, impossible = tmp_path / "b.tar.gz", Path("/proc/b.tar.gz")
    with Path("/dev/full").open("w", encoding="utf-8") as full, monkeypatch.context() as patched:
        patched.setattr("sys.stdout", full)
        unheard = _run(commands, "support-bundle", "--output", str(bundle))

    assert (unheard, bundle.stat().st_size > 0) == (0, True)
    assert "standard output can't be written: No space left on device" in capsys.readouterr().err
    assert _run(commands, "support-bundle", "--output", str(impossible)) == 1
    assert [(one[1], one[3]) for one in _records(commands)] == [
        ("success", {"to": str(bundle)}),
        ("success", {"to": str(impossible)}),
        ("failure", {"to": str(impossible)}),
    ]


def test_what_only_looks_leaves_no_such_record(commands: BackupCommands) -> None:
    commands.run("create")
    before = _records(commands)

    ended = [
        _run(commands, "backup", "restore", "--from", commands.target, "--blobs-only", "--dry-run"),
        _run(commands, "backup", "prune", "--from", commands.target, "--keep", "1", "--dry-run"),
        _run(commands, "verify", "--repair", "--dry-run"),
        _run(commands, "verify"),
    ]

    assert (ended, _records(commands)) == ([0] * 4, before)


def test_without_a_database_the_command_says_that_there_is_no_record_and_goes_on(
    commands: BackupCommands, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    commands.run("create")
    elsewhere = BackupCommands(tmp_path / "nothing", commands.target)
    capsys.readouterr()

    pruned = _run(elsewhere, "backup", "prune", "--from", commands.target, "--keep", "1")
    bundled = _run(elsewhere, "support-bundle", "--output", str(tmp_path / "b.tar.gz"))

    said = capsys.readouterr().err
    assert (pruned, bundled) == (0, 0)
    assert said.count("entrepot: the audit log has no record of this: there is no registry in ") == 2
    assert not (tmp_path / "nothing" / "metadata").exists()


def test_with_a_database_that_can_not_be_written_an_export_goes_on(
    commands: BackupCommands, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with closing(sqlite3.connect(f"{commands.data}/metadata/entrepot.db")) as connection, connection:
        connection.execute(
            "CREATE TRIGGER full BEFORE INSERT ON audit_records BEGIN SELECT RAISE(ABORT, 'disk full'); END"
        )

    assert _run(commands, "export", "--all", "--to", str(tmp_path / "layouts")) == 0

    assert "entrepot: the audit log has no record of this: " in capsys.readouterr().err
    assert list((tmp_path / "layouts").iterdir())
    assert _records(commands) == []
