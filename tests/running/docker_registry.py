"""Debian's docker-registry (CNCF Distribution) as a test needs it: on a given directory, with or without a login."""

from __future__ import annotations

import contextlib
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.plumbing.patience import PATIENCE_SECONDS
from tests.plumbing.skips import require_program
from tests.processes.running import ask, wait_for
from tests.running.free_ports import find_free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["DockerRegistry", "running_docker_registry"]

_CONFIGURATION = """\
version: 0.1
log:
  level: warn
  accesslog:
    disabled: true
storage:
  delete:
    enabled: true
  filesystem:
    rootdirectory: {root}
http:
  addr: {host}
"""
_LOGIN = """\
auth:
  htpasswd:
    realm: tests
    path: {file}
"""


@dataclass(frozen=True, slots=True)
class DockerRegistry:
    """A running one. `root` is what an import calls its storage directory."""

    host: str
    root: Path

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://{self.host}"


@contextlib.contextmanager
def running_docker_registry(
    directory: Path, root: Path, htpasswd: Path | None = None
) -> Iterator[DockerRegistry]:
    """Run it on `root` until the block ends; `directory` takes its configuration and log."""
    program = require_program("docker-registry")
    directory.mkdir(exist_ok=True)
    host = f"127.0.0.1:{find_free_port()}"
    text = _CONFIGURATION.format(root=root, host=host)
    if htpasswd is not None:
        text += _LOGIN.format(file=htpasswd)
    configuration = directory / "docker-registry.yml"
    configuration.write_text(text)
    log = directory / "docker-registry.log"
    # The kernel stops it with the thread that started it, so that a killed test run leaves nothing behind.
    command = ["setpriv", "--pdeathsig", "TERM", program, "serve", str(configuration)]
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output) as process:
        try:
            wait_for(
                lambda: _answers(host),
                PATIENCE_SECONDS,
                lambda: f"docker-registry does not answer\n{log.read_text()}",
            )
            yield DockerRegistry(host, root)
        finally:
            process.terminate()


def _answers(host: str) -> bool:
    """Whether it does; 401 is an answer too."""
    try:
        return ask(f"http://{host}/v2/", 5)[0] in {200, 401}
    except OSError:
        return False
