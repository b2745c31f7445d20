"""What a request may cost, in counts that don't depend on the machine; a budget that is broken stops the merge."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import msgspec
import pytest

from entrepot.oci.digest import Digest
from tests.asgi.services import InProcessRegistry, in_process_registry, scratch_settings
from tests.asgi.small_images import push_blob
from tests.faults.image import REPOSITORY, TAG, one_layer_image
from tests.faults.pushing import AcknowledgementLog, push_image

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("calm_disk")

_IMAGE = one_layer_image(1)


@pytest.fixture
async def registry(tmp_path: Path) -> AsyncIterator[InProcessRegistry]:
    """A registry that has the image already."""
    async with in_process_registry(scratch_settings(tmp_path / "data")) as registry:
        await push_image(registry.client, _IMAGE, AcknowledgementLog.open(tmp_path / "acknowledged"))
        registry.counts.reset()
        yield registry


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("reference", [TAG, str(Digest.of_bytes(_IMAGE.manifest))])
async def test_a_manifest_costs_one_statement(
    registry: InProcessRegistry, method: str, reference: str
) -> None:
    """Manifest GET and HEAD: 1 SQL statement, 0 fsyncs, 0 thread hops."""
    reply = await registry.client.request(method, f"/v2/{REPOSITORY}/manifests/{reference}")

    assert reply.status == 200
    counts = registry.counts
    assert len(counts.statements) == 1
    assert (counts.commits, counts.data_syncs, counts.directory_syncs, counts.thread_hops) == (0, 0, 0, 0)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("target", [f"manifests/{TAG}", f"blobs/{Digest.of_bytes(_IMAGE.config)}"])
async def test_what_was_pulled_costs_no_statement_until_a_row_changes(
    registry: InProcessRegistry, method: str, target: str
) -> None:
    """SQLite shows whether anything was committed; only after a commit is it asked again (decision 60)."""
    costs: list[int] = []
    for change in (None, None, None, b"another layer", None, None, None):
        if change is not None:
            await push_blob(registry.client, change, REPOSITORY)
        registry.counts.reset()
        assert (await registry.client.request(method, f"/v2/{REPOSITORY}/{target}")).status == 200
        await asyncio.sleep(0)  # in a server, other work of the event loop comes between any two requests
        costs.append(len(registry.counts.statements))

    assert costs[2] == costs[6] == 0
    assert costs[0] == costs[3] == 1
    assert max(costs) == 1


async def test_a_short_list_of_referrers_costs_one_statement(registry: InProcessRegistry) -> None:
    """Referrers GET: 1 SQL statement, 0 thread hops, as long as there are no more than about twenty."""
    reply = await registry.client.request(
        "GET", f"/v2/{REPOSITORY}/referrers/{Digest.of_bytes(_IMAGE.manifest)}"
    )

    assert reply.status == 200
    counts = registry.counts
    assert (counts.statements, counts.commits, counts.thread_hops) == (["referrers.list"], 0, 0)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("blob", _IMAGE.blobs)
async def test_a_blob_costs_one_statement(registry: InProcessRegistry, method: str, blob: bytes) -> None:
    """Blob GET and HEAD: 1 SQL statement, 0 fsyncs."""
    reply = await registry.client.request(method, f"/v2/{REPOSITORY}/blobs/{Digest.of_bytes(blob)}")

    assert reply.status == 200
    counts = registry.counts
    assert len(counts.statements) == 1
    assert (counts.commits, counts.data_syncs, counts.directory_syncs) == (0, 0, 0)


async def test_a_small_blob_is_read_once(registry: InProcessRegistry) -> None:
    """A config that was served before costs no thread and no file."""
    target = f"/v2/{REPOSITORY}/blobs/{Digest.of_bytes(_IMAGE.config)}"
    await registry.client.request("GET", target)
    registry.counts.reset()

    reply = await registry.client.request("GET", target)

    assert reply.body == _IMAGE.config
    assert registry.counts.thread_hops == 0


async def test_a_small_blob_that_the_kernel_has_in_memory_costs_no_thread(tmp_path: Path) -> None:
    """Read anew at each pull, since nothing is kept here: 1 SQL statement, 0 thread hops."""
    settings = scratch_settings(tmp_path / "data")
    settings = msgspec.structs.replace(
        settings, cache=msgspec.structs.replace(settings.cache, small_blob_bytes=0)
    )
    async with in_process_registry(settings) as registry:
        await push_image(registry.client, _IMAGE, AcknowledgementLog.open(tmp_path / "acknowledged"))
        registry.counts.reset()

        reply = await registry.client.request(
            "GET", f"/v2/{REPOSITORY}/blobs/{Digest.of_bytes(_IMAGE.config)}"
        )

        assert reply.body == _IMAGE.config
        assert (len(registry.counts.statements), registry.counts.thread_hops) == (1, 0)


async def test_an_unknown_manifest_costs_one_statement(registry: InProcessRegistry) -> None:
    """A miss is not dearer than a hit, whether the repository exists or not."""
    for target in (f"/v2/{REPOSITORY}/manifests/absent", "/v2/no/such/manifests/absent"):
        registry.counts.reset()
        assert (await registry.client.request("GET", target)).status == 404
        assert len(registry.counts.statements) == 1


async def test_a_layer_costs_one_data_fsync_and_two_commits_a_request(registry: InProcessRegistry) -> None:
    """POST 1 commit; PATCH 2 commits and 1 data fsync; an empty PUT 2 commits, no data fsync, no byte read again."""
    counts, client = registry.counts, registry.client
    layer = b"budget" * 500_000
    chunks = [bytes(layer[start : start + 65_536]) for start in range(0, len(layer), 65_536)]

    reply = await client.request("POST", f"/v2/{REPOSITORY}/blobs/uploads/")
    assert (counts.commits, counts.data_syncs) == (1, 0)
    counts.reset()
    reply = await client.request("PATCH", reply.headers["location"], {}, chunks)
    assert (counts.commits, counts.data_syncs) == (2, 1)
    assert counts.written_buffers <= {id(chunk) for chunk in chunks}, (
        "bytes were copied on their way to the disk"
    )
    counts.reset()
    digest = Digest.of_bytes(layer)
    reply = await client.request(
        "PUT", f"{reply.headers['location']}?digest={digest}", {"Content-Length": "0"}
    )

    assert reply.status == 201
    assert (counts.commits, counts.data_syncs) == (2, 0)
    new_directories = 2  # blobs/sha256/<2 hex> and the digest's own
    assert counts.directory_syncs <= new_directories + 1


async def test_a_manifest_push_costs_one_commit(registry: InProcessRegistry) -> None:
    """Manifest PUT: 1 commit; its bytes and its journal entry are 2 small durable objects."""
    manifest = json.dumps(json.loads(_IMAGE.manifest) | {"annotations": {"a": "b"}}).encode()
    media_type = "application/vnd.oci.image.manifest.v1+json"

    reply = await registry.client.request(
        "PUT", f"/v2/{REPOSITORY}/manifests/next", {"Content-Type": media_type}, [manifest]
    )

    assert reply.status == 201
    assert (registry.counts.commits, registry.counts.data_syncs) == (1, 2)


async def test_moving_nothing_writes_nothing_but_rows(registry: InProcessRegistry) -> None:
    """Pushing the same manifest under the same tag again stores no bytes and no journal entry."""
    media_type = "application/vnd.oci.image.manifest.v1+json"

    reply = await registry.client.request(
        "PUT", f"/v2/{REPOSITORY}/manifests/{TAG}", {"Content-Type": media_type}, [_IMAGE.manifest]
    )

    assert reply.status == 201
    assert registry.counts.data_syncs == 0
