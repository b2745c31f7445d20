"""Makes system calls of a running process fail, wait or kill it: strace(1) with `inject=`, attached from outside."""

from __future__ import annotations

import contextlib
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from tests.plumbing.patience import PATIENCE_SECONDS
from tests.plumbing.skips import require_program
from tests.processes.running import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["Trace", "injected"]


class Trace:
    """What strace wrote about the calls it looked at."""

    def __init__(self, log: Path) -> None:
        self._log = log

    def count(self, text: str = "(INJECTED)") -> int:
        """How many calls were tampered with, or have `text` in their line."""
        return sum(text in line for line in self._log.read_text(errors="replace").splitlines())


@contextlib.contextmanager
def injected(
    pid: int, log: Path, injections: Sequence[str], paths: Sequence[Path] = (), calls: str = ""
) -> Iterator[Trace]:
    """Tamper with all threads of `pid` within the block.

    Args:
        log: where strace writes; made anew.
        injections: as in `inject=`: `fdatasync:error=EIO:when=1`. The counter of `when` is each thread's own.
        paths: only calls that touch one of these files.
        calls: the calls to look at, those of `injections` by default.
    """
    named = calls or ",".join(one.partition(":")[0] for one in injections)
    command = [require_program("strace"), "-f", "-qq", "-o", str(log), "-p", str(pid), "-e", f"trace={named}"]
    command += [part for one in injections for part in ("-e", f"inject={one}")]
    command += [part for path in paths for part in ("-P", str(path))]
    process = subprocess.Popen(command, stderr=subprocess.PIPE)
    try:
        wait_for(
            lambda: process.poll() is not None or _is_traced(pid),
            PATIENCE_SECONDS,
            lambda: "strace did not attach",
        )
        assert process.poll() is None, process.stderr.read() if process.stderr is not None else b""
        yield Trace(log)
    finally:
        process.terminate()
        process.communicate(timeout=PATIENCE_SECONDS)


def _is_traced(pid: int) -> bool:
    """Whether every thread of the process has a tracer."""
    try:
        threads = list(Path(f"/proc/{pid}/task").iterdir())
        return all("TracerPid:\t0\n" not in (thread / "status").read_text() for thread in threads)
    except (FileNotFoundError, ProcessLookupError):
        return False
