"""Facts of the machine: kernel, memory, limits, and the file systems that the registry's directories lie on."""

from __future__ import annotations

import os
import platform
import resource
from pathlib import Path
from typing import Final

from entrepot.kernel.filesystems import filesystem_kind

__all__ = ["describe_filesystem", "describe_host"]

_MEMORY: Final = ("MemTotal", "MemAvailable", "SwapTotal", "SwapFree", "Dirty", "Writeback")
_FILES: Final = {
    "boot_id": "/proc/sys/kernel/random/boot_id",
    "load": "/proc/loadavg",
    "uptime_seconds": "/proc/uptime",
    "cgroup_memory_max": "/sys/fs/cgroup/memory.max",
    "cgroup_memory_current": "/sys/fs/cgroup/memory.current",
    "cgroup_memory_events": "/sys/fs/cgroup/memory.events",
    "cgroup_cpu_max": "/sys/fs/cgroup/cpu.max",
    "cgroup_pids_max": "/sys/fs/cgroup/pids.max",
    "pressure_io": "/proc/pressure/io",
    "pressure_memory": "/proc/pressure/memory",
    "max_map_count": "/proc/sys/vm/max_map_count",
    "dirty_ratio": "/proc/sys/vm/dirty_ratio",
    "listen_backlog": "/proc/sys/net/core/somaxconn",
    "file_handles": "/proc/sys/fs/file-nr",
}
_LIMITS: Final = ("NOFILE", "NPROC", "AS", "FSIZE", "MEMLOCK", "STACK", "CORE")
_QUEUE: Final = ("rotational", "write_cache", "fua", "scheduler", "nr_requests")


def describe_host() -> dict[str, object]:
    """Return kernel, distribution, memory, pressure and the limits of this process."""
    uname = os.uname()
    return {
        "kernel": {
            "name": uname.sysname,
            "release": uname.release,
            "version": uname.version,
            "machine": uname.machine,
        },
        "distribution": _distribution(),
        "processors": {"count": os.cpu_count(), "usable": len(os.sched_getaffinity(0))},
        "memory": _memory(),
        "user": {"uid": os.geteuid(), "gid": os.getegid(), "groups": os.getgroups()},
        "limits": {name: _limit(name) for name in _LIMITS},
        **{name: text for name, path in _FILES.items() if (text := _read(Path(path)))},
    }


def describe_filesystem(path: Path) -> dict[str, object]:
    """Return kind, mount, space, files and block device of what the nearest existing parent of `path` lies on."""
    existing = next(candidate for candidate in (path, *path.parents) if candidate.exists())
    state, device = os.statvfs(existing), existing.stat().st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    return {
        "path": str(path),
        "exists": existing == path,
        "kind": filesystem_kind(path),
        "mount": [line for line in _read(Path("/proc/self/mountinfo")).splitlines() if f" {number} " in line],
        "size_bytes": state.f_blocks * state.f_frsize,
        "available_bytes": state.f_bavail * state.f_frsize,
        "files": state.f_files,
        "files_available": state.f_favail,
        "read_only": bool(state.f_flag & os.ST_RDONLY),
        "device": number,
        "queue": _queue(Path("/sys/dev/block") / number),
    }


def _distribution() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "")
    except OSError:
        return "unknown"


def _memory() -> dict[str, str]:
    pairs = (line.partition(":") for line in _read(Path("/proc/meminfo")).splitlines())
    return {name: value.strip() for name, _, value in pairs if name in _MEMORY}


def _limit(name: str) -> dict[str, int]:
    soft, hard = resource.getrlimit(getattr(resource, f"RLIMIT_{name}"))
    return {"soft": soft, "hard": hard}


def _queue(device: Path) -> dict[str, str]:
    """Return the settings of a block device; a partition has those of its disk."""
    queue = device / "queue" if (device / "queue").exists() else device / ".." / "queue"
    return {name: text for name in _QUEUE if (text := _read(queue / name))}


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace").strip()
    except OSError:
        return ""
