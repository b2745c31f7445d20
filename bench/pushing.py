"""The row of memory: how much an HTTP process grows while many clients push blobs larger than any cache."""

from __future__ import annotations

import contextlib
import os
import threading
from typing import TYPE_CHECKING, Final

from bench.material import BLOB_REPOSITORY
from bench.processes import resident_memory
from bench.rounds import Measurement, Sample
from bench.transferring import run_transfer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bench.cores import Cores
    from bench.scale import Scale
    from bench.servers import Server

__all__ = ["growth_row"]

_CLIENTS: Final = 8
_LIMIT_MEGABYTES: Final = 32.0
_LOOK_SECONDS: Final = 0.1


def growth_row(scale: Scale, server: Server, directory: Path, cores: Cores) -> Measurement:
    """Return the row: one round, since it moves as much as all others together."""

    def take(server: Server) -> Sample:
        os.sync()
        path = f"/v2/{BLOB_REPOSITORY}/blobs/uploads/"
        # The first pushes make what stays: threads, their stacks, the buffers of connections.
        run_transfer(server, "put", path, scale.large_blob_bytes, _CLIENTS, directory, cores)
        at_rest = _largest_process(server)
        with _watching(server) as seen:
            sample = run_transfer(server, "put", path, scale.pushed_blob_bytes, _CLIENTS, directory, cores)
        grown = (max(seen) - at_rest) / 1e6
        return Sample(
            grown, 1, sample.cpu_seconds, {"megabytes_per_second": sample.value, "at_rest": at_rest}
        )

    title = f"growth of the HTTP process while {_CLIENTS} clients push {scale.pushed_blob_bytes / 1e9:.1f} GB each"
    return Measurement(
        "memory-push", title, "MB", 1, (server,), take, more_is_better=False, limit=_LIMIT_MEGABYTES
    )


@contextlib.contextmanager
def _watching(server: Server) -> Iterator[list[int]]:
    """Yield the list into which a thread writes the resident bytes of the largest process, again and again."""
    seen = [0]
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(_LOOK_SECONDS):
            seen.append(_largest_process(server))

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield seen
    finally:
        ended.set()
        watcher.join()


def _largest_process(server: Server) -> int:
    """Return the resident bytes of the process that holds most: the one that serves."""
    return max(process.resident_bytes for process in resident_memory(server.pid))
