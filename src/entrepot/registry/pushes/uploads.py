"""Upload sessions: a blob arrives over one or several requests, handled by any process (architecture §5).

Order of every write: lease → bytes → durable → recorded offset. Order of the end: verify → publish → one unit that
adopts the blob, links it, records the fact and removes the session → reply. A crash between any two leaves either a
session that can go on, or bytes that no row mentions (I7).

Bytes are staged and published only while a row of their session exists, and the unit that makes them a blob removes
that row. So bytes with neither a session nor a blob row will never get one: the sweep of orphans relies on it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from entrepot.auth.audit_actions import AuditAction
from entrepot.blobstore.errors import UploadBusyError, UploadLostError
from entrepot.kernel.failpoints import Failpoint, reach
from entrepot.kernel.ids import new_public_id
from entrepot.metadata.errors import MetadataError
from entrepot.metadata.records import (
    Missing,
    NewBlob,
    NewUploadSession,
    UploadLease,
    UploadProgress,
)
from entrepot.registry.audit import blob_record
from entrepot.registry.errors import (
    DigestMismatchError,
    SourceInterruptedError,
    UploadConflictError,
    UploadOffsetError,
    UploadUnknownError,
)
from entrepot.registry.pushes.blob_publication import finish_session
from entrepot.registry.repository_access import granted_repository

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from entrepot.auth.grants import Grant, Push
    from entrepot.blobstore.driver import BlobStore
    from entrepot.metadata.store import Metadata, Transaction
    from entrepot.oci.digest import Algorithm, Digest
    from entrepot.registry.hashing import RunningDigest, RunningDigests
    from entrepot.registry.pushes.blob_publication import BlobPublication
    from entrepot.registry.pushes.leases import SessionLeases
    from entrepot.registry.pushes.staged_uploads import StagedUploads
    from entrepot.registry.pushes.staging import StagingPipeline

__all__ = ["UploadParts", "Uploads"]


@dataclass(frozen=True, slots=True)
class UploadParts:
    """What the upload service is made of.

    Attributes:
        session_ttl_seconds: how long a session is kept after its last bytes.
        advised_chunk_bytes: the size from which on chunks cost little; smaller ones are taken too.
    """

    metadata: Metadata
    blobs: BlobStore
    staged: StagedUploads
    leases: SessionLeases
    waiting: RunningDigests
    pipeline: StagingPipeline
    publication: BlobPublication
    session_ttl_seconds: int
    advised_chunk_bytes: int


class Uploads:
    """Begins, continues and finishes upload sessions."""

    def __init__(self, parts: UploadParts) -> None:
        self._parts = parts

    @property
    def advised_chunk_bytes(self) -> int:
        """The size that chunks but the last should have at least; smaller ones are taken too."""
        return self._parts.advised_chunk_bytes

    async def begin(self, grant: Grant[Push], algorithm: Algorithm = "sha256") -> str:
        """Create a session in the granted repository, creating that too when it is new; return the session's id.

        Its bytes are hashed with `algorithm` as they arrive. A digest in another one costs a second pass at the end.
        """
        session = new_public_id()
        subject = grant.principal.subject

        async def unit(tx: Transaction) -> None:
            repository = await granted_repository(tx, grant)
            await tx.upload_sessions.create(
                NewUploadSession(session, repository.id, subject, algorithm, self._parts.session_ttl_seconds)
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
            _require_offset(grant, lease, expected_offset)
            return await self._stage(lease, body)
        except UploadLostError as error:
            await self._abandon(lease)
            raise UploadUnknownError(session) from error
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
            _require_offset(grant, lease, expected_offset)
            await self._finish_leased(grant, lease, digest, body)
        except DigestMismatchError:
            await self._abandon(lease)
            raise
        except UploadLostError as error:
            await self._abandon(lease)
            raise UploadUnknownError(session) from error
        except BaseException:
            await self._parts.leases.release(lease)
            raise

    async def cancel(self, grant: Grant[Push], session: str) -> None:
        """End the session and remove its bytes.

        Raises:
            UploadUnknownError: there is no such session for this repository and principal.
            UploadConflictError: a request is writing to it right now.
        """
        lease = await self._parts.leases.take(grant, session, Failpoint.SESSION_LEASED)
        if not await self._abandon(lease):
            raise UploadConflictError(session)

    async def push_whole(self, grant: Grant[Push], digest: Digest, body: AsyncIterator[bytes]) -> None:
        """Store a blob that arrives in one request.

        Raises:
            DigestMismatchError, SourceInterruptedError, BlobStoreError: nothing is kept.
        """
        lease = await self._parts.leases.open(
            grant, new_public_id(), digest.algorithm, self._parts.session_ttl_seconds
        )
        try:
            await self._finish_leased(grant, lease, digest, body)
        except BaseException:
            await self._parts.staged.abandon(lease)
            raise

    async def aclose(self) -> None:
        """Try a last time to give back the leases that the database did not take. May be called again."""
        await self._parts.leases.aclose()

    async def _abandon(self, lease: UploadLease) -> bool:
        """Remove session and bytes, see :class:`StagedUploads`; when that fails, the session is there for a retry."""
        try:
            return await self._parts.staged.abandon(lease)
        except MetadataError as error:
            self._parts.leases.release_soon(lease, error)
            raise

    async def _stage(self, lease: UploadLease, body: AsyncIterator[bytes]) -> int:
        interruption: SourceInterruptedError | None = None
        running = self._parts.waiting.take(lease.public_id, lease.offset, lease.algorithm)
        async with self._parts.staged.hold(lease) as writer:
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
            try:
                raise interruption
            finally:
                del interruption  # or it and this frame keep each other, and the client's connection, alive
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
            time_to_live_seconds=self._parts.session_ttl_seconds,
        )

        async def unit(tx: Transaction) -> bool:
            return await tx.upload_sessions.record(progress)

        if not await self._parts.metadata.write(unit):
            raise UploadConflictError(lease.public_id)

    async def _finish_leased(
        self, grant: Grant[Push], lease: UploadLease, digest: Digest, body: AsyncIterator[bytes]
    ) -> None:
        size, key = await self._publish(lease, digest, body)
        blob = NewBlob(digest, size, key, grant.principal.subject)
        record = blob_record(grant, AuditAction.BLOB_PUSH, digest, {"size": size})
        await self._parts.publication.commit(blob, lambda tx: finish_session(tx, lease, grant, blob, record))

    async def _publish(
        self, lease: UploadLease, digest: Digest, body: AsyncIterator[bytes]
    ) -> tuple[int, str]:
        """Make the session's bytes and `body` permanent; return their size and key."""
        running = self._parts.waiting.take(lease.public_id, lease.offset, lease.algorithm)
        try:
            async with self._parts.staged.hold(lease) as writer, self._parts.leases.kept(lease):
                await self._parts.pipeline.pump(body, writer, running)
                key = await self._parts.publication.publish(writer, digest, running, lease)
                return writer.offset, key
        except UploadLostError:
            return await self._published_before(lease, digest, body)

    async def _published_before(
        self, lease: UploadLease, digest: Digest, body: AsyncIterator[bytes]
    ) -> tuple[int, str]:
        """Return size and key of what an earlier request of this session published before its process died.

        The key holds the session's id and the digest its bytes were verified against, so they need not be read again,
        and what the client sends along once more is not needed.

        Raises:
            UploadLostError: there is no such thing.
        """
        try:
            found = await self._parts.blobs.find_published(lease.public_id, digest)
        except UploadBusyError as error:
            raise UploadConflictError(lease.public_id) from error
        if found is None:
            raise UploadLostError(lease.public_id, "its staged bytes are gone")
        async for _ in body:
            pass
        return found.size_bytes, found.key


def _require_offset(grant: Grant[Push], lease: UploadLease, expected_offset: int | None) -> None:
    if expected_offset is not None and expected_offset != lease.offset:
        raise UploadOffsetError(grant.repository, lease.public_id, lease.offset)
