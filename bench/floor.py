"""`python -m bench.floor`: what the HTTP server alone leaves of a push or a pull, by a program of a hundred lines.

The same client, cores and bytes as in the benchmark. What stands between its `write` and Entrepot's figure is ours;
what stands between `drop` and nothing at all, or between `send` and nginx, is the server's and the interpreter's.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench.cores import parse_cores
from bench.guest_memory import filling_memory
from bench.servers import Server, find_free_port
from bench.transferring import run_transfer

if TYPE_CHECKING:
    from bench.cores import Cores
    from bench.guest_memory import MemoryFiller
    from bench.rounds import Sample

__all__ = ["main"]

_UPLOADS: Final = "/v2/floor/blobs/uploads/"
_MODES: Final = (
    ("drop", "put", _UPLOADS),
    ("hash", "put", _UPLOADS),
    ("write", "put", _UPLOADS),
    ("thread", "put", _UPLOADS),
    ("send", "get", "/content"),
)
_AT_ONCE: Final = {"put": (1, 4), "get": (1, 8)}


def main(arguments: list[str]) -> int:
    """Measure each mode with one and several uploads at once, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m bench.floor", description=__doc__)
    parser.add_argument("--bytes", type=int, default=256 * 1024**2)
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args(arguments)
    cores = parse_cores(None, None)
    print(f"{cores.describe()}; {chosen.bytes >> 20} MiB each, median of {chosen.rounds}")
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as scratch, filling_memory(Path.cwd()) as filler:
        directory = Path(scratch)
        (directory / "content").write_bytes(os.urandom(chosen.bytes))
        for mode, direction, path in _MODES:
            server = _server(mode, directory)
            server.start(cores)
            try:
                for at_once in _AT_ONCE[direction]:
                    samples = [
                        _sample(server, direction, path, chosen.bytes, at_once, directory, cores, filler)
                        for _ in range(chosen.rounds)
                    ]
                    print(f"{mode:6} {at_once} at once: {_describe(samples)}", flush=True)
            finally:
                server.stop()
    return 0


def _sample(
    server: Server,
    direction: str,
    path: str,
    size: int,
    at_once: int,
    directory: Path,
    cores: Cores,
    filler: MemoryFiller,
) -> Sample:
    os.sync()
    filler.fill()
    return run_transfer(server, direction, path, size, at_once, directory, cores)


def _describe(samples: list[Sample]) -> str:
    speed = statistics.median(sample.value for sample in samples)
    cost = statistics.median(sample.cpu_seconds / sample.work * 1e9 for sample in samples)
    return f"{speed:6.0f} MB/s, {cost:.2f} s of processor per GB"


def _server(mode: str, directory: Path) -> Server:
    port = find_free_port()
    command = [
        *("env", f"FLOOR_MODE={mode}", f"FLOOR_DIRECTORY={directory}"),
        *(sys.executable, "-m", "bench.floor_server", str(port)),
    ]
    return Server(f"floor-{mode}", command, port, directory, configuration={})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
