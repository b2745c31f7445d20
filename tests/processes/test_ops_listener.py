"""Health, readiness and metrics as an orchestrator sees them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
from typing import TYPE_CHECKING, Any

import pytest

from entrepot.processes.assignment import Role
from tests.plumbing.patience import PATIENCE_SECONDS
from tests.processes.running import RunningRegistry, wait_for
from tests.running.process_resources import open_files

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningRegistry]:
    """One registry for all tests here; each puts back what it broke."""
    with RunningRegistry(tmp_path_factory.mktemp("ops")) as running:
        yield running


def test_health_and_readiness_answer_with_reasons(registry: RunningRegistry) -> None:
    assert read_checks(registry, "/healthz") == (200, {"process": "alive"})
    assert read_checks(registry, "/readyz/read") == (200, {"read": "fine"})
    assert read_checks(registry, "/readyz/write") == (200, {"write": "fine"})
    fine = {
        "drain": "not stopping",
        "public": "the public listener answered 200",
        "read": "fine",
        "tokens": "fine",
    }
    # It is given two seconds to answer, which may pass on a busy machine.
    wait_for(
        lambda: read_checks(registry, "/readyz") == (200, fine),
        PATIENCE_SECONDS,
        lambda: repr(read_checks(registry, "/readyz")),
    )


def test_a_node_that_can_not_write_still_takes_pulls(registry: RunningRegistry) -> None:
    broken = registry.data_directory / "unwritable"
    broken.touch()
    wait_for(lambda: registry.get_ops("/readyz/write")[0] == 503, PATIENCE_SECONDS, registry.log_text)
    assert read_checks(registry, "/readyz/write")[1] == {"write": "a test made it unwritable"}
    assert registry.get_ops("/readyz")[0] == 200
    broken.unlink()
    wait_for(lambda: registry.get_ops("/readyz/write")[0] == 200, PATIENCE_SECONDS, registry.log_text)


def test_a_node_that_can_not_read_is_not_ready(registry: RunningRegistry) -> None:
    broken = registry.data_directory / "unreadable"
    broken.touch()
    wait_for(lambda: registry.get_ops("/readyz")[0] == 503, PATIENCE_SECONDS, registry.log_text)
    assert registry.get_ops("/readyz/read")[0] == 503
    assert registry.get_ops("/healthz")[0] == 200
    broken.unlink()
    wait_for(lambda: registry.get_ops("/readyz")[0] == 200, PATIENCE_SECONDS, registry.log_text)


def test_a_listener_that_hangs_is_not_ready(registry: RunningRegistry) -> None:
    """The process exists and the kernel still takes connections: only asking finds it out."""
    pid = registry.pid(Role.HTTP)
    os.kill(pid, signal.SIGSTOP)
    try:
        wait_for(lambda: registry.get_ops("/readyz")[0] == 503, PATIENCE_SECONDS, registry.log_text)
        found = read_checks(registry, "/readyz")
        assert found[1]["public"] == "the public listener gave no answer within 2 s"
    finally:
        os.kill(pid, signal.SIGCONT)
    registry.wait_until_ready()


@pytest.mark.parametrize("path", ["/", "/v2/", "/healthz/", "/readyz/other", "/metrics/x", "/%2e%2e/metrics"])
def test_other_paths_do_not_exist(registry: RunningRegistry, path: str) -> None:
    assert registry.get_ops(path)[0] == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_only_get_and_head_are_answered(registry: RunningRegistry, method: str) -> None:
    assert registry.get_ops("/healthz", method)[0] == 405


def test_head_has_no_body(registry: RunningRegistry) -> None:
    assert registry.get_ops("/healthz", "HEAD") == (200, b"")


def test_metrics_come_from_the_http_process(registry: RunningRegistry) -> None:
    registry.get("/v2/")
    status, body = registry.get_ops("/metrics")
    assert status == 200
    assert b"# TYPE test_requests_total counter" in body


def test_f41_clients_that_read_nothing_are_ended(tmp_path: Path) -> None:
    """As with the public listener; some dozens of them would leave no place for a probe."""
    with RunningRegistry(tmp_path, settings={"limits": {"silence_seconds": 1}}) as running:
        pid = running.pid(Role.OPS)
        before = set(open_files(pid))
        with socket.socket() as greedy:
            greedy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            greedy.connect(("127.0.0.1", running.ops_port))
            greedy.settimeout(PATIENCE_SECONDS)
            greedy.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
            assert greedy.recv(1)
            held = {name for name in open_files(pid) if name.startswith("socket:")} - before
            assert held
            greedy.settimeout(1)
            with contextlib.suppress(OSError):  # all is full, in both directions, or it is ended already
                while True:
                    greedy.sendall(b"GET /metrics HTTP/1.1\r\n\r\n" * 1000)
            wait_for(lambda: held.isdisjoint(open_files(pid)), PATIENCE_SECONDS, running.log_text)


def test_the_public_listener_offers_no_metrics(registry: RunningRegistry) -> None:
    assert b"test_requests_total" not in registry.get("/metrics")[1]


def read_checks(registry: RunningRegistry, path: str) -> tuple[int, dict[str, str]]:
    """Status and the detail of each check."""
    status, body = registry.get_ops(path)
    checks: dict[str, dict[str, Any]] = json.loads(body)["checks"]
    return status, {name: check["detail"] for name, check in checks.items()}
