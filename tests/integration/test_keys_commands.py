"""`entrepot keys` on a registry's own database and files."""

from __future__ import annotations

import base64
import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from entrepot.audit.signatures import public_key_bytes
from entrepot.auth.keys.master_key import begin_replacement, finish_replacement
from entrepot.ops.application import run_command_line
from entrepot.ops.keys import options as keys_options
from entrepot.ops.keys import rewrap as keys_rewrap

if TYPE_CHECKING:
    from pathlib import Path


def _leave_logging_alone(*_: object) -> None:
    """Take the place of what is for a process of its own."""


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the data directory of a registry that was started once; nothing of this machine is read."""
    (tmp_path / "empty.toml").touch()
    monkeypatch.setenv("ENTREPOT_CONFIG", str(tmp_path / "empty.toml"))
    monkeypatch.setattr(keys_options, "configure_logging", _leave_logging_alone)
    for command in (["migrate"], ["keys", "list"]):
        assert run_command_line([*command, "--data", str(tmp_path / "data")]) == 0
    return tmp_path / "data"


def _listed(data: Path, capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    capsys.readouterr()
    assert run_command_line(["keys", "list", "--data", str(data), "-o", "json"]) == 0
    keys: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    return keys


def _change(data: Path, statement: str) -> None:
    with closing(sqlite3.connect(data / "metadata" / "entrepot.db", isolation_level=None)) as connection:
        connection.execute(statement)


def test_the_list_shows_two_keys_and_no_secret_s27(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keys = _listed(data, capsys)

    assert [key["state"] for key in keys] == ["active", "next"]
    assert set(keys[0]) == {
        "id", "purpose", "state", "created_at", "activated_at", "retired_at", "master_key", "public_key"
    }  # fmt: skip
    assert run_command_line(["keys", "list", "--data", str(data)]) == 0
    assert keys[0]["id"] in capsys.readouterr().out


def test_the_public_keys_of_the_audit_log_are_told_before_they_sign(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An auditor takes them down in the form that `entrepot audit verify --public-key` reads."""
    capsys.readouterr()
    assert run_command_line(["keys", "list", "--purpose", "audit", "--data", str(data), "-o", "json"]) == 0
    keys: list[dict[str, str]] = json.loads(capsys.readouterr().out)

    assert [key["state"] for key in keys] == ["active", "next"]
    for key in keys:
        der = base64.b64decode(key["public_key"], validate=True)
        assert public_key_bytes(der) == der


def test_keys_are_rotated_and_revoked_by_hand(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = _listed(data, capsys)
    assert run_command_line(["keys", "rotate", "--data", str(data)]) == 1
    assert "published too recently" in capsys.readouterr().err

    _change(data, "UPDATE signing_keys SET created_at = created_at - 120000")
    assert run_command_line(["keys", "rotate", "--data", str(data)]) == 0
    assert second["id"] in capsys.readouterr().out
    assert [key["state"] for key in _listed(data, capsys)] == ["retired", "active", "next"]

    assert run_command_line(["keys", "revoke", first["id"], "--data", str(data)]) == 0
    assert [key["state"] for key in _listed(data, capsys)] == ["revoked", "active", "next"]
    assert run_command_line(["keys", "revoke", "0" * 32, "--data", str(data)]) == 1


def test_another_master_key_takes_the_place_of_the_file_f46(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {key["master_key"] for key in _listed(data, capsys)}

    assert run_command_line(["keys", "rewrap", "--data", str(data)]) == 0

    after = {key["master_key"] for key in _listed(data, capsys)}
    assert len(before) == len(after) == 1
    assert before != after
    assert [path.name for path in (data / "secrets").iterdir()] == ["master.key"]


@pytest.mark.parametrize("step", ["rewrap_signing_keys", "finish_replacement"])
def test_a_replacement_that_breaks_off_leaves_keys_that_open_everything_f46(
    data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Before the unit, or between the unit and the file: the registry can sign, and running it again ends it."""
    _listed(data, capsys)

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(keys_rewrap, step, die)
        assert run_command_line(["keys", "rewrap", "--data", str(data)]) != 0
    assert sorted(path.name for path in (data / "secrets").iterdir()) == ["master.key", "master.key.next"]
    active = _listed(data, capsys)[0]["id"]
    assert run_command_line(["keys", "rewrap", "--data", str(data)]) == 0

    assert [path.name for path in (data / "secrets").iterdir()] == ["master.key"]
    assert run_command_line(["keys", "revoke", active, "--data", str(data)]) == 0


def test_a_key_of_the_settings_replaces_the_file_when_the_former_one_is_named_f46(
    data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _listed(data, capsys)
    monkeypatch.setenv("ENTREPOT_SECRETS_MASTER_KEY", "B" * 43 + "=")

    assert run_command_line(["keys", "rewrap", "--data", str(data)]) == 2
    former = str(data / "secrets" / "master.key")
    assert run_command_line(["keys", "rewrap", "--data", str(data), "--former-key-file", former]) == 0

    assert len({key["master_key"] for key in _listed(data, capsys)}) == 1


def test_a_wrong_master_key_ends_a_command_with_the_one_that_is_wanted(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (wanted,) = {key["master_key"] for key in _listed(data, capsys)}
    begin_replacement(data)
    finish_replacement(data)

    assert run_command_line(["keys", "rewrap", "--data", str(data)]) == 1

    assert f"sealed with the master key {wanted}" in capsys.readouterr().err


def test_a_lost_master_key_is_got_over_f46(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A database without its master key, as after a restore: new keys are made, and only when they are needed."""
    before = {key["id"] for key in _listed(data, capsys)}
    assert run_command_line(["keys", "renew", "--data", str(data)]) == 0
    assert "nothing was changed" in capsys.readouterr().out
    (data / "secrets" / "master.key").unlink()

    assert run_command_line(["keys", "renew", "--data", str(data)]) == 0

    assert "2 keys were given up" in capsys.readouterr().out
    keys = _listed(data, capsys)
    assert [key["state"] for key in keys] == ["retired", "retired", "active", "next"]
    assert {key["id"] for key in keys[2:]} & before == set()


def test_a_missing_master_key_is_asked_for_and_none_is_made_in_its_place_f46(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (wanted,) = {key["master_key"] for key in _listed(data, capsys)}
    file = data / "secrets" / "master.key"
    kept = file.rename(data / "kept.key")

    for command in ("list", "rotate", "rewrap"):
        assert run_command_line(["keys", command, "--data", str(data)]) == 1
        said = capsys.readouterr().err
        assert f"{file} does not exist" in said
        assert wanted in said
        assert "`entrepot keys renew` makes" in said
        assert list(file.parent.iterdir()) == []

    kept.rename(file)
    assert {key["master_key"] for key in _listed(data, capsys)} == {wanted}
