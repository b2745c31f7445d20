"""The last steps of every blob push: verify, publish, and one unit that makes the blob visible."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import structlog

from entrepot.blobstore.errors import BlobStoreError
from entrepot.kernel.failpoints import Failpoint, reach
from entrepot.registry.errors import DigestMismatchError
from entrepot.registry.facts import journalled_fact

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from entrepot.auth.grants import Grant, Push
    from entrepot.blobstore.driver import BlobStore, BlobWriter
    from entrepot.metadata.records import AdoptedBlob, NewBlob, UploadLease
    from entrepot.metadata.store import Metadata, Transaction
    from entrepot.oci.digest import Digest
    from entrepot.registry.hashing import HashingPool, RunningDigest

__all__ = ["BlobPublication", "adopt_into", "link_into"]

_log: Any = structlog.get_logger()


class BlobPublication:
    """Turns staged bytes into a blob of a repository."""

    def __init__(self, metadata: Metadata, blobs: BlobStore, hashing: HashingPool) -> None:
        self._metadata = metadata
        self._blobs = blobs
        self._hashing = hashing

    async def publish(
        self, writer: BlobWriter, digest: Digest, running: RunningDigest | None, lease: UploadLease | None
    ) -> str:
        """Verify the staged bytes and make them permanent; return their storage key.

        Raises:
            DigestMismatchError: they hash to something else.
        """
        actual = await self._digest_of(writer, digest, running, lease)
        if actual != digest.hex:
            raise DigestMismatchError(digest, f"{digest.algorithm}:{actual}")
        return await writer.publish(digest)

    async def commit(self, blob: NewBlob, unit: Callable[[Transaction], Awaitable[AdoptedBlob]]) -> None:
        """Run the unit that adopts `blob`, and delete its bytes when another push of the same digest had won."""
        adopted = await self._metadata.write(unit)
        reach(Failpoint.BLOB_COMMITTED)
        if adopted.storage_key != blob.storage_key:
            await self._drop(blob.storage_key)

    async def _drop(self, storage_key: str) -> None:
        """Delete a copy that lost; the push succeeded all the same, and the sweep of orphans finds what stays."""
        try:
            await self._blobs.delete(storage_key)
        except BlobStoreError as error:
            _log.warning("blob.copy.kept", key=storage_key, reason=str(error))

    async def _digest_of(
        self, writer: BlobWriter, digest: Digest, running: RunningDigest | None, lease: UploadLease | None
    ) -> str:
        """Return the hexadecimal digest of all staged bytes, reading them again only when nobody hashed them."""
        if running is not None and running.algorithm == digest.algorithm and running.count == writer.offset:
            return running.digest().hex
        if lease is not None and (recorded := _recorded_digest(lease, writer.offset, digest)) is not None:
            return recorded
        staged = self._blobs.read(await writer.seal(), 0, writer.offset)
        return (await self._hashing.digest_stream(staged, digest.algorithm)).digest().hex


def _recorded_digest(lease: UploadLease, size: int, digest: Digest) -> str | None:
    """Return what an earlier request recorded, when it covers exactly these bytes in this algorithm."""
    covers = lease.offset == size and lease.algorithm == digest.algorithm
    return lease.digest_so_far if covers else None


async def adopt_into(tx: Transaction, repository_id: int, grant: Grant[Push], blob: NewBlob) -> AdoptedBlob:
    """Within a unit: adopt the blob, link it to the repository, and record that when it was not linked before."""
    adopted = await tx.blobs.adopt(blob)
    await link_into(tx, repository_id, grant, adopted.id, replace(blob, storage_key=adopted.storage_key))
    return adopted


async def link_into(
    tx: Transaction, repository_id: int, grant: Grant[Push], blob_id: int, blob: NewBlob
) -> None:
    """Within a unit: link a live blob to the repository, and record that when it was not linked before."""
    if not await tx.blobs.link(repository_id, blob_id, grant.principal.subject):
        return
    payload = {"digest": str(blob.digest), "size": blob.size_bytes, "key": blob.storage_key}
    await tx.outbox.append(journalled_fact(grant, "blob.linked", payload))
