"""Puts sound bytes from a source in the place of damaged ones.

A heal is an upload like any other: while its bytes lie in the store and no blob row mentions them, a row of its session
does, so that no sweep takes them for orphans, and a crash leaves a session that expires. Order: verified → published →
one unit that re-points the row and ends the session → the damaged bytes are deleted.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Any

import structlog

from entrepot.blobstore.driver import UploadReference
from entrepot.blobstore.errors import BlobStoreError, UploadBusyError
from entrepot.kernel.errors import EntrepotError
from entrepot.kernel.failpoints import Failpoint, reach
from entrepot.kernel.ids import new_public_id
from entrepot.lifecycle.recovery import ManifestRecovery
from entrepot.metadata.records import NewUploadSession, UploadLease
from entrepot.oci.digest import Digest
from entrepot.registry.hashing import RunningDigest
from entrepot.registry.pushes.leases import LONGEST_LEASE_SECONDS
from entrepot.registry.sweeps.upload_expiry import HEALING_SESSION_SECONDS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from entrepot.blobstore.driver import BlobWriter
    from entrepot.lifecycle.recovery import BlobRecovery
    from entrepot.lifecycle.scrub.options import ScrubGround
    from entrepot.metadata.inventory import InventoryBlob
    from entrepot.metadata.store import Transaction

__all__ = ["Healing"]

_log: Any = structlog.get_logger()


class Healing:
    """Asks the sources in turn."""

    def __init__(self, ground: ScrubGround, sources: Sequence[BlobRecovery], operator: str) -> None:
        self._ground = ground
        self._sources = sources
        self._operator = operator

    async def find_source(self, blob: InventoryBlob) -> str:
        """Return the name of the first source that says it has the blob, an empty text without one."""
        for source in self._sources:
            try:
                chunks = await source.open(blob.digest, blob.size_bytes)
            except EntrepotError as error:
                _log.warning("heal.failed", digest=str(blob.digest), source=source.name, reason=str(error))
                continue
            if chunks is not None:
                async with _closing(chunks):
                    return source.name
        return ""

    async def heal_blob(self, blob: InventoryBlob, repository: str) -> str:
        """Replace the blob's bytes, and return the name of the source they came from; an empty text without one.

        `repository` is one that links to the blob. A source that fails is passed over, and that the row was changed by
        somebody else meanwhile counts as having no source.
        """
        for source in self._sources:
            try:
                chunks = await source.open(blob.digest, blob.size_bytes)
                if chunks is None:
                    continue
                async with _closing(chunks) as opened:
                    if await self._replace(blob, repository, opened):
                        _log.warning("blob.healed", digest=str(blob.digest), source=source.name)
                        return source.name
            except EntrepotError as error:
                _log.warning("heal.failed", digest=str(blob.digest), source=source.name, reason=str(error))
        return ""

    async def find_manifest(self, digest: Digest) -> tuple[bytes, str] | None:
        """Return the bytes of a manifest, which hash to its digest, and the name of their source."""
        for source in self._sources:
            if not isinstance(source, ManifestRecovery):
                continue
            try:
                body = await source.read_manifest(digest)
            except EntrepotError as error:
                _log.warning("heal.failed", digest=str(digest), source=source.name, reason=str(error))
                continue
            if body is not None and Digest.of_bytes(body, digest.algorithm) == digest:
                return body, source.name
        return None

    async def _replace(self, blob: InventoryBlob, repository: str, chunks: AsyncIterator[bytes]) -> bool:
        lease = await self._open_session(blob, repository)
        if lease is None:
            return False
        upload = UploadReference(lease.public_id, lease.fence, lease.state, lease.offset)
        try:
            key = await self._stage(upload, blob, chunks)
        except BaseException:
            await self._abandon(lease, upload)
            raise
        if key is None:
            await self._abandon(lease, upload)
            return False
        reach(Failpoint.HEAL_STAGED)

        async def unit(tx: Transaction) -> bool:
            await tx.upload_sessions.remove(lease.public_id, lease.fence)
            return await tx.quarantine.repoint_blob(blob.id, blob.storage_key, key)

        repointed = await self._ground.metadata.write(unit)
        reach(Failpoint.HEAL_COMMITTED)
        await self._drop(blob.storage_key if repointed else key)
        return repointed

    async def _open_session(self, blob: InventoryBlob, repository: str) -> UploadLease | None:
        session = new_public_id()

        async def unit(tx: Transaction) -> UploadLease | None:
            row = await tx.repositories.find(repository)
            if row is None:
                return None
            await tx.upload_sessions.create(
                NewUploadSession(
                    session, row.id, self._operator, blob.digest.algorithm, HEALING_SESSION_SECONDS
                )
            )
            lease = await tx.upload_sessions.lease(
                repository, session, self._operator, f"verify/{session}", LONGEST_LEASE_SECONDS
            )
            return lease if isinstance(lease, UploadLease) else None

        return await self._ground.metadata.write(unit)

    async def _stage(
        self, upload: UploadReference, blob: InventoryBlob, chunks: AsyncIterator[bytes]
    ) -> str | None:
        """Copy the bytes into the store while hashing them; return their key, `None` for wrong bytes."""
        writer = await self._ground.blobs.open_writer(upload)
        try:
            running = RunningDigest.begin(blob.digest.algorithm)
            async for chunk in chunks:
                await self._take(writer, running, chunk)
                if running.count > blob.size_bytes:
                    return None
            if running.count != blob.size_bytes or running.digest() != blob.digest:
                return None
            return await writer.publish(blob.digest)
        finally:
            await writer.close()

    async def _take(self, writer: BlobWriter, running: RunningDigest, chunk: bytes) -> None:
        await self._ground.hashing.update(running, (chunk,))
        await writer.write((chunk,))

    async def _abandon(self, lease: UploadLease, upload: UploadReference) -> None:
        async def unit(tx: Transaction) -> bool:
            return await tx.upload_sessions.remove(lease.public_id, lease.fence)

        await self._ground.metadata.write(unit)
        try:
            await self._ground.blobs.discard(upload)
        except BlobStoreError as error:
            _log.warning("upload.discard.postponed", upload=upload.upload_id, reason=str(error))

    async def _drop(self, key: str) -> None:
        try:
            await self._ground.blobs.delete(key)
        except (BlobStoreError, UploadBusyError) as error:
            _log.warning("blob.copy.kept", key=key, reason=str(error))


@contextlib.asynccontextmanager
async def _closing(chunks: AsyncIterator[bytes]) -> AsyncIterator[AsyncIterator[bytes]]:
    """Close what can be closed, also when nothing of it was read."""
    try:
        yield chunks
    finally:
        if isinstance(chunks, AsyncGenerator):
            await chunks.aclose()
