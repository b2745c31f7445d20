"""The connection to a bucket: one SDK client per process, with time limits, and errors translated at this boundary."""

from __future__ import annotations

import asyncio
import base64
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, cast

from aiobotocore import session as sdk
from aiobotocore.config import AioConfig

from entrepot.blobstore.s3.s3_errors import s3_errors_translated

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextlib import AbstractAsyncContextManager

    from entrepot.blobstore.s3.options import S3Options

__all__ = ["S3Connection"]


class S3Connection:
    """Calls S3 operations on one bucket. Keys are those of the blob store; the prefix is added here."""

    def __init__(self, options: S3Options, sdk_session: object | None) -> None:
        self._options = options
        self._sdk_session = sdk_session
        self._resources = AsyncExitStack()
        self._opening = asyncio.Lock()
        self._client: object | None = None

    @property
    def options(self) -> S3Options:
        """How the bucket is spoken to."""
        return self._options

    async def call(
        self, operation: str, action: str, key: str, *, moved_bytes: int = 0, **arguments: object
    ) -> dict[str, Any]:
        """Run one operation on the object `key` and return the SDK's answer.

        Args:
            operation: the SDK's method, as `put_object`.
            action: the same as a verb for error messages.
            key: the object's key in the blob store.
            moved_bytes: how many bytes the request sends; it gets the more time.
            arguments: further parameters of the operation.

        Raises:
            BlobStoreError: see :func:`s3_errors_translated`.
        """
        return await self.call_bucket(
            operation, action, key, moved_bytes=moved_bytes, Key=self._options.prefix + key, **arguments
        )

    async def call_bucket(
        self, operation: str, action: str, subject: str, *, moved_bytes: int = 0, **arguments: object
    ) -> dict[str, Any]:
        """Run an operation on the bucket rather than on one object; see :meth:`call`."""
        client = await self._open()
        method = cast("Callable[..., Awaitable[dict[str, Any]]]", getattr(client, operation))
        limit = self._options.call_timeout_seconds + moved_bytes / self._options.slowest_bytes_per_second
        with s3_errors_translated(action, subject):
            async with asyncio.timeout(limit):
                return await method(Bucket=self._options.bucket, **arguments)

    async def put(self, key: str, data: bytes, md5: bytes, **arguments: object) -> None:
        """Store an object; the store compares the MD5 digest, so that a damaged transfer is noticed."""
        await self.call(
            "put_object",
            "store",
            key,
            moved_bytes=len(data),
            Body=data,
            ContentMD5=base64.b64encode(md5).decode(),
            **arguments,
        )

    async def presign(self, key: str, lifetime_seconds: int) -> str:
        """Return a URL for reading the object."""
        client = await self._open()
        method = cast("Callable[..., Awaitable[str]]", client.generate_presigned_url)  # type: ignore[attr-defined]  # SDK clients are made at run time
        with s3_errors_translated("sign a URL for", key):
            return await method(
                "get_object",
                Params={"Bucket": self._options.bucket, "Key": self._options.prefix + key},
                ExpiresIn=lifetime_seconds,
                HttpMethod="GET",
            )

    async def aclose(self) -> None:
        """Close all connections. May be called again."""
        async with self._opening:
            self._client = None
            await self._resources.aclose()

    async def _open(self) -> object:
        if self._client is not None:
            return self._client
        async with self._opening:
            if self._client is None:
                with s3_errors_translated("set up the client of", self._options.bucket):
                    self._client = await self._resources.enter_async_context(self._new_client())
            return self._client

    def _new_client(self) -> AbstractAsyncContextManager[object]:
        options = self._options
        session = self._sdk_session or cast("Any", sdk).get_session()
        create = cast("Any", session).create_client
        return cast(
            "AbstractAsyncContextManager[object]",
            create(
                "s3",
                region_name=options.region,
                endpoint_url=options.endpoint_url or None,
                aws_access_key_id=options.access_key_id or None,
                aws_secret_access_key=options.secret_access_key or None,
                config=_client_config(options),
            ),
        )


def _client_config(options: S3Options) -> AioConfig:
    """Return the SDK's settings.

    Checksums of newer SDKs are unknown to most stores but Amazon's, so they are sent only where an operation requires
    them. Payloads are not signed: the MD5 digest detects damage, TLS protects against malice, and the signature would
    hash every part once more on the event loop.
    """
    return AioConfig(
        connect_timeout=options.connect_timeout_seconds,
        read_timeout=options.read_timeout_seconds,
        max_pool_connections=options.connection_count,
        retries={"mode": "standard", "total_max_attempts": options.attempt_count},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        signature_version="s3v4",
        s3={
            "addressing_style": "path" if options.path_style else "virtual",
            "payload_signing_enabled": False,
        },
    )
