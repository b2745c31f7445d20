"""Runs real proxies in front of a registry, with the configuration a test gives them."""

from __future__ import annotations

import contextlib
import socket
import subprocess
from typing import TYPE_CHECKING

from tests.plumbing.patience import PATIENCE_SECONDS
from tests.plumbing.skips import require_program
from tests.processes.running import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

__all__ = ["running_haproxy", "running_nginx"]


@contextlib.contextmanager
def running_nginx(directory: Path, http: str, ports: Sequence[int]) -> Iterator[None]:
    """Run nginx with `http` as the inside of its http block until it listens on all `ports` of 127.0.0.1."""
    directory.mkdir(exist_ok=True)
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "\n".join(f"{kind}_temp_path {directory}/{kind};" for kind in kinds)
    # As an ordinary user nginx ignores `user` with a warning; as root its worker has to write the test's files.
    main = f"user root;\npid {directory}/nginx.pid;\nevents {{}}\nhttp {{\naccess_log off;\n{temporary}\n{http}\n}}\n"
    file = directory / "nginx.conf"
    file.write_text(main, encoding="utf-8")
    program = require_program("nginx")
    command = [program, "-p", str(directory), "-e", "error.log", "-c", str(file), "-g", "daemon off;"]
    with _running(command, ports):
        yield


@contextlib.contextmanager
def running_haproxy(directory: Path, configuration: str, ports: Sequence[int]) -> Iterator[None]:
    """Run HAProxy with this configuration until it listens on all `ports` of 127.0.0.1."""
    directory.mkdir(exist_ok=True)
    file = directory / "haproxy.cfg"
    file.write_text(configuration, encoding="utf-8")
    with _running([require_program("haproxy"), "-db", "-q", "-f", str(file)], ports):
        yield


@contextlib.contextmanager
def _running(command: Sequence[str], ports: Sequence[int]) -> Iterator[None]:
    # The kernel stops it with the thread that started it, so that a killed test run leaves nothing behind.
    with subprocess.Popen(["setpriv", "--pdeathsig", "TERM", *command]) as process:
        try:
            for port in ports:
                wait_for(
                    lambda port=port: _listens(port, process),  # type: ignore[misc]  # mypy can't infer a default
                    PATIENCE_SECONDS,
                    lambda port=port: f"{command[0]} does not listen on {port}",  # type: ignore[misc]  # as above
                )
            yield
        finally:
            process.terminate()


def _listens(port: int, process: subprocess.Popen[bytes]) -> bool:
    assert process.poll() is None, f"ended with {process.returncode}"
    with contextlib.suppress(OSError):
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    return False
