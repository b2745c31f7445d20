"""SIGHUP: what may change does, what can't is said, and no client notices."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from entrepot.processes.assignment import Role
from tests.plumbing.patience import PATIENCE_SECONDS
from tests.processes.applications import REFUSE_FILE
from tests.processes.certificates import fingerprint, make_certificate, served_fingerprint
from tests.processes.load import SteadyLoad
from tests.processes.running import RunningRegistry, wait_for
from tests.processes.uploads import SlowUpload

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.slow
def test_an_upload_of_ten_seconds_outlives_a_reload_and_steady_requests_never_fail(tmp_path: Path) -> None:
    with RunningRegistry(tmp_path) as registry, SteadyLoad(registry) as load:
        former = registry.pid(Role.HTTP)
        upload = SlowUpload(registry, 1_000_000)
        upload.send_for(2)
        reload(registry)
        assert registry.get("/pid")[1] != str(former).encode()
        assert former in registry.pids(Role.HTTP)
        upload.send_for(8)
        assert upload.finish().endswith(b"\r\n\r\n1000000")
        registry.wait_for_event("process.exited", role="http", pid=former, exit_status=0)
        assert load.failures == []
    assert registry.events("process.respawning") == []


def test_reloads_in_a_row_under_load_with_tls_fail_no_request(tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path, "localhost")
    settings = {"tls": {"certificate": str(certificate), "key": str(key)}}
    with RunningRegistry(tmp_path, settings=settings) as registry, SteadyLoad(registry) as load:
        for _ in range(2):
            reload(registry)
        load.wait_for_successes(50)
        assert load.failures == []


def test_the_log_level_changes_and_an_address_is_said_to_need_a_restart(tmp_path: Path) -> None:
    with RunningRegistry(tmp_path) as registry:
        registry.settings["log"] = {"level": "warning"}
        registry.settings["http"]["listen"] = "127.0.0.1:1"
        registry.write_settings()
        before = {role: registry.pid(role) for role in Role}
        registry.parent.send_signal(signal.SIGHUP)
        registry.wait_for_event("setting.needs_restart", key="http.listen")
        wait_for(lambda: before[Role.OPS] not in registry.pids(Role.OPS), PATIENCE_SECONDS, registry.log_text)
        assert registry.get("/v2/")[0] == 200
        assert all(registry.pid(role) != pid for role, pid in before.items())
        # replaced last: the parent already speaks from "warning" on by then
        assert registry.events("reload.started") != []
        assert registry.events("reload.finished") == []
        assert registry.events("process.replaced", role="ops") == []


def test_settings_that_can_not_be_read_change_nothing(tmp_path: Path) -> None:
    with RunningRegistry(tmp_path) as registry:
        before = {role: registry.pid(role) for role in Role}
        registry.settings["log"] = {"levle": "debug"}
        registry.write_settings()
        registry.parent.send_signal(signal.SIGHUP)
        refused = registry.wait_for_event("reload.refused")
        assert "log.levle" in refused["problems"][0]
        assert {role: registry.pid(role) for role in Role} == before


def test_a_new_http_process_that_refuses_its_settings_leaves_the_old_one_serving(tmp_path: Path) -> None:
    with RunningRegistry(tmp_path) as registry, SteadyLoad(registry) as load:
        before = registry.pid(Role.HTTP)
        (registry.data_directory / REFUSE_FILE).touch()
        registry.parent.send_signal(signal.SIGHUP)
        registry.wait_for_event("reload.failed")
        registry.wait_for_event("process.exited", role="http")
        load.wait_for_successes(5)
        assert registry.pid(Role.HTTP) == before
        assert load.failures == []
        (registry.data_directory / REFUSE_FILE).unlink()
        reload(registry)
        assert registry.pid(Role.HTTP) != before


def test_a_renewed_certificate_is_served_after_a_reload_and_a_broken_one_is_not(tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path, "first")
    with RunningRegistry(
        tmp_path, settings={"tls": {"certificate": str(certificate), "key": str(key)}}
    ) as registry:
        assert served_fingerprint(registry.port) == fingerprint(certificate)
        renewed, renewed_key = make_certificate(tmp_path, "second")
        certificate.write_bytes(renewed.read_bytes())
        registry.parent.send_signal(signal.SIGHUP)  # the key isn't there yet
        failed = registry.wait_for_event("process.replacement.failed")
        assert "tls.key" in failed["reason"]
        key.write_bytes(renewed_key.read_bytes())
        reload(registry)
        assert served_fingerprint(registry.port) == fingerprint(renewed)


def reload(registry: RunningRegistry) -> None:
    """Send SIGHUP and wait until every process is a new one that is ready."""
    done = len(registry.events("reload.finished"))
    registry.parent.send_signal(signal.SIGHUP)
    registry.wait_for_event("reload.finished", count=done + 1)
