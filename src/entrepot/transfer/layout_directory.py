"""Writes an OCI layout as a directory (image-spec, image-layout.md), new or to be added to.

Content first, each piece verified and durable before it has its name; the index last, in one step. A layout that
somebody reads meanwhile, or that was broken off, is a layout of what was complete before.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from typing import TYPE_CHECKING, Final

from entrepot.kernel.cloning import clone_file
from entrepot.kernel.ids import new_public_id
from entrepot.oci.digest import Digest, Hasher, new_hasher
from entrepot.transfer.errors import ExportError, SourceDamagedError
from entrepot.transfer.layout_index import LAYOUT_TEXT, encode_index
from entrepot.transfer.oci_layout import INDEX, LAYOUT, blob_name
from entrepot.transfer.source import ByteStream, LocalFile

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from io import FileIO
    from pathlib import Path

    from entrepot.transfer.layout_index import LayoutEntry
    from entrepot.transfer.source import BlobOrigin

__all__ = ["DirectoryLayout", "require_content", "sync_directory"]

_CHUNK_BYTES: Final = 1024 * 1024


class DirectoryLayout:
    """A :class:`LayoutWriter` on a directory; what it lists stays, but for tags that are written anew."""

    def __init__(self, directory: Path, written: dict[Digest, Path], *, link: bool) -> None:
        """Take the directory.

        Args:
            directory: of the layout.
            written: where content lies that this export wrote, in this layout or another one: it is not written twice.
            link: whether files are shared with the store by hard links instead of being cloned or copied.
        """
        self._directory = directory
        self._written = written
        self._link = link

    async def has(self, digest: Digest, size: int) -> bool:
        """Look at the size: what has its name was verified when it got it."""
        path = self._directory / blob_name(digest)
        return await asyncio.to_thread(lambda: path.is_file() and path.stat().st_size == size)

    async def add(self, digest: Digest, size: int, origin: BlobOrigin) -> None:
        """Write to a file of another name, verify, sync and rename."""
        target = self._directory / blob_name(digest)
        partial = target.parent / f".partial-{new_public_id()}"
        try:
            await asyncio.to_thread(target.parent.mkdir, parents=True, exist_ok=True)
            if await asyncio.to_thread(_link_again, self._written.get(digest), target):
                return
            if isinstance(origin, LocalFile):
                take: Callable[[Path, Path, Hasher], int] = _link_file if self._link else _clone_or_copy_file
                hasher = new_hasher(digest.algorithm)
                found = await asyncio.to_thread(take, origin.path, partial, hasher)
            else:
                hasher, found = await _take_stream(origin, partial, digest)
            require_content(digest, size, Digest(digest.algorithm, hasher.hexdigest()), found)
            await asyncio.to_thread(partial.rename, target)
            self._written[digest] = target
        except OSError as error:
            raise ExportError(f"{target} can't be written: {error.strerror}") from error
        finally:
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)

    async def finish(self, repository: str, entries: Sequence[LayoutEntry]) -> None:
        """Join the entries with those that are there, and replace the index."""
        try:
            await asyncio.to_thread(self._finish, repository, entries)
        except OSError as error:
            raise ExportError(f"{self._directory} can't be written: {error.strerror}") from error

    async def abandon(self) -> None:
        """Whatever is complete stays: the next export goes on with it."""

    def _finish(self, repository: str, entries: Sequence[LayoutEntry]) -> None:
        self._directory.mkdir(parents=True, exist_ok=True)
        for blobs in sorted((self._directory / "blobs").glob("*")):
            sync_directory(blobs)
        index = self._directory / INDEX
        text = encode_index(repository, entries, index.read_bytes() if index.exists() else None)
        _replace(self._directory / LAYOUT, LAYOUT_TEXT)
        _replace(index, text)
        sync_directory(self._directory)


def require_content(digest: Digest, size: int, found: Digest, found_size: int) -> None:
    """Make sure that what was written is what was wanted.

    Raises:
        SourceDamagedError: it is not.
    """
    if found_size != size:
        raise SourceDamagedError(f"{digest} has {found_size} bytes instead of {size}")
    if found != digest:
        raise SourceDamagedError(f"what is stored as {digest} hashes to {found}")


def sync_directory(directory: Path) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _link_again(source: Path | None, target: Path) -> bool:
    """Give content that was verified when it was written one more name; `False` when that can't be done."""
    if source is None:
        return False
    try:
        target.hardlink_to(source)
    except OSError:
        return False
    return True


def _link_file(source: Path, partial: Path, hasher: Hasher) -> int:
    partial.hardlink_to(source)
    with partial.open("rb", buffering=0) as file:
        return _hash_file(file, hasher)


def _clone_or_copy_file(source: Path, partial: Path, hasher: Hasher) -> int:
    with source.open("rb", buffering=0) as origin, partial.open("xb+", buffering=0) as target:
        try:
            clone_file(target.fileno(), origin.fileno())
        except OSError:
            size = _copy_file(origin, target, hasher)
        else:
            size = _hash_file(target, hasher)
        os.fdatasync(target.fileno())
        return size


def _hash_file(file: FileIO, hasher: Hasher) -> int:
    size = 0
    while chunk := file.read(_CHUNK_BYTES):
        hasher.update(chunk)
        size += len(chunk)
    return size


def _copy_file(origin: FileIO, target: FileIO, hasher: Hasher) -> int:
    size = 0
    while chunk := origin.read(_CHUNK_BYTES):
        hasher.update(chunk)
        _write_all(target, chunk)
        size += len(chunk)
    return size


async def _take_stream(origin: ByteStream, partial: Path, digest: Digest) -> tuple[Hasher, int]:
    hasher, size = new_hasher(digest.algorithm), 0
    file = await asyncio.to_thread(partial.open, "xb", 0)
    try:
        async for chunk in origin.chunks:
            await asyncio.to_thread(_hash_and_write, file, chunk, hasher)
            size += len(chunk)
        await asyncio.to_thread(os.fdatasync, file.fileno())
    finally:
        file.close()
        await origin.chunks.aclose()
    return hasher, size


def _hash_and_write(file: FileIO, chunk: bytes, hasher: Hasher) -> None:
    hasher.update(chunk)
    _write_all(file, chunk)


def _write_all(file: FileIO, chunk: bytes) -> None:
    view = memoryview(chunk)
    while view:
        view = view[file.write(view) :]


def _replace(path: Path, text: bytes) -> None:
    partial = path.with_name(f".{path.name}-{new_public_id()}")
    try:
        with partial.open("xb") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
