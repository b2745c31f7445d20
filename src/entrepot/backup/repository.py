"""A backup repository: a store of objects with a header that says how they are sealed."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, TypeVar

import msgspec

from entrepot.backup.errors import (
    BackupDamagedError,
    PassphraseError,
    RepositoryFormatError,
    RepositoryMissingError,
)
from entrepot.backup.format import FORMAT_VERSION, RepositoryHeader
from entrepot.backup.passphrase import make_slot, unwrap_key
from entrepot.backup.sealing import KEY_BYTES, PlainCipher, SealingCipher
from entrepot.blobstore.errors import ObjectNotFoundError
from entrepot.blobstore.keys import BACKUP_REPOSITORY
from entrepot.kernel.ids import new_public_id

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from entrepot.backup.sealing import Cipher, Transform
    from entrepot.blobstore.driver import BlobStore

__all__ = ["BackupRepository", "close_stream", "create_or_open_repository", "open_repository", "unsealed"]

T = TypeVar("T")


class BackupRepository:
    """An opened repository. All methods may be called at once from many tasks."""

    def __init__(self, store: BlobStore, header: RepositoryHeader, cipher: Cipher) -> None:
        self.store = store
        self.header = header
        self.cipher = cipher

    @property
    def encrypted(self) -> bool:
        """Whether its objects are sealed."""
        return bool(self.header.keys)

    async def put(self, key: str, content: bytes) -> tuple[int, str]:
        """Store a small object; return size and SHA-256 (hexadecimal) of what lies there.

        Raises:
            BlobStoreError: it is not there.
        """
        sealed = await asyncio.to_thread(_pass_whole, self.cipher.seal(key), content)
        digest = await asyncio.to_thread(_sha256, sealed)
        await self.store.put(key, sealed)
        return len(sealed), digest

    async def get(self, key: str, sha256: str = "") -> bytes:
        """Return the content of a small object; `sha256` is what it must hash to, if that is known.

        Raises:
            BackupDamagedError: it is missing or not what was written.
            BlobStoreError: the store can't be read.
        """
        try:
            sealed = b"".join([chunk async for chunk in self.store.read(key)])
        except ObjectNotFoundError as error:
            raise BackupDamagedError(key, "it is missing") from error
        if sha256 and await asyncio.to_thread(_sha256, sealed) != sha256:
            raise BackupDamagedError(key, "it hashes to something else than the snapshot's manifest says")
        return await asyncio.to_thread(_pass_whole, self.cipher.unseal(key), sealed)

    async def get_document(self, key: str, kind: type[T]) -> T:
        """Return a JSON document that ends with a line of its own checksum.

        Raises:
            BackupDamagedError: it is missing or not what was written.
            RepositoryFormatError: it is of a newer format.
        """
        content = await self.get(key)
        body, _, checksum = content.rstrip(b"\n").rpartition(b"\n")
        if _sha256(body) != checksum.decode("ascii", "replace"):
            raise BackupDamagedError(key, "its checksum is wrong")
        return decode_document(key, body, kind)

    async def put_document(self, key: str, document: msgspec.Struct) -> None:
        """Store a JSON document with its checksum.

        Raises:
            BlobStoreError: it is not there.
        """
        body = msgspec.json.encode(document)
        await self.put(key, body + b"\n" + _sha256(body).encode() + b"\n")


def decode_document(key: str, body: bytes, kind: type[T]) -> T:
    """Decode a document after a look at its version, so that a newer one is called by its name.

    Raises:
        RepositoryFormatError: it is newer than this program, or something else.
    """
    try:
        version = msgspec.json.decode(body, type=_Versioned).version
        if version > FORMAT_VERSION:
            raise RepositoryFormatError(key, f"it has format {version}, this program knows {FORMAT_VERSION}")
        return msgspec.json.decode(body, type=kind)
    except msgspec.MsgspecError as error:
        raise RepositoryFormatError(key, str(error)) from error


class _Versioned(msgspec.Struct):
    version: int = FORMAT_VERSION


async def open_repository(store: BlobStore, passphrase: str) -> BackupRepository:
    """Open a repository that is there; an empty passphrase is none.

    Raises:
        RepositoryMissingError: there is none.
        PassphraseError: the passphrase is wrong, missing or superfluous.
        RepositoryFormatError: a newer program made it.
        BlobStoreError: the store can't be read.
    """
    header = await _read_header(store)
    if header is None:
        raise RepositoryMissingError
    return BackupRepository(store, header, await _cipher_of(header, passphrase))


async def create_or_open_repository(store: BlobStore, passphrase: str) -> BackupRepository:
    """Open the repository, making it first where there is none: encrypted when a passphrase is given.

    Raises:
        What :func:`open_repository` raises, but for the first.
    """
    if await _read_header(store) is None:
        identity = new_public_id()
        key = os.urandom(KEY_BYTES)
        slots = (await asyncio.to_thread(make_slot, identity, passphrase, key),) if passphrase else ()
        await store.put(
            BACKUP_REPOSITORY, msgspec.json.encode(RepositoryHeader(id=identity, keys=slots)) + b"\n"
        )
    return await open_repository(store, passphrase)


async def _read_header(store: BlobStore) -> RepositoryHeader | None:
    try:
        content = b"".join([chunk async for chunk in store.read(BACKUP_REPOSITORY)])
    except ObjectNotFoundError:
        return None
    return decode_document(BACKUP_REPOSITORY, content, RepositoryHeader)


async def _cipher_of(header: RepositoryHeader, passphrase: str) -> Cipher:
    if not header.keys:
        if passphrase:
            raise PassphraseError(
                "a passphrase is given, but this backup repository is not encrypted; leave it away, or back up to a "
                "new target, which will be encrypted"
            )
        return PlainCipher()
    if not passphrase:
        raise PassphraseError(
            "this backup repository is encrypted; give --passphrase-file, or set backup.passphrase "
            "(ENTREPOT_BACKUP_PASSPHRASE_FILE)"
        )
    return SealingCipher(await asyncio.to_thread(unwrap_key, header, passphrase))


async def unsealed(chunks: AsyncIterator[bytes], context: str, cipher: Cipher) -> AsyncGenerator[bytes]:
    """Yield the content of a sealed object as it comes in.

    Raises:
        BackupDamagedError: it is not what was sealed; whatever was yielded before is.
    """
    unsealing = cipher.unseal(context)
    try:
        async for chunk in chunks:
            for piece in await asyncio.to_thread(unsealing.update, chunk):
                yield piece
    finally:
        await close_stream(chunks)
    for piece in await asyncio.to_thread(unsealing.finish):
        yield piece


async def close_stream(chunks: AsyncIterator[bytes]) -> None:
    """Let go of what a stream holds that was not read to its end."""
    if isinstance(chunks, AsyncGenerator):
        await chunks.aclose()


def _pass_whole(transform: Transform, content: bytes) -> bytes:
    return b"".join((*transform.update(content), *transform.finish()))


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
