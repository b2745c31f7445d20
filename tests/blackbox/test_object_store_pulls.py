"""Pulls whose bytes come from an object store: by redirect, and when the store breaks off in the middle."""

from __future__ import annotations

import asyncio
import random
import re
import secrets
from typing import TYPE_CHECKING, Any, Final

import httpx
import pytest

from tests.blackbox.http_client import RegistryClient, error_code
from tests.drivers.blobstore.fault_proxy import Fault, FaultProxy, error_reply
from tests.processes.running import wait_for
from tests.running.entrepot import RunningEntrepot
from tests.running.visitors import access_of, visited_registry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from aiohttp import web

    from tests.drivers.s3_server import S3Server

_LARGE: Final = random.Random(8).randbytes(3 * 1024 * 1024)


def _settings(server: S3Server, endpoint: str, **more: object) -> dict[str, dict[str, Any]]:
    store = {
        "endpoint": endpoint,
        "bucket": server.bucket,
        "prefix": f"{secrets.token_hex(4)}/",  # a database of its own needs a storage of its own
        "access_key": server.access_key_id,
        "secret_key": server.secret_access_key,
    }
    return {"storage": {"driver": "s3"}, "storage.s3": store | more}


@pytest.fixture(scope="module")
def redirecting(
    s3_server: S3Server, tmp_path_factory: pytest.TempPathFactory, rotating_seed: int
) -> Iterator[RegistryClient]:
    """A registry that sends clients to the store."""
    settings = _settings(s3_server, s3_server.endpoint_url, redirect_downloads=True)
    directory = tmp_path_factory.mktemp("redirecting")
    with (
        visited_registry(access_of(0, rotating_seed), directory, settings) as (registry, visitor),
        httpx.Client(base_url=registry.url, auth=visitor.auth, timeout=30) as client,
    ):
        yield RegistryClient(client, visitor.make_room("team/redirected"))


def test_a_large_blob_is_read_from_the_store_itself(redirecting: RegistryClient) -> None:
    """307 to an address that expires and that nobody may keep; there the same range gets the same bytes."""
    digest = redirecting.push_blob(_LARGE)
    for headers, expected in (({}, (200, _LARGE)), ({"range": "bytes=5-9"}, (206, _LARGE[5:10]))):
        sent = redirecting.request("GET", f"blobs/{digest}", headers=headers)
        assert (sent.status_code, sent.content) == (307, b"")
        assert sent.headers["cache-control"] == "no-store"

        followed = redirecting.request("GET", f"blobs/{digest}", headers=headers, follow_redirects=True)
        assert (followed.status_code, followed.content) == expected


def test_what_needs_no_bytes_needs_no_redirect(redirecting: RegistryClient) -> None:
    """HEAD, 304, 416 and small blobs are answered by the registry."""
    digest, small = redirecting.push_blob(_LARGE), redirecting.push_blob(b"small")

    assert redirecting.request("HEAD", f"blobs/{digest}").headers["content-length"] == str(len(_LARGE))
    known = redirecting.request("GET", f"blobs/{digest}", headers={"if-none-match": f'"{digest}"'})
    assert known.status_code == 304
    outside = redirecting.request("GET", f"blobs/{digest}", headers={"range": f"bytes={len(_LARGE)}-"})
    assert error_code(outside) == (416, "RANGE_INVALID")
    assert redirecting.request("GET", f"blobs/{small}").content == b"small"


async def test_i3_a_store_that_breaks_off_breaks_the_answer(s3_server: S3Server, tmp_path: Path) -> None:
    """The connection ends before Content-Length is reached, and it is counted and logged (I3, F22)."""
    async with FaultProxy(s3_server.endpoint_url) as proxy:
        quiet = {"verify": {"period_seconds": 0}}  # a verification would read the blob as well
        settings = _settings(s3_server, proxy.url) | quiet
        registry = RunningEntrepot(tmp_path, settings=settings)
        registry.start()
        try:
            await asyncio.to_thread(registry.wait_until_ready)
            await asyncio.to_thread(_break_off, registry, proxy)
            await asyncio.to_thread(registry.stop)
        finally:
            registry.end()


def _break_off(registry: RunningEntrepot, proxy: FaultProxy) -> None:
    with httpx.Client(base_url=registry.url, timeout=60) as client:
        http = RegistryClient(client, "team/broken")
        digest = http.push_blob(_LARGE)
        for headers in ({}, {"range": "bytes=1-"}):
            proxy.faults = [
                Fault(_reads_a_blob, cut_after=500_000),
                Fault(_reads_a_blob, times=1000, before=error_reply(403, "AccessDenied")),
            ]
            with pytest.raises(httpx.RemoteProtocolError):
                http.request("GET", f"blobs/{digest}", headers=headers)
        proxy.faults = []

        assert http.get_blob(digest).content == _LARGE
    assert registry.wait_for_event("response.broken", 2)["error"] == "StorageUnavailableError"
    wait_for(lambda: _aborted(registry) == 2, 60, lambda: f"aborted: {_aborted(registry)}")


def _reads_a_blob(request: web.Request) -> bool:
    return request.method == "GET" and "/blobs/" in request.path


def _aborted(registry: RunningEntrepot) -> float:
    text = registry.get_ops("/metrics")[1].decode()
    found = re.search(r"^registry_responses_aborted_total (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else 0.0
