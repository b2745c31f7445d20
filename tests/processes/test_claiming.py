"""What is checked before anything starts, each with a message that names the culprit and an exit code of its own."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
from typing import TYPE_CHECKING

import pytest

from entrepot.processes.errors import ExitCode, StartRefusedError
from entrepot.processes.sockets import bind_listener
from entrepot.settings import ListenAddress
from tests.plumbing.patience import PATIENCE_SECONDS
from tests.processes.running import RunningRegistry
from tests.running.free_ports import find_free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def test_a_second_start_on_one_data_directory_names_directory_and_holder(tmp_path: Path) -> None:
    with RunningRegistry(tmp_path / "first") as first:
        run = first.data_directory / "run"
        assert run.stat().st_mode & 0o777 == 0o700
        assert (run / "lock").stat().st_mode & 0o777 == 0o600
        second = RunningRegistry(tmp_path / "second", data_directory=first.data_directory)
        second.start()
        assert second.wait_exit() == 3
        reason = second.events("start.refused")[0]["reason"]
        assert str(first.data_directory) in reason
        assert f"process {first.parent.pid}" in reason
        assert first.get("/v2/")[0] == 200
        assert first.get_ops("/metrics")[0] == 200


@pytest.mark.parametrize("section", ["http", "ops"])
def test_a_taken_port_is_named_with_its_setting(tmp_path: Path, section: str) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        taken = f"127.0.0.1:{holder.getsockname()[1]}"
        registry = RunningRegistry(tmp_path, settings={section: {"listen": taken}})
        registry.start()
        assert registry.wait_exit() == 4
    reason = registry.events("start.refused")[0]["reason"]
    assert reason == f"{section}.listen: address {taken} is already in use by another process"
    assert registry.events("process.started") == []


def test_a_port_taken_with_so_reuseport_is_taken_all_the_same() -> None:
    """Otherwise two registries would share the connections of one port, each with half of the images."""
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        with pytest.raises(StartRefusedError) as refusal:
            bind_listener(ListenAddress("127.0.0.1", holder.getsockname()[1]), "http.listen")
    assert refusal.value.exit_code is ExitCode.ADDRESS_IN_USE


def test_an_address_of_another_machine_is_a_bad_setting() -> None:
    with pytest.raises(StartRefusedError) as refusal:
        bind_listener(ListenAddress("192.0.2.1", find_free_port()), "http.listen")
    assert refusal.value.exit_code is ExitCode.BAD_SETTINGS
    assert "192.0.2.1" in refusal.value.reason


def test_a_port_beyond_the_last_is_a_bad_setting() -> None:
    """As when 80 is added to a public port near the end."""
    with pytest.raises(StartRefusedError) as refusal:
        bind_listener(ListenAddress("127.0.0.1", 65580), "ops.listen")
    assert refusal.value.exit_code is ExitCode.BAD_SETTINGS


def test_an_ipv6_wildcard_takes_ipv4_clients_too() -> None:
    port = find_free_port()
    with bind_listener(ListenAddress("::", port), "http.listen"):
        socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS).close()
        socket.create_connection(("::1", port), timeout=PATIENCE_SECONDS).close()


def test_a_read_only_data_directory_is_refused_with_the_systems_reason(tmp_path: Path) -> None:
    with read_only_mount(tmp_path / "mounted") as directory:
        registry = RunningRegistry(tmp_path / "registry", data_directory=directory)
        registry.start()
        assert registry.wait_exit() == 5
    reason = registry.events("start.refused")[0]["reason"]
    assert reason == f"data directory {directory} (data.directory) can't be written: Read-only file system"


def test_a_full_disk_is_refused_with_the_systems_reason(tmp_path: Path) -> None:
    with mounted(tmp_path / "mounted", "size=64k") as directory:
        (directory / "run").mkdir()
        with contextlib.suppress(OSError), (directory / "filler").open("wb", buffering=0) as filler:
            while True:
                filler.write(b"x" * 4096)
        registry = RunningRegistry(tmp_path / "registry", data_directory=directory)
        registry.start()
        assert registry.wait_exit() == 5
    assert "No space left on device" in registry.events("start.refused")[0]["reason"]


@contextlib.contextmanager
def mounted(directory: Path, options: str) -> Iterator[Path]:
    """A file system of its own in memory; skips where mounting isn't allowed."""
    directory.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(directory)]
    if os.geteuid() != 0 or subprocess.run(command, check=False, capture_output=True).returncode != 0:
        pytest.skip("not allowed to mount a file system (needs root)")
    try:
        yield directory
    finally:
        subprocess.run(["umount", str(directory)], check=True)


@contextlib.contextmanager
def read_only_mount(directory: Path) -> Iterator[Path]:
    """An empty file system that can't be written, not even by root."""
    with mounted(directory, "ro") as path:
        yield path
