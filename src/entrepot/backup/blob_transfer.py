"""Moves the bytes of one blob between a registry's store and a repository, and verifies them on the way."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING

from entrepot.backup.errors import BackupDamagedError, BlobDamagedError, BlobUnreadableError
from entrepot.backup.repository import close_stream, unsealed
from entrepot.backup.sealing import PlainCipher
from entrepot.blobstore.driver import UploadReference
from entrepot.blobstore.errors import BlobStoreError, ObjectNotFoundError
from entrepot.kernel.ids import new_public_id
from entrepot.oci.digest import new_hasher

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable

    from entrepot.backup.blob_index import BlobIndex
    from entrepot.backup.repository import BackupRepository
    from entrepot.backup.sealing import Transform
    from entrepot.blobstore.driver import BlobStore
    from entrepot.kernel.pace import Pace
    from entrepot.oci.digest import Digest, Hasher

__all__ = ["blob_context", "copy_into_repository", "copy_into_store", "read_from_repository"]


def blob_context(name: Digest) -> str:
    """Return what a sealed blob is bound to: its own name."""
    return f"blob {name}"


async def copy_into_repository(
    source: BlobStore, key: str, digest: Digest, size_bytes: int, repository: BackupRepository, pace: Pace
) -> None:
    """Copy a blob's bytes, read once, verified before they get their name.

    Raises:
        BlobDamagedError: they are missing, not what was pushed, or can't be read; nothing was kept.
        BlobStoreError: the repository's store failed.
    """
    name = repository.cipher.name_of(digest)
    step = _Step(new_hasher(digest.algorithm), repository.cipher.seal(blob_context(name)))
    check = _source_check(digest, size_bytes)
    await _store(repository.store, _read_source(source, key), step, name, check, pace)


async def _read_source(source: BlobStore, key: str) -> AsyncGenerator[bytes]:
    """Yield the registry's bytes, and tell its store's failures from those of the store they go to."""
    try:
        async for chunk in source.read(key):
            yield chunk
    except ObjectNotFoundError as error:
        raise BlobDamagedError("its bytes are missing from the store") from error
    except BlobStoreError as error:
        raise BlobUnreadableError(f"its bytes can't be read: {error}") from error


async def copy_into_store(
    repository: BackupRepository,
    index: BlobIndex,
    digest: Digest,
    size_bytes: int,
    store: BlobStore,
    pace: Pace,
) -> str:
    """Copy a blob's bytes back and return their key in `store`; where one copy is damaged, another one is tried.

    Raises:
        BackupDamagedError: no copy in the repository is whole; nothing was kept.
        BlobStoreError: one of the stores failed.
    """
    failure = BackupDamagedError(str(digest), "no blob of this digest and size is there")
    name = repository.cipher.name_of(digest)
    for key in index.copies(name, repository.cipher.stored_bytes(size_bytes)):
        content = unsealed(repository.store.read(key), blob_context(name), repository.cipher)
        step = _Step(new_hasher(digest.algorithm), PlainCipher().seal(""))
        try:
            return await _store(store, content, step, digest, _backup_check(key, digest), pace)
        except BackupDamagedError as error:
            failure = error
        except ObjectNotFoundError:
            failure = BackupDamagedError(key, "it vanished")
    raise failure


async def read_from_repository(
    repository: BackupRepository, key: str, digest: Digest, pace: Pace
) -> AsyncGenerator[bytes]:
    """Yield the bytes of a blob whose object lies under `key`; only at the end it is known that they are right.

    Raises:
        BackupDamagedError: they are not; raised before the generator ends.
    """
    name = repository.cipher.name_of(digest)
    hasher = new_hasher(digest.algorithm)
    async with aclosing(
        unsealed(repository.store.read(key), blob_context(name), repository.cipher)
    ) as content:
        async for chunk in content:
            await pace.take(len(chunk))
            await asyncio.to_thread(hasher.update, chunk)
            yield chunk
    if hasher.hexdigest() != digest.hex:
        raise BackupDamagedError(key, f"its content hashes to {hasher.hexdigest()}, not to {digest}")


class _Step:
    """Hashes a chunk and transforms it, on one thread."""

    def __init__(self, hasher: Hasher, transform: Transform) -> None:
        self.hasher = hasher
        self.transform = transform
        self.count = 0

    def take(self, chunk: bytes) -> list[bytes]:
        self.count += len(chunk)
        self.hasher.update(chunk)
        return self.transform.update(chunk)


async def _store(
    store: BlobStore,
    chunks: AsyncIterator[bytes],
    step: _Step,
    name: Digest,
    check: Callable[[_Step], None],
    pace: Pace,
) -> str:
    """Write what comes as a blob of this name, if `check` finds it right, and return its key."""
    upload = UploadReference(new_public_id(), 1, b"", 0)
    writer = await store.open_writer(upload)
    published = False
    try:
        async for chunk in chunks:
            await pace.take(len(chunk))
            if pieces := await asyncio.to_thread(step.take, chunk):
                await writer.write(pieces)
        if pieces := await asyncio.to_thread(step.transform.finish):
            await writer.write(pieces)
        check(step)
        key = await writer.publish(name)
        published = True
        return key
    finally:
        await close_stream(chunks)
        await writer.close()
        if not published:
            # What can't be removed now is cleared away by prune here, and by the sweep of orphans there.
            with suppress(BlobStoreError):
                await store.discard(upload)


def _source_check(digest: Digest, size_bytes: int) -> Callable[[_Step], None]:
    def check(step: _Step) -> None:
        if step.count != size_bytes:
            raise BlobDamagedError(f"{step.count} bytes are stored, {size_bytes} were pushed")
        if step.hasher.hexdigest() != digest.hex:
            raise BlobDamagedError(f"the stored bytes hash to {digest.algorithm}:{step.hasher.hexdigest()}")

    return check


def _backup_check(key: str, digest: Digest) -> Callable[[_Step], None]:
    def check(step: _Step) -> None:
        if step.hasher.hexdigest() != digest.hex:
            raise BackupDamagedError(key, f"its content hashes to {step.hasher.hexdigest()}, not to {digest}")

    return check
