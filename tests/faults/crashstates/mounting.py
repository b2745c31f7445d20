"""Mounts the recording file system for the length of a block."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import msgspec
import pytest

from tests.faults.crashstates.recording_filesystem import Mischief, Mounted
from tests.plumbing.skips import require_program

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["recorded"]

_PATIENCE_SECONDS: Final = 60.0
_END_SECONDS: Final = 3.0
_PAUSE_SECONDS: Final = 0.01


@contextmanager
def recorded(directory: Path, mischief: Mischief | None = None) -> Iterator[Path]:
    """Yield a mount of `<directory>/backing`; what is done there is appended to `<directory>/operations`.

    Where FUSE can't be used the calling test is skipped, which fails it when CI=true.
    """
    unmount = require_program("fusermount3")
    backing, mount = directory / "backing", directory / "mount"
    backing.mkdir(exist_ok=True)
    mount.mkdir(exist_ok=True)
    (directory / "operations").unlink(missing_ok=True)
    chosen = Mounted(
        str(backing), str(mount), str(directory / "operations"), os.getpid(), mischief or Mischief()
    )
    stderr = directory / "filesystem.stderr"
    with stderr.open("wb") as output:
        server = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tests.faults.crashstates.recording_filesystem",
                msgspec.json.encode(chosen).decode(),
            ],
            stderr=output,
        )
    try:
        _await_mount(mount, server, stderr)
        yield mount
        subprocess.run([unmount, "-u", str(mount)], check=True)
        assert _ended(server) in {0, None}, stderr.read_text()
    finally:
        if server.poll() is None:
            subprocess.run([unmount, "-uzq", str(mount)], check=False)
            server.kill()
            server.wait()


def _ended(server: subprocess.Popen[bytes]) -> int | None:
    """The exit status after the mount was taken down; None if the server stays, having answered all it was asked.

    A container that was started meanwhile copied the mount into its own namespace, and keeps the server up until it
    ends. Nobody writes there.
    """
    try:
        return server.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        return None


def _await_mount(mount: Path, server: subprocess.Popen[bytes], stderr: Path) -> None:
    give_up = time.monotonic() + _PATIENCE_SECONDS
    while not os.path.ismount(mount):
        if server.poll() is not None or time.monotonic() > give_up:
            pytest.skip(f"FUSE does not work here: {stderr.read_text().strip()[-500:] or 'no mount'}")
        time.sleep(_PAUSE_SECONDS)
