"""Named files in a directory or in a tar archive, read where they lie: nothing is ever extracted (S34, S35).

Of a tar archive only the headers are walked, once, under caps; afterwards a member is a range of the archive's bytes.
A member's name is only a key to look up: no path is ever made of it.
"""

from __future__ import annotations

import asyncio
import os
import tarfile
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final, Protocol, cast

from entrepot.registry.errors import SourceInterruptedError
from entrepot.registry.pushes.file_pushes import read_file
from entrepot.transfer.errors import ContentMissingError, SourceDamagedError, SourceUnusableError
from entrepot.transfer.source import ByteStream, LocalFile

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from io import FileIO
    from pathlib import Path
    from typing import BinaryIO

    from entrepot.transfer.source import BlobOrigin

__all__ = ["ArchiveFiles", "DirectoryFiles", "TarFiles", "open_files"]

_MOST_MEMBERS: Final = 200_000
_MOST_HEADER_BYTES: Final = 1024 * 1024
"""What the headers of one member may take: names and PAX records, which the library reads into memory."""
_LONGEST_NAME: Final = 4096
_MOST_LINKS_FOLLOWED: Final = 8
_COMPRESSED: Final = {
    b"\x1f\x8b": "gunzip",
    b"\x28\xb5\x2f\xfd": "unzstd",
    b"BZh": "bunzip2",
    b"\xfd7zXZ": "unxz",
}


class ArchiveFiles(Protocol):
    """Files by name. Names use `/` and begin without one."""

    def has(self, name: str) -> bool:
        """Whether there is such a file."""
        ...

    async def read(self, name: str, limit: int) -> bytes:
        """Return a small file.

        Raises:
            ContentMissingError: there is none.
            SourceDamagedError: it has more than `limit` bytes, or can't be read.
        """
        ...

    async def size(self, name: str) -> int:
        """Return the size of a file in bytes.

        Raises:
            ContentMissingError: there is none.
        """
        ...

    def origin(self, name: str) -> BlobOrigin:
        """Return where the bytes of a file come from.

        Raises:
            ContentMissingError: there is none.
        """
        ...


def open_files(path: Path) -> ArchiveFiles:
    """Open a directory or a tar archive. Blocks: an archive's headers are read.

    Raises:
        SourceUnusableError: it is neither, or the archive exceeds a cap.
    """
    return DirectoryFiles(path) if path.is_dir() else TarFiles(path)


class DirectoryFiles:
    """The files below a directory."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def has(self, name: str) -> bool:
        """Whether there is such a regular file."""
        return self._path(name).is_file()

    async def read(self, name: str, limit: int) -> bytes:
        """Read a small file."""
        return await asyncio.to_thread(_read_capped, self._path(name), name, limit)

    async def size(self, name: str) -> int:
        """Ask the file system."""
        try:
            return (await asyncio.to_thread(self._path(name).stat)).st_size
        except OSError as error:
            raise ContentMissingError(f"{name} can't be read: {error.strerror}") from None

    def origin(self, name: str) -> LocalFile:
        """Return the file; who wrote it, and whether it will be changed in place, nobody knows."""
        return LocalFile(self._path(name), is_immutable=False)

    def _path(self, name: str) -> Path:
        parts = PurePosixPath(name).parts
        if not parts or name.startswith("/") or ".." in parts or "\0" in name:
            raise ContentMissingError(f"{name!r} leads out of the directory")
        return self._root.joinpath(*parts)


def _read_capped(path: Path, name: str, limit: int) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise ContentMissingError(f"{name} can't be read: {error.strerror}") from None
    if len(data) > limit:
        raise SourceDamagedError(f"{name} has more than {limit} bytes")
    return data


@dataclass(frozen=True, slots=True)
class _Member:
    """Where a file lies in the archive, or which other member it is a link to."""

    offset: int
    size: int
    link: str | None = None


class TarFiles:
    """The regular files in an uncompressed tar archive, and the links among them."""

    def __init__(self, path: Path) -> None:
        """Walk through the headers.

        Raises:
            SourceUnusableError: it is no tar archive, is compressed, or exceeds a cap.
        """
        self._path = path
        self._members = _index_members(path)

    def has(self, name: str) -> bool:
        """Whether there is such a member."""
        return self._find(name) is not None

    async def read(self, name: str, limit: int) -> bytes:
        """Read a small member."""
        member = self._member(name)
        if member.size > limit:
            raise SourceDamagedError(f"{name} has {member.size} bytes, more than {limit}")
        return b"".join([chunk async for chunk in _read_range(self._path, member)])

    async def size(self, name: str) -> int:
        """Return what the header says."""
        return self._member(name).size

    def origin(self, name: str) -> ByteStream:
        """Return the range of the archive."""
        return ByteStream(_read_range(self._path, self._member(name)))

    def _member(self, name: str) -> _Member:
        member = self._find(name)
        if member is None:
            raise ContentMissingError(f"the archive has no member {name}")
        return member

    def _find(self, name: str) -> _Member | None:
        for _ in range(_MOST_LINKS_FOLLOWED):
            member = self._members.get(name)
            if member is None or member.link is None:
                return member
            name = member.link
        return None


async def _read_range(path: Path, member: _Member) -> AsyncGenerator[bytes]:
    try:
        async for chunk in read_file(path, member.offset, member.size):
            yield chunk
    except SourceInterruptedError as error:
        raise SourceDamagedError(f"the archive is cut short: {error}") from None


class _CappedFile:
    """Lets the library read a bounded number of bytes per member: headers, never data. It reads, seeks and tells."""

    def __init__(self, file: FileIO) -> None:
        self._file = file
        self._left = _MOST_HEADER_BYTES

    def begin_member(self) -> None:
        """Count anew."""
        self._left = _MOST_HEADER_BYTES

    def read(self, size: int = -1) -> bytes:
        """Read what the library asks for, within the cap."""
        self._left -= size
        if size < 0 or self._left < 0:
            raise SourceUnusableError(f"the headers of a member exceed {_MOST_HEADER_BYTES} bytes")
        return self._file.read(size)

    def seek(self, position: int, whence: int = os.SEEK_SET) -> int:
        """Move."""
        return self._file.seek(position, whence)

    def tell(self) -> int:
        """Tell where."""
        return self._file.tell()

    def seekable(self) -> bool:
        """An archive is a file."""
        return True


def _index_members(path: Path) -> dict[str, _Member]:
    try:
        with path.open("rb", buffering=0) as file:
            _refuse_compressed(path, file.read(6))
            file.seek(0)
            capped = _CappedFile(file)
            with tarfile.open(fileobj=cast("BinaryIO", capped), mode="r:") as archive:
                return _index_archive(archive, capped)
    except OSError as error:
        raise SourceUnusableError(f"{path} can't be read: {error.strerror or error}") from error
    except (tarfile.TarError, EOFError, ValueError) as error:
        raise SourceUnusableError(f"{path} is no whole tar archive: {error}") from error


def _refuse_compressed(path: Path, magic: bytes) -> None:
    for beginning, program in _COMPRESSED.items():
        if magic.startswith(beginning):
            raise SourceUnusableError(
                f"{path} is compressed, and an archive has to be read out of order: run {program} on it first"
            )


def _index_archive(archive: tarfile.TarFile, capped: _CappedFile) -> dict[str, _Member]:
    members: dict[str, _Member] = {}
    for _ in range(_MOST_MEMBERS):
        capped.begin_member()
        header = archive.next()
        if header is None:
            return members
        archive.members.clear()  # type: ignore[attr-defined]  # undeclared; the library would keep them all
        name = _member_name(header.name)
        if name is None:
            continue
        if header.issym():
            target = _member_name(os.path.normpath(f"{os.path.dirname(name)}/{header.linkname}"))  # noqa: PTH120  # texts
            if target is not None:
                members[name] = _Member(0, 0, target)
        elif header.islnk():
            target = _member_name(header.linkname)
            if target is not None:
                members[name] = _Member(0, 0, target)
        elif header.isreg() and not header.issparse():
            members[name] = _Member(header.offset_data, header.size)
    raise SourceUnusableError(f"the archive has more than {_MOST_MEMBERS} members")


def _member_name(text: str) -> str | None:
    """Return a name to look up, `None` for one that no layout or archive of images has."""
    if len(text) > _LONGEST_NAME:
        return None
    name = os.path.normpath(text)
    return None if name.startswith(("/", "..")) or name == "." else name
