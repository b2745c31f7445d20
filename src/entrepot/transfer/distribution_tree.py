"""Reads the storage directory of CNCF Distribution (`docker-registry`, `registry:2`, `registry:3`) where it lies.

Its layout is drawn in that project's `registry/storage/paths.go`: names lead to small files with a digest (`link`), and
a digest leads to bytes under `blobs`. Nothing is locked and nothing is written; the registry may be running, and what
it changes meanwhile is seen or not. Its files are never changed in place: a blob is moved to its name when it is
complete, and a blob whose name exists is not written again.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Final, ParamSpec, TypeVar

from entrepot.oci.digest import ALGORITHMS, Digest, InvalidDigestError
from entrepot.oci.manifest import MAX_MANIFEST_BYTES
from entrepot.transfer.errors import (
    ContentMissingError,
    SourceDamagedError,
    SourceError,
    SourceUnusableError,
)
from entrepot.transfer.manifest_kinds import describe_manifest
from entrepot.transfer.source import LocalFile
from entrepot.transfer.subjects import SubjectIndex

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from entrepot.oci.descriptor import Descriptor
    from entrepot.transfer.source import SourceManifest

__all__ = ["DistributionTree", "find_tree"]

_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")

_BELOW_ROOT: Final = ("docker", "registry", "v2")
_LONGEST_LINK: Final = 256
_DEEPEST_NAME: Final = 128
"""Segments of a repository name: it has 255 characters at most."""


def find_tree(directory: Path) -> Path:
    """Return the directory that holds `blobs` and `repositories`, given it or what lies above.

    Raises:
        SourceUnusableError: there is none.
    """
    candidates = [directory]
    for name in _BELOW_ROOT:
        candidates.append(candidates[-1] / name)
    candidates.append(directory / "registry" / "v2")
    try:
        for candidate in candidates:
            if (candidate / "repositories").is_dir() and (candidate / "blobs").is_dir():
                return candidate
    except OSError as error:
        raise SourceUnusableError(f"{directory} can't be read: {error.strerror}") from None
    raise SourceUnusableError(
        f"{directory} is no storage directory of Distribution: it has no docker/registry/v2/repositories and "
        "no docker/registry/v2/blobs; give what its configuration names as storage.filesystem.rootdirectory"
    )


class DistributionTree:
    """An :class:`ImageSource` on a storage directory."""

    def __init__(self, directory: Path) -> None:
        """Open the tree.

        Raises:
            SourceUnusableError: `directory` holds none.
        """
        self._directory = directory
        root = find_tree(directory)
        self._repositories = root / "repositories"
        self._blobs = root / "blobs"
        self._subjects = SubjectIndex(self)

    @property
    def description(self) -> str:
        """Kind and place."""
        return f"the Distribution storage directory {self._directory}"

    @property
    def lists_untagged(self) -> bool:
        """All manifests are listed."""
        return True

    async def repositories(self) -> AsyncIterator[str]:
        """Yield all names that lead to manifests, nested ones too, in order.

        Raises:
            SourceUnusableError: a directory can't be read, so that some would be missing.
        """
        try:
            names = await _on_thread(sorted, _walk_names(self._repositories))
        except SourceError as error:
            raise SourceUnusableError(f"{error}: run this as a user who may read all of it") from None
        for name in names:
            yield name

    async def tags(self, repository: str) -> AsyncIterator[str]:
        """Yield the names of tags, those that point nowhere included."""
        for name in await _on_thread(_names_in, self._manifests_of(repository) / "tags"):
            yield name

    async def resolve(self, repository: str, tag: str) -> Digest:
        """Follow a tag's link."""
        link = self._manifests_of(repository) / "tags" / _segment(tag) / "current" / "link"
        return await _on_thread(_read_link, link)

    async def untagged(self, repository: str) -> AsyncIterator[Digest]:
        """Yield all revisions: children of indexes, referrers, and what lost its tags."""
        revisions = self._manifests_of(repository) / "revisions"
        for digest in await _on_thread(list, _linked_digests(revisions)):
            yield digest

    async def referrers(self, repository: str, subject: Digest) -> AsyncIterator[Digest]:
        """Yield revisions that name the subject."""
        for digest in await self._subjects.of(repository, subject):
            yield digest

    async def manifest(self, repository: str, digest: Digest) -> SourceManifest:
        """Read a revision that the repository has; one that was deleted there is missing, whatever `blobs` holds."""
        await _on_thread(self._require_revision, repository, digest)
        body = await _on_thread(_read_small, self._data_of(digest), digest)
        return describe_manifest(body, digest)

    async def confirm_blob(self, repository: str, blob: Descriptor) -> None:
        """Look at the repository's link and the size of the file."""
        await _on_thread(self._require_blob, repository, blob)

    async def open_blob(self, repository: str, blob: Descriptor) -> LocalFile:
        """Return the file."""
        await _on_thread(self._require_blob, repository, blob)
        return LocalFile(self._data_of(blob.digest), is_immutable=True)

    async def aclose(self) -> None:
        """Nothing is open."""

    def _manifests_of(self, repository: str) -> Path:
        return self._repository(repository) / "_manifests"

    def _repository(self, repository: str) -> Path:
        path = self._repositories
        for segment in repository.split("/"):
            path /= _segment(segment)
        return path

    def _data_of(self, digest: Digest) -> Path:
        return self._blobs / digest.algorithm / digest.hex[:2] / digest.hex / "data"

    def _require_revision(self, repository: str, digest: Digest) -> None:
        revision = self._manifests_of(repository) / "revisions" / digest.algorithm / digest.hex / "link"
        if not revision.is_file():
            raise ContentMissingError(f"the manifest {digest} was deleted from {repository}")

    def _require_blob(self, repository: str, blob: Descriptor) -> None:
        digest = blob.digest
        link = self._repository(repository) / "_layers" / digest.algorithm / digest.hex / "link"
        if not link.is_file():
            raise ContentMissingError(f"the blob {digest} is not linked to {repository}")
        try:
            size = self._data_of(digest).stat().st_size
        except OSError as error:
            raise ContentMissingError(f"the blob {digest} can't be read: {error.strerror}") from None
        if size != blob.size:
            raise SourceDamagedError(f"the blob {digest} has {size} bytes instead of {blob.size}")


async def _on_thread(
    call: Callable[_Parameters, _Result], *args: _Parameters.args, **kwargs: _Parameters.kwargs
) -> _Result:
    """Return what `call` returns.

    Raises:
        SourceDamagedError: what the kernel says, where the call does not expect it: no rights, a failing disk.
    """
    try:
        return await asyncio.to_thread(call, *args, **kwargs)
    except OSError as error:
        raise SourceDamagedError(f"{error.filename or 'a file'} can't be read: {error.strerror}") from error


def _segment(text: str) -> str:
    """Return one segment of a path; names come from directory listings and from whoever runs the command (S34)."""
    if text in {"", ".", ".."} or "/" in text or "\0" in text:
        raise ContentMissingError(f"{text!r} is no part of a name")
    return text


def _walk_names(root: Path) -> Iterator[str]:
    """Yield names of repositories: directories that hold `_manifests`. A repository may hold others."""
    pending = [("", root, 0)]
    while pending:
        name, directory, depth = pending.pop()
        with os.scandir(directory) as entries:
            below = [entry for entry in entries if entry.is_dir(follow_symlinks=False)]
        if name and any(entry.name == "_manifests" for entry in below):
            yield name
        if depth < _DEEPEST_NAME:
            pending.extend(
                (f"{name}/{entry.name}" if name else entry.name, directory / entry.name, depth + 1)
                for entry in below
                if not entry.name.startswith("_")
            )


def _names_in(directory: Path) -> list[str]:
    try:
        return sorted(os.listdir(directory))  # noqa: PTH208  # names are wanted, not a path object for each of them
    except (FileNotFoundError, NotADirectoryError):
        return []


def _linked_digests(directory: Path) -> Iterator[Digest]:
    for algorithm in ALGORITHMS:
        for value in _names_in(directory / algorithm):
            if (directory / algorithm / value / "link").is_file():
                try:
                    yield Digest.parse(f"{algorithm}:{value}")
                except InvalidDigestError:
                    continue  # somebody's own file


def _read_link(link: Path) -> Digest:
    try:
        with link.open("rb") as file:
            text = file.read(_LONGEST_LINK)
    except OSError as error:
        raise ContentMissingError(f"{link.parent.parent.name} points nowhere: {error.strerror}") from None
    try:
        return Digest.parse(text.decode("ascii", "replace").strip())
    except InvalidDigestError:
        raise SourceDamagedError(f"{link} holds no digest (a power cut may have emptied it)") from None


def _read_small(path: Path, digest: Digest) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_MANIFEST_BYTES + 1)
    except OSError as error:
        raise ContentMissingError(
            f"the bytes of the manifest {digest} can't be read: {error.strerror}"
        ) from None
