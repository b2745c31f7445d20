"""`python -m bench`: start the servers, load them, take the rounds, write the table. See docs/performance/README.md."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench.cluster import cluster_row, running_cluster
from bench.cores import parse_cores
from bench.encrypted import encrypted_rows
from bench.guest_memory import filling_memory
from bench.kinds import build_docker_registry, build_entrepot, build_nginx
from bench.lists import list_rows
from bench.loading import lay_down_files, load_registry, verify_registry
from bench.material import Material
from bench.measurements import Measurements
from bench.medium import describe_machine, describe_medium, measure_medium, read_version
from bench.processes import resident_memory
from bench.pushing import growth_row
from bench.report import Report, write_report
from bench.rounds import take_rounds
from bench.scale import FULL, QUICK

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from bench.cores import Cores
    from bench.loading import Loaded
    from bench.rounds import Measurement, Row
    from bench.scale import Scale
    from bench.servers import Server

ROOT: Final = Path(__file__).resolve().parents[1]
_REST_SECONDS: Final = 3.0


def main(arguments: Sequence[str]) -> int:
    """Run the benchmark; any failed request ends it with an error and without a table."""
    chosen = _read_arguments(arguments)
    scale = QUICK if chosen.quick else FULL
    if chosen.rounds is not None:
        count = chosen.rounds
        scale = replace(scale, rounds=count, image_rounds=count, brief_rounds=count)
    cores = parse_cores(chosen.server_cores, chosen.client_cores)
    output = ROOT / "docs" / "performance" if chosen.write_docs else chosen.output
    chosen.scratch.mkdir(parents=True, exist_ok=True)
    directory = Path(tempfile.mkdtemp(prefix="entrepot-bench-", dir=chosen.scratch))
    try:
        report = _run(scale, cores, directory, chosen.only)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    write_report(report, output)
    print(f"written to {output}")
    return 0


def _read_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench", description="Measure Entrepot beside other servers."
    )
    parser.add_argument(
        "--quick", action="store_true", help="small figures within two minutes, not to be published"
    )
    parser.add_argument(
        "--only", action="append", default=[], metavar="KEY", help="rows to measure (repeatable)"
    )
    parser.add_argument("--rounds", type=int, help="rounds per measurement, instead of the scale's own")
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "bench", help="where the results go")
    parser.add_argument(
        "--write-docs", action="store_true", help="write the results to docs/performance instead"
    )
    parser.add_argument(
        "--scratch", type=Path, default=ROOT / "build", help="a directory on the medium to measure"
    )
    parser.add_argument("--server-cores", metavar="0,1", help="default: the lower half of all")
    parser.add_argument("--client-cores", metavar="2,3", help="default: the upper half of all")
    chosen = parser.parse_args(arguments)
    if "image-pull" in chosen.only and "image-push" not in chosen.only:
        parser.error("image-pull pulls what image-push has pushed: ask for both")
    return chosen


def _run(scale: Scale, cores: Cores, directory: Path, only: list[str]) -> Report:
    material, machine = Material(scale), describe_machine()  # before anything here keeps it busy
    entrepot, docker_registry = build_entrepot(directory), build_docker_registry(directory)
    nginx = build_nginx(directory)
    with ExitStack() as running:
        filler = running.enter_context(filling_memory(directory))
        if scale.memory_is_filled:
            print("filling memory", flush=True)
            filler.fill()
        facts = _collect_facts(machine, directory, cores)
        for server in (entrepot, docker_registry, nginx):
            running.callback(server.stop)
            server.start(cores)
        lay_down_files(directory / "nginx-files", material)
        _load(entrepot, material)
        loaded = _load(docker_registry, material)
        measurements = Measurements(
            material, loaded, directory, cores, entrepot, docker_registry, nginx, filler
        )
        chosen = [row for row in measurements.of_running_servers() if not only or row.key in only]
        rows = [take_rounds(measurement, print) for measurement in chosen]
        time.sleep(_REST_SECONDS)
        memory = {server.name: resident_memory(server.pid) for server in (entrepot, docker_registry)}
        rows.extend(_rows_of_other_servers(material, directory, cores, entrepot, only))
        if not only or "start" in only:
            rows.append(take_rounds(measurements.of_starting(), print))
        configurations = {server.name: server.configuration for server in (entrepot, docker_registry, nginx)}
    local_paths = {str(directory): "/SCRATCH", str(ROOT): "/CHECKOUT"}
    return Report(scale, facts, rows, memory, configurations, local_paths)


def _rows_of_other_servers(
    material: Material, directory: Path, cores: Cores, entrepot: Server, only: list[str]
) -> Iterator[Row]:
    """Take the rows that need a server of their own, each server for as long as its rows take."""

    def wanted(family: str) -> bool:
        return not only or any(key.startswith(family) for key in only)

    def take(measurements: Iterable[Measurement]) -> Iterator[Row]:
        for measurement in measurements:
            if not only or measurement.key in only:
                yield take_rounds(measurement, print)

    if wanted("large-get-tls"):
        with ExitStack() as running:
            yield from take(encrypted_rows(material, directory / "encrypted", cores, running))
    if wanted("list-"):
        with ExitStack() as running:
            yield from take(list_rows(material.scale, directory / "lists", cores, running))
    if wanted("cluster-"):
        with running_cluster(material, directory / "cluster", cores) as nodes:
            yield from take([cluster_row(material, nodes, directory, cores)])
    yield from take([growth_row(material.scale, entrepot, directory, cores)])


def _load(server: Server, material: Material) -> Loaded:
    began = time.perf_counter()
    loaded = load_registry(server, material)
    verify_registry(server, material, loaded)
    print(f"loaded {server.name} in {time.perf_counter() - began:.1f} s")
    return loaded


def _collect_facts(machine: dict[str, str], directory: Path, cores: Cores) -> dict[str, str]:
    """Return what the figures stand on, in the order in which it is printed."""
    facts = {
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        **machine,
        "placement": cores.describe(),
        "medium": describe_medium(directory),
        "dd conv=fsync": f"{measure_medium(directory) / 1e6:,.0f} MB/s",
        "entrepot": read_version(sys.executable, "-m", "entrepot", "version"),
        "docker-registry": read_version("docker-registry", "--version"),
        "nginx": read_version("/usr/sbin/nginx", "-v"),
        "wrk": read_version("wrk", "-v").partition("Copyright")[0].strip(),
        "skopeo": read_version("skopeo", "--version"),
    }
    for name, value in facts.items():
        print(f"{name}: {value}")
    return facts


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
