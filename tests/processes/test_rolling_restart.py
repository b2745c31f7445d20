"""No client command fails while the registry is reloaded or restarted under pushes: clients try again (F40)."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

import httpx
import pytest

from entrepot.processes.assignment import Role
from tests.blackbox.clients.program import Program, scratch_environment
from tests.blackbox.material.images import build_image, build_random_layer, digest_of
from tests.blackbox.material.layouts import write_layout
from tests.plumbing.patience import PATIENCE_SECONDS
from tests.plumbing.skips import require_program
from tests.processes.patient_pusher import PatientPusher
from tests.processes.running import wait_for
from tests.running.entrepot import RunningEntrepot

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from pathlib import Path

    from tests.blackbox.material.images import Image

_PUSHES: Final = 100
_LAYERS: Final = 2
_LAYER_BYTES: Final = 60_000
_SECONDS_PER_LAYER: Final = 2.0

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


@pytest.fixture
def product(tmp_path: Path) -> Iterator[RunningEntrepot]:
    """A registry with all settings as they are delivered."""
    running = RunningEntrepot(tmp_path)
    running.start()
    try:
        running.wait_until_ready()
        yield running
        running.stop()
    finally:
        running.end()


def _image(number: int) -> Image:
    layers = [
        build_random_layer(f"layer-{layer}", _LAYER_BYTES, seed=1000 * number + layer)
        for layer in range(_LAYERS)
    ]
    return build_image(layers)


async def _push_while(
    product: RunningEntrepot, disturb: Callable[[], Awaitable[None]]
) -> tuple[list[list[Image]], list[str]]:
    """Push from all clients at once, `disturb` in the middle.

    Return the images, those of a client in a list, and what had to be tried again. Each client pushes one after the
    other until the disturbance is over, however long that takes.
    """
    pushers = [PatientPusher(product.url, f"team/app-{n}", _SECONDS_PER_LAYER) for n in range(_PUSHES)]
    is_over = asyncio.Event()

    async def push(number: int) -> list[Image]:
        pushed: list[Image] = []
        while not (pushed and is_over.is_set()):
            image = _image(1000 * len(pushed) + number)
            await pushers[number].push(image, f"v{len(pushed)}")
            pushed.append(image)
        return pushed

    pushing = asyncio.gather(*(push(number) for number in range(_PUSHES)))
    await asyncio.sleep(_SECONDS_PER_LAYER)
    await disturb()
    is_over.set()
    return await pushing, [retry for pusher in pushers for retry in pusher.retries]


def _require_all(product: RunningEntrepot, images: list[list[Image]]) -> None:
    """Every image is there under its tag, byte for byte."""
    with httpx.Client(base_url=product.url, timeout=60) as client:
        for number, of_client in enumerate(images):
            repository = f"/v2/team/app-{number}"
            for version, image in enumerate(of_client):
                assert client.get(f"{repository}/manifests/v{version}").content == image.manifest
                for blob in image.blobs:
                    assert client.get(f"{repository}/blobs/{digest_of(blob)}").content == blob


async def test_f40_a_hundred_pushes_outlive_two_reloads(product: RunningEntrepot) -> None:
    """SIGHUP replaces the HTTP process; what is under way is ended by the old one, and nothing is refused meanwhile.

    A connection that is idle in the moment of the change is closed; a client sees that and opens another.
    """

    async def reload_twice() -> None:
        for _ in range(2):
            before = product.pids(Role.HTTP)
            product.parent.send_signal(signal.SIGHUP)
            await asyncio.to_thread(
                wait_for,
                lambda before=before: set(product.pids(Role.HTTP)) - set(before),
                PATIENCE_SECONDS,
                lambda: f"no new HTTP process\n{product.log_tail()}",
            )
            await asyncio.sleep(1)

    images, retries = await _push_while(product, reload_twice)

    _require_all(product, images)
    broken = [retry for retry in retries if "HTTPStatusError" in retry or "ConnectError" in retry]
    assert broken == [], Counter(broken)


async def test_f40_a_hundred_pushes_outlive_a_restart(product: RunningEntrepot) -> None:
    """SIGTERM, and started again: between the two nobody listens, and clients come back by themselves."""

    async def restart() -> None:
        product.parent.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(product.wait_exit, 60) == 0
        product.start()
        await asyncio.to_thread(product.wait_until_ready)

    images, retries = await _push_while(product, restart)

    _require_all(product, images)
    assert retries, "the restart disturbed nobody, so nothing was tested"


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
def test_f40_skopeo_outlives_a_change(
    product: RunningEntrepot, tmp_path: Path, number: signal.Signals
) -> None:
    """Six copies with --retry-times under way: every command ends with status 0."""
    skopeo = Program((require_program("skopeo"),), scratch_environment(tmp_path / "home"))
    for index in range(6):
        write_layout(
            tmp_path / f"image-{index}",
            "latest",
            build_image([build_random_layer("big", 40_000_000, seed=index)]),
        )
    with ThreadPoolExecutor(6) as threads:
        copies = [
            threads.submit(
                skopeo.run,
                *(
                    "copy",
                    "--retry-times",
                    "5",  # half a minute in all
                    "--dest-tls-verify=false",
                    f"oci:{tmp_path}/image-{index}:latest",
                ),
                f"docker://{product.host}/team/skopeo-{index}:latest",
            )
            for index in range(6)
        ]
        wait_for(
            lambda: _is_any_uploading(product),
            PATIENCE_SECONDS,
            lambda: f"no upload began\n{product.log_tail()}",
        )
        assert not all(copy.done() for copy in copies)
        product.parent.send_signal(number)
        if number is signal.SIGTERM:
            assert product.wait_exit(60) == 0
            product.start()
        for copy in copies:
            copy.result()
    product.wait_until_ready()
    for index in range(6):
        assert httpx.head(f"{product.url}/v2/team/skopeo-{index}/manifests/latest").status_code == 200


def _is_any_uploading(product: RunningEntrepot) -> bool:
    return any(line.get("operation") == "upload.begin" for line in product.log_lines())
