"""`entrepot verify` as a person and a script use it: exit codes, the report, going on after Ctrl-C."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any, Final

import pytest

from entrepot.ops.application import run_command_line
from entrepot.ops.verify import verify as verify_command
from tests.faults.image import one_layer_image
from tests.integration.rebuilding import compacted_registry
from tests.integration.scrubbing import Scrubbed, scrubbed_registry
from tests.integration.test_commands import clean_environment, empty_config, run

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
async def scrubbed(tmp_path: Path) -> AsyncIterator[Scrubbed]:
    """A registry in `data` that runs while the command does."""
    async with scrubbed_registry(tmp_path) as scrubbed:
        yield scrubbed


_HAS_BEGUN: Final = "SELECT count(*) FROM sweeps WHERE name = 'verify' AND progress LIKE '%\"running\":true%'"
"""It has taken its turn before, when there is nothing yet to go on with."""


def _verify(tmp_path: Path, *options: str) -> tuple[int, dict[str, Any]]:
    done = run(tmp_path, "verify", "--data", str(tmp_path / "data"), "-o", "json", *options)
    assert done.stdout, done.stderr
    assert done.stderr == ""
    return done.returncode, json.loads(done.stdout)


async def test_a_report_for_programs_and_one_for_people(scrubbed: Scrubbed, tmp_path: Path) -> None:
    """Sound is 0, damage is 1, a scheduled result is shown without looking, and a heal ends with 0."""
    assert run(tmp_path, "verify", "--data", str(tmp_path / "data"), "--last").returncode == 3
    code, report = _verify(tmp_path)
    assert (code, report["result"], report["findings"]) == (0, "sound", [])
    scrubbed.damage("flipped", scrubbed.image.manifest, "manifests")

    done = run(tmp_path, "verify", "--data", str(tmp_path / "data"))
    assert done.returncode == 1
    assert "copy-damaged  manifest" in done.stdout
    assert "team/app:latest" in done.stdout
    assert "entrepot verify --repair" in done.stdout
    assert "manifests: 1" in done.stderr
    code, report = _verify(tmp_path, "--last")
    assert (code, report["result"], report["damaged"]) == (1, "damaged", {"copy-damaged": 1})

    code, report = _verify(tmp_path, "--repair")
    assert (code, report["result"]) == (0, "sound")
    assert [(one["outcome"], one["damage"]) for one in report["findings"]] == [("healed", False)]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--dry-run",), "--dry-run says what --repair would do"),
        (("--resume", "--fast"), "--resume goes on as it began"),
        (("--last", "--repair"), "--last only shows"),
        (("--parallel", "0"), "--parallel is a number from 1 to 64"),
        (("--rate", "fast"), "is not a size"),
        (("--heal-from", "/mnt/x"), "write file:///absolute/path"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    tmp_path: Path,
    options: tuple[str, ...],
    sentence: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Exit code 2 and a sentence, before anything is opened."""
    monkeypatch.setenv("ENTREPOT_CONFIG", str(empty_config(tmp_path)))

    assert run_command_line(["verify", "--data", str(tmp_path / "data"), *options]) == 2

    assert sentence in capsys.readouterr().err


def test_a_registry_that_is_not_there_is_not_sound(tmp_path: Path) -> None:
    """A mistyped path makes no empty registry."""
    done = run(tmp_path, "verify", "--data", str(tmp_path / "typo"))

    assert (done.returncode, done.stdout, "there is no registry in" in done.stderr) == (3, "", True)
    assert not (tmp_path / "typo").exists()


async def test_what_is_named_must_be_there(scrubbed: Scrubbed, tmp_path: Path) -> None:
    """A store, or what it could have healed would be set aside; a repository, or nothing would be looked at."""
    scrubbed.damage("missing", scrubbed.image.layer)

    done = run(
        tmp_path,
        "verify",
        "--data",
        str(tmp_path / "data"),
        "--repair",
        "--heal-from",
        f"file://{tmp_path}/typo",
    )

    assert done.returncode == 3
    assert "there is no directory" in done.stderr
    done = run(tmp_path, "verify", "--data", str(tmp_path / "data"), "--repository", "team/typo")
    assert (done.returncode, "there is no repository team/typo" in done.stderr) == (2, True)
    assert await scrubbed.pull_layer() == 500


async def test_ctrl_c_ends_with_4_and_resume_goes_on(scrubbed: Scrubbed, tmp_path: Path) -> None:
    """What was found before the interruption is in the report after it."""
    for seed in range(2, 6):
        await scrubbed.push(one_layer_image(seed, f"team/app{seed}"))
    scrubbed.damage("missing", scrubbed.image.layer)
    command = [sys.executable, "-m", "entrepot", "verify", "--data", str(tmp_path / "data"), "-o", "json"]
    with subprocess.Popen(  # noqa: ASYNC220  # nothing else runs on this loop
        [*command, "--rate", "200KiB", "--parallel", "1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=clean_environment(tmp_path),
    ) as process:
        give_up_at = time.monotonic() + 60
        while time.monotonic() < give_up_at:
            if await scrubbed.database.value(_HAS_BEGUN):
                break
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=60)
    assert process.returncode == 4, errors
    assert json.loads(output)["result"] == "interrupted"
    assert b"entrepot verify --resume" in errors

    code, report = _verify(tmp_path, "--resume")

    assert (code, report["resumed"], report["examined"]["blobs"]) == (1, True, 10)
    assert report["damaged"] == {"missing": 1}


async def test_lost_bytes_come_back_from_a_backup(scrubbed: Scrubbed, tmp_path: Path) -> None:
    """A sealed backup heals one blob and one manifest; with a wrong passphrase nothing is set aside (F11, F12)."""
    target, data = str(tmp_path / "backup"), str(tmp_path / "data")
    secret = {"ENTREPOT_BACKUP_PASSPHRASE": "correct horse", "ENTREPOT_BACKUP_TARGET": target}
    assert run(tmp_path, "backup", "create", "--data", data, **secret).returncode == 0
    scrubbed.damage("missing", scrubbed.image.layer)
    repair = ("verify", "--data", data, "-o", "json", "--repair", "--heal-from")

    wrong = run(tmp_path, *repair, f"backup:{target}", ENTREPOT_BACKUP_PASSPHRASE="wrong")
    assert (wrong.returncode, await scrubbed.pull_layer()) == (3, 500)
    done = run(tmp_path, *repair, "backup", **secret)

    report = json.loads(done.stdout)
    assert (done.returncode, [one["outcome"] for one in report["findings"]]) == (0, ["healed"])
    assert report["findings"][0]["source"].startswith("backup ")
    assert await scrubbed.pull_layer() == 200


def test_a_fault_of_the_program_is_told_and_is_not_taken_for_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The log goes nowhere here, and 1 would say that damage was found (F11)."""

    async def broken(*_: object) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr(verify_command, "_examine", broken)
    monkeypatch.setattr(verify_command, "_keep_log_away", lambda: None)  # it is for the whole process
    asyncio.run(compacted_registry(tmp_path / "data"))
    capfd.readouterr()

    assert run_command_line(("verify", "--data", str(tmp_path / "data"))) == 3

    said = capfd.readouterr().err
    assert ("RuntimeError: a defect" in said, "broke off by a defect" in said) == (True, True)
