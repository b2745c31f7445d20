"""`python -m bench.profile`: where the time of the real HTTP process goes, while real clients load it.

First it counts processor time per thread and request without a profiler. Then it samples Python's stacks with py-spy (a
program of its own, from PyPI: `pip install py-spy` into any environment, and `--py-spy PATH`), and what the processor
runs beneath them with perf (Debian: linux-perf).
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench.clients import CLIENT_COUNT, write_authorizations
from bench.cores import parse_cores
from bench.kinds import build_entrepot
from bench.loading import load_registry, verify_registry
from bench.material import BLOB_REPOSITORY, MANIFEST_REPOSITORY, Material, tag_of
from bench.native_samples import sample_process
from bench.processes import process_tree, thread_times
from bench.profile_page import Profile, ThreadCost, render_profiles
from bench.robots import Robots, token_path
from bench.scale import FULL
from bench.settling import wait_until_idle
from bench.small_requests import SmallLoad, run_wrk
from bench.stacks import parse_stacks, rank_functions
from bench.statistics_of_rounds import sample_zipf

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bench.cores import Cores
    from bench.loading import Loaded
    from bench.servers import Server

__all__ = ["main"]

ROOT: Final = Path(__file__).resolve().parents[1]
_SAMPLES_PER_SECOND: Final = 250
_SCALE: Final = dataclasses.replace(
    FULL, name="profile", tag_count=2000, small_blob_count=4000, large_blob_bytes=64 * 1024**2
)


@dataclass(frozen=True, slots=True)
class _Scenario:
    """Something to profile. `load` runs for about so many seconds and returns how many units of work were done."""

    title: str
    unit: str
    load: Callable[[float], float]


def main(arguments: Sequence[str]) -> int:
    """Profile and write the page."""
    parser = argparse.ArgumentParser(prog="python -m bench.profile", description=__doc__)
    parser.add_argument(
        "--py-spy", default=shutil.which("py-spy"), help="the program, if it is not on the PATH"
    )
    parser.add_argument("--seconds", type=float, default=8, help="of each of the two runs of a scenario")
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "bench" / "profile-tables.md")
    parser.add_argument("--only", help="scenarios whose title has this in it")
    parser.add_argument("--server-cores")
    parser.add_argument("--client-cores")
    chosen = parser.parse_args(arguments)
    if chosen.py_spy is None:
        parser.error("py-spy was not found; install it into an environment of its own and give its path")
    if shutil.which("perf") is None:
        parser.error("perf was not found; install linux-perf")
    cores = parse_cores(chosen.server_cores, chosen.client_cores)
    chosen.output.parent.mkdir(parents=True, exist_ok=True)
    directory = Path(tempfile.mkdtemp(prefix="entrepot-profile-", dir=chosen.output.parent.resolve()))
    server = build_entrepot(directory)
    try:
        server.start(cores)
        material = Material(_SCALE)
        loaded = load_registry(server, material)
        verify_registry(server, material, loaded)
        profiles = [
            _profile(server, scenario, chosen.seconds, chosen.py_spy, directory)
            for scenario in _scenarios(server, loaded, directory, cores)
            if (chosen.only or "") in scenario.title
        ]
    finally:
        server.stop()
        shutil.rmtree(directory, ignore_errors=True)
    chosen.output.write_text(render_profiles(profiles, cores.describe()))
    print(f"written to {chosen.output}")
    return 0


def _scenarios(server: Server, loaded: Loaded, directory: Path, cores: Cores) -> Iterator[_Scenario]:
    chance = random.Random(1)  # noqa: S311 - not secret
    manifests = [
        f"/v2/{MANIFEST_REPOSITORY}/manifests/{tag_of(number)}"
        for number in sample_zipf(_SCALE.tag_count, 20_000, chance)
    ]
    blobs = [f"/v2/{BLOB_REPOSITORY}/blobs/{digest}" for digest in loaded.small_digests]
    chance.shuffle(blobs)

    def ask(
        name: str, paths: list[str], as_whom: Callable[[], Sequence[str]] | None = None
    ) -> Callable[[float], float]:
        small = SmallLoad(name, paths, 0, as_whom=as_whom)

        def load(seconds: float) -> float:
            return run_wrk(server, small, directory, cores, connections=16, seconds=seconds).requests

        return load

    def move(direction: str, path: str, at_once: int) -> Callable[[float], float]:
        def load(seconds: float) -> float:
            give_up_at = time.monotonic() + seconds
            authorizations = write_authorizations(
                server.clients.authorizations(), directory / "transfer.authorizations"
            )
            count = 0
            while time.monotonic() < give_up_at:
                count += 1
                command = cores.pin_client(sys.executable, "-m", "bench.transfer_client", direction)
                options = {
                    "--port": str(server.port),
                    "--path": path,
                    "--bytes": str(_SCALE.large_blob_bytes),
                    "--at-once": str(at_once),
                    "--authorizations": str(authorizations),
                }
                subprocess.run(
                    [*command, *itertools.chain(*options.items())],
                    check=True,
                    stdout=subprocess.PIPE,
                    cwd=ROOT,
                )
            return count * at_once * _SCALE.large_blob_bytes / 1024**2

        return load

    yield _Scenario("Manifest GET by tag", "request", ask("manifests", manifests))
    yield _Scenario("16 KiB blob GET, twice as many as the cache holds", "request", ask("blobs", blobs))
    robots = server.clients
    if isinstance(robots, Robots):
        issue = ask("tokens", [token_path()] * CLIENT_COUNT, robots.secrets)
        yield _Scenario("Token issue for a robot, three scopes", "token", issue)
    large = f"/v2/{BLOB_REPOSITORY}/blobs/{loaded.large_digest}"
    yield _Scenario("64 MiB blob GET, 4 at once", "MiB", move("get", large, 4))
    yield _Scenario(
        "64 MiB blob PUT, 2 at once", "MiB", move("put", f"/v2/{BLOB_REPOSITORY}/blobs/uploads/", 2)
    )


def _profile(server: Server, scenario: _Scenario, seconds: float, py_spy: str, directory: Path) -> Profile:
    print(scenario.title)
    scenario.load(1)  # warms
    pid = _http_process(server)
    wait_until_idle(server)
    whole = server.cpu_seconds()
    before = {thread.thread: thread.seconds for thread in thread_times(pid)}
    work = scenario.load(seconds)
    threads = [
        ThreadCost(thread.name, (thread.seconds - before.get(thread.thread, 0.0)) / work * 1e6)
        for thread in thread_times(pid)
    ]
    wait_until_idle(server)
    whole = (server.cpu_seconds() - whole) / work * 1e6
    raw = directory / "stacks"
    loading = threading.Thread(target=scenario.load, args=(seconds + 1,))
    loading.start()
    command = (py_spy, "record", "--pid", str(pid), "--duration", str(round(seconds)), "--function")
    options = ("--rate", str(_SAMPLES_PER_SECOND), "--format", "raw", "--output", str(raw))
    subprocess.run([*command, *options], check=True, capture_output=True, env={**os.environ, "NO_COLOR": "1"})
    loading.join()
    loading = threading.Thread(target=scenario.load, args=(seconds + 1,))
    loading.start()
    native = sample_process("perf", pid, seconds, directory)
    loading.join()
    functions = rank_functions(parse_stacks(raw.read_text()))
    return Profile(scenario.title, scenario.unit, whole, tuple(threads), tuple(functions), tuple(native))


def _http_process(server: Server) -> int:
    for pid in process_tree(server.pid):
        command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ")
        if b"entrepot.processes.launch http " in command:
            return pid
    raise SystemExit("no HTTP process was found")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
