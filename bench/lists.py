"""The rows of the lists: how long a first page takes among few and among many entries, and the walk through all."""

from __future__ import annotations

import http.client
import json
import re
import sqlite3
import time
from contextlib import closing
from typing import TYPE_CHECKING, Final

from bench.kinds import build_open_entrepot
from bench.rounds import Measurement, Sample
from bench.servers import ServerError
from bench.statistics_of_rounds import summarize

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import ExitStack
    from pathlib import Path

    from bench.cores import Cores
    from bench.scale import Scale
    from bench.servers import Server

__all__ = ["list_rows"]

_PAGE: Final = 100
_WARM_UP: Final = 20
_PAGES_TIMED: Final = 200
_FIRST_PAGE_MILLISECONDS: Final = 5.0
_NEXT: Final = re.compile(r'<([^>]+)>; rel="next"')
_SEED: Final = (
    "INSERT INTO projects (id, public_id, name, created_at, creator) VALUES (1, 'p', 'bench', 1, 'bench')",
    """
    INSERT INTO repositories (id, public_id, project_id, name, created_at, creator)
    VALUES (1, 'r', 1, 'bench/lists', 1, 'bench')
    """,
    """
    WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < :others)
    INSERT INTO manifest_bodies (digest, size_bytes, body, storage_key)
    SELECT 'sha256:' || printf('%064x', i), 2, x'7b7d', 'k' || i FROM n
    """,
    """
    WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < :others)
    INSERT INTO manifests (id, repository_id, digest, media_type, artifact_type, subject_digest, annotations,
        size_bytes, state, created_at, creator)
    SELECT i + 1, 1, 'sha256:' || printf('%064x', i), 'application/vnd.oci.image.manifest.v1+json',
        'application/vnd.bench', CASE WHEN i > 0 THEN :subject END, x'7b7d', 2, 'live', 1, 'bench' FROM n
    """,
    """
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :tags)
    INSERT INTO tags (repository_id, name, manifest_id, created_at, updated_at, updated_by)
    SELECT 1, printf('tag-%06d', i), 1, 1, 1, 'bench' FROM n
    """,
    """
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :others)
    INSERT INTO repositories (public_id, project_id, name, created_at, creator)
    SELECT 'bench' || i, 1, printf('bench/seeded-%06d', i), 1, 'bench' FROM n
    """,
)
"""Rows as pushes would make them, written straight into the file: pushing 100,000 tags would take minutes."""
_SUBJECT: Final = "sha256:" + "0" * 64


def list_rows(scale: Scale, directory: Path, cores: Cores, running: ExitStack) -> Iterator[Measurement]:
    """Start a server with few entries and one with many, and yield the rows; the servers end with `running`."""
    directory.mkdir()
    for share in (100, 1):
        tags, others = scale.listed_tags // share, scale.listed_others // share
        server = _seeded(directory / f"of-{tags}", tags, others, cores, running)
        for key, title, count, path in (
            ("list-tags", "tag list", tags, "/v2/bench/lists/tags/list"),
            ("list-catalog", "catalog", others, "/v2/_catalog"),
            ("list-referrers", "referrers", others, f"/v2/bench/lists/referrers/{_SUBJECT}"),
        ):
            yield _first_page_row(
                f"{key}-{count}", f"{title}, first {_PAGE} of {count:,}", path, server, scale
            )
            if share == 1:
                yield _walk_row(
                    f"{key}-walk", f"{title}, all {count:,} by {_PAGE}", path, count, server, scale
                )


def _first_page_row(key: str, title: str, path: str, server: Server, scale: Scale) -> Measurement:
    def take(server: Server) -> Sample:
        before = server.cpu_seconds()
        with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)) as connection:
            milliseconds = _time_first_page(connection, path)
        return Sample(milliseconds, _WARM_UP + _PAGES_TIMED, server.cpu_seconds() - before)

    limit = _FIRST_PAGE_MILLISECONDS
    return Measurement(key, title, "ms", scale.rounds, (server,), take, more_is_better=False, limit=limit)


def _walk_row(key: str, title: str, path: str, count: int, server: Server, scale: Scale) -> Measurement:
    def take(server: Server) -> Sample:
        before = server.cpu_seconds()
        with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)) as connection:
            seconds, entries = _walk(connection, path)
        if entries < count:
            raise ServerError(f"{path}: {entries} of {count} entries")
        return Sample(seconds, 1, server.cpu_seconds() - before)

    return Measurement(key, title, "s", scale.rounds, (server,), take, more_is_better=False)


def _seeded(directory: Path, tags: int, others: int, cores: Cores, running: ExitStack) -> Server:
    server = build_open_entrepot(directory)
    running.callback(server.stop)
    server.start(cores)
    server.stop()
    numbers = {"tags": tags, "others": others, "subject": _SUBJECT}
    database = directory / "entrepot-data" / "metadata" / "entrepot.db"
    with closing(sqlite3.connect(database)) as connection, connection:
        for statement in _SEED:
            connection.execute(statement, numbers)
    server.start(cores)
    return server


def _time_first_page(connection: http.client.HTTPConnection, path: str) -> float:
    """Return the median of many requests for a first page, in milliseconds."""
    times: list[float] = []
    for number in range(_WARM_UP + _PAGES_TIMED):
        began = time.perf_counter()
        _page(connection, f"{path}?n={_PAGE}")
        if number >= _WARM_UP:
            times.append((time.perf_counter() - began) * 1000)
    return summarize(times).median


def _walk(connection: http.client.HTTPConnection, path: str) -> tuple[float, int]:
    """Return how long all pages took, in seconds, and how many entries they had."""
    began = time.perf_counter()
    following: str | None = f"{path}?n={_PAGE}"
    entries = 0
    while following is not None:
        found, following = _page(connection, following)
        entries += found
    return time.perf_counter() - began, entries


def _page(connection: http.client.HTTPConnection, target: str) -> tuple[int, str | None]:
    connection.request("GET", target)
    response = connection.getresponse()
    body = response.read()
    if response.status != 200:
        raise ServerError(f"{target}: {response.status} {body[:500]!r}")
    document = json.loads(body)
    entries = next(document[name] for name in ("tags", "repositories", "manifests") if name in document)
    link = _NEXT.search(response.getheader("Link") or "")
    return len(entries), None if link is None else link[1]
