"""The order of the end (F40): not ready, no new connections, no requests, no background work, silence."""

from __future__ import annotations

import os
import signal
import socket
import time
from typing import TYPE_CHECKING

import pytest

from entrepot.processes.assignment import Role
from tests.plumbing.patience import PATIENCE_SECONDS
from tests.processes.applications import LAST_PATH, STOP_SLOWLY_FILE
from tests.processes.running import RunningRegistry, is_alive
from tests.processes.uploads import SlowUpload

if TYPE_CHECKING:
    from pathlib import Path


def test_f40_sigterm_goes_through_its_order_while_a_request_in_flight_finishes(tmp_path: Path) -> None:
    settings = {"http": {"drain_delay_seconds": 4}}
    with RunningRegistry(tmp_path, settings=settings) as registry:
        upload = SlowUpload(registry, 1000)
        upload.send(500)
        pids = [registry.pid(role) for role in Role]
        registry.parent.terminate()
        registry.wait_for_event("drain.started")
        assert registry.get_ops("/readyz")[0] == 503
        assert registry.get_ops("/readyz/read")[0] == 200
        assert registry.get("/v2/")[0] == 200  # the load balancer hasn't noticed yet
        registry.wait_for_event("process.stopping", role="http")
        wait_until_refused(registry.port)
        assert registry.get_ops("/healthz")[0] == 200
        assert registry.pids(Role.BACKGROUND) == [pids[1]]
        assert upload.finish().endswith(b"\r\n\r\n1000")
        assert registry.wait_exit() == 0
        assert exits_in_order(registry) == ["http", "background", "ops"]
        assert [line["exit_status"] for line in registry.events("process.exited")] == [0, 0, 0]
        assert not any(is_alive(pid) for pid in pids)
        drain, stopping = registry.events("drain.started")[0], registry.events("process.stopping")[0]
        assert seconds_between(drain, stopping) > 3.9  # by two clocks


def test_a_line_that_waits_for_others_is_written_before_the_process_ends(tmp_path: Path) -> None:
    """Nothing turns its event loop any more by then."""
    with RunningRegistry(tmp_path) as registry:
        registry.get("/v2/")
        registry.parent.terminate()
        assert registry.wait_exit() == 0
        assert len(registry.events("request.completed", path=LAST_PATH)) == 1


def test_a_body_that_outlasts_the_drain_timeout_is_broken_off(tmp_path: Path) -> None:
    """The application is told that the client has gone, and has time to make the best of it: nobody is killed."""
    with RunningRegistry(tmp_path, settings={"http": {"drain_timeout_seconds": 1}}) as registry:
        upload = SlowUpload(registry, 1000)
        upload.send(500)
        registry.get("/v2/")
        registry.parent.terminate()
        assert registry.wait_exit() == 0
        parting = registry.events("process.parting")
        assert [(line["role"], line["reason"]) for line in parting] == [("http", "took too long to stop")]
        assert registry.events("process.killed") == []
        upload.abort()


def test_f40_the_end_of_a_drain_that_was_announced_too_early_breaks_no_body_off(tmp_path: Path) -> None:
    """SIGUSR1 to a process that nobody has asked to stop, as from a script that means another one, is forgotten."""
    with RunningRegistry(tmp_path) as registry:
        os.kill(registry.pid(Role.HTTP), signal.SIGUSR1)
        registry.get("/v2/")
        upload = SlowUpload(registry, 1000)
        upload.send(500)
        registry.get("/v2/")
        registry.parent.terminate()
        registry.wait_for_event("process.stopping", role="http")
        wait_until_refused(registry.port)
        assert upload.finish().endswith(b"\r\n\r\n1000")
        assert registry.wait_exit() == 0
        assert registry.events("process.parting") == []


def test_a_request_that_outlasts_that_too_does_not_hold_up_the_end(tmp_path: Path) -> None:
    with RunningRegistry(tmp_path, settings={"http": {"drain_timeout_seconds": 1}}) as registry:
        with socket.create_connection(("127.0.0.1", registry.port)) as client:
            client.sendall(b"GET /sleep?60 HTTP/1.1\r\nHost: x\r\n\r\n")
            registry.get("/v2/")
            registry.parent.terminate()
            assert registry.wait_exit() == 0
        killed, parting = registry.events("process.killed"), registry.events("process.parting")
        assert [(line["role"], line["reason"]) for line in killed] == [("http", "took too long to stop")]
        assert 4.5 < seconds_between(parting[0], killed[0]) < 30


def test_an_answer_that_is_being_worked_on_is_given_after_the_drain_timeout(tmp_path: Path) -> None:
    """Of a request that is here whole the work goes on for the time that broken bodies get."""
    with RunningRegistry(tmp_path, settings={"http": {"drain_timeout_seconds": 1}}) as registry:
        with socket.create_connection(("127.0.0.1", registry.port), timeout=PATIENCE_SECONDS) as client:
            client.sendall(b"GET /sleep?3 HTTP/1.1\r\nHost: x\r\n\r\n")
            registry.get("/v2/")
            registry.parent.terminate()
            assert client.recv(4096).startswith(b"HTTP/1.1 200 OK\r\n")
        assert registry.wait_exit() == 0
        assert len(registry.events("process.parting")) == 1
        assert registry.events("process.killed") == []


def test_a_second_signal_ends_delay_and_patience(tmp_path: Path) -> None:
    with RunningRegistry(tmp_path, settings={"http": {"drain_delay_seconds": 60}}) as registry:
        (registry.data_directory / STOP_SLOWLY_FILE).touch()
        upload = SlowUpload(registry, 1000)
        upload.send(500)
        registry.parent.send_signal(signal.SIGINT)
        registry.wait_for_event("drain.started")
        began = time.monotonic()
        registry.parent.send_signal(signal.SIGINT)
        assert registry.wait_exit() == 0
        assert time.monotonic() - began < 30  # half of the delay
        assert [line["role"] for line in registry.events("process.parting", reason="hurry")] == ["http"]
        # On a busy machine the other one may not be through in its second either.
        assert "background" in [line["role"] for line in registry.events("process.killed", reason="hurry")]
        upload.abort()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_signal_to_the_whole_session_keeps_to_the_order(
    tmp_path: Path, number: signal.Signals
) -> None:
    """Ctrl-C in a terminal and `kill %1` signal a process group."""
    with RunningRegistry(tmp_path) as registry:
        os.killpg(registry.parent.pid, number)
        assert registry.wait_exit() == 0
        assert exits_in_order(registry) == ["http", "background", "ops"]


def test_a_reload_signal_to_every_process_is_one_reload(tmp_path: Path) -> None:
    """Some service managers signal everything they find."""
    with RunningRegistry(tmp_path) as registry:
        for pid in [registry.pid(role) for role in Role]:
            os.kill(pid, signal.SIGHUP)
            os.kill(pid, signal.SIGINT)
        registry.parent.send_signal(signal.SIGHUP)
        registry.wait_for_event("reload.finished")
        assert registry.events("process.respawning") == []


def test_stopping_while_starting_ends_at_once(tmp_path: Path) -> None:
    registry = RunningRegistry(tmp_path)
    registry.start()
    registry.wait_for_event("process.started", role="http")
    registry.parent.terminate()
    assert registry.wait_exit(20) == 0  # and not after the time-out of a drain
    assert registry.pids(Role.HTTP) == []


def wait_until_refused(port: int) -> None:
    """Wait until nobody listens on the port."""
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except ConnectionError:
            return
        time.sleep(0.02)
    raise AssertionError("connections are still accepted")


def exits_in_order(registry: RunningRegistry) -> list[str]:
    """The roles in the order in which their processes ended."""
    return [line["role"] for line in registry.events("process.exited")]


def seconds_between(earlier: dict[str, str], later: dict[str, str]) -> float:
    """Seconds between two log lines."""
    from datetime import datetime

    times = [datetime.fromisoformat(line["@timestamp"]) for line in (earlier, later)]
    return (times[1] - times[0]).total_seconds()
