"""Stages an upload in a bucket: full parts as they come, the rest in a side object when it must be durable.

An upload that is smaller than one part is kept in one object from the start, under a key it may keep as a blob: the
usual small layer costs one PUT for its bytes and one for its marker.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from entrepot.blobstore.errors import ObjectNotFoundError, StorageUnavailableError, UploadLostError
from entrepot.blobstore.keys import flat_blob_key, index_marker_key, staged_tail_key
from entrepot.blobstore.s3.multipart import Multipart, join_with_md5
from entrepot.blobstore.s3.objects import read_whole, remove_object, store_object
from entrepot.blobstore.s3.part_buffer import PartBuffer
from entrepot.blobstore.s3.parts_in_flight import PartsInFlight
from entrepot.blobstore.s3.s3_errors import MultipartMissingError
from entrepot.blobstore.s3.upload_state import (
    SMALLEST_PART_BYTES,
    UploadedPart,
    UploadState,
    part_bytes_at,
)
from entrepot.kernel.failpoints import Failpoint, reach

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from entrepot.blobstore.driver import UploadReference
    from entrepot.blobstore.s3.connection import S3Connection
    from entrepot.oci.digest import Digest

__all__ = ["S3Writer"]


class S3Writer:
    """A :class:`BlobWriter`. In memory it holds the part that fills and those on their way, see `PartsInFlight`.

    Nothing excludes two writers for one upload; the session's lease does. Should the holder of an older lease wake up,
    it writes under keys that hold its own fence, and can at worst replace parts of the multipart upload they share,
    which :meth:`Multipart.complete` detects.
    """

    def __init__(self, connection: S3Connection, upload: UploadReference, state: UploadState) -> None:
        self._connection = connection
        self._upload = upload
        self._opened = state
        self._parts = list(state.parts)
        self._tail_key = state.tail_key
        self._stale: list[str] = []
        self._multipart: Multipart | None = None
        if state.multipart_id:
            self._multipart = Multipart(connection, upload.upload_id, state.key, state.multipart_id)
        self._buffer = PartBuffer()
        self._tail_bytes_unloaded = state.tail_bytes
        self._dirty = False
        self._in_flight = PartsInFlight()
        self._offset = upload.offset
        self._sealing = False
        self._sealed_key = ""
        self._unusable = ""

    @property
    def offset(self) -> int:
        """Bytes staged so far."""
        return self._offset

    async def require_staged(self) -> None:
        """Make sure that the store still has what the state names.

        Raises:
            UploadLostError: it has not.
        """
        checks: list[Awaitable[None]] = []
        if self._multipart is not None and self._parts:
            checks.append(self._multipart.require(self._parts[-1], self._offset))
        if self._tail_key:
            checks.append(self._require_tail())
        await asyncio.gather(*checks)

    async def write(self, chunks: Sequence[bytes]) -> None:
        """Append `chunks`; waits while enough parts are on their way. After an error the writer takes nothing more."""
        self._require_open()
        self._unusable = "an earlier write failed"
        await self._load_tail()
        for chunk in chunks:
            remaining = memoryview(chunk)
            while remaining:
                wanted = part_bytes_at(self._next_number(), self._connection.options.part_bytes)
                remaining = self._buffer.fill(remaining, wanted)
                if self._buffer.size_bytes >= wanted:
                    await self._send_part()
            self._dirty = self._dirty or bool(chunk)
        self._offset += sum(map(len, chunks))
        self._unusable = ""
        reach(Failpoint.STAGED_BYTES_WRITTEN)

    async def checkpoint(self) -> bytes:
        """Store what does not fill a part yet, and return where everything is."""
        self._require_open()
        self._unusable = "an earlier checkpoint failed"
        await self._in_flight.finish(self._parts)
        if self._dirty:
            await asyncio.gather(self._store_tail(), self._remove(self._opened.stale_keys))
            self._dirty = False
        self._unusable = ""
        reach(Failpoint.STAGED_BYTES_SYNCED)
        return self._state().encode()

    async def seal(self) -> str:
        """Complete the object that will be the blob, and return its key; repeating it after a lost reply is safe."""
        if not self._sealed_key:
            self._require_usable()
            self._sealing = True
            if self._multipart is not None:
                self._sealed_key = await self._seal_parts(self._multipart)
            elif self._tail_key and not self._dirty:
                self._sealed_key = self._tail_key
            else:
                self._sealed_key = await self._seal_small()
            reach(Failpoint.BLOB_RENAMED)
        return self._sealed_key

    async def publish(self, digest: Digest) -> str:
        """Seal, then write the marker; what was only needed on the way is removed last."""
        key = await self.seal()
        await store_object(self._connection, index_marker_key(key, digest), b"")
        reach(Failpoint.BLOB_DIRECTORY_SYNCED)
        await self._remove([*self._opened.stale_keys, *self._stale, self._tail_key])
        return key

    async def close(self) -> None:
        """Stop sending; staged bytes after the last checkpoint are forgotten."""
        self._unusable = "it is closed"
        await self._in_flight.cancel()

    def _require_usable(self) -> None:
        if self._unusable:
            raise StorageUnavailableError(
                f"the upload {self._upload.upload_id} can't go on: {self._unusable}"
            )

    def _require_open(self) -> None:
        self._require_usable()
        if self._sealing:
            raise StorageUnavailableError(f"the upload {self._upload.upload_id} takes no more bytes")

    def _next_number(self) -> int:
        last = self._parts[-1].number if self._parts else 0
        return last + 1 + len(self._in_flight)

    async def _send_part(self) -> None:
        """Have the buffer sent as a part beside whatever happens next."""
        size = self._buffer.size_bytes
        await self._in_flight.make_room(size, self._parts)
        if self._multipart is None:
            key = flat_blob_key(self._upload.upload_id, self._upload.fence, 0)
            self._multipart = await Multipart.create(self._connection, self._upload.upload_id, key)
        self._in_flight.start(size, self._send(self._multipart, self._next_number(), self._buffer.take()))
        self._drop_tail()

    async def _send(
        self, multipart: Multipart, number: int, pieces: list[bytes | memoryview]
    ) -> UploadedPart:
        body, md5 = await asyncio.to_thread(join_with_md5, pieces)
        pieces.clear()  # or the part would be in memory twice while it travels
        try:
            return await multipart.add(number, body, md5)
        except MultipartMissingError as error:
            raise UploadLostError(self._upload.upload_id, "its multipart upload is gone") from error

    async def _store_tail(self) -> None:
        """Store the buffer as a part where it is large enough for one, in an object of its own otherwise."""
        number = self._next_number()
        if self._multipart is not None and self._buffer.size_bytes >= part_bytes_at(
            number, SMALLEST_PART_BYTES
        ):
            await self._send_part()
            await self._in_flight.finish(self._parts)
            return
        self._drop_tail()
        if self._buffer.size_bytes:
            naming = flat_blob_key if self._multipart is None else staged_tail_key
            key = naming(self._upload.upload_id, self._upload.fence, self._offset)
            await store_object(self._connection, key, *self._buffer.pieces)
            self._tail_key = key

    def _drop_tail(self) -> None:
        """Remember the present tail as one that is needed only until the next state is recorded."""
        if self._tail_key:
            self._stale.append(self._tail_key)
            self._tail_key = ""

    async def _load_tail(self) -> None:
        """Fetch the bytes after the last part; put off until somebody adds to them."""
        if self._tail_bytes_unloaded:
            try:
                tail = await read_whole(self._connection, self._tail_key)
            except ObjectNotFoundError:
                raise UploadLostError(self._upload.upload_id, "its last bytes are gone") from None
            if len(tail) != self._tail_bytes_unloaded:
                raise UploadLostError(self._upload.upload_id, "its last bytes are others")
            self._tail_bytes_unloaded = 0
            self._buffer.fill(memoryview(tail), len(tail))

    async def _require_tail(self) -> None:
        try:
            answer = await self._connection.call("head_object", "examine", self._tail_key)
        except ObjectNotFoundError:
            raise UploadLostError(self._upload.upload_id, "its last bytes are gone") from None
        if answer["ContentLength"] != self._tail_bytes_unloaded:
            raise UploadLostError(self._upload.upload_id, "its last bytes are others")

    async def _seal_parts(self, multipart: Multipart) -> str:
        await self._load_tail()
        await self._in_flight.finish(self._parts)
        if self._buffer.size_bytes:
            number = self._next_number()
            body, md5 = await asyncio.to_thread(join_with_md5, self._buffer.pieces)
            try:
                self._parts.append(await multipart.add(number, body, md5))
            except MultipartMissingError:
                etags = [*(part.etag for part in self._parts), md5.hex()]
                await multipart.require_completed(etags, self._offset)
                return multipart.key
            self._buffer.take()
        await multipart.complete(self._parts)
        return multipart.key

    async def _seal_small(self) -> str:
        key = flat_blob_key(self._upload.upload_id, self._upload.fence, self._offset)
        await store_object(self._connection, key, *self._buffer.pieces)
        return key

    async def _remove(self, keys: Sequence[str]) -> None:
        """Remove side objects; one that can't be removed now is left to the sweep of the staging area."""
        for key in keys:
            if key and key != self._sealed_key:
                with suppress(StorageUnavailableError):
                    await remove_object(self._connection, key)

    def _state(self) -> UploadState:
        return UploadState(
            key="" if self._multipart is None else self._multipart.key,
            multipart_id="" if self._multipart is None else self._multipart.multipart_id,
            parts=tuple(self._parts),
            tail_key=self._tail_key,
            tail_bytes=(self._buffer.size_bytes or self._tail_bytes_unloaded) if self._tail_key else 0,
            stale_keys=tuple(self._stale),
        )
