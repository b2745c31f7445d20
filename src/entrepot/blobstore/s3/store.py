"""The driver for a bucket of an S3 store."""

from __future__ import annotations

from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, Final

from entrepot.blobstore.driver import StoredObject
from entrepot.blobstore.errors import ObjectNotFoundError, StorageUnavailableError
from entrepot.blobstore.keys import (
    BLOBS,
    UPLOADS,
    flat_blob_prefix,
    index_marker_prefix,
    require_key,
    require_prefix,
    require_upload_id,
    staged_tail_prefix,
    stored_key_of,
    upload_marker_prefix,
    upload_of,
)
from entrepot.blobstore.s3.connection import S3Connection
from entrepot.blobstore.s3.multipart import abort_multipart, abort_multiparts_below, list_multiparts
from entrepot.blobstore.s3.objects import (
    list_common_prefixes,
    list_keys,
    read_range,
    read_whole,
    remove_object,
    store_object,
)
from entrepot.blobstore.s3.s3_errors import PreconditionFailedError
from entrepot.blobstore.s3.upload_state import read_state
from entrepot.blobstore.s3.writer import S3Writer
from entrepot.kernel.failpoints import Failpoint, reach
from entrepot.kernel.ids import new_public_id

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from entrepot.blobstore.driver import Capacity, UploadReference
    from entrepot.blobstore.s3.options import S3Options
    from entrepot.oci.digest import Digest

__all__ = ["S3BlobStore"]

_PROBE: Final = b"entrepot storage check\n"


class S3BlobStore:
    """A :class:`BlobStore` and :class:`Presigner` on one bucket.

    A blob's bytes lie under `blobs/…`, its digest in the name of a marker beside it, because the digest is known only
    after the key of a multipart upload had to be chosen. Uniqueness is never asked of the store: it lives in SQL.
    """

    def __init__(self, options: S3Options, *, sdk_session: object | None = None) -> None:
        """Take the options; nothing is opened yet.

        Args:
            options: where the bucket is.
            sdk_session: an `AioSession` that several stores share, since it takes 100 ms to make one; else an own one.
        """
        self._connection = S3Connection(options, sdk_session)
        self.conditional_put: bool | None = None
        """Whether the store honours `If-None-Match: *`; known after the first :meth:`check`, for people to read."""

    @property
    def name(self) -> str:
        """The driver's name."""
        return "s3"

    async def prepare(self) -> None:
        """Open the client and prove that the bucket can be used.

        Raises:
            StorageUnavailableError: it can't.
        """
        await self.check()

    async def presign_read(self, key: str, lifetime_seconds: int) -> str:
        """Return a URL for reading this object only."""
        return await self._connection.presign(require_key(key), lifetime_seconds)

    async def put(self, key: str, data: bytes) -> None:
        """Store a small object."""
        await store_object(self._connection, require_key(key), data)
        reach(Failpoint.OBJECT_DIRECTORY_SYNCED)

    async def put_new(self, key: str, data: bytes) -> bool:
        """Store a small object where there is none, as far as the store honours the condition."""
        condition: dict[str, object] = {"IfNoneMatch": "*"} if self.conditional_put else {}
        try:
            await store_object(self._connection, require_key(key), data, **condition)
        except PreconditionFailedError:
            return False
        reach(Failpoint.OBJECT_DIRECTORY_SYNCED)
        return True

    async def stat(self, key: str) -> int:
        """Return the size of an object in bytes."""
        return int((await self._connection.call("head_object", "examine", require_key(key)))["ContentLength"])

    async def read(self, key: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """Yield a range of an object, going on by itself where a connection breaks."""
        if end is not None and end <= start:
            await self.stat(key)
            return
        async with aclosing(read_range(self._connection, require_key(key), start, end)) as chunks:
            async for chunk in chunks:
                yield chunk

    async def delete(self, key: str) -> None:
        """Remove an object, its marker first, so that a marker never tells of a blob that is gone."""
        require_key(key)
        if key.startswith(BLOBS):
            async for marker in list_keys(self._connection, index_marker_prefix(key), ""):
                await remove_object(self._connection, marker.key)
        await remove_object(self._connection, key)

    async def list_objects(self, prefix: str, start_after: str = "") -> AsyncIterator[StoredObject]:
        """Yield objects in byte order, a page of the store at a time."""
        async for found in list_keys(self._connection, require_prefix(prefix), start_after):
            yield found

    async def list_folders(self, prefix: str) -> Sequence[str]:
        """Return common prefixes, which the store gathers itself."""
        return [folder async for folder in list_common_prefixes(self._connection, require_prefix(prefix))]

    async def open_writer(self, upload: UploadReference) -> S3Writer:
        """Continue an upload from its state; the fence of `upload` must not have been used by another writer.

        Raises:
            UploadLostError: the store no longer has what the state names.
        """
        require_upload_id(upload.upload_id)
        writer = S3Writer(self._connection, upload, read_state(upload))
        await writer.require_staged()
        return writer

    async def discard(self, upload: UploadReference) -> None:
        """Abort all multipart uploads and remove all side objects; a blob that has its marker is left alone."""
        blob_prefix = flat_blob_prefix(require_upload_id(upload.upload_id))
        await abort_multipart(self._connection, read_state(upload))
        await abort_multiparts_below(self._connection, blob_prefix)
        for prefix in (staged_tail_prefix(upload.upload_id), blob_prefix):
            async for found in list_keys(self._connection, prefix, ""):
                if prefix is not blob_prefix or not await self._has_marker(found.key):
                    await remove_object(self._connection, found.key)

    async def find_published(self, upload_id: str, digest: Digest) -> StoredObject | None:
        """Look for a marker of the upload that names the digest: a publisher writes it when the object is complete."""
        prefix = upload_marker_prefix(require_upload_id(upload_id))
        suffix = f".{digest.algorithm}.{digest.hex}"
        async for marker in list_keys(self._connection, prefix, ""):
            if marker.key.endswith(suffix):
                with suppress(ObjectNotFoundError):
                    key = stored_key_of(marker.key)
                    return StoredObject(key, await self.stat(key))
        return None

    async def list_unfinished(self) -> AsyncIterator[str]:
        """Yield ids of uploads with open multipart uploads, a page of the store at a time."""
        async for key in list_multiparts(self._connection, BLOBS):
            yield upload_of(key)

    async def abort_unfinished(self, upload_id: str) -> None:
        """Abort every multipart upload of one upload."""
        await abort_multiparts_below(self._connection, flat_blob_prefix(require_upload_id(upload_id)))

    async def check(self) -> None:
        """Write, read and delete a tiny object; once, see whether conditional writes work."""
        key = f"{UPLOADS}check-{new_public_id()}"
        await store_object(self._connection, key, _PROBE)
        try:
            if await read_whole(self._connection, key) != _PROBE:
                raise StorageUnavailableError(f"{key} does not hold what was written to it")
            if self.conditional_put is None:
                self.conditional_put = await self._refuses_replacing(key)
        except ObjectNotFoundError as error:
            raise StorageUnavailableError(f"{key} can't be read after it was written") from error
        finally:
            await remove_object(self._connection, key)

    async def capacity(self) -> Capacity | None:
        """S3 does not tell."""
        return None

    async def aclose(self) -> None:
        """Close all connections."""
        await self._connection.aclose()

    async def _has_marker(self, key: str) -> bool:
        async for _ in list_keys(self._connection, index_marker_prefix(key), ""):
            return True
        return False

    async def _refuses_replacing(self, key: str) -> bool:
        try:
            await self._connection.call("put_object", "store", key, Body=_PROBE, IfNoneMatch="*")
        except PreconditionFailedError:
            return True
        except StorageUnavailableError:
            return False
        return False
