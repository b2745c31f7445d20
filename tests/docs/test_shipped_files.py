"""The files that are shipped for systemd, logrotate and Prometheus do what the guides say of them."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from entrepot.observability.metric_definitions import METRIC_DEFINITIONS
from entrepot.processes import parent
from entrepot.processes.errors import ExitCode
from entrepot.processes.keeper import PARTING_SECONDS
from entrepot.settings import DataSettings, Settings
from tests.docs.pages import ROOT, load_page
from tests.plumbing.skips import require_program

_UNIT: Final = ROOT / "packaging" / "systemd" / "entrepot.service"
_ROTATION: Final = ROOT / "packaging" / "logrotate" / "entrepot"
_RULES: Final = ROOT / "packaging" / "prometheus" / "entrepot.rules.yml"
_GUIDES: Final = ("docs/operations/guide.md", "docs/operations/guide.zh-CN.md")
_RUNBOOKS: Final = ("docs/operations/runbook.md", "docs/operations/runbook.zh-CN.md")


def _unit() -> configparser.SectionProxy:
    parser = configparser.ConfigParser(interpolation=None, strict=True)
    parser.optionxform = str  # type: ignore[method-assign,assignment]  # systemd's names have capitals
    parser.read(_UNIT, encoding="utf-8")
    return parser["Service"]


def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    """`systemd-analyze verify` has nothing to say once the program is where the unit looks for it."""
    text = _UNIT.read_text(encoding="utf-8")
    program = Path(sys.executable).with_name("entrepot")
    (tmp_path / "entrepot.service").write_text(
        text.replace("/opt/entrepot/bin/entrepot", str(program)), encoding="utf-8"
    )
    (tmp_path / "broken.service").write_text(text, encoding="utf-8")
    verify = [require_program("systemd-analyze"), "verify", "--man=no"]

    sound = subprocess.run(
        [*verify, tmp_path / "entrepot.service"], capture_output=True, text=True, check=False
    )
    broken = subprocess.run(
        [*verify, tmp_path / "broken.service"], capture_output=True, text=True, check=False
    )

    assert (sound.returncode, sound.stdout + sound.stderr) == (0, "")
    assert broken.returncode != 0


def test_the_unit_does_not_start_again_what_a_restart_can_not_mend() -> None:
    """Every exit code is either fine, worth another try, or listed."""
    listed = {int(word) for word in _unit()["RestartPreventExitStatus"].split()}

    assert listed == set(ExitCode) - {ExitCode.OK, ExitCode.FAILED}


def test_systemd_waits_longer_than_an_orderly_stop_takes() -> None:
    """With the defaults and a minute of drain delay; and the pauses beside the drain are those the guide adds."""
    http = Settings(data=DataSettings(directory=Path("/data"))).http
    beside = PARTING_SECONDS + parent._BACKGROUND_PATIENCE_SECONDS + parent._OPS_PATIENCE_SECONDS

    assert beside == 20
    assert float(_unit()["TimeoutStopSec"]) >= 60 + http.drain_timeout_seconds + beside
    assert _unit()["KillMode"] == "mixed"


@pytest.mark.parametrize("guide", _GUIDES)
def test_the_guides_print_the_files_as_they_are_shipped(guide: str) -> None:
    page = load_page(guide)

    assert page.code("ini") == [_UNIT.read_text(encoding="utf-8")]
    assert _ROTATION.read_text(encoding="utf-8") in page.code("text")


def _alerts() -> dict[str, str]:
    """Return the expression of each alert."""
    text = _RULES.read_text(encoding="utf-8")
    return dict(re.findall(r"- alert: (\w+)\n +expr: (.+)\n", text))


@pytest.mark.parametrize("runbook", _RUNBOOKS)
def test_each_alert_has_its_section_with_the_same_expression(runbook: str) -> None:
    """Whoever is woken by an alert finds it by its name, and reads what was really asked."""
    page = load_page(runbook)
    sections = dict(re.findall(r"^### `(Entrepot\w+)`\n(.*?)(?=^##)", page.text, re.DOTALL | re.MULTILINE))

    assert len(_alerts()) >= 10
    assert sorted(sections) == sorted(_alerts())
    assert {
        name: f"\n{expression}\n" in sections[name] for name, expression in _alerts().items()
    } == dict.fromkeys(_alerts(), True)


@pytest.mark.parametrize("page", [*_GUIDES, *_RUNBOOKS, "packaging/prometheus/entrepot.rules.yml"])
def test_metrics_that_are_named_exist(page: str) -> None:
    """No alert can stay silent because its metric is called something else, and no label is invented."""
    known = {metric.name for metric in METRIC_DEFINITIONS}
    known |= {f"{metric.name}{end}" for metric in METRIC_DEFINITIONS for end in ("_bucket", "_sum", "_count")}
    text = (ROOT / page).read_text(encoding="utf-8")
    labels = {label for metric in METRIC_DEFINITIONS for label in metric.labels} | {"job", "le", "instance"}

    assert set(re.findall(r"\bregistry_[a-z_]+\b", text)) - known == set()
    assert {
        name
        for inner in re.findall(r"[a-z]\{([a-z]+=[^}]*)\}", text)
        for name in re.findall(r"(\w+)=", inner)
    } <= labels


@pytest.mark.long
def test_every_alert_fires_when_it_should_and_none_otherwise() -> None:
    """Prometheus's own promtool (Debian: `apt-get install promtool`, 15 MB) runs the rules on made-up series."""
    program = shutil.which("promtool")
    if program is None:
        pytest.skip("promtool is not installed")
    tested = subprocess.run(
        [program, "test", "rules", _RULES.with_name("entrepot.rules.test.yml")],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (tested.returncode, "SUCCESS" in tested.stdout) == (0, True), tested.stdout + tested.stderr
