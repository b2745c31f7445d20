"""A process that starts where nothing can be written serves pulls all the same (F5, F9)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, NoReturn

import structlog.testing

from entrepot.blobstore.filesystem import FilesystemBlobStore
from entrepot.bootstrap import (
    Stores,
    build_distribution,
    build_process_metrics,
    build_services,
    open_spool,
)
from entrepot.kernel.process_identity import ProcessIdentity
from entrepot.metadata.errors import MetadataFullError
from entrepot.metadata.sql.sqlite import SqliteMetadata
from entrepot.registry.hashing import HashingPool
from entrepot.settings import metadata_path, metadata_url, storage_root
from tests.asgi.client import AsgiClient
from tests.asgi.services import in_process_registry, scratch_settings
from tests.drivers.metadata.raw_database import RawDatabase
from tests.faults.image import TAG, one_layer_image
from tests.faults.pushing import AcknowledgementLog, push_image

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class _FullDatabase(SqliteMetadata):
    """A database that can be read only, as on a disk without room."""

    async def write(self, unit: Callable[..., object]) -> NoReturn:
        """Refuse."""
        del unit
        raise MetadataFullError("the disk is full")


async def test_f5_leases_that_cannot_be_given_back_do_not_keep_a_process_from_serving(tmp_path: Path) -> None:
    """A predecessor died in an upload and the disk is full: one warning, pulls are served, a push gets 507."""
    settings, image = scratch_settings(tmp_path / "data"), one_layer_image(1)
    async with in_process_registry(settings) as registry:
        await push_image(registry.client, image, AcknowledgementLog.open(tmp_path / "log"))
        await registry.client.request("POST", f"/v2/{image.repository}/blobs/uploads/")
    node = (settings.data.directory / "node-id").read_text().strip()
    dead = replace(ProcessIdentity.of_this_process(node), started=1)
    await RawDatabase(metadata_url(settings)).fetch(f"UPDATE upload_sessions SET lease_owner = '{dead}'")
    metadata, blobs = (
        _FullDatabase(metadata_path(settings), 5.0, None),
        FilesystemBlobStore(storage_root(settings)),
    )
    with ThreadPoolExecutor(2) as executor, structlog.testing.capture_logs() as lines:
        metrics = build_process_metrics()
        notes = open_spool(settings, metrics)
        services = await build_services(
            settings, Stores(metadata, blobs), HashingPool(executor), metrics=metrics, notes=notes
        )
        client = AsgiClient(build_distribution(settings, services))

        pulled = await client.request("GET", f"/v2/{image.repository}/manifests/{TAG}")
        refused = await client.request("POST", f"/v2/{image.repository}/blobs/uploads/")

    assert [line["event"] for line in lines if line["log_level"] == "warning"] == ["leases.kept"]
    assert (pulled.status, pulled.body) == (200, image.manifest)
    assert (refused.status, refused.error_code()) == (507, "STORAGE_FULL")
    await notes.aclose()
    await metadata.aclose()
    await blobs.aclose()
