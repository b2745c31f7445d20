"""Loads a server with small requests by wrk and reads its result; a request that fails ends the benchmark."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bench.clients import write_authorizations
from bench.servers import ServerError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from bench.cores import Cores
    from bench.servers import Server

__all__ = ["LoadResult", "SmallLoad", "render_script", "run_wrk"]

_ACCEPT: Final = "application/vnd.oci.image.manifest.v1+json"
_SCRIPT: Final = """\
-- Asks for the paths listed in a file, in their order, from the beginning again after the last, each time as the next
-- of the clients whose credentials another file lists.
local requests = {{}}
local position = 0

function init(arguments)
  local clients = {{}}
  for authorization in io.lines("{authorizations}") do
    clients[#clients + 1] = authorization
  end
  for path in io.lines("{paths}") do
    local headers = {{["Accept"] = "{accept}"}}
    if #clients > 0 then
      headers["Authorization"] = clients[#requests % #clients + 1]
    end
    requests[#requests + 1] = wrk.format("GET", path, headers)
  end
end

function request()
  position = position % #requests + 1
  return requests[position]
end

function done(summary, latency, all)
  io.write(string.format(
    '{{"requests":%d,"microseconds":%d,"bytes":%d,"connect":%d,"read":%d,"write":%d,"status":%d,"timeout":%d,' ..
    '"p50":%d,"p99":%d}}\\n',
    summary.requests, summary.duration, summary.bytes, summary.errors.connect, summary.errors.read,
    summary.errors.write, summary.errors.status, summary.errors.timeout,
    latency:percentile(50), latency:percentile(99)))
end
"""


@dataclass(frozen=True, slots=True)
class SmallLoad:
    """Which paths are asked for. `miss_share` of them are known to answer 404; a hit has `body_bytes` at least.

    `as_whom` overrides with what the server's clients prove who they are.
    """

    name: str
    paths: Sequence[str]
    body_bytes: int
    miss_share: float = 0.0
    as_whom: Callable[[], Sequence[str]] | None = None


@dataclass(frozen=True, slots=True)
class LoadResult:
    """What a run of small requests came to; latencies in microseconds."""

    requests: int
    requests_per_second: float
    p50_microseconds: int
    p99_microseconds: int


def render_script(paths: Path, authorizations: Path) -> str:
    """Return the Lua script for wrk."""
    return _SCRIPT.format(paths=paths, authorizations=authorizations, accept=_ACCEPT)


def run_wrk(
    server: Server, load: SmallLoad, directory: Path, cores: Cores, *, connections: int, seconds: float
) -> LoadResult:
    """Ask for `seconds` over `connections`, by one thread.

    Raises:
        ServerError: requests failed, or not as many were missed as were asked for in vain, or bodies are too short.
    """
    paths = directory / f"{server.name}-{load.name}.paths"
    paths.write_text("".join(f"{path}\n" for path in load.paths))
    as_whom = load.as_whom or server.clients.authorizations
    authorizations = write_authorizations(as_whom(), paths.with_suffix(".authorizations"))
    script = paths.with_suffix(".lua")
    script.write_text(render_script(paths, authorizations))
    command = cores.pin_client(
        "wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", "-s", str(script), f"http://{server.host}"
    )
    finished = subprocess.run(command, check=True, capture_output=True, text=True)
    return read_result(finished.stdout.strip().splitlines()[-1], load, connections, server)


def read_result(line: str, load: SmallLoad, connections: int, server: Server) -> LoadResult:
    """Judge and return the line that the script printed."""
    counted: dict[str, int] = json.loads(line)
    requests = counted["requests"]
    broken = {kind: counted[kind] for kind in ("connect", "read", "write", "timeout") if counted[kind]}
    if broken or not requests:
        raise ServerError(
            f"{server.name}, {load.name}: {requests} answers, broken: {broken}\n{server.log_tail()}"
        )
    # Up to a whole round of the list may be cut off at its end, where misses need not be spread evenly.
    expected = requests * load.miss_share
    tolerance = 0 if load.miss_share == 0 else max(0.1 * expected, 4 * connections)
    if abs(counted["status"] - expected) > tolerance:
        raise ServerError(
            f"{server.name}, {load.name}: {counted['status']} of {requests} answers were errors, "
            f"{expected:.0f} expected\n{server.log_tail()}"
        )
    if counted["bytes"] < (requests - counted["status"]) * load.body_bytes:
        raise ServerError(
            f"{server.name}, {load.name}: {counted['bytes']} bytes are too few for {requests} answers"
        )
    seconds = counted["microseconds"] / 1e6
    return LoadResult(requests, requests / seconds, counted["p50"], counted["p99"])
