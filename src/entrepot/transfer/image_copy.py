"""Copies one image with everything it refers to: blobs and children first, the manifest last."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from entrepot.oci.manifest import (
    InvalidManifestError,
    ManifestTooLargeError,
    UnsupportedManifestError,
    parse_manifest,
)
from entrepot.registry.errors import (
    DigestMismatchError,
    ManifestReferencesMissingError,
    SourceInterruptedError,
)
from entrepot.registry.pushes.tag_conditions import UNCONDITIONAL
from entrepot.transfer.errors import ContentMissingError, SourceError, TransferError
from entrepot.transfer.keyed_locks import KeyedLocks
from entrepot.transfer.together import run_together

if TYPE_CHECKING:
    from collections.abc import Callable

    from entrepot.oci.descriptor import Descriptor
    from entrepot.oci.digest import Digest
    from entrepot.oci.manifest import ParsedManifest
    from entrepot.oci.names import RepositoryName, TagName
    from entrepot.registry.pushes.tag_conditions import TagCondition
    from entrepot.transfer.report import ImportReport
    from entrepot.transfer.source import ImageSource
    from entrepot.transfer.target import ImportTarget

__all__ = ["ImageCopier", "ImageFailedError", "WantedImage"]

_DEEPEST_INDEX: Final = 16
"""Indexes within indexes; digests can't form a circle, but a chain can be as long as somebody makes it."""


@dataclass(frozen=True, slots=True)
class WantedImage:
    """A manifest of a repository of the source that is to be in one of the target, and be found under a tag there.

    Attributes:
        condition: what the tag must point at in the target before.
    """

    source: str
    target: RepositoryName
    digest: Digest
    tag: TagName | None = None
    condition: TagCondition = UNCONDITIONAL


class ImageFailedError(TransferError):
    """An image can't be copied because of what it is, or of what the source has of it."""


class ImageMissingError(ImageFailedError):
    """The source does not have the manifest itself."""


class ImageCopier:
    """Copies images of one source into one target. The same image or blob is copied by one task at a time."""

    def __init__(
        self,
        source: ImageSource,
        target: ImportTarget,
        report: ImportReport,
        parallel: int,
        advance: Callable[[int, str], None],
    ) -> None:
        self._source = source
        self._target = target
        self._report = report
        self._advance = advance
        self._transfers = asyncio.Semaphore(parallel)
        self._manifests = KeyedLocks[tuple[str, str]]()
        self._blobs = KeyedLocks["Digest"]()
        self._failed: dict[tuple[str, Digest], ImageFailedError] = {}
        self._counted: set[tuple[str, str]] = set()

    async def copy(self, image: WantedImage) -> ParsedManifest:
        """Make sure that a manifest and all it refers to is in the target, with its tag; return what it says.

        Raises:
            ImageFailedError: the source lacks a part, a part is damaged, or this registry does not store its kind.
            TagConditionError: the tag does not point at what the condition asks for; nothing of this is kept but what
                the manifest refers to.
        """
        return await self._copy_once(image, 0)

    async def _copy_once(self, image: WantedImage, depth: int) -> ParsedManifest:
        key = (image.source, image.digest)
        async with self._manifests.held((image.target.text, str(image.digest))):
            if (failure := self._failed.get(key)) is not None:
                raise type(failure)(str(failure))
            try:
                return await self._copy(image, depth)
            except ImageFailedError as error:
                self._failed[key] = error
                raise
            except SourceError as error:
                failure = self._failed[key] = ImageFailedError(str(error))
                raise failure from None

    async def _copy(self, image: WantedImage, depth: int) -> ParsedManifest:
        present = await self._target.find_manifest(image.target, image.digest)
        if present is not None:
            parsed = _parse(present.body, present.media_type)
            await self._copy_children(image, parsed, depth)
            if image.tag is not None:
                await self._store(image, parsed, present.body)
            self._report.manifests_present += self._is_new(image)
            return parsed
        try:
            manifest = await self._source.manifest(image.source, image.digest)
        except ContentMissingError as error:
            raise ImageMissingError(str(error)) from None
        parsed = _parse(manifest.body, manifest.media_type)
        await self._copy_children(image, parsed, depth)
        await self._copy_blobs(image.source, image.target, parsed)
        await self._store(image, parsed, manifest.body)
        self._report.manifests_stored += self._is_new(image)
        return parsed

    def _is_new(self, image: WantedImage) -> bool:
        """Whether an image is met for the first time: many tags may point at it."""
        key = (image.target.text, str(image.digest))
        if key in self._counted:
            return False
        self._counted.add(key)
        return True

    async def _store(self, image: WantedImage, parsed: ParsedManifest, body: bytes) -> None:
        try:
            await self._target.store_manifest(
                image.target, parsed, body, image.digest, image.tag, image.condition
            )
        except ManifestReferencesMissingError as error:
            raise ImageFailedError(str(error)) from None

    async def _copy_children(self, image: WantedImage, parsed: ParsedManifest, depth: int) -> None:
        """Copy what an index lists. What the source does not have either is left to the target to accept or refuse."""
        if parsed.children and depth == _DEEPEST_INDEX:
            raise ImageFailedError(f"indexes lie within one another more than {_DEEPEST_INDEX} deep")
        for child in parsed.children:
            try:
                await self._copy_once(WantedImage(image.source, image.target, child.digest), depth + 1)
            except ImageMissingError:
                continue
            except ImageFailedError as error:
                raise ImageFailedError(f"{child.digest}, which the index lists: {error}") from None

    async def _copy_blobs(self, source: str, target: RepositoryName, parsed: ParsedManifest) -> None:
        copies = [self._copy_blob(source, target, blob) for blob in parsed.blob_references]
        copies += [self._copy_optional(source, target, layer) for layer in parsed.non_distributable_layers]
        await run_together(copies, self._transfers, (SourceError, ImageFailedError))

    async def _copy_optional(self, source: str, target: RepositoryName, layer: Descriptor) -> None:
        """Copy a layer that may lie elsewhere, if the source has it."""
        with contextlib.suppress(ContentMissingError):
            await self._copy_blob(source, target, layer)

    async def _copy_blob(self, source: str, target: RepositoryName, blob: Descriptor) -> None:
        async with self._blobs.held(blob.digest):
            if await self._target.has_blob(target, blob.digest):
                return
            # Only what the source's repository has may appear in ours, wherever else in the target it lies (S3).
            await self._source.confirm_blob(source, blob)
            if await self._target.mount_blob(target, blob.digest):
                self._report.count_blob("mounted", blob.size)
                return
            origin = await self._source.open_blob(source, blob)
            try:
                transfer = await self._target.store_blob(
                    target, blob, origin, lambda size: self._advance(size, target.text)
                )
            except (DigestMismatchError, SourceInterruptedError) as error:
                raise ImageFailedError(f"the blob {blob.digest} is damaged: {error}") from None
            self._report.count_blob(transfer, blob.size)


def _parse(body: bytes, media_type: str) -> ParsedManifest:
    try:
        return parse_manifest(body, media_type)
    except (InvalidManifestError, ManifestTooLargeError, UnsupportedManifestError) as error:
        raise ImageFailedError(str(error)) from None
