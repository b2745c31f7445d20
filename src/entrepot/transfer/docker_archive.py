"""Reads what `docker save` and `podman save` write: a tar archive with `manifest.json` (Docker image spec v1.2).

Such an archive has no manifest and no digests of its own: a config, and layers as tar files. They become a Docker
schema 2 manifest that names the layers exactly as they lie there. A layer that is not compressed has the digest that
the config gives it as diff id, so it is verified against the image itself, and importing the same image from another
archive of it yields the same digests. Compressing would make them hang on the version of a library (decision 30).
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from entrepot.oci.digest import Digest, InvalidDigestError
from entrepot.oci.media_types import DOCKER_IMAGE_CONFIG, DOCKER_MANIFEST
from entrepot.registry.hashing import RunningDigest
from entrepot.transfer.errors import ContentMissingError, SourceDamagedError, SourceError, SourceUnusableError
from entrepot.transfer.image_names import parse_image_name
from entrepot.transfer.source import LocalFile, SourceManifest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from entrepot.oci.descriptor import Descriptor
    from entrepot.transfer.archive_files import ArchiveFiles
    from entrepot.transfer.source import BlobOrigin

__all__ = ["CONTENTS", "DockerArchive"]

CONTENTS: Final = "manifest.json"
_LARGEST_CONTENTS_BYTES: Final = 16 * 1024 * 1024
_LARGEST_CONFIG_BYTES: Final = 8 * 1024 * 1024
_LAYER: Final = "application/vnd.docker.image.rootfs.diff.tar"
_COMPRESSIONS: Final = {b"\x1f\x8b": ".gzip", b"\x28\xb5\x2f\xfd": ".zstd"}


class _Image(msgspec.Struct, frozen=True, rename="pascal"):
    config: str
    layers: list[str] | None = None
    repo_tags: list[str] | None = None


class _RootFilesystem(msgspec.Struct, frozen=True):
    diff_ids: list[str] | None = None


class _Config(msgspec.Struct, frozen=True):
    rootfs: _RootFilesystem


@dataclass(frozen=True, slots=True)
class _Converted:
    digest: Digest
    manifest: bytes


@dataclass(frozen=True, slots=True)
class _Layer:
    digest: Digest
    size: int
    media_type: str


class DockerArchive:
    """An :class:`ImageSource` on an archive."""

    def __init__(self, files: ArchiveFiles, place: str, images: list[_Image], into: str | None) -> None:
        self._files = files
        self._place = place
        self._images = images
        self._tags: dict[str, dict[str, int]] = {}
        self._nameless: dict[str, list[int]] = {}
        self._converted: dict[int, _Converted] = {}
        self._members: dict[Digest, str] = {}
        self._lock = asyncio.Lock()
        for number, image in enumerate(images):
            self._name(number, image, into)

    @classmethod
    async def open(cls, files: ArchiveFiles, place: str, into: str | None) -> DockerArchive:
        """Read the list of images; all go into the repository `into` if there is one, else where their names say.

        Raises:
            SourceUnusableError: it is no such archive, or an image has no name and there is no `into`.
        """
        try:
            text = await files.read(CONTENTS, _LARGEST_CONTENTS_BYTES)
            images = msgspec.json.decode(text, type=list[_Image])
        except (SourceError, msgspec.DecodeError, UnicodeDecodeError) as error:
            raise SourceUnusableError(f"{place} is no archive of docker save: {CONTENTS}: {error}") from None
        return cls(files, place, images, into)

    def _name(self, number: int, image: _Image, into: str | None) -> None:
        for text in image.repo_tags or ():
            name = parse_image_name(text)
            repository = into or name.repository
            if repository is not None and name.tag is not None:
                self._tags.setdefault(repository, {})[name.tag] = number
        if not image.repo_tags:
            if into is None:
                raise SourceUnusableError(
                    f"{self._place}: an image has no name (config {image.config}): "
                    "say where it goes with --into REPOSITORY"
                )
            self._nameless.setdefault(into, []).append(number)

    @property
    def description(self) -> str:
        """Kind and place."""
        return f"the docker archive {self._place}"

    @property
    def lists_untagged(self) -> bool:
        """All manifests are listed."""
        return True

    async def repositories(self) -> AsyncIterator[str]:
        """Yield the repositories that the names of the images have."""
        for name in sorted({*self._tags, *self._nameless}):
            yield name

    async def tags(self, repository: str) -> AsyncIterator[str]:
        """Yield the tags of a repository."""
        for tag in sorted(self._tags.get(repository, {})):
            yield tag

    async def resolve(self, repository: str, tag: str) -> Digest:
        """Make the manifest of an image and return its digest."""
        number = self._tags.get(repository, {}).get(tag)
        if number is None:
            raise ContentMissingError(f"the archive has no image {repository}:{tag}")
        return (await self._convert(number)).digest

    async def untagged(self, repository: str) -> AsyncIterator[Digest]:
        """Yield the images without a name."""
        for number in self._nameless.get(repository, ()):
            yield (await self._convert(number)).digest

    async def referrers(self, repository: str, subject: Digest) -> AsyncIterator[Digest]:
        """Such archives hold nothing that is attached to an image."""
        nothing: tuple[Digest, ...] = ()
        for digest in nothing:
            yield digest

    async def manifest(self, repository: str, digest: Digest) -> SourceManifest:
        """Return a manifest that was made before."""
        for converted in self._converted.values():
            if converted.digest == digest:
                return SourceManifest(converted.manifest, DOCKER_MANIFEST)
        raise ContentMissingError(f"the archive has no image {digest}")

    async def confirm_blob(self, repository: str, blob: Descriptor) -> None:
        """Look for the member."""
        self._member(blob.digest)

    async def open_blob(self, repository: str, blob: Descriptor) -> BlobOrigin:
        """Return the range of the archive that holds the config or layer."""
        return self._files.origin(self._member(blob.digest))

    async def aclose(self) -> None:
        """Nothing is open."""

    def _member(self, digest: Digest) -> str:
        if digest not in self._members:
            raise ContentMissingError(f"the archive has no blob {digest}")
        return self._members[digest]

    async def _convert(self, number: int) -> _Converted:
        async with self._lock:
            if number not in self._converted:
                self._converted[number] = await self._make_manifest(self._images[number])
            return self._converted[number]

    async def _make_manifest(self, image: _Image) -> _Converted:
        config = await self._files.read(image.config, _LARGEST_CONFIG_BYTES)
        diff_ids = _diff_ids(config, image.config)
        names = image.layers or []
        if len(names) != len(diff_ids):
            raise SourceDamagedError(
                f"{image.config} speaks of {len(diff_ids)} layers, the archive has {len(names)}"
            )
        layers = [await self._examine(name, diff) for name, diff in zip(names, diff_ids, strict=True)]
        config_digest = Digest.of_bytes(config)
        self._members[config_digest] = image.config
        self._members.update(zip((layer.digest for layer in layers), names, strict=True))
        manifest = _encode_manifest(_Layer(config_digest, len(config), DOCKER_IMAGE_CONFIG), layers)
        return _Converted(Digest.of_bytes(manifest), manifest)

    async def _examine(self, name: str, diff_id: Digest) -> _Layer:
        """Return what a layer is; only one that is compressed has to be read to know its digest."""
        size = await self._files.size(name)
        compression = await self._compression_of(name)
        if not compression:
            return _Layer(diff_id, size, _LAYER)
        origin = self._files.origin(name)
        if isinstance(origin, LocalFile):
            raise SourceUnusableError(f"{self._place} is a directory: an archive of docker save is a file")
        running = RunningDigest.begin("sha256")
        async for chunk in origin.chunks:
            await asyncio.to_thread(running.update, (chunk,))
        return _Layer(running.digest(), size, f"{_LAYER}{compression}")

    async def _compression_of(self, name: str) -> str:
        origin = self._files.origin(name)
        if isinstance(origin, LocalFile):
            return ""
        try:
            beginning = await anext(origin.chunks, b"")
        finally:
            await origin.chunks.aclose()
        return next((kind for magic, kind in _COMPRESSIONS.items() if beginning.startswith(magic)), "")


def _diff_ids(config: bytes, name: str) -> list[Digest]:
    try:
        texts = msgspec.json.decode(config, type=_Config).rootfs.diff_ids or []
        return [Digest.parse(text) for text in texts]
    except (msgspec.DecodeError, UnicodeDecodeError, InvalidDigestError) as error:
        raise SourceDamagedError(f"{name} is no config of an image: {error}") from None


def _encode_manifest(config: _Layer, layers: list[_Layer]) -> bytes:
    """Return the manifest in the one spelling that every run yields."""
    document = {
        "schemaVersion": 2,
        "mediaType": DOCKER_MANIFEST,
        "config": _describe(config),
        "layers": [_describe(layer) for layer in layers],
    }
    return json.dumps(document, indent=3).encode()


def _describe(layer: _Layer) -> dict[str, object]:
    return {"mediaType": layer.media_type, "size": layer.size, "digest": str(layer.digest)}
