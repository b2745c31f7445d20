"""What a client and a metric are told when a store can't do its part."""

from __future__ import annotations

import msgspec
import pytest

from entrepot.blobstore.errors import (
    BlobStoreError,
    ObjectNotFoundError,
    StorageFullError,
    StorageSuspectError,
    StorageUnavailableError,
)
from entrepot.distribution_api.error_mapping import error_response
from entrepot.distribution_api.store_failures import store_failure
from entrepot.metadata.errors import MetadataError, MetadataFullError, MetadataUnavailableError

_SECRET = "/var/lib/entrepot/storage/uploads/abc"


@pytest.mark.parametrize(
    ("error", "status", "advice", "labels"),
    [
        (StorageFullError(_SECRET), 507, "more room", ("blobs", "full")),
        (StorageSuspectError(_SECRET), 503, "readiness report", ("blobs", "suspect")),
        (StorageUnavailableError(_SECRET), 503, "readiness report", ("blobs", "unavailable")),
        (MetadataFullError(_SECRET), 507, "more room", ("metadata", "full")),
        (MetadataUnavailableError(_SECRET), 503, "readiness report", ("metadata", "unavailable")),
        (BlobStoreError(_SECRET), 500, "request id", None),
        (ObjectNotFoundError(_SECRET), 500, "request id", None),
        (MetadataError(_SECRET), 500, "request id", None),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_f5_a_client_reads_what_to_do_and_nothing_of_our_insides(
    error: BlobStoreError | MetadataError, status: int, advice: str, labels: tuple[str, str] | None
) -> None:
    """The catalogue's sentence and remedy, `Retry-After` where trying again may help, labels for the operator."""
    response = error_response(error)
    assert isinstance(response.content, bytes)
    (entry,) = msgspec.json.decode(response.content)["errors"]

    assert response.status == status
    assert advice in entry["message"]
    assert "/" not in entry["message"]
    assert ("retry-after" in {name.decode() for name, _ in response.headers}) == (status == 503)
    assert store_failure(error) == labels
