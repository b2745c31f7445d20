"""Downloads that don't reach their end: damaged bytes, clients that vanish or stall, a store that breaks off."""

from __future__ import annotations

import asyncio
import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from entrepot.distribution_api import responses
from entrepot.oci.digest import Digest
from entrepot.registry.errors import ContentDamagedError
from tests.asgi.downloads import Download
from tests.asgi.services import InProcessRegistry, in_process_registry, scratch_settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from prometheus_client import Counter

_REPOSITORY: Final = "broken/downloads"
_SMALL: Final = b"sent from memory"
_LARGE: Final = bytes(range(256)) * 10_000
"""2.5 MB: several chunks of a store, dozens of pieces to the server."""


@pytest.fixture
async def registry(tmp_path: Path) -> AsyncIterator[InProcessRegistry]:
    """A registry with a small and a large blob."""
    async with in_process_registry(scratch_settings(tmp_path)) as registry:
        for blob in (_SMALL, _LARGE):
            target = f"/v2/{_REPOSITORY}/blobs/uploads/?digest={Digest.of_bytes(blob)}"
            reply = await registry.client.request("POST", target, {"Content-Length": str(len(blob))}, [blob])
            assert reply.status == 201
        yield registry


def _target(blob: bytes) -> str:
    return f"/v2/{_REPOSITORY}/blobs/{Digest.of_bytes(blob)}"


def _remove(path: Path) -> None:
    path.unlink()


def _truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def _empty(path: Path) -> None:
    os.truncate(path, 0)


def _lengthen(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"x")


def _flip(path: Path) -> None:
    with path.open("r+b") as file:
        first = file.read(1)[0]
        file.seek(0)
        file.write(bytes([first ^ 1]))


def _stored(registry: InProcessRegistry, blob: bytes) -> Path:
    directory = registry.settings.data.directory / "storage"
    digest = Digest.of_bytes(blob)
    (path,) = (directory / "blobs" / "sha256" / digest.hex[:2] / digest.hex).iterdir()
    return path


def _value(counter: Counter) -> float:
    return next(
        sample.value
        for metric in counter.collect()
        for sample in metric.samples
        if sample.name.endswith("_total")
    )


@pytest.mark.parametrize(
    ("blob", "damage"),
    [
        *((blob, damage) for blob in (_SMALL, _LARGE) for damage in (_remove, _truncate, _empty, _lengthen)),
        (_SMALL, _flip),
    ],
)
async def test_f12_damaged_content_is_refused_and_raises_the_alarm(
    registry: InProcessRegistry, blob: bytes, damage: Callable[[Path], None]
) -> None:
    """Missing, shorter, empty, longer, and for small blobs other bytes: 500, counted, no byte of it (F11, F12, I3)."""
    damage(_stored(registry, blob))

    for count, headers in enumerate(({}, {"range": "bytes=0-0"}), 1):
        reply = await registry.client.request("GET", _target(blob), headers)

        assert (reply.status, reply.error_code()) == (500, "UNKNOWN")
        assert reply.headers["cache-control"] == "no-store"
        assert _value(registry.services.metrics.damaged_content) == count


def _open_descriptors(path: Path) -> int:
    found: list[Path] = []
    for link in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            found.append(link.readlink())
    return found.count(path)


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110  # what the kernel and counters tell sends no event
            await asyncio.sleep(0.005)


async def test_a_client_that_leaves_ends_its_download_at_once(registry: InProcessRegistry) -> None:
    """The file is closed, no task stays, the answer counts as aborted, and nothing is logged as a fault (I12)."""
    path, tasks = _stored(registry, _LARGE), asyncio.all_tasks()
    download = Download()
    running = asyncio.create_task(download.run(registry.client.application, _target(_LARGE)))
    await _until(lambda: download.received > 0)
    assert _open_descriptors(path) == 1

    download.left.set()
    await asyncio.wait_for(running, 30)

    await _until(lambda: _open_descriptors(path) == 0 and asyncio.all_tasks() == tasks)
    assert not download.is_complete
    assert _value(registry.services.metrics.responses_aborted) == 1


async def test_a_finished_download_leaves_nothing_behind(registry: InProcessRegistry) -> None:
    """No file, no task that still waits for the client to leave, and it does not count as aborted."""
    path, tasks = _stored(registry, _LARGE), asyncio.all_tasks()
    download = Download()
    download.takes.set()

    await download.run(registry.client.application, _target(_LARGE))

    await _until(lambda: _open_descriptors(path) == 0 and asyncio.all_tasks() == tasks)
    assert download.is_complete
    assert download.received == len(_LARGE) - 1
    assert _value(registry.services.metrics.responses_aborted) == 0


async def test_a_client_that_leaves_while_the_store_is_read_is_not_waited_for(
    registry: InProcessRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that takes its time does not keep the request of somebody who is gone."""
    never = asyncio.Event()

    async def stall(*_: object) -> AsyncIterator[bytes]:
        yield bytes(200_000)
        await never.wait()

    monkeypatch.setattr(registry.stores.blobs, "read", stall)
    download = Download()
    download.takes.set()
    running = asyncio.create_task(download.run(registry.client.application, _target(_LARGE)))
    await _until(lambda: download.received == 200_000)

    download.left.set()
    await asyncio.wait_for(running, 30)

    assert not download.is_complete


async def test_a_client_that_takes_nothing_is_given_up(
    registry: InProcessRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a while without a byte taken the file is closed, though the connection stands."""
    monkeypatch.setattr(responses, "_CLIENT_IDLE_SECONDS", 0.05)
    path, download = _stored(registry, _LARGE), Download()

    await asyncio.wait_for(download.run(registry.client.application, _target(_LARGE)), 60)

    await _until(lambda: _open_descriptors(path) == 0)
    assert not download.is_complete
    assert _value(registry.services.metrics.responses_aborted) == 1


async def test_i3_content_that_ends_early_breaks_the_answer(registry: InProcessRegistry) -> None:
    """A file that is cut while it is sent: never a clean end, and both counters (I3, F12)."""
    path, metrics = _stored(registry, _LARGE), registry.services.metrics
    download = Download(on_piece=lambda: os.truncate(path, 1_500_000))
    download.takes.set()

    with pytest.raises(ContentDamagedError):
        await download.run(registry.client.application, _target(_LARGE))

    assert 0 < download.received < len(_LARGE) - 1
    assert not download.is_complete
    assert (_value(metrics.responses_aborted), _value(metrics.damaged_content)) == (1, 1)
    await _until(lambda: _open_descriptors(path) == 0)


async def test_a_cancelled_download_closes_its_file(registry: InProcessRegistry) -> None:
    """The server's end takes what is under way along."""
    path, download = _stored(registry, _LARGE), Download()
    running = asyncio.create_task(download.run(registry.client.application, _target(_LARGE)))
    await _until(lambda: download.received > 0)

    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    await _until(lambda: _open_descriptors(path) == 0)


async def test_a_whole_large_blob_is_left_to_the_server(registry: InProcessRegistry) -> None:
    """One message with the file's path: no byte of it passes through Python."""
    download = Download()
    await download.run(registry.client.application, _target(_LARGE), "bytes=0-")

    start, body = download.messages
    assert start["status"] == 206
    assert body == {"type": "http.response.pathsend", "path": str(_stored(registry, _LARGE))}
