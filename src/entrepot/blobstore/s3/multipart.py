"""One multipart upload in the store: parts in, and an end that can be repeated safely (F23)."""

from __future__ import annotations

import base64
import hashlib
from contextlib import suppress
from typing import TYPE_CHECKING

from entrepot.blobstore.errors import ObjectNotFoundError, UploadLostError
from entrepot.blobstore.s3.s3_errors import MultipartMissingError, PartMismatchError
from entrepot.blobstore.s3.upload_state import UploadedPart, UploadState, composite_etag

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from entrepot.blobstore.s3.connection import S3Connection

__all__ = ["Multipart", "abort_multipart", "abort_multiparts_below", "join_with_md5", "list_multiparts"]


def join_with_md5(pieces: Sequence[bytes | memoryview]) -> tuple[bytes, bytes]:
    """Return `pieces` as one body, and its MD5 digest; runs on a thread, since both take milliseconds."""
    body = b"".join(pieces)
    return body, hashlib.md5(body, usedforsecurity=False).digest()


class Multipart:
    """A multipart upload whose parts are known to the caller only as far as the store has acknowledged them."""

    def __init__(self, connection: S3Connection, upload_id: str, key: str, multipart_id: str) -> None:
        self._connection = connection
        self._upload_id = upload_id
        self.key = key
        self.multipart_id = multipart_id

    @classmethod
    async def create(cls, connection: S3Connection, upload_id: str, key: str) -> Multipart:
        """Begin a multipart upload that will appear as `key`."""
        answer = await connection.call(
            "create_multipart_upload", "begin", key, ContentType="application/octet-stream"
        )
        return cls(connection, upload_id, key, str(answer["UploadId"]))

    async def add(self, number: int, body: bytes, md5: bytes) -> UploadedPart:
        """Store one part.

        Raises:
            MultipartMissingError: the upload was completed or aborted.
        """
        answer = await self._connection.call(
            "upload_part",
            f"store part {number} of",
            self.key,
            moved_bytes=len(body),
            UploadId=self.multipart_id,
            PartNumber=number,
            Body=body,
            ContentMD5=base64.b64encode(md5).decode(),
        )
        return UploadedPart(number, str(answer["ETag"]), len(body))

    async def require(self, part: UploadedPart, total_bytes: int) -> None:
        """Make sure that the store still has `part`, or has the finished object of `total_bytes` already.

        Raises:
            UploadLostError: neither.
        """
        try:
            answer = await self._connection.call(
                "list_parts",
                "list the parts of",
                self.key,
                UploadId=self.multipart_id,
                PartNumberMarker=part.number - 1,
                MaxParts=1,
            )
        except (MultipartMissingError, ObjectNotFoundError):
            if await self._finished_size() == total_bytes:
                return
            raise UploadLostError(self._upload_id, "its multipart upload is gone") from None
        found = [(listed["PartNumber"], listed["Size"]) for listed in answer.get("Parts", ())]
        if found != [(part.number, part.size_bytes)]:
            raise UploadLostError(self._upload_id, f"part {part.number} is gone")

    async def complete(self, parts: Sequence[UploadedPart]) -> None:
        """Turn the parts into the object; when that has happened already, make sure it was with these very parts.

        Raises:
            UploadLostError: another holder replaced a part or completed the upload with other bytes (F30).
        """
        total_bytes = sum(part.size_bytes for part in parts)
        listed = [{"PartNumber": part.number, "ETag": part.etag} for part in parts]
        try:
            await self._connection.call(
                "complete_multipart_upload",
                "complete",
                self.key,
                UploadId=self.multipart_id,
                MultipartUpload={"Parts": listed},
            )
        except PartMismatchError as error:
            raise UploadLostError(self._upload_id, "its parts were replaced") from error
        except MultipartMissingError:
            await self.require_completed([part.etag for part in parts], total_bytes)
        else:
            size = await self._finished_size()
            if size != total_bytes:
                raise UploadLostError(self._upload_id, f"{size} of {total_bytes} bytes arrived at {self.key}")

    async def require_completed(self, etags: Sequence[str], total_bytes: int) -> None:
        """Make sure that the object exists and consists of exactly the parts with these ETags.

        Where the store's ETags don't allow to prove it, the upload counts as lost: sending it again is cheap, and
        publishing another holder's bytes is not.

        Raises:
            UploadLostError: it does not.
        """
        try:
            answer = await self._connection.call("head_object", "examine", self.key)
        except ObjectNotFoundError:
            raise UploadLostError(self._upload_id, "its multipart upload is gone") from None
        expected = composite_etag(etags)
        if answer["ContentLength"] != total_bytes or not expected or answer["ETag"].strip('"') != expected:
            raise UploadLostError(self._upload_id, "another holder completed it")

    async def _finished_size(self) -> int:
        with suppress(ObjectNotFoundError):
            return int((await self._connection.call("head_object", "examine", self.key))["ContentLength"])
        return -1


async def abort_multipart(connection: S3Connection, state: UploadState) -> None:
    """Drop the parts of an unfinished multipart upload; one that is gone is fine."""
    if state.multipart_id:
        with suppress(MultipartMissingError, ObjectNotFoundError):
            await connection.call("abort_multipart_upload", "abort", state.key, UploadId=state.multipart_id)


async def abort_multiparts_below(connection: S3Connection, prefix: str) -> None:
    """Drop the unfinished multipart uploads under a prefix that no recorded state names, as after a crash."""
    async for key, multipart_id in _list_open(connection, prefix):
        await abort_multipart(connection, UploadState(key, multipart_id))


async def list_multiparts(connection: S3Connection, prefix: str) -> AsyncIterator[str]:
    """Yield the keys of unfinished multipart uploads under a prefix."""
    async for key, _ in _list_open(connection, prefix):
        yield key


async def _list_open(connection: S3Connection, prefix: str) -> AsyncIterator[tuple[str, str]]:
    """Yield key and id of unfinished multipart uploads, page by page."""
    own = connection.options.prefix
    marker: dict[str, object] = {}
    while True:
        answer = await connection.call_bucket(
            "list_multipart_uploads",
            "list the multipart uploads below",
            prefix,
            moved_bytes=0,
            Prefix=own + prefix,
            **marker,
        )
        for found in answer.get("Uploads", ()):
            yield str(found["Key"]).removeprefix(own), str(found["UploadId"])
        following = answer.get("NextKeyMarker", ""), answer.get("NextUploadIdMarker", "")
        if not answer.get("IsTruncated") or not any(following):
            return
        marker = {"KeyMarker": following[0], "UploadIdMarker": following[1]}
