"""What the processor ran beneath Python: samples by library and symbol, from `perf`, of all threads of a process."""

from __future__ import annotations

import re
import subprocess
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["NativeShare", "parse_report", "sample_process"]

_LINE: Final = re.compile(
    r"^\s*(?P<share>[\d.]+)%\s*;(?P<library>[^;]+);\[(?P<space>.)\]\s*(?P<symbol>.+?)\s*$"
)
_SAMPLES_PER_SECOND: Final = 499


@dataclass(frozen=True, slots=True)
class NativeShare:
    """A part of the samples: one symbol of the kernel or of a library, or all of a library that has no symbols."""

    place: str
    share: float


def sample_process(perf: str, pid: int, seconds: float, directory: Path) -> list[NativeShare]:
    """Sample the clock of a process's threads for some seconds; return the shares, largest first."""
    data = directory / "perf.data"
    record = (
        perf,
        "record",
        "-e",
        "cpu-clock",
        "-F",
        str(_SAMPLES_PER_SECOND),
        "-p",
        str(pid),
        "-o",
        str(data),
    )
    subprocess.run([*record, "--", "sleep", f"{seconds:g}"], check=True, capture_output=True)
    report = (perf, "report", "-i", str(data), "--stdio", "--no-children", "-s", "dso,sym", "-t", ";")
    finished = subprocess.run(report, check=True, capture_output=True, text=True)
    return parse_report(finished.stdout)


def parse_report(text: str) -> list[NativeShare]:
    """Read perf's report, fields split by semicolons; addresses without a name are summed up by library."""
    shares: defaultdict[str, float] = defaultdict(float)
    for line in text.splitlines():
        found = _LINE.match(line)
        if found is None:
            continue
        is_named = not found["symbol"].startswith("0x")
        library = "kernel" if found["space"] == "k" else found["library"].strip()
        shares[f"{library}: {found['symbol']}" if is_named else library] += float(found["share"]) / 100
    ranked = sorted(shares.items(), key=lambda item: (-item[1], item[0]))
    return [NativeShare(place, share) for place, share in ranked]
