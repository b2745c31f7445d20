"""Two processes and one upload: handing over, being paused, being killed (F1, F30)."""

from __future__ import annotations

import secrets
import socket
import subprocess
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from entrepot.blobstore.driver import UploadReference
from entrepot.blobstore.errors import UploadBusyError, UploadLostError
from entrepot.oci.digest import Digest
from tests.drivers.blobstore.second_process import OtherProcess
from tests.drivers.blobstore.staging import MIB, continued, new_upload, push, read_all, stage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from entrepot.blobstore.driver import BlobStore
    from tests.drivers.blobstore.opening import StoreAddress

PART = 5 * MIB


@pytest.fixture(scope="session")
def nursery() -> Iterator[str]:
    """The socket of a process that forks others."""
    address = f"entrepot-test-{secrets.token_hex(8)}"
    module = "tests.drivers.blobstore.second_process"
    process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", sys.executable, "-m", module, address])
    try:
        _await_listener(address)
        yield f"\0{address}"
    finally:
        process.kill()
        process.wait()


def _await_listener(address: str) -> None:
    for _ in range(600):
        with socket.socket(socket.AF_UNIX) as probe:
            if probe.connect_ex(f"\0{address}") == 0:
                return
        time.sleep(0.1)
    pytest.fail("the nursery does not start")


@pytest.fixture
async def other(nursery: str, shared_address: StoreAddress) -> AsyncIterator[OtherProcess]:
    """A second process on the same store."""
    started = await OtherProcess.start(nursery, shared_address)
    yield started
    await started.kill()


def is_filesystem(store: BlobStore) -> bool:
    """Whether the store has locks."""
    return store.name == "filesystem"


async def test_one_process_continues_what_another_staged(
    shared_store: BlobStore, other: OtherProcess
) -> None:
    upload = new_upload()
    await other.open(upload)
    assert await other.write(PART + 3, "a") == PART + 3
    state = await other.checkpoint()
    await other.ask("close")
    staged = UploadReference(upload.upload_id, 2, state, PART + 3)
    key = await push(shared_store, [b"b" * 4], staged)
    assert await read_all(shared_store, key) == b"a" * (PART + 3) + b"bbbb"


async def test_a_killed_process_leaves_its_checkpoint_and_no_lock(
    shared_store: BlobStore, other: OtherProcess
) -> None:
    upload = new_upload()
    await other.open(upload)
    await other.write(PART + 3, "a")
    state = await other.checkpoint()
    await other.write(PART + 3, "x")
    await other.kill()
    staged = UploadReference(upload.upload_id, 2, state, PART + 3)
    key = await push(shared_store, [b"b"], staged)
    assert await read_all(shared_store, key) == b"a" * (PART + 3) + b"b"


async def test_a_published_blob_is_seen_by_the_other_process(
    shared_store: BlobStore, other: OtherProcess
) -> None:
    await other.open(new_upload())
    await other.write(10, "a")
    key = await other.ask("publish", "aaaaaaaaaa")
    assert await read_all(shared_store, key) == b"a" * 10


async def test_f30_a_paused_holder_harms_nobody(shared_store: BlobStore, other: OtherProcess) -> None:
    """Whatever the zombie does after it woke up, the blob of the later holder keeps its bytes."""
    upload = new_upload()
    await other.open(upload)
    await other.write(PART, "a")
    state = await other.checkpoint()
    other.pause()
    later = UploadReference(upload.upload_id, 2, state, PART)
    if is_filesystem(shared_store):
        with pytest.raises(UploadBusyError):
            await shared_store.open_writer(later)
        with pytest.raises(UploadBusyError):
            await shared_store.discard(later)
        await other.kill()
    writer = await shared_store.open_writer(later)
    await writer.write([b"b" * (PART + 7)])
    state = await writer.checkpoint()
    if not is_filesystem(shared_store):
        other.resume()
        assert await other.write(PART + 7, "z") == 2 * PART + 7
        await other.checkpoint()
    data = b"a" * PART + b"b" * (PART + 7)
    try:
        key = await writer.publish(Digest.of_bytes(data))
    except UploadLostError:
        assert not is_filesystem(shared_store)
        return
    finally:
        await writer.close()
    assert await read_all(shared_store, key) == data


async def test_f30_a_zombie_that_seals_first_costs_a_retry_and_never_wrong_bytes(
    shared_store: BlobStore, other: OtherProcess
) -> None:
    if is_filesystem(shared_store):
        return
    upload = new_upload()
    await other.open(upload)
    await other.write(PART, "a")
    state = await other.checkpoint()
    writer = await shared_store.open_writer(UploadReference(upload.upload_id, 2, state, PART))
    await writer.write([b"b" * 9])
    await writer.checkpoint()
    await other.write(9, "z")
    sealed = await other.ask("seal")
    assert await shared_store.stat(sealed) == PART + 9
    try:
        key = await writer.publish(Digest.of_bytes(b"a" * PART + b"b" * 9))
    except UploadLostError:
        pass
    else:
        assert await read_all(shared_store, key) == b"a" * PART + b"b" * 9
    finally:
        await writer.close()


@pytest.mark.parametrize("size", [9, PART + 9])
async def test_f30_a_zombie_that_publishes_late_touches_no_later_blob(
    shared_store: BlobStore, other: OtherProcess, size: int
) -> None:
    upload = new_upload()
    await other.open(upload)
    await other.write(size, "z")
    if is_filesystem(shared_store):
        with pytest.raises(UploadBusyError):
            await shared_store.open_writer(continued(upload))
        return
    writer = await shared_store.open_writer(continued(upload))
    await writer.write([b"b" * size])
    key = await writer.publish(Digest.of_bytes(b"b" * size))
    await writer.close()
    zombie_key = await other.ask("publish", "whatever it thinks")
    assert zombie_key != key
    assert await read_all(shared_store, key) == b"b" * size


async def test_the_same_state_can_be_opened_again_after_a_crash_between_seal_and_commit(
    shared_store: BlobStore, other: OtherProcess
) -> None:
    staged = continued(await stage(shared_store, new_upload(), b"a" * (PART + 9)))
    await other.open(staged)
    sealed = await other.ask("seal")
    await other.kill()
    writer = await shared_store.open_writer(replace(staged, fence=3))
    key = await writer.publish(Digest.of_bytes(b"a" * (PART + 9)))
    await writer.close()
    assert await read_all(shared_store, key) == b"a" * (PART + 9)
    assert is_filesystem(shared_store) or key == sealed
