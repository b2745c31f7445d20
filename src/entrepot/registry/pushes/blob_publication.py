"""The last steps of every blob push: verify, publish, and one unit that makes the blob visible."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import structlog

from entrepot.blobstore.errors import BlobStoreError, ObjectNotFoundError, StorageUnavailableError
from entrepot.kernel.failpoints import Failpoint, reach
from entrepot.registry.errors import DigestMismatchError, UploadConflictError
from entrepot.registry.journal.facts import journalled_fact
from entrepot.registry.store_match.ownership import find_lack

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from entrepot.auth.grants import Grant, Push
    from entrepot.blobstore.driver import BlobStore, BlobWriter
    from entrepot.metadata.audit_store import NewAuditRecord
    from entrepot.metadata.records import AdoptedBlob, NewBlob, UploadLease
    from entrepot.metadata.store import Metadata, Transaction
    from entrepot.oci.digest import Digest
    from entrepot.registry.hashing import HashingPool, RunningDigest

__all__ = ["BlobPublication", "adopt_into", "finish_session", "link_into"]

_log: Any = structlog.get_logger()


def _unheard() -> None:
    """Nobody listens."""


class BlobPublication:
    """Turns staged bytes into a blob of a repository."""

    def __init__(
        self,
        metadata: Metadata,
        blobs: BlobStore,
        hashing: HashingPool,
        on_healed: Callable[[], None] = _unheard,
    ) -> None:
        """Take the stores; `on_healed` is told when a push replaced bytes that were lost."""
        self._metadata = metadata
        self._on_healed = on_healed
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
        """Run the unit that adopts `blob`; of its bytes and those of a push that had won before, one copy stays.

        That is the winner's, unless it is not there any more or has another size: then what was pushed just now takes
        its place (F12). Bytes of the right size are believed, as a pull believes them; a verification reads them.

        Raises:
            StorageUnavailableError: the winner's copy is not there because this is another store: a volume that is not
                mounted any more. The row stays as it is, for nodes with the right one and for the time after.
        """
        adopted = await self._metadata.write(unit)
        reach(Failpoint.BLOB_COMMITTED)
        if adopted.storage_key == blob.storage_key:
            return
        if await self._is_whole(adopted.storage_key, blob.size_bytes):
            await self._drop(blob.storage_key)
        else:
            await self._require_right_store(blob)
            await self._replace(adopted, blob)

    async def _is_whole(self, storage_key: str, size_bytes: int) -> bool:
        """Tell whether a copy has the right size; one of which that can't be told is left to whoever reads it."""
        try:
            return await self._blobs.stat(storage_key) == size_bytes
        except ObjectNotFoundError:
            return False
        except BlobStoreError:
            return True

    async def _require_right_store(self, blob: NewBlob) -> None:
        lack = await find_lack(self._metadata, self._blobs)
        if lack:
            _log.error("blob.heal.refused", digest=str(blob.digest), reason=lack)
            await self._drop(blob.storage_key)
            raise StorageUnavailableError("it lacks what its database has written there")

    async def _replace(self, adopted: AdoptedBlob, blob: NewBlob) -> None:
        """Let the row name the new bytes, unless it was changed meanwhile, and delete the copy that is not named."""

        async def unit(tx: Transaction) -> bool:
            return await tx.quarantine.repoint_blob(adopted.id, adopted.storage_key, blob.storage_key)

        repointed = await self._metadata.write(unit)
        reach(Failpoint.BLOB_REPOINTED)
        if repointed:
            self._on_healed()
            _log.warning("blob.healed", digest=str(blob.digest), source="a push")
        await self._drop(adopted.storage_key if repointed else blob.storage_key)

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


async def finish_session(
    tx: Transaction, lease: UploadLease, grant: Grant[Push], blob: NewBlob, record: NewAuditRecord
) -> AdoptedBlob:
    """Within a unit: replace the session by the blob its bytes became, and add the record of that.

    Raises:
        UploadConflictError: somebody else ended the session.
    """
    removed = await tx.upload_sessions.remove(lease.public_id, lease.fence)
    # A unit may run again after its first COMMIT was lost on the way: then the session is gone and the blob is there,
    # which is what was wanted. Without the blob, somebody else ended the session.
    if not removed and await tx.blobs.absent_from(lease.repository_id, (blob.digest,)):
        raise UploadConflictError(lease.public_id)
    await tx.audit.append(record)
    return await adopt_into(tx, lease.repository_id, grant, blob)


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
