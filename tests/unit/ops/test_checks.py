"""The checks of ``entrepot doctor``: what each makes of good, doubtful and bad facts."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import resource
from pathlib import Path

import msgspec
import pytest

from entrepot.ops import doctor as doctor_command
from entrepot.ops.checks.certificate import judge_expiry
from entrepot.ops.checks.directories import (
    check_config_file,
    check_data_directory,
    check_storage_root,
    judge_filesystem,
    judge_free_space,
)
from entrepot.ops.checks.finding import Finding, failed, passed, warned
from entrepot.ops.checks.host import judge_clock, judge_descriptor_limit, judge_sqlite
from entrepot.ops.checks.network import check_exposure, is_node_running
from entrepot.ops.checks.stores import check_metadata, judge_schema
from entrepot.ops.doctor import render_findings
from entrepot.settings import (
    AccessSettings,
    DataSettings,
    HttpSettings,
    Settings,
    StorageSettings,
    TlsSettings,
    load_settings,
)

GIB = 1024**3


def settings_for(directory: Path) -> Settings:
    """Return defaults on a directory."""
    return Settings(data=DataSettings(directory=directory))


_ACCOUNTS = AccessSettings(accounts=True)
_EVERYBODY = AccessSettings(accounts=False, insecure_anonymous=True)
_NOBODY = AccessSettings(accounts=False)


@pytest.mark.parametrize(
    ("version", "status"),
    [((3, 39, 9), "fail"), ((3, 40, 0), "ok"), ((3, 46, 1), "ok"), ((2, 99, 0), "fail")],
)
def test_sqlite_must_be_3_40_or_newer(version: tuple[int, int, int], status: str) -> None:
    assert judge_sqlite(version).status == status


@pytest.mark.parametrize(
    ("seconds", "synchronised", "status"),
    [
        (0.0, True, "fail"),
        (1793491199.0, True, "fail"),
        (1795474201.0, True, "ok"),
        (1795474201.0, False, "warn"),
    ],
)
def test_a_clock_in_the_past_fails_and_an_unkept_one_warns(
    seconds: float, synchronised: bool, status: str
) -> None:
    assert judge_clock(seconds, synchronised=synchronised).status == status


@pytest.mark.parametrize(
    ("limit", "status"),
    [(1023, "fail"), (1024, "warn"), (16383, "warn"), (16384, "ok"), (resource.RLIM_INFINITY, "ok")],
)
def test_few_open_files_warn_and_very_few_fail(limit: int, status: str) -> None:
    assert judge_descriptor_limit(limit).status == status


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("ext4", "ok"),
        ("xfs", "ok"),
        ("unknown", "ok"),
        ("tmpfs", "warn"),
        ("overlay", "warn"),
        ("nfs4", "fail"),
    ],
)
def test_sqlite_on_a_network_file_system_fails(kind: str, status: str) -> None:
    assert judge_filesystem(Path("/data/entrepot.db"), kind).status == status


@pytest.mark.parametrize(
    ("free_bytes", "status"),
    [(0, "fail"), (GIB, "fail"), (GIB + 1, "warn"), (5 * GIB - 1, "warn"), (5 * GIB, "ok")],
)
def test_free_space_is_judged_against_the_floor_of_uploads(free_bytes: int, status: str) -> None:
    assert judge_free_space(Path("/data"), free_bytes, GIB).status == status


@pytest.mark.parametrize(("days", "status"), [(0.5, "warn"), (20.9, "warn"), (21, "ok"), (90, "ok")])
def test_a_certificate_that_ends_within_three_weeks_warns(days: float, status: str) -> None:
    finding = judge_expiry(Path("/c.pem"), days * 86400)

    assert finding.status == status
    assert f"valid for {int(days)} more days" in finding.message


@pytest.mark.parametrize(
    ("current", "newest", "status"), [(0, 3, "ok"), (2, 3, "warn"), (3, 3, "ok"), (4, 3, "fail")]
)
def test_an_older_schema_warns_and_a_newer_one_fails(current: int, newest: int, status: str) -> None:
    assert judge_schema(current, newest).status == status


@pytest.mark.parametrize(
    ("listen", "access", "tls", "status"),
    [
        ("127.0.0.1:5000", _EVERYBODY, False, "ok"),
        ("[::1]:5000", _NOBODY, False, "ok"),
        ("0.0.0.0:5000", _ACCOUNTS, False, "warn"),
        ("0.0.0.0:5000", _ACCOUNTS, True, "ok"),
        ("0.0.0.0:5000", _NOBODY, True, "warn"),
        ("10.0.0.1:5000", _EVERYBODY, True, "warn"),
    ],
)
def test_what_is_offered_to_a_network_is_questioned(
    listen: str, access: AccessSettings, tls: bool, status: str
) -> None:
    """Accounts with TLS pass. Without accounts a network is either let in whole or not served at all."""
    settings = msgspec.structs.replace(
        settings_for(Path("/data")),
        http=HttpSettings(listen=listen),
        access=access,
        tls=TlsSettings(certificate="/c.pem", key="/k.pem") if tls else TlsSettings(),
    )

    assert check_exposure(settings).status == status


def test_a_writable_directory_passes_and_is_left_as_it_was(tmp_path: Path) -> None:
    assert check_data_directory(settings_for(tmp_path)).status == "ok"
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_can_be_made_passes_and_is_not_made(tmp_path: Path) -> None:
    finding = check_data_directory(settings_for(tmp_path / "a" / "b"))

    assert finding == passed("data-directory", f"{tmp_path}/a/b does not exist yet and can be made")
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_place_of_a_directory_fails(tmp_path: Path) -> None:
    """Holds for root too, whom permission bits don't stop."""
    (tmp_path / "file").write_text("x", encoding="utf-8")
    below = settings_for(tmp_path / "file" / "data")
    root = msgspec.structs.replace(
        settings_for(tmp_path), storage=StorageSettings(root=str(tmp_path / "file"))
    )

    assert check_data_directory(below).status == "fail"
    assert f"{tmp_path}/file is no directory" in check_data_directory(below).message
    assert check_storage_root(root).status == "fail"


def test_s27_a_file_of_settings_with_secrets_that_others_may_read_warns(tmp_path: Path) -> None:
    file = tmp_path / "entrepot.toml"
    statuses: list[str] = []
    for content, mode in (
        ('[metadata]\nurl = "postgresql://u:p@h/d"\n', 0o640),
        ('[metadata]\nurl = "postgresql://u:p@h/d"\n', 0o600),
        ('[log]\nlevel = "debug"\n', 0o644),
    ):
        file.write_text(content, encoding="utf-8")
        file.chmod(mode)
        statuses.append(check_config_file(load_settings(environment={}, user_id=0, config_file=file)).status)

    assert statuses == ["warn", "ok", "ok"]


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("postgresql://registry@db.internal/registry", "ok"),
        ("postgresql://registry:canary@db.internal/registry", "warn"),
        ("postgresql://db.internal/registry?password=canary", "warn"),
    ],
)
def test_an_address_without_a_password_is_no_secret_that_others_may_read_s27(
    tmp_path: Path, address: str, status: str
) -> None:
    file = tmp_path / "entrepot.toml"
    file.write_text(f'[metadata]\nurl = "{address}"\n', encoding="utf-8")
    file.chmod(0o644)

    found = check_config_file(load_settings(environment={}, user_id=0, config_file=file))

    assert found.status == status


def test_a_node_is_running_while_somebody_holds_its_lock(tmp_path: Path) -> None:
    settings = settings_for(tmp_path)
    before = is_node_running(settings)
    (tmp_path / "run").mkdir()
    descriptor = os.open(tmp_path / "run" / "lock", os.O_RDWR | os.O_CREAT)
    unlocked = is_node_running(settings)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    locked = is_node_running(settings)
    os.close(descriptor)

    assert (before, unlocked, locked, is_node_running(settings)) == (False, False, True, False)


def test_a_damaged_database_fails(tmp_path: Path) -> None:
    """A file that is no SQLite database is named instead of being replaced."""
    (tmp_path / "metadata").mkdir()
    (tmp_path / "metadata" / "entrepot.db").write_bytes(b"not a database, but long enough to look at " * 200)

    finding = check_metadata(settings_for(tmp_path))

    assert finding.status == "fail"
    assert "can't be used" in finding.message


def test_a_missing_database_passes_since_the_first_start_makes_it(tmp_path: Path) -> None:
    assert check_metadata(settings_for(tmp_path)).status == "ok"
    assert list(tmp_path.iterdir()) == []


def test_a_check_that_breaks_is_a_finding_and_hides_no_other(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def break_down() -> Finding:
        raise ZeroDivisionError("half a machine")

    monkeypatch.setattr(doctor_command, "check_clock", break_down)

    code = doctor_command.doctor(data=tmp_path, output="json")

    answer = json.loads(capsys.readouterr().out)
    found = {finding["check"]: finding for finding in answer["findings"]}
    assert (code, answer["ok"]) == (1, False)
    assert found["clock"]["message"] == "the check itself broke: ZeroDivisionError: half a machine"
    assert "blobs" in found


def test_what_this_user_may_not_see_is_said_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Run by another user than the registry's, doctor doesn't take a closed door for a defect."""

    def knock() -> Finding:
        raise PermissionError(errno.EACCES, "Permission denied", "/data/run")

    monkeypatch.setattr(doctor_command, "check_clock", knock)

    doctor_command.doctor(data=tmp_path, output="json")

    findings = json.loads(capsys.readouterr().out)["findings"]
    (found,) = [finding for finding in findings if finding["check"] == "clock"]
    assert found["message"] == "this user may not look at /data/run"
    assert found["remedy"] == "Run this as the user that the registry runs as."


def test_findings_are_printed_with_their_remedy_and_a_sum() -> None:
    text = render_findings([passed("a", "fine"), warned("bb", "hm", "Look."), failed("c", "no", "Mend it.")])

    assert text.splitlines() == [
        "ok    a               fine",
        "warn  bb              hm",
        "                      → Look.",
        "fail  c               no",
        "                      → Mend it.",
        "1 ok, 1 warnings, 1 failed",
    ]
