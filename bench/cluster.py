"""The row of the cluster: manifests from PostgreSQL, beside the same program on SQLite, all on the same cores."""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench.kinds import build_entrepot
from bench.loading import load_registry, verify_registry
from bench.material import MANIFEST_REPOSITORY, tag_of
from bench.rounds import Measurement, Sample
from bench.settling import BUSY_AFTERWARDS, wait_until_idle
from bench.small_requests import SmallLoad, run_wrk
from tests.drivers.postgres_server import PostgresServer
from tests.drivers.s3_server import running_s3_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.cores import Cores
    from bench.material import Material
    from bench.servers import Server

__all__ = ["CLUSTER", "cluster_row", "running_cluster"]

CLUSTER: Final = "entrepot-cluster"
_S3_LINES: Final = """\
[storage]
driver = "s3"
[storage.s3]
endpoint = "{endpoint}"
bucket = "{bucket}"
access_key = "{access_key}"
secret_key = "{secret_key}"
"""


@contextmanager
def running_cluster(material: Material, directory: Path, cores: Cores) -> Iterator[tuple[Server, Server]]:
    """Run PostgreSQL, SeaweedFS and one node on them, and a node of its own on SQLite; yield both nodes, loaded."""
    directory.mkdir()
    earlier = os.sched_getaffinity(0)
    # Not below `directory`: PostgreSQL runs under an account of its own, which may not enter there.
    with tempfile.TemporaryDirectory(prefix="entrepot-bench-pg-", ignore_cleanup_errors=True) as database:
        database_server = PostgresServer.of_this_session(Path(database))
        os.sched_setaffinity(0, cores.servers)  # both stores inherit it
        with _started(database_server), running_s3_server(directory) as store:
            os.sched_setaffinity(0, earlier)
            lines = _S3_LINES.format(
                endpoint=store.endpoint_url,
                bucket=store.bucket,
                access_key=store.access_key_id,
                secret_key=store.secret_access_key,
            )
            sections = f'[metadata]\nurl = "{database_server.create_database()}"\n{lines}'
            cluster = build_entrepot(directory / "node", sections)
            embedded = build_entrepot(directory / "embedded")
            cluster.name = CLUSTER
            with _loaded(cluster, material, cores), _loaded(embedded, material, cores):
                yield cluster, embedded


@contextmanager
def _started(server: PostgresServer) -> Iterator[None]:
    server.start()
    try:
        yield
    finally:
        server.stop()


@contextmanager
def _loaded(server: Server, material: Material, cores: Cores) -> Iterator[None]:
    server.start(cores)
    try:
        loaded = load_registry(server, material)
        verify_registry(server, material, loaded)
        yield
    finally:
        server.stop()


def cluster_row(
    material: Material, nodes: tuple[Server, Server], directory: Path, cores: Cores
) -> Measurement:
    """Return the row."""
    scale = material.scale
    paths = [f"/v2/{MANIFEST_REPOSITORY}/manifests/{tag_of(number)}" for number in range(scale.tag_count)]
    load = SmallLoad("cluster", paths, 0)

    def take(server: Server) -> Sample:
        before = server.cpu_seconds()
        result = run_wrk(
            server, load, directory, cores, connections=scale.connections, seconds=scale.load_seconds
        )
        facts = {BUSY_AFTERWARDS: wait_until_idle(server)}
        return Sample(result.requests_per_second, result.requests, server.cpu_seconds() - before, facts)

    title = f"manifest GET by tag, {scale.tag_count:,} tags, on PostgreSQL and S3"
    return Measurement(
        "cluster-manifest",
        title,
        "req/s",
        scale.rounds,
        nodes,
        take,
        bar=0.3,
        bar_against="entrepot",
        subject=CLUSTER,
    )
