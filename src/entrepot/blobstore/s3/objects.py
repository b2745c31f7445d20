"""Single objects in a bucket: store, read with resumption, remove, list."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, Any, Final

from entrepot.blobstore.driver import StoredObject
from entrepot.blobstore.errors import ObjectNotFoundError, StorageUnavailableError
from entrepot.blobstore.s3.multipart import join_with_md5
from entrepot.blobstore.s3.s3_errors import RangeOutsideError, s3_errors_translated

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from entrepot.blobstore.s3.connection import S3Connection

__all__ = ["list_common_prefixes", "list_keys", "read_range", "read_whole", "remove_object", "store_object"]

_READ_BYTES: Final = 1024 * 1024
_MOST_RESUMPTIONS: Final = 3
"""Connections that may break one after the other without a single byte in between."""


async def store_object(
    connection: S3Connection, key: str, *pieces: bytes | memoryview, **conditions: object
) -> None:
    """Store an object of at most one part's size.

    Raises:
        PreconditionFailedError: a condition does not hold.
    """
    body, md5 = await asyncio.to_thread(join_with_md5, pieces)
    await connection.put(key, body, md5, **conditions)


async def remove_object(connection: S3Connection, key: str) -> None:
    """Remove an object; a missing one is fine."""
    with suppress(ObjectNotFoundError):
        await connection.call("delete_object", "delete", key)


async def read_whole(connection: S3Connection, key: str) -> bytes:
    """Return all bytes of a small object."""
    return b"".join([chunk async for chunk in read_range(connection, key, 0, None)])


async def read_range(
    connection: S3Connection, key: str, start: int, end: int | None
) -> AsyncGenerator[bytes]:
    """Yield bytes `[start, end)`; when a connection breaks, go on where it broke, since objects never change (F22).

    Raises:
        ObjectNotFoundError: before the first chunk.
        StorageUnavailableError: it broke too often.
    """
    position, failures = start, 0
    while end is None or position < end:
        try:
            async with aclosing(_read_once(connection, key, position, end)) as reply:
                async for chunk in reply:
                    position += len(chunk)
                    failures = 0
                    yield chunk
        except RangeOutsideError:
            return
        except StorageUnavailableError:
            failures += 1
            if failures > _MOST_RESUMPTIONS:
                raise
        else:
            return


async def _read_once(
    connection: S3Connection, key: str, start: int, end: int | None
) -> AsyncGenerator[bytes]:
    """Yield from one reply, which has exactly the bytes it announced.

    Raises:
        StorageUnavailableError: it ended too early or stalled.
    """
    arguments: dict[str, object] = {}
    if start or end is not None:
        arguments["Range"] = f"bytes={start}-" if end is None else f"bytes={start}-{end - 1}"
    answer = await connection.call("get_object", "read", key, moved_bytes=0, **arguments)
    body: Any = answer["Body"]
    announced, received = int(answer["ContentLength"]), 0
    async with body:
        try:
            while received < announced:
                with s3_errors_translated("read", key):
                    chunk = await body.read(_READ_BYTES)
                if not chunk:
                    raise StorageUnavailableError(f"{key} ended after {received} of {announced} bytes")
                received += len(chunk)
                yield chunk
        finally:
            _break_off(body)


def _break_off(body: Any) -> None:  # noqa: ANN401  # the SDK's are made at run time
    """End the connection of a reply that was not read to its end.

    To close it would be to say goodbye, under TLS: the event loop goes on to read, and throws away, whatever the store
    sends, for half a minute and as fast as it can.
    """
    connection = body.raw_stream.connection  # none any more once all has come
    if connection is not None and connection.transport is not None:
        connection.transport.abort()


async def list_keys(connection: S3Connection, prefix: str, start_after: str) -> AsyncGenerator[StoredObject]:
    """Yield objects whose key starts with `prefix`, in byte order, beginning after `start_after`."""
    own = connection.options.prefix
    arguments: dict[str, object] = {"Prefix": own + prefix}
    if start_after:
        arguments["StartAfter"] = own + start_after
    while True:
        subject = prefix or "all keys"
        answer = await connection.call_bucket("list_objects_v2", "list", subject, moved_bytes=0, **arguments)
        for found in answer.get("Contents", ()):
            yield StoredObject(str(found["Key"]).removeprefix(own), int(found["Size"]))
        if not answer.get("IsTruncated"):
            return
        arguments["ContinuationToken"] = answer["NextContinuationToken"]


async def list_common_prefixes(connection: S3Connection, prefix: str) -> AsyncGenerator[str]:
    """Yield what stands between `prefix` and the next slash of the keys that begin with it, each once."""
    own = connection.options.prefix + prefix
    arguments: dict[str, object] = {"Prefix": own, "Delimiter": "/"}
    while True:
        answer = await connection.call_bucket("list_objects_v2", "list", prefix, moved_bytes=0, **arguments)
        for found in answer.get("CommonPrefixes", ()):
            yield str(found["Prefix"]).removeprefix(own).removesuffix("/")
        if not answer.get("IsTruncated"):
            return
        arguments["ContinuationToken"] = answer["NextContinuationToken"]
