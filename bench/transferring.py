"""Runs the client that moves large blobs, on its own cores, and turns its answer into a sample."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench.clients import write_authorizations
from bench.rounds import Sample

if TYPE_CHECKING:
    from bench.cores import Cores
    from bench.servers import Server

__all__ = ["run_client", "run_transfer"]

_ROOT: Final = Path(__file__).resolve().parents[1]


def run_transfer(
    server: Server, direction: str, path: str, size: int, at_once: int, directory: Path, cores: Cores
) -> Sample:
    """Move `at_once` blobs of `size` bytes at the same time; the figure is in MB/s, of all together.

    `directory` takes what the clients prove who they are with.
    """
    values = server.clients.authorizations()
    authorizations = write_authorizations(values, directory / f"{server.name}-transfer.authorizations")
    before = server.cpu_seconds()
    answer = run_client(
        cores,
        "bench.transfer_client",
        *(direction, "--port", str(server.port), "--path", path),
        *("--bytes", str(size), "--at-once", str(at_once), "--authorizations", str(authorizations)),
        *(["--tls"] if server.is_encrypted else []),
    )
    total = size * at_once
    return Sample(total / answer["seconds"] / 1e6, total, server.cpu_seconds() - before)


def run_client(cores: Cores, module: str, *arguments: str) -> dict[str, float]:
    """Run a client of ours on its cores and return what it prints."""
    command = cores.pin_client(sys.executable, "-m", module, *arguments)
    finished = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=_ROOT)
    answer: dict[str, float] = json.loads(finished.stdout)
    return answer
