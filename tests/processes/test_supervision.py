"""Any process may be killed at any time; what is left is a whole registry again, or nothing at all."""

from __future__ import annotations

import itertools
import os
import signal
import socket
import time
from pathlib import Path

import pytest

from entrepot.processes.assignment import Role
from entrepot.processes.keeper import respawn_delay_seconds
from tests.processes.applications import CRASH_FILE, REFUSE_FILE
from tests.processes.load import SteadyLoad
from tests.processes.running import RunningRegistry, is_alive, wait_for


@pytest.mark.parametrize("role", [Role.BACKGROUND, Role.OPS])
def test_killing_a_process_that_serves_no_client_fails_no_request_and_starts_another(
    tmp_path: Path, role: Role
) -> None:
    with RunningRegistry(tmp_path) as registry, SteadyLoad(registry) as load:
        registry.wait_for_event("process.ready", role=role)  # it starts after the one that serves clients
        killed = registry.pid(role)
        kill(killed, signal.SIGKILL)
        exited = registry.wait_for_event("process.exited", role=role, pid=killed)
        registry.wait_for_event("process.ready", count=2, role=role)
        load.wait_for_successes(5)
        assert exited["signal"] == "SIGKILL"
        assert registry.pid(role) != killed
        assert load.failures == []
        registry.wait_until_ready()


def test_killing_the_http_process_under_load_refuses_no_connection_and_starts_another(tmp_path: Path) -> None:
    """The request in flight breaks; later ones wait in the parent's socket for the new process."""
    with RunningRegistry(tmp_path) as registry, SteadyLoad(registry) as load:
        killed = registry.pid(Role.HTTP)
        kill(killed, signal.SIGKILL)
        registry.wait_for_event("process.ready", count=2, role="http")
        load.wait_for_successes(20)
        assert registry.pid(Role.HTTP) != killed
        assert not any(is_refusal(failure) for failure in load.failures)
        assert len(load.failures) <= 1, load.failures
        registry.wait_until_ready()


def test_killing_the_parent_leaves_no_process_and_frees_port_and_directory(tmp_path: Path) -> None:
    with RunningRegistry(tmp_path / "first") as registry:
        with SteadyLoad(registry):
            pids = [registry.pid(role) for role in Role]
            registry.parent.kill()
            registry.wait_exit()
            wait_for(lambda: not any(is_alive(pid) for pid in pids), 20, lambda: f"still alive of {pids}")
        # Not under load: a client that keeps connecting to a free port may be given that very port for its own end.
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", registry.port))
    with RunningRegistry(
        tmp_path / "second", data_directory=registry.data_directory, port=registry.port
    ) as again:
        assert again.get("/v2/")[0] == 200


def test_killing_the_parent_while_it_starts_leaves_no_process(tmp_path: Path) -> None:
    """Children that are not yet through their imports find that their parent has gone."""
    registry = RunningRegistry(tmp_path)
    registry.start()
    registry.wait_for_event("process.started", role="http")
    pids: list[int] = []
    while not pids:  # between fork and exec a child still looks like its parent
        pids = [pid for role in Role for pid in registry.pids(role)]
    registry.parent.kill()
    registry.wait_exit()
    wait_for(lambda: not any(is_alive(pid) for pid in pids), 20, lambda: f"still alive of {pids}")


def test_a_process_that_keeps_crashing_is_started_ever_more_slowly_and_recovers(tmp_path: Path) -> None:
    with RunningRegistry(tmp_path) as registry:
        (registry.data_directory / CRASH_FILE).touch()
        kill(registry.pid(Role.HTTP), signal.SIGKILL)
        registry.wait_for_event("process.respawning", count=3, role="http")
        (registry.data_directory / CRASH_FILE).unlink()
        registry.wait_for_event("process.ready", count=2, role="http")
        delays = [line["delay_seconds"] for line in registry.events("process.respawning", role="http")]
        assert delays[:3] == [0.0, 0.5, 1.0]
        assert (
            registry.events("process.crashed", **{"process.role": "http"})[0]["error.message"]
            == "broken by a test"
        )
        assert registry.get("/v2/")[0] == 200


def test_delays_double_up_to_half_a_minute() -> None:
    delays = [respawn_delay_seconds(count) for count in range(1, 12)]
    assert delays == [0, 0.5, 1, 2, 4, 8, 16, 30, 30, 30, 30]
    assert all(earlier <= later for earlier, later in itertools.pairwise(delays))
    assert respawn_delay_seconds(10_000) == 30


def test_settings_refused_at_the_start_end_everything_with_the_reason(tmp_path: Path) -> None:
    registry = RunningRegistry(tmp_path)
    registry.data_directory.mkdir()
    (registry.data_directory / REFUSE_FILE).touch()
    registry.start()
    assert registry.wait_exit() == 2
    assert "refused by a test" in registry.events("start.refused")[0]["reason"]
    assert len(registry.events("process.started", role="http")) == 1


def test_settings_refused_later_are_tried_again_until_they_are_repaired(tmp_path: Path) -> None:
    """A certificate that was damaged on disk must not end a registry whose process merely crashed."""
    with RunningRegistry(tmp_path) as registry:
        (registry.data_directory / REFUSE_FILE).touch()
        kill(registry.pid(Role.HTTP), signal.SIGKILL)
        registry.wait_for_event("process.refused", role="http", count=2)
        (registry.data_directory / REFUSE_FILE).unlink()
        registry.wait_for_event("process.ready", role="http", count=2)
        assert registry.parent.poll() is None


def test_live_gauges_of_a_dead_process_are_forgotten_and_its_counters_kept(tmp_path: Path) -> None:
    with RunningRegistry(tmp_path) as registry:
        registry.get("/v2/")
        kill(registry.pid(Role.HTTP), signal.SIGKILL)
        registry.wait_for_event("process.ready", role="http", count=2)
        registry.get("/v2/")
        assert read_metric(registry, "test_alive") == 1
        assert read_metric(registry, "test_requests_total") >= 2


def test_each_process_is_told_apart_by_name_and_none_carries_settings_in_arguments(tmp_path: Path) -> None:
    with RunningRegistry(tmp_path, settings={"storage.s3": {"secret_key": "hidden-from-ps"}}) as registry:
        for role in Role:
            process = Path(f"/proc/{registry.pid(role)}")
            assert (process / "comm").read_text().startswith("entrepot-")
            shown = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
            assert b"hidden-from-ps" not in shown


def read_metric(registry: RunningRegistry, name: str) -> float:
    """The value of a metric without labels, as Prometheus would scrape it."""
    lines = registry.get_ops("/metrics")[1].decode().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(f"{name} "))


def is_refusal(error: OSError) -> bool:
    """Whether nobody listened."""
    return isinstance(getattr(error, "reason", error), ConnectionRefusedError)


def kill(pid: int, number: signal.Signals) -> None:
    """Send a signal; a moment's pause lets a load be in the middle of a request."""
    time.sleep(0.02)
    os.kill(pid, number)
