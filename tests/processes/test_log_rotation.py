"""A log in a file is rotated by logrotate with the rules that are shipped, while it is written to."""

from __future__ import annotations

import json
import subprocess
import threading
from typing import TYPE_CHECKING, Final

from tests.plumbing.skips import require_program
from tests.processes.running import ROOT
from tests.running.entrepot import RunningEntrepot

if TYPE_CHECKING:
    from pathlib import Path

_RULES: Final = ROOT / "packaging" / "logrotate" / "entrepot"


def test_a_log_that_is_copied_and_cut_goes_on_without_a_hole(tmp_path: Path) -> None:
    """Both files hold whole lines of JSON only, and what is logged afterwards stands at the start of the new one."""
    logs = tmp_path / "log"
    logs.mkdir(mode=0o755)
    rules = _write_rules(tmp_path, logs)
    registry = RunningEntrepot(tmp_path / "registry")
    registry._log_file = logs / "entrepot.log"
    stop = threading.Event()
    asking = threading.Thread(target=_ask, args=(registry, stop))
    with registry:
        asking.start()
        try:
            registry.wait_for_event("serve.ready")
            registry.wait_for_event("request.completed", 20)
            rotate = [require_program("logrotate"), "--force", "--state", str(tmp_path / "state"), str(rules)]
            rotated = subprocess.run(rotate, capture_output=True, text=True, check=False)
            registry.wait_for_event("request.completed", 20)
        finally:
            stop.set()
            asking.join()
        registry.stop()

    assert (rotated.returncode, rotated.stderr) == (0, "")
    before, after = (
        [
            json.loads(line)["event"]
            for line in (logs / name).read_bytes().splitlines()
            if line.startswith(b"{")
        ]
        for name in ("entrepot.log.1", "entrepot.log")
    )
    cut = (logs / "entrepot.log").read_bytes()
    assert b"\0" not in cut
    assert cut.startswith(b"{")
    assert {"serve.started", "serve.ready"} <= set(before)
    assert "request.completed" in after  # not the first for sure: the background worker logs, too
    assert after[-1] == "serve.stopped"


def _write_rules(directory: Path, logs: Path) -> Path:
    text = _RULES.read_text(encoding="utf-8")
    assert "/var/log/entrepot/*.log" in text
    rules = directory / "rules"
    rules.write_text(text.replace("/var/log/entrepot/*.log", f"{logs}/*.log"), encoding="utf-8")
    rules.chmod(0o644)  # logrotate takes no rules that others may change
    return rules


def _ask(registry: RunningEntrepot, stop: threading.Event) -> None:
    while not stop.is_set():
        assert registry.get("/v2/")[0] == 200
