"""A process can be told apart from a later one with the same number."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from entrepot.kernel.process_identity import ProcessIdentity


def test_this_process_is_alive_and_survives_being_written_down() -> None:
    """What is stored as text names the same process when it is read again."""
    identity = ProcessIdentity.of_this_process("node")

    assert identity.pid == os.getpid()
    assert ProcessIdentity.parse(str(identity)) == identity
    assert identity.is_alive()


def test_another_start_time_or_boot_is_another_process() -> None:
    """A process id that was given again does not bring the dead back."""
    identity = ProcessIdentity.of_this_process("node")

    assert not replace(identity, started=identity.started + 1).is_alive()
    assert not replace(identity, boot="another").is_alive()


def test_an_ended_process_is_dead_even_before_it_is_reaped() -> None:
    """A zombie holds nothing any more."""
    with subprocess.Popen(
        [sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE
    ) as process:
        mine = ProcessIdentity.of_this_process("node")
        stat = Path(f"/proc/{process.pid}/stat").read_text(encoding="utf-8")
        started = int(stat.rpartition(")")[2].split()[19])
        child = replace(mine, pid=process.pid, started=started)
        assert child.is_alive()
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert not child.is_alive()
    assert not child.is_alive()


def test_what_is_no_identity_is_none() -> None:
    """Leases of other kinds of owners are left alone."""
    for text in ("", "readiness probe", "a/b/c/d", "a/1/2", "a/1/2/3/4"):
        assert ProcessIdentity.parse(text) is None
