"""What the S3 driver does when the store or the network misbehaves (F20-F23, F25, F30)."""

from __future__ import annotations

import asyncio
import urllib.error
import urllib.request
from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec
import pytest

from entrepot.blobstore.driver import UploadReference
from entrepot.blobstore.errors import (
    ObjectNotFoundError,
    StorageFullError,
    StorageUnavailableError,
    UploadLostError,
)
from entrepot.blobstore.s3 import S3BlobStore
from entrepot.blobstore.s3.upload_state import UploadedPart, read_state
from entrepot.oci.digest import Digest
from tests.drivers.blobstore.conftest import s3_options
from tests.drivers.blobstore.fault_proxy import Fault, FaultProxy, error_reply
from tests.drivers.blobstore.staging import (
    MIB,
    continued,
    data_of,
    keys_of,
    new_upload,
    push,
    read_all,
    stage,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from aiohttp import web

    from entrepot.blobstore.s3 import S3Options
    from tests.drivers.s3_server import S3Server

PART = 5 * MIB


@pytest.fixture
def options(s3_server: S3Server) -> S3Options:
    """Options for the real store."""
    return s3_options(s3_server)


@pytest.fixture
async def bucket(options: S3Options, sdk_session: object) -> AsyncIterator[S3BlobStore]:
    """The store without anything in between."""
    opened = S3BlobStore(options, sdk_session=sdk_session)
    yield opened
    await opened.aclose()


@pytest.fixture
async def proxy(s3_server: S3Server) -> AsyncIterator[FaultProxy]:
    """A proxy that does no harm yet."""
    async with FaultProxy(s3_server.endpoint_url) as started:
        yield started


@pytest.fixture
async def shaky(options: S3Options, proxy: FaultProxy, sdk_session: object) -> AsyncIterator[S3BlobStore]:
    """The same part of the bucket, seen through the proxy."""
    opened = S3BlobStore(
        replace(options, endpoint_url=proxy.url, read_timeout_seconds=60, attempt_count=2),
        sdk_session=sdk_session,
    )
    await opened.check()
    proxy.seen.clear()
    yield opened
    await opened.aclose()


def on(method: str, *marks: str) -> Callable[[web.Request], bool]:
    """Match requests with this method whose address holds all of `marks`."""
    return lambda request: request.method == method and all(mark in request.path_qs for mark in marks)


async def test_a_small_layer_costs_one_put_and_its_marker(shaky: S3BlobStore, proxy: FaultProxy) -> None:
    """One PATCH, one empty PUT: the bytes travel once and are not read again."""
    key = await push(shaky, [b"layer"])
    assert [line.partition(" ")[0] for line in proxy.seen] == ["PUT", "HEAD", "PUT"]
    assert proxy.seen[0].endswith(f"/{key}?x-id=PutObject") or proxy.seen[0].endswith(f"/{key}")


async def test_f20_slow_down_is_waited_out(shaky: S3BlobStore, proxy: FaultProxy) -> None:
    proxy.faults = [Fault(on("PUT"), 1, before=error_reply(503, "SlowDown"))]
    await shaky.put("manifests/a", b"x")
    assert await read_all(shaky, "manifests/a") == b"x"


async def test_f20_a_store_that_stays_slow_is_unavailable_after_few_attempts(
    shaky: S3BlobStore, proxy: FaultProxy
) -> None:
    proxy.faults = [Fault(on("PUT"), 100, before=error_reply(503, "SlowDown"))]
    with pytest.raises(StorageUnavailableError, match="SlowDown"):
        await shaky.put("manifests/a", b"x")
    assert len(proxy.seen) == 2


async def test_f21_a_stalled_store_is_unavailable_within_its_deadline(
    options: S3Options, proxy: FaultProxy
) -> None:
    store = S3BlobStore(replace(options, endpoint_url=proxy.url, call_timeout_seconds=1.0))
    proxy.faults = [Fault(on("HEAD"), 100, delay_seconds=30)]
    with pytest.raises(StorageUnavailableError):
        async with asyncio.timeout(20):
            await store.stat("manifests/a")
    await store.aclose()


@pytest.mark.parametrize("start", [0, 100])
async def test_f22_a_truncated_reply_is_continued_where_it_broke(
    shaky: S3BlobStore, proxy: FaultProxy, start: int
) -> None:
    data = data_of(3 * MIB)
    await shaky.put("manifests/a", data)
    proxy.faults = [Fault(on("GET"), 2, cut_after=MIB + 17)]
    assert await read_all(shaky, "manifests/a", start) == data[start:]


async def test_f22_a_reply_that_always_breaks_is_unavailable(shaky: S3BlobStore, proxy: FaultProxy) -> None:
    await shaky.put("manifests/a", data_of(MIB))
    proxy.faults = [
        Fault(on("GET"), 1, cut_after=100),
        Fault(on("GET"), 100, before=error_reply(503, "SlowDown")),
    ]
    with pytest.raises(StorageUnavailableError):
        await read_all(shaky, "manifests/a")


async def test_f23_an_error_in_a_200_of_complete_is_an_error(shaky: S3BlobStore, proxy: FaultProxy) -> None:
    data = data_of(PART + 1)
    staged = continued(await stage(shaky, new_upload(), data))
    proxy.faults = [Fault(on("POST", "uploadId"), 100, before=error_reply(200, "InternalError"))]
    writer = await shaky.open_writer(staged)
    with pytest.raises(StorageUnavailableError):
        await writer.publish(Digest.of_bytes(data))
    proxy.faults.clear()
    assert await keys_of(shaky, "index/") == []
    key = await writer.publish(Digest.of_bytes(data))
    await writer.close()
    assert await read_all(shaky, key) == data


@pytest.mark.parametrize("extra", [0, 1])
async def test_f23_a_lost_reply_to_complete_is_found_out(
    shaky: S3BlobStore, proxy: FaultProxy, extra: int
) -> None:
    data = data_of(PART + extra)
    proxy.faults = [Fault(on("POST", "uploadId"), 1, lose_reply=True)]
    key = await push(shaky, [data])
    assert proxy.faults[0].times == 0
    assert await read_all(shaky, key) == data


async def test_f23_a_lost_reply_to_a_part_is_repeated(shaky: S3BlobStore, proxy: FaultProxy) -> None:
    data = data_of(2 * PART)
    proxy.faults = [Fault(on("PUT", "partNumber"), 1, lose_reply=True)]
    key = await push(shaky, [data])
    assert await read_all(shaky, key) == data


async def test_a_full_store_is_full(shaky: S3BlobStore, proxy: FaultProxy) -> None:
    proxy.faults = [Fault(on("PUT"), 100, before=error_reply(507, "InsufficientStorage"))]
    with pytest.raises(StorageFullError):
        await shaky.put("manifests/a", b"x")


async def test_f25_refused_credentials_are_told_precisely(options: S3Options) -> None:
    store = S3BlobStore(replace(options, secret_access_key="wrong"))
    with pytest.raises(StorageUnavailableError, match=r"SignatureDoesNotMatch|AccessDenied|403"):
        await store.check()
    await store.aclose()


async def test_a_missing_bucket_is_told_precisely(options: S3Options) -> None:
    store = S3BlobStore(replace(options, bucket="no-such-bucket"))
    with pytest.raises(StorageUnavailableError, match=r"NoSuchBucket|AccessDenied|bucket"):
        await store.check()
    await store.aclose()


async def test_a_store_that_does_not_listen_is_unavailable(options: S3Options) -> None:
    store = S3BlobStore(replace(options, endpoint_url="http://127.0.0.1:1", attempt_count=1))
    with pytest.raises(StorageUnavailableError, match=r"127\.0\.0\.1:1"):
        await store.stat("blobs/x")
    await store.aclose()


async def test_check_notes_whether_conditional_writes_work(bucket: S3BlobStore) -> None:
    await bucket.check()
    assert bucket.conditional_put is True


async def test_a_presigned_address_reads_this_object_only(bucket: S3BlobStore) -> None:
    await bucket.put("manifests/a", b"bytes")
    await bucket.put("manifests/b", b"other")
    url = await bucket.presign_read("manifests/a", 60)
    assert await asyncio.to_thread(_fetch, url) == b"bytes"
    with pytest.raises(urllib.error.HTTPError) as refused:
        await asyncio.to_thread(_fetch, url.replace("manifests/a", "manifests/b"))
    assert refused.value.code == 403
    refused.value.close()


def _fetch(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=60) as reply:
        return bytes(reply.read())


async def test_f30_a_part_replaced_by_an_older_holder_never_gets_into_the_blob(bucket: S3BlobStore) -> None:
    upload = new_upload()
    zombie = await bucket.open_writer(upload)
    await zombie.write([b"a" * PART])
    state = await zombie.checkpoint()
    later = await bucket.open_writer(UploadReference(upload.upload_id, 2, state, PART))
    await later.write([b"b" * PART])
    await later.checkpoint()
    await zombie.write([b"z" * PART])
    await zombie.checkpoint()
    data = b"a" * PART + b"b" * PART
    try:
        key = await later.publish(Digest.of_bytes(data))
    except UploadLostError:
        assert await keys_of(bucket, "index/") == []
    else:
        assert await read_all(bucket, key) == data
    await zombie.close()
    await later.close()


async def test_f30_bytes_an_older_holder_completed_are_not_taken_for_the_later_ones(
    bucket: S3BlobStore,
) -> None:
    upload = new_upload()
    zombie = await bucket.open_writer(upload)
    await zombie.write([b"a" * PART])
    state = await zombie.checkpoint()
    later = await bucket.open_writer(UploadReference(upload.upload_id, 2, state, PART))
    await later.write([b"b" * 9])
    await later.checkpoint()
    await zombie.write([b"z" * 9])
    await zombie.seal()
    with pytest.raises(UploadLostError, match="another holder"):
        await later.publish(Digest.of_bytes(b"a" * PART + b"b" * 9))
    assert await keys_of(bucket, "index/") == []
    await zombie.close()
    await later.close()


async def test_an_aborted_multipart_upload_is_a_lost_upload(bucket: S3BlobStore) -> None:
    staged = await stage(bucket, new_upload(), data_of(PART))
    writer = await bucket.open_writer(continued(staged))
    await bucket.discard(staged)
    with pytest.raises(UploadLostError):
        await writer.publish(Digest.of_bytes(data_of(PART)))
    await writer.close()


async def test_a_part_the_store_does_not_have_is_a_lost_upload(bucket: S3BlobStore) -> None:
    staged = await stage(bucket, new_upload(), data_of(PART))
    state = read_state(staged)
    more = msgspec.structs.replace(state, parts=(*state.parts, UploadedPart(2, state.parts[0].etag, PART)))
    with pytest.raises(UploadLostError, match="part 2 is gone"):
        await bucket.open_writer(UploadReference(staged.upload_id, 2, more.encode(), 2 * PART))


async def test_discarding_finds_multipart_uploads_no_state_names(
    bucket: S3BlobStore, options: S3Options
) -> None:
    upload = new_upload()
    writer = await bucket.open_writer(upload)
    await writer.write([data_of(PART + 1)])
    await writer.close()
    assert len(await _open_multiparts(bucket, options)) == 1
    await bucket.discard(upload)
    assert await _open_multiparts(bucket, options) == []


async def _open_multiparts(bucket: S3BlobStore, options: S3Options) -> list[object]:
    answer = await bucket._connection.call_bucket(
        "list_multipart_uploads", "list", "all", Prefix=options.prefix
    )
    return list(answer.get("Uploads", ()))


async def test_earlier_tails_are_removed_while_an_upload_goes_on(bucket: S3BlobStore) -> None:
    """A client that sends many small requests must not leave one side object for each of them."""
    current = new_upload()
    for _ in range(6):
        current = continued(await stage(bucket, current, b"chunk"))
    assert len(await keys_of(bucket)) <= 2
    key = await push(bucket, [b"end"], current)
    assert await keys_of(bucket, "uploads/") == []
    assert await keys_of(bucket, "blobs/") == [key]
    assert await read_all(bucket, key) == b"chunk" * 6 + b"end"


async def test_a_missing_tail_is_a_lost_upload(bucket: S3BlobStore) -> None:
    staged = await stage(bucket, new_upload(), b"tail")
    for key in await keys_of(bucket):
        await bucket.delete(key)
    with pytest.raises(UploadLostError):
        await bucket.open_writer(continued(staged))
    with pytest.raises(ObjectNotFoundError):
        await bucket.stat("uploads/x")
