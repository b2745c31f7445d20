"""The exclusive hold on an upload, where a driver can tell."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from entrepot.blobstore.errors import UploadBusyError
from entrepot.oci.digest import Digest
from tests.drivers.blobstore.staging import continued, keys_of, new_upload, push, read_all, stage

if TYPE_CHECKING:
    from entrepot.blobstore.driver import BlobStore


async def test_a_held_upload_is_busy_until_its_writer_is_closed(locking_store: BlobStore) -> None:
    upload = new_upload()
    writer = await locking_store.open_writer(upload)
    with pytest.raises(UploadBusyError) as raised:
        await locking_store.open_writer(continued(upload))
    assert raised.value.upload_id == upload.upload_id
    await writer.close()
    await (await locking_store.open_writer(continued(upload))).close()


async def test_a_held_upload_is_not_discarded(locking_store: BlobStore) -> None:
    upload = new_upload()
    writer = await locking_store.open_writer(upload)
    await writer.write([b"abc"])
    with pytest.raises(UploadBusyError):
        await locking_store.discard(upload)
    with pytest.raises(UploadBusyError):
        await locking_store.delete(f"uploads/{upload.upload_id}")
    key = await writer.publish(Digest.of_bytes(b"abc"))
    await writer.close()
    assert await read_all(locking_store, key) == b"abc"


async def test_a_refused_opening_releases_the_hold(locking_store: BlobStore) -> None:
    staged = await stage(locking_store, new_upload(), b"abc")
    held = await locking_store.open_writer(staged)
    await held.close()
    assert await read_all(locking_store, await push(locking_store, [b"d"], staged)) == b"abcd"


async def test_a_lost_upload_leaves_no_empty_file(locking_store: BlobStore) -> None:
    missing = type(new_upload())("abc", 2, b"", 5)
    with pytest.raises(Exception, match="gone"):
        await locking_store.open_writer(missing)
    assert await keys_of(locking_store) == []


async def test_opening_that_is_cancelled_does_not_stay_held(locking_store: BlobStore) -> None:
    for _ in range(20):
        upload = new_upload()
        opening = asyncio.create_task(locking_store.open_writer(upload))
        await asyncio.sleep(0)
        opening.cancel()
        result = (await asyncio.gather(opening, return_exceptions=True))[0]
        if not isinstance(result, BaseException):
            await result.close()
        for _ in range(6000):
            try:
                writer = await locking_store.open_writer(continued(upload))
            except UploadBusyError:
                await asyncio.sleep(0.01)
            else:
                await writer.close()
                break
        else:
            pytest.fail("the upload stays busy")


async def test_of_many_that_open_at_once_one_holds(locking_store: BlobStore) -> None:
    upload = new_upload()
    results = await asyncio.gather(
        *(locking_store.open_writer(upload) for _ in range(8)), return_exceptions=True
    )
    writers = [result for result in results if not isinstance(result, BaseException)]
    assert len(writers) == 1
    assert {type(result) for result in results if isinstance(result, BaseException)} == {UploadBusyError}
    await writers[0].close()
