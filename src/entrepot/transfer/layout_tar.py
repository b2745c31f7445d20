"""Writes an OCI layout as one tar archive, as `oci-archive:` of skopeo, `podman load` and oras read it.

It is written beside its name and gets that at the end, so a file with the name is whole.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import tarfile
from typing import TYPE_CHECKING, Final

from entrepot.kernel.ids import new_public_id
from entrepot.oci.digest import Digest, new_hasher
from entrepot.registry.pushes.file_pushes import read_file
from entrepot.transfer.errors import ExportError
from entrepot.transfer.layout_directory import require_content, sync_directory
from entrepot.transfer.layout_index import LAYOUT_TEXT, encode_index
from entrepot.transfer.oci_layout import INDEX, LAYOUT, blob_name
from entrepot.transfer.source import LocalFile

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence
    from pathlib import Path

    from entrepot.transfer.layout_index import LayoutEntry
    from entrepot.transfer.source import BlobOrigin

__all__ = ["TarLayout"]

_MODE: Final = 0o644


class TarLayout:
    """A :class:`LayoutWriter` on a new archive, which replaces a file that has its name."""

    def __init__(self, path: Path) -> None:
        """Begin a file beside `path`.

        Raises:
            ExportError: that can't be done.
        """
        self._path = path
        self._partial = path.with_name(f".{path.name}-{new_public_id()}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._partial.open("xb")
        except OSError as error:
            raise ExportError(f"{path} can't be written: {error.strerror}") from error
        self._added: set[Digest] = set()
        self._lock = asyncio.Lock()

    async def has(self, digest: Digest, size: int) -> bool:
        """Whether it was added before."""
        return digest in self._added

    async def add(self, digest: Digest, size: int, origin: BlobOrigin) -> None:
        """Append a member; one that proves damaged is cut off again."""
        chunks = read_file(origin.path) if isinstance(origin, LocalFile) else origin.chunks
        async with self._lock, contextlib.aclosing(chunks):
            if digest in self._added:
                return
            begin = self._file.tell()
            try:
                await self._append(digest, size, chunks)
            except OSError as error:
                raise ExportError(f"{self._path} can't be written: {error.strerror}") from error
            except BaseException:
                self._file.seek(begin)
                self._file.truncate()
                raise
            self._added.add(digest)

    async def finish(self, repository: str, entries: Sequence[LayoutEntry]) -> None:
        """Append the index and the end of the archive, and give the file its name."""
        try:
            await asyncio.to_thread(self._finish, encode_index(repository, entries))
        except OSError as error:
            raise ExportError(f"{self._path} can't be written: {error.strerror}") from error

    async def abandon(self) -> None:
        """Remove the file unless it has its name."""
        with contextlib.suppress(
            OSError
        ):  # on a full disk: what its buffer holds is tried once more, and it is closed
            self._file.close()
        with contextlib.suppress(OSError):
            self._partial.unlink(missing_ok=True)

    async def _append(self, digest: Digest, size: int, chunks: AsyncGenerator[bytes]) -> None:
        hasher, written = new_hasher(digest.algorithm), 0
        self._file.write(_header(blob_name(digest), size))
        async for chunk in chunks:
            hasher.update(chunk)
            await asyncio.to_thread(self._file.write, chunk)
            written += len(chunk)
        require_content(digest, size, Digest(digest.algorithm, hasher.hexdigest()), written)
        self._file.write(_padding(size))

    def _finish(self, index: bytes) -> None:
        for name, text in ((LAYOUT, LAYOUT_TEXT), (INDEX, index)):
            self._file.write(_header(name, len(text)) + text + _padding(len(text)))
        self._file.write(bytes(2 * tarfile.BLOCKSIZE))
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._partial.replace(self._path)
        sync_directory(self._path.parent)


def _header(name: str, size: int) -> bytes:
    """Return a header without owner or time: the same content makes the same archive."""
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, _MODE
    return member.tobuf(tarfile.PAX_FORMAT)


def _padding(size: int) -> bytes:
    return bytes(-size % tarfile.BLOCKSIZE)
