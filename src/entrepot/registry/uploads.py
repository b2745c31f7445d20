"""Upload sessions: a blob arrives over one or several requests, handled by any process (architecture §5).

Order of every write: lease → bytes → durable → recorded offset. Order of the end: verify → publish → one unit that
adopts the blob, links it, records the fact and removes the session → reply. A crash between any two leaves either a
session that can go on, or bytes that no row mentions (I7).
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from entrepot.blobstore.driver import UploadReference
from entrepot.blobstore.errors import UploadBusyError, UploadLostError
from entrepot.kernel.failpoints import Failpoint, reach
from entrepot.kernel.ids import new_public_id
from entrepot.metadata.records import (
    AdoptedBlob,
    Missing,
    NewBlob,
    NewUploadSession,
    UploadLease,
    UploadProgress,
)
from entrepot.registry.blob_publication import adopt_into
from entrepot.registry.errors import (
    DigestMismatchError,
    SourceInterruptedError,
    UploadConflictError,
    UploadOffsetError,
    UploadUnknownError,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from entrepot.auth.grants import Grant, Push
    from entrepot.blobstore.driver import BlobStore, BlobWriter
    from entrepot.metadata.store import Metadata, Transaction
    from entrepot.oci.digest import Digest
    from entrepot.registry.blob_publication import BlobPublication
    from entrepot.registry.hashing import RunningDigest, RunningDigests
    from entrepot.registry.leases import SessionLeases
    from entrepot.registry.staging import StagingPipeline

__all__ = ["UploadParts", "Uploads"]


@dataclass(frozen=True, slots=True)
class UploadParts:
    """What the upload service is made of."""

    metadata: Metadata
    blobs: BlobStore
    leases: SessionLeases
    waiting: RunningDigests
    pipeline: StagingPipeline
    publication: BlobPublication
    session_ttl_seconds: int


class Uploads:
    """Begins, continues and finishes upload sessions."""

    def __init__(self, parts: UploadParts) -> None:
        self._parts = parts

    async def begin(self, grant: Grant[Push]) -> str:
        """Create a session in the granted repository, creating that too when it is new; return the session's id."""
        session = new_public_id()
        name, subject = grant.repository, grant.principal.subject

        async def unit(tx: Transaction) -> None:
            repository = await tx.repositories.ensure(name.text, name.project, subject)
            await tx.upload_sessions.create(
                NewUploadSession(session, repository.id, subject, "sha256", self._parts.session_ttl_seconds)
            )

        await self._parts.metadata.write(unit)
        reach(Failpoint.SESSION_CREATED)
        return session

    async def status(self, grant: Grant[Push], session: str) -> int:
        """Return how many bytes of the session are durable.

        Raises:
            UploadUnknownError: no such session for this repository and principal.
        """
        sessions = self._parts.metadata.upload_sessions
        found = await sessions.find(grant.repository.text, session, grant.principal.subject)
        if isinstance(found, Missing):
            raise UploadUnknownError(session)
        return found.offset

    async def append(
        self, grant: Grant[Push], session: str, expected_offset: int | None, body: AsyncIterator[bytes]
    ) -> int:
        """Append `body` to the session and return the new offset; everything up to it is durable.

        When the body is interrupted, what arrived is kept and recorded before the interruption is raised again.

        Raises:
            UploadUnknownError, UploadConflictError: see :class:`SessionLeases`.
            UploadOffsetError: `expected_offset` is given and is not where the session ends.
            SourceInterruptedError: the client went away.
            BlobStoreError: the store failed; the session still ends where it ended before.
        """
        lease = await self._parts.leases.take(grant, session, Failpoint.SESSION_LEASED)
        try:
            _require_offset(lease, expected_offset)
            return await self._stage(lease, body)
        except BaseException:
            await self._parts.leases.release(lease)
            raise

    async def finish(
        self,
        grant: Grant[Push],
        session: str,
        digest: Digest,
        expected_offset: int | None,
        body: AsyncIterator[bytes],
    ) -> None:
        """Append `body`, verify that the whole upload hashes to `digest`, and make it a blob of the repository.

        Repeating the request after it succeeded succeeds again.

        Raises:
            DigestMismatchError: the session is discarded.
            and what :meth:`append` raises.
        """
        try:
            lease = await self._parts.leases.take(grant, session, Failpoint.FINISH_LEASED)
        except UploadUnknownError:
            if isinstance(await self._parts.metadata.blobs.find(grant.repository.text, digest), Missing):
                raise
            return
        try:
            _require_offset(lease, expected_offset)
            await self._finish_leased(grant, lease, digest, body)
        except DigestMismatchError:
            await self._abandon(lease)
            raise
        except BaseException:
            await self._parts.leases.release(lease)
            raise

    async def push_whole(self, grant: Grant[Push], digest: Digest, body: AsyncIterator[bytes]) -> None:
        """Store a blob that arrives in one request, without a session.

        Raises:
            DigestMismatchError, SourceInterruptedError, BlobStoreError: nothing is kept.
        """
        upload = UploadReference(new_public_id(), 0, b"", 0)
        name, subject = grant.repository, grant.principal.subject
        try:
            async with _closing(await self._parts.blobs.open_writer(upload)) as writer:
                running = self._parts.waiting.take(upload.upload_id, 0, digest.algorithm)
                await self._parts.pipeline.pump(body, writer, running)
                key = await self._parts.publication.publish(writer, digest, running, None)
                blob = NewBlob(digest, writer.offset, key, subject)
        except BaseException:
            await self._parts.blobs.discard(upload)
            raise

        async def unit(tx: Transaction) -> AdoptedBlob:
            repository = await tx.repositories.ensure(name.text, name.project, subject)
            return await adopt_into(tx, repository.id, grant, blob)

        await self._parts.publication.commit(blob, unit)

    async def _stage(self, lease: UploadLease, body: AsyncIterator[bytes]) -> int:
        interruption: SourceInterruptedError | None = None
        running = self._parts.waiting.take(lease.public_id, lease.offset, lease.algorithm)
        async with self._writer(lease) as writer:
            async with self._parts.leases.kept(lease):
                try:
                    await self._parts.pipeline.pump(body, writer, running)
                except SourceInterruptedError as error:
                    interruption = error
                state = await writer.checkpoint()
            offset = writer.offset
        await self._record(lease, offset, running, state)
        reach(Failpoint.SESSION_PROGRESS_COMMITTED)
        if running is not None:
            self._parts.waiting.keep(lease.public_id, running)
        if interruption is not None:
            raise interruption
        return offset

    async def _record(
        self, lease: UploadLease, offset: int, running: RunningDigest | None, state: bytes
    ) -> None:
        progress = UploadProgress(
            public_id=lease.public_id,
            fence=lease.fence,
            expected_offset=lease.offset,
            offset=offset,
            algorithm=lease.algorithm,
            digest_so_far=running.digest().hex if running is not None else None,
            state=state,
        )

        async def unit(tx: Transaction) -> bool:
            return await tx.upload_sessions.record(progress)

        if not await self._parts.metadata.write(unit):
            raise UploadConflictError(lease.public_id)

    async def _finish_leased(
        self, grant: Grant[Push], lease: UploadLease, digest: Digest, body: AsyncIterator[bytes]
    ) -> None:
        running = self._parts.waiting.take(lease.public_id, lease.offset, lease.algorithm)
        async with self._writer(lease) as writer:
            async with self._parts.leases.kept(lease):
                await self._parts.pipeline.pump(body, writer, running)
                key = await self._parts.publication.publish(writer, digest, running, lease)
            blob = NewBlob(digest, writer.offset, key, grant.principal.subject)

        async def unit(tx: Transaction) -> AdoptedBlob:
            removed = await tx.upload_sessions.remove(lease.public_id, lease.fence)
            # A unit may run again after its first COMMIT was lost on the way: then the session is gone and the blob is
            # there, which is what was wanted. Without the blob, somebody else ended the session.
            if not removed and await tx.blobs.absent_from(lease.repository_id, (digest,)):
                raise UploadConflictError(lease.public_id)
            return await adopt_into(tx, lease.repository_id, grant, blob)

        await self._parts.publication.commit(blob, unit)

    async def _abandon(self, lease: UploadLease) -> None:
        async def unit(tx: Transaction) -> bool:
            return await tx.upload_sessions.remove(lease.public_id, lease.fence)

        if await self._parts.metadata.write(unit):
            await self._parts.blobs.discard(_reference(lease))

    @contextlib.asynccontextmanager
    async def _writer(self, lease: UploadLease) -> AsyncIterator[BlobWriter]:
        try:
            writer = await self._parts.blobs.open_writer(_reference(lease))
        except UploadBusyError as error:
            raise UploadConflictError(lease.public_id) from error
        except UploadLostError as error:
            await self._abandon(lease)
            raise UploadUnknownError(lease.public_id) from error
        async with _closing(writer):
            yield writer


@contextlib.asynccontextmanager
async def _closing(writer: BlobWriter) -> AsyncIterator[BlobWriter]:
    try:
        yield writer
    finally:
        await writer.close()


def _reference(lease: UploadLease) -> UploadReference:
    return UploadReference(lease.public_id, lease.fence, lease.state, lease.offset)


def _require_offset(lease: UploadLease, expected_offset: int | None) -> None:
    if expected_offset is not None and expected_offset != lease.offset:
        raise UploadOffsetError(lease.public_id, lease.offset)
