"""What a running process holds: memory and descriptors, as the kernel counts them."""

from __future__ import annotations

from pathlib import Path

__all__ = ["open_files", "proportional_bytes", "resident_bytes"]


def resident_bytes(pid: int) -> int:
    """Memory of the process that can't be taken from it by dropping pages of files."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise AssertionError(f"process {pid} has no RssAnon")


def open_files(pid: int) -> list[str]:
    """What each descriptor of the process stands for, as `socket:[123]` or a path."""
    found: list[str] = []
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found.append(str(entry.readlink()))
        except FileNotFoundError:  # closed in between
            continue
    return found


def proportional_bytes(pid: int) -> tuple[int, int]:
    """Memory of the process: all that is resident, and the same with shared pages divided among their users."""
    found: dict[str, int] = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, value, *_ = line.split()
        found[name] = int(value) * 1024
    return found["Rss:"], found["Pss:"]
