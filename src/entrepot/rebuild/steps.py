"""Prepares facts for their units: reads manifests, and finds the bytes of blobs, before any row is touched.

A unit may await nothing but its transaction, so whatever it needs of the store is fetched here.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from entrepot.blobstore.errors import ObjectNotFoundError
from entrepot.blobstore.keys import BLOBS, MANIFESTS
from entrepot.metadata.rebuild_work import Spot
from entrepot.oci.digest import Digest
from entrepot.oci.manifest import (
    MAX_MANIFEST_BYTES,
    InvalidManifestError,
    ManifestTooLargeError,
    UnsupportedManifestError,
    parse_manifest,
)
from entrepot.oci.names import TagName
from entrepot.rebuild.facts import BlobLinked, ManifestPut, Nothing, UnreadableFactError, read_change
from entrepot.registry.pushes.manifests import ManifestPush

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from entrepot.blobstore.driver import BlobStore
    from entrepot.metadata.rebuild_work import Content, RebuildWork
    from entrepot.rebuild.facts import Change
    from entrepot.registry.hashing import HashingPool
    from entrepot.registry.journal.reader import RecordedLine

__all__ = ["Step", "StepMaker"]


@dataclass(frozen=True, slots=True)
class Step:
    """A fact with all that its unit needs.

    Attributes:
        push: the manifest, when its bytes were found and can be understood.
        key: where these bytes lie.
        problem: why there is no `push` although the fact is about one, or why what it tells can't be done any more.
        blobs: where the bytes of each blob lie that the fact mentions; those not found are left out.
        may_be_there: whether the database knows this fact, or a later one that put the manifest again: then it is put
            only where it is lacking.
        is_understood: whether it can be told what the fact changed; nothing is done for one of which it can't.
    """

    line: RecordedLine
    change: Change
    push: ManifestPush | None = None
    key: str = ""
    problem: str = ""
    blobs: Mapping[Digest, Content] = field(default_factory=dict[Digest, "Content"])
    may_be_there: bool = False
    is_understood: bool = True

    @property
    def body_bytes(self) -> int:
        """How much memory the manifest takes."""
        return 0 if self.push is None else len(self.push.body)


class StepMaker:
    """Makes steps from lines of the journal."""

    def __init__(self, blobs: BlobStore, work: RebuildWork, hashing: HashingPool, *, verify: bool) -> None:
        """Take a store whose inventory is in `work`; `verify` has every blob hashed before it is used."""
        self._blobs = blobs
        self._work = work
        self._hashing = hashing
        self._verify = verify

    async def make(self, lines: Sequence[RecordedLine]) -> Sequence[Step]:
        """Return the steps of some lines, in their order; their manifests are read at the same time.

        Raises:
            BlobStoreError: the store can't be read.
        """
        return await asyncio.gather(*(self._make(line) for line in lines))

    async def _make(self, line: RecordedLine) -> Step:
        try:
            change = read_change(line)
        except UnreadableFactError as error:
            self._work.add_spot(Spot(f"fact {line.sequence}", str(error)))
            return Step(line, Nothing(), is_understood=False)
        if isinstance(change, BlobLinked):
            digest = Digest.parse(change.digest)
            found = await self._find_blob(digest, change.size, change.key)
            return Step(line, change, blobs={} if found is None else {digest: found})
        if isinstance(change, ManifestPut):
            return await self._make_put(line, change)
        return Step(line, change)

    async def _make_put(self, line: RecordedLine, change: ManifestPut) -> Step:
        digest = Digest.parse(change.digest)
        candidates = _preferring(change.key, MANIFESTS, self._work.find(digest))
        problem = "the storage holds no sound copy of its bytes"
        for candidate in candidates:
            body = await self._read_manifest(candidate)
            if body is None:
                continue
            try:
                parsed = parse_manifest(body, change.media_type)
            except (InvalidManifestError, ManifestTooLargeError, UnsupportedManifestError) as error:
                problem = f"this program refuses it: {error}"
                break
            tags = tuple(TagName(tag) for tag in change.tags)
            push = ManifestPush(body, parsed, digest, tags)
            blobs: dict[Digest, Content] = {}
            for blob in parsed.blob_references:
                found = await self._find_blob(blob.digest, blob.size, "")
                if found is not None:
                    blobs[blob.digest] = found
            return Step(line, change, push, candidate.storage_key, "", blobs)
        return Step(line, change, problem=problem)

    async def _read_manifest(self, content: Content) -> bytes | None:
        """Return bytes that hash to what they should; `None` for others, which are not used again."""
        if content.size_bytes <= MAX_MANIFEST_BYTES:
            try:
                body = b"".join([chunk async for chunk in self._blobs.read(content.storage_key)])
            except ObjectNotFoundError:
                body = b""
            if await self._hashing.digest_bytes(body, content.digest.algorithm) == content.digest:
                return body
        self._work.judge(content.storage_key, good=False)
        return None

    async def _find_blob(self, digest: Digest, size: int, key: str) -> Content | None:
        """Return bytes of the right length, and with `verify` of the right content; those under `key` first.

        Where several objects have that length, they are hashed in any case: one of them may be a damaged one that was
        healed, which leaves no fact.
        """
        contents = _preferring(key, BLOBS, self._work.find(digest))
        fitting = [content for content in contents if content.size_bytes == size]
        for content in fitting:
            if not (self._verify or len(fitting) > 1) or await self._is_good(content):
                return content
        return None

    async def _is_good(self, content: Content) -> bool:
        if self._work.is_verified(content.storage_key):
            return True
        try:
            stored = self._blobs.read(content.storage_key)
            actual = (await self._hashing.digest_stream(stored, content.digest.algorithm)).digest()
        except ObjectNotFoundError:
            return False
        good = actual == content.digest
        self._work.judge(content.storage_key, good=good)
        return good


def _preferring(key: str, area: str, contents: Sequence[Content]) -> Sequence[Content]:
    within = [content for content in contents if content.storage_key.startswith(area)]
    return sorted(within, key=lambda content: content.storage_key != key)
