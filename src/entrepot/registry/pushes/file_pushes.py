"""Makes files of this machine blobs, sharing their bytes with the store where both allow it (decision 30).

The order is that of every push: a session's row first, then bytes under its id, verified, synced and renamed, then one
unit that replaces the session by the blob. A crash in between leaves what the expiry and the sweep of orphans remove.
"""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from entrepot.auth.audit_actions import AuditAction
from entrepot.blobstore.driver import FileStager, UploadReference
from entrepot.kernel.ids import new_public_id
from entrepot.metadata.records import NewBlob
from entrepot.registry.audit import blob_record
from entrepot.registry.errors import SourceInterruptedError
from entrepot.registry.hashing import RunningDigest
from entrepot.registry.pushes.blob_publication import finish_session

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator
    from io import FileIO
    from pathlib import Path

    from entrepot.auth.grants import Grant, Push
    from entrepot.blobstore.driver import BlobWriter, Sharing
    from entrepot.metadata.records import UploadLease
    from entrepot.oci.digest import Digest
    from entrepot.registry.pushes.uploads import UploadParts

__all__ = ["FilePushes", "FileTransfer", "PushableFile", "read_file"]

FileTransfer: TypeAlias = Literal["linked", "cloned", "copied"]

_CHUNK_BYTES: Final = 1024 * 1024
_TRANSFERS: Final[dict[Sharing, FileTransfer]] = {"link": "linked", "clone": "cloned"}


@dataclass(frozen=True, slots=True)
class PushableFile:
    """A file to become a blob, and in which ways it may share its bytes, in the order to try; none copies."""

    path: Path
    sharing: tuple[Sharing, ...]


class FilePushes:
    """Stores files as blobs. What is pushed is verified whatever the way: a file is read once in any case."""

    def __init__(self, parts: UploadParts) -> None:
        self._parts = parts
        self._stager = parts.blobs if isinstance(parts.blobs, FileStager) else None

    async def push(self, grant: Grant[Push], digest: Digest, file: PushableFile) -> FileTransfer:
        """Make the file a blob of the granted repository and return how its bytes got there.

        Raises:
            DigestMismatchError: the file hashes to something else; nothing is kept, the file is as it was.
            SourceInterruptedError: it can't be read; nothing is kept.
            BlobStoreError, MetadataError: the stores failed.
        """
        leases = self._parts.leases
        lease = await leases.open(grant, new_public_id(), digest.algorithm, self._parts.session_ttl_seconds)
        try:
            transfer, size, key = await self._publish(lease, digest, file)
            blob = NewBlob(digest, size, key, grant.principal.subject)
            record = blob_record(grant, AuditAction.BLOB_PUSH, digest, {"size": size})
            await self._parts.publication.commit(
                blob, lambda tx: finish_session(tx, lease, grant, blob, record)
            )
        except BaseException:
            await self._parts.staged.abandon(lease)
            raise
        return transfer

    async def _publish(
        self, lease: UploadLease, digest: Digest, file: PushableFile
    ) -> tuple[FileTransfer, int, str]:
        for sharing in file.sharing if self._stager is not None else ():
            async with self._shared(lease, file.path, sharing) as writer:
                if writer is None:
                    continue
                async with self._parts.leases.kept(lease):
                    key = await self._parts.publication.publish(writer, digest, None, lease)
                return _TRANSFERS[sharing], writer.offset, key
        running = RunningDigest.begin(digest.algorithm)
        async with self._parts.staged.hold(lease) as writer, self._parts.leases.kept(lease):
            async with contextlib.aclosing(read_file(file.path)) as chunks:
                await self._parts.pipeline.pump(chunks, writer, running)
            key = await self._parts.publication.publish(writer, digest, running, lease)
            return "copied", writer.offset, key

    @asynccontextmanager
    async def _shared(
        self, lease: UploadLease, path: Path, sharing: Sharing
    ) -> AsyncIterator[BlobWriter | None]:
        if self._stager is None:
            yield None
            return
        upload = UploadReference(lease.public_id, lease.fence, lease.state, lease.offset)
        writer = await self._stager.stage_file(upload, path, sharing)
        try:
            yield writer
        finally:
            if writer is not None:
                await writer.close()


async def read_file(path: Path, start: int = 0, size: int | None = None) -> AsyncGenerator[bytes]:
    """Yield the bytes of a file, or `size` of them from `start` on, in chunks of 1 MiB.

    Raises:
        SourceInterruptedError: it can't be read, or ends before `size` bytes.
    """
    left = size
    try:
        file = await asyncio.to_thread(_open_at, path, start)
        try:
            while left is None or left > 0:
                wanted = _CHUNK_BYTES if left is None else min(left, _CHUNK_BYTES)
                chunk = await asyncio.to_thread(file.read, wanted)
                if not chunk:
                    break
                left = None if left is None else left - len(chunk)
                yield chunk
        finally:
            file.close()
    except OSError as error:
        raise SourceInterruptedError(f"{path} can't be read: {error.strerror}") from error
    if left:
        raise SourceInterruptedError(f"{path} ends {left} bytes too early")


def _open_at(path: Path, start: int) -> FileIO:
    file = path.open("rb", buffering=0)
    file.seek(start)
    return file
