"""Listing what is attached to a manifest: signatures, attestations, bills of materials."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from entrepot.metadata.records import ReferrerPage, ReferrerQuery

if TYPE_CHECKING:
    from entrepot.auth.grants import Grant, Pull
    from entrepot.metadata.store import Metadata
    from entrepot.oci.digest import Digest

__all__ = ["MAX_PAGE_BYTES", "Referrers", "list_tag"]

MAX_PAGE_BYTES: Final = 4 * 1024 * 1024
"""What clients read of a list of referrers, as of any manifest; annotations can make one that large (S37)."""

_TAG_HEX_CHARACTERS: Final = 64


def list_tag(subject: Digest) -> str:
    """Return the tag under which clients that know no referrers API keep a list of referrers.

    Of the replacements that the distribution-spec has for it ("Referrers Tag Schema") none concerns sha256 or sha512.
    """
    return f"{subject.algorithm}-{subject.hex[:_TAG_HEX_CHARACTERS]}"


class Referrers:
    """Reads lists of referrers; a page costs one SQL statement, however long the list."""

    def __init__(self, metadata: Metadata) -> None:
        self._referrers = metadata.referrers

    async def list_page(
        self, grant: Grant[Pull], subject: Digest, artifact_type: str | None, after: str, limit: int
    ) -> ReferrerPage:
        """Return up to `limit` referrers of a manifest in the order of their digests, from behind `after`.

        There may be fewer, at least one, when more do not fit into :data:`MAX_PAGE_BYTES`. A subject that does not
        exist, in a repository that does not exist, may have referrers as well: none, like any other without.
        """
        if limit == 0:
            return ReferrerPage((), more=False)
        query = ReferrerQuery(
            repository=grant.repository.text,
            subject=subject,
            list_tag=list_tag(subject),
            artifact_type=artifact_type,
            after=after,
            limit=limit,
            max_bytes=MAX_PAGE_BYTES,
        )
        return await self._referrers.list_page(query)
