"""The four setups are what their names say; without this, the same tests might run four times on one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.blackbox.material.images import build_image, build_layer

if TYPE_CHECKING:
    from tests.blackbox.http_client import RegistryClient
    from tests.running.entrepot import RunningEntrepot
    from tests.running.setups import Setup
    from tests.running.stored_blobs import StoredBlobs


def test_metadata_and_blobs_lie_where_the_setup_says(
    setup: Setup, registry: RunningEntrepot, http: RegistryClient, stored_blobs: StoredBlobs
) -> None:
    """After a push: no SQLite file with PostgreSQL, no blob on disk with S3, and the bytes in the store named."""
    image = build_image([build_layer({"file": http.repository.encode()})])
    http.push_blobs(image)
    assert http.put_manifest("v1", image.manifest).status_code == 201

    data = registry.data_directory
    assert (data / "metadata" / "entrepot.db").exists() != setup.uses_postgresql
    assert any((data / "storage").rglob("blobs/*/*/*/*")) != setup.uses_s3
    assert stored_blobs.count(image.config_digest) == 1
