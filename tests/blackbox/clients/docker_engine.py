"""A Docker Engine of the tests' own: its daemon, its data and its command line, apart from any other on the machine."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tests.blackbox.clients.program import CONFINED, ClientFailedError, Program, scratch_environment

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["DockerEngine", "run_docker_engine"]

_START_SECONDS: Final = 100.0
_STOP_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class DockerEngine:
    """The command line of a running daemon."""

    docker: Program

    def inspect(self, image: str) -> dict[str, Any]:
        """Return what the engine knows of an image it holds."""
        documents: list[dict[str, Any]] = json.loads(self.docker.run("image", "inspect", image))
        return documents[0]

    def holds(self, image: str) -> bool:
        """Whether the engine has an image under this reference or id."""
        listed = self.docker.run("image", "ls", "--no-trunc", "--format", "{{.ID}} {{.Repository}}:{{.Tag}}")
        return image in listed.split()

    def remove(self, *images: str) -> None:
        """Remove references, and with the last of an image its layers, so that a pull has to fetch them."""
        self.docker.run("image", "rm", "--force", *images)


@contextlib.contextmanager
def run_docker_engine(daemon: str, client: str, **more: str) -> Iterator[DockerEngine]:
    """Start a daemon without network or firewall of its own, yield its command line, stop it.

    `more` is added to the environment of both.
    """
    # Not below pytest's own directories: the path of a Unix socket holds 107 characters.
    directory = Path(tempfile.mkdtemp(prefix="dockerd-", dir="/tmp"))  # made unguessable by mkdtemp
    environment = scratch_environment(
        directory, DOCKER_HOST=f"unix://{directory}/docker.sock", DOCKER_BUILDKIT="0", **more
    )
    environment.pop("TMPDIR")
    log_file = directory / "log"
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            [
                *CONFINED, daemon, "--iptables=false", "--ip6tables=false", "--bridge=none",
                "--data-root", str(directory / "data"), "--exec-root", str(directory / "exec"),
                "--host", f"unix://{directory}/docker.sock", "--pidfile", str(directory / "pid"),
                "--insecure-registry", "127.0.0.0/8",
            ],
            stdout=log, stderr=log, env=environment, start_new_session=True,
        )  # fmt: skip
    docker = Program((client,), environment)
    try:
        _wait_until_ready(process, docker, log_file)
        yield DockerEngine(docker)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        shutil.rmtree(directory, ignore_errors=True)


def _wait_until_ready(process: subprocess.Popen[bytes], docker: Program, log_file: Path) -> None:
    give_up_at = time.monotonic() + _START_SECONDS
    while True:
        try:
            docker.run("version")
        except ClientFailedError as error:
            if process.poll() is None and time.monotonic() < give_up_at:
                time.sleep(0.1)
                continue
            raise ClientFailedError(f"{error}\n--- log of dockerd\n{log_file.read_text()}") from error
        return
