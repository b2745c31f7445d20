"""What the run stands on: processor, kernel, versions, the medium and how fast it takes bytes for good."""

from __future__ import annotations

import platform
import re
import statistics
import subprocess
from pathlib import Path
from typing import Final

__all__ = ["describe_machine", "describe_medium", "measure_medium", "read_dd_rate", "read_version"]

_DD_MEBIBYTES: Final = 256
_DD_ROUNDS: Final = 3
_RATE: Final = re.compile(r"(?P<bytes>\d+) bytes .* copied, (?P<seconds>[0-9.e-]+) s")


def describe_machine() -> dict[str, str]:
    """Return processor, cores, memory, kernel and Python."""
    processor = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    cores = len(re.findall(r"^processor\s*:", Path("/proc/cpuinfo").read_text(), re.MULTILINE))
    memory = re.search(r"^MemTotal:\s*(\d+) kB", Path("/proc/meminfo").read_text(), re.MULTILINE)
    return {
        "processor": processor[1] if processor else platform.machine(),
        "cores": str(cores),
        "memory": f"{int(memory[1]) / 1024**2:.0f} GiB" if memory else "unknown",
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load average at start": Path("/proc/loadavg").read_text().split()[0],
    }


def describe_medium(directory: Path) -> str:
    """Return device and file system below `directory`."""
    command = ("findmnt", "-n", "-o", "SOURCE,FSTYPE,OPTIONS", "-T", str(directory))
    return " ".join(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split())


def measure_medium(directory: Path) -> float:
    """Return how many bytes a second `dd conv=fsync` writes below `directory`: the median of three rounds."""
    target = directory / "dd-probe"
    rates: list[float] = []
    for _ in range(_DD_ROUNDS):
        command = ("dd", "if=/dev/zero", f"of={target}", "bs=1M", f"count={_DD_MEBIBYTES}", "conv=fsync")
        finished = subprocess.run(
            command, check=True, capture_output=True, text=True, env={"LC_ALL": "C", "PATH": "/usr/bin:/bin"}
        )
        rates.append(read_dd_rate(finished.stderr))
        target.unlink()
    return statistics.median(rates)


def read_dd_rate(text: str) -> float:
    """Return the bytes per second that dd reports.

    Raises:
        ValueError: it reports something else.
    """
    found = _RATE.search(text)
    if found is None:
        raise ValueError(f"dd reported no rate: {text}")
    return int(found["bytes"]) / float(found["seconds"])


def read_version(*command: str) -> str:
    """Return the first line that a program says of its version, on either stream and with any exit code (wrk: 1)."""
    finished = subprocess.run(command, check=False, capture_output=True, text=True)
    lines = (finished.stdout + finished.stderr).strip().splitlines()
    return lines[0].strip() if lines else "unknown"
