"""Finds referrers in sources that only list manifests: each is read once, and what it is attached to is remembered."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, defaultdict
from typing import TYPE_CHECKING, Final

from entrepot.oci.manifest import (
    InvalidManifestError,
    ManifestTooLargeError,
    UnsupportedManifestError,
    parse_manifest,
)
from entrepot.transfer.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from entrepot.oci.digest import Digest
    from entrepot.transfer.source import ImageSource

__all__ = ["SubjectIndex"]

_REMEMBERED_REPOSITORIES: Final = 16


class SubjectIndex:
    """Referrers by subject, for the repositories that were asked for last."""

    def __init__(self, source: ImageSource) -> None:
        self._source = source
        self._known: OrderedDict[str, Mapping[Digest, Sequence[Digest]]] = OrderedDict()
        self._lock = asyncio.Lock()

    async def of(self, repository: str, subject: Digest) -> Sequence[Digest]:
        """Return the referrers of a manifest."""
        async with self._lock:
            if repository not in self._known:
                self._known[repository] = await self._read(repository)
                while len(self._known) > _REMEMBERED_REPOSITORIES:
                    self._known.popitem(last=False)
            self._known.move_to_end(repository)
            return self._known[repository].get(subject, ())

    async def _read(self, repository: str) -> Mapping[Digest, Sequence[Digest]]:
        found: defaultdict[Digest, list[Digest]] = defaultdict(list)
        async for digest in self._source.untagged(repository):
            subject = await self._subject_of(repository, digest)
            if subject is not None:
                found[subject].append(digest)
        return found

    async def _subject_of(self, repository: str, digest: Digest) -> Digest | None:
        try:
            manifest = await self._source.manifest(repository, digest)
            parsed = parse_manifest(manifest.body, manifest.media_type)
        except (SourceError, InvalidManifestError, ManifestTooLargeError, UnsupportedManifestError):
            return None  # reported when it is its turn to be imported
        return parsed.subject.digest if parsed.subject is not None else None
