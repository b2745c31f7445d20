"""Pulling blobs: the decision how bytes leave, without sending any."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from entrepot.blobstore.driver import LocalPaths, LocalSizes, Presigner
from entrepot.blobstore.errors import ObjectNotFoundError
from entrepot.metadata.records import Missing, StoredBlob
from entrepot.oci.digest import Digest
from entrepot.registry.errors import (
    BlobLostError,
    BlobUnknownError,
    ContentDamagedError,
    RepositoryUnknownError,
)
from entrepot.registry.pulls.content_cache import MOST_BYTES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from entrepot.auth.grants import Grant, Pull
    from entrepot.blobstore.driver import BlobStore
    from entrepot.metadata.store import Metadata
    from entrepot.oci.ranges import ByteRange
    from entrepot.registry.pulls.content_cache import ContentCache

__all__ = ["BlobContent", "Blobs", "InlineContent", "LocalContent", "RemoteContent", "StreamedContent"]

_PRESIGNED_LIFETIME_SECONDS = 600


@dataclass(frozen=True, slots=True)
class InlineContent:
    """A small blob, verified as a whole, or the part of it that was asked for."""

    data: bytes


@dataclass(frozen=True, slots=True)
class LocalContent:
    """A file of this machine to send whole, whose size was compared with the row."""

    path: Path


@dataclass(frozen=True, slots=True)
class RemoteContent:
    """An address at which the client may read the blob, or the part it wants, by itself."""

    url: str


@dataclass(frozen=True, slots=True)
class StreamedContent:
    """Bytes to pass on, to be closed in any case.

    They break off with a `BlobStoreError` when the store fails, and with a `ContentDamagedError` when it has fewer or
    more bytes than it said: never with a clean end (I3).
    """

    chunks: AsyncGenerator[bytes]


BlobContent = InlineContent | LocalContent | RemoteContent | StreamedContent


class Blobs:
    """Reads blobs; each call costs one SQL statement."""

    def __init__(self, metadata: Metadata, store: BlobStore, cache: ContentCache, *, redirect: bool) -> None:
        self._blobs = metadata.blobs
        self._store = store
        self._cache = cache
        self._presigner = store if redirect and isinstance(store, Presigner) else None
        self._paths = store if isinstance(store, LocalPaths) else None
        self._sizes = store if isinstance(store, LocalSizes) else None

    async def find(self, grant: Grant[Pull], digest: Digest) -> StoredBlob:
        """Return a blob of the granted repository.

        Raises:
            RepositoryUnknownError, BlobUnknownError: there is none, or only in other repositories (S3).
        """
        found = await self._blobs.find(grant.repository.text, digest)
        if found is Missing.REPOSITORY:
            raise RepositoryUnknownError(grant.repository)
        if isinstance(found, Missing):
            raise BlobUnknownError(grant.repository, digest)
        return found

    async def describe(self, grant: Grant[Pull], digest: Digest) -> StoredBlob:
        """Return a blob whose bytes are there, as far as their number tells.

        A client that pushes asks before it sends: told of bytes that are gone, it would leave them out, and no push
        would ever heal what was lost. Only a store that can tell within microseconds is asked; an object store,
        which keeps copies itself, is not.

        Raises:
            RepositoryUnknownError, BlobUnknownError: there is none, or only in other repositories (S3).
            BlobLostError: its bytes are gone, or they are fewer or more than were pushed.
        """
        blob = await self.find(grant, digest)
        if self._sizes is not None:
            try:
                size = await self._sizes.glance(blob.storage_key)
            except ObjectNotFoundError as error:
                raise BlobLostError(grant.repository, digest) from error
            if size != blob.size_bytes:
                raise BlobLostError(grant.repository, digest)
        return blob

    async def open(self, blob: StoredBlob, part: ByteRange | None = None) -> BlobContent:
        """Choose how the bytes of a found blob, or of a part of it, are sent.

        Raises:
            ContentDamagedError: the store holds fewer, more or (small blobs) other bytes than were pushed.
            BlobStoreError: the store can't be read.
        """
        if blob.size_bytes <= MOST_BYTES:  # so it is hashed, and sent from memory
            data = self._cache.get(blob.digest) or await self._read_small(blob)
            return InlineContent(data if part is None else data[part.start : part.end + 1])
        await self._require_size(blob)
        if self._presigner is not None:
            return RemoteContent(
                await self._presigner.presign_read(blob.storage_key, _PRESIGNED_LIFETIME_SECONDS)
            )
        start, end = (0, blob.size_bytes) if part is None else (part.start, part.end + 1)
        if self._paths is not None and end - start == blob.size_bytes:
            return LocalContent(self._paths.local_path(blob.storage_key))
        chunks = self._store.read(blob.storage_key, start, end)
        return StreamedContent(_exactly(end - start, chunks, blob.digest))

    async def _read_small(self, blob: StoredBlob) -> bytes:
        try:
            data = b"".join(
                [chunk async for chunk in self._store.read(blob.storage_key, 0, blob.size_bytes + 1)]
            )
        except ObjectNotFoundError as error:
            raise ContentDamagedError(blob.digest, "its bytes are missing from the store") from error
        actual = Digest.of_bytes(data, blob.digest.algorithm)
        if actual != blob.digest:
            raise ContentDamagedError(blob.digest, f"the stored bytes hash to {actual}")
        self._cache.put(blob.digest, data)
        return data

    async def _require_size(self, blob: StoredBlob) -> None:
        try:
            size = await self._store.stat(blob.storage_key)
        except ObjectNotFoundError as error:
            raise ContentDamagedError(blob.digest, "its bytes are missing from the store") from error
        if size != blob.size_bytes:
            raise ContentDamagedError(blob.digest, f"{size} bytes are stored, {blob.size_bytes} were pushed")


async def _exactly(expected: int, chunks: AsyncIterator[bytes], digest: Digest) -> AsyncGenerator[bytes]:
    """Yield `chunks`, which must have `expected` bytes in all, and close them with this generator.

    Raises:
        ContentDamagedError: they have fewer or more. Nothing beyond `expected` was yielded.
    """
    count = 0
    try:
        async for chunk in chunks:
            count += len(chunk)
            if count > expected:
                break
            yield chunk
    finally:
        if isinstance(chunks, AsyncGenerator):
            await chunks.aclose()
    if count != expected:
        raise ContentDamagedError(digest, f"{count} bytes came from the store, {expected} were asked for")
