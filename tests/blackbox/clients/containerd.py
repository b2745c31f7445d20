"""A containerd of the tests' own, driven by its command line `ctr`."""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.blackbox.clients.program import CONFINED, ClientFailedError, Program, scratch_environment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.running.control_client import Account

__all__ = ["Containerd", "run_containerd"]

_START_SECONDS: Final = 100.0
_CONFIGURATION: Final = """\
version = 2
root = "{directory}/root"
state = "{directory}/state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
address = "{directory}/sock"
[ttrpc]
address = "{directory}/ttrpc"
"""


@dataclass(frozen=True, slots=True)
class Containerd:
    """`ctr` for one account or nobody: it has no login, and is told who acts whenever it pulls or pushes."""

    program: Program
    account: Account | None

    def pull(self, reference: str, *options: str) -> None:
        """Pull an image, and unpack it."""
        self._speak("pull", "--snapshotter", "native", *options, reference)

    def push(self, reference: str) -> None:
        """Push what the reference names here."""
        self._speak("push", reference)

    def remove(self, *references: str) -> None:
        """Remove references, and wait until what only they kept is gone."""
        self.program.run("images", "rm", "--sync", *references)

    def _speak(self, command: str, *arguments: str) -> None:
        user = () if self.account is None else ("--user", f"{self.account.name}:{self.account.secret}")
        self.program.run("images", command, "--plain-http", *user, *arguments)


@contextlib.contextmanager
def run_containerd(daemon: str, client: str) -> Iterator[Program]:
    """Start a containerd, yield `ctr` bound to it, stop it."""
    # Not below pytest's own directories: the path of a Unix socket holds 107 characters.
    directory = Path(tempfile.mkdtemp(prefix="containerd-", dir="/tmp"))  # made unguessable by mkdtemp
    (directory / "config.toml").write_text(_CONFIGURATION.format(directory=directory))
    environment = scratch_environment(directory)
    log_file = directory / "log"
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            [*CONFINED, daemon, "--config", str(directory / "config.toml")],
            stdout=log, stderr=log, env=environment, start_new_session=True,
        )  # fmt: skip
    ctr = Program((client, "--address", f"{directory}/sock", "--namespace", "tests"), environment)
    try:
        _wait_until_ready(process, ctr, log_file)
        yield ctr
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        shutil.rmtree(directory, ignore_errors=True)


def _wait_until_ready(process: subprocess.Popen[bytes], ctr: Program, log_file: Path) -> None:
    give_up_at = time.monotonic() + _START_SECONDS
    while True:
        try:
            ctr.run("version")
        except ClientFailedError as error:
            if process.poll() is None and time.monotonic() < give_up_at:
                time.sleep(0.1)
                continue
            raise ClientFailedError(f"{error}\n--- log of containerd\n{log_file.read_text()}") from error
        return
