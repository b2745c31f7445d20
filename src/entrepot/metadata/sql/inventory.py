"""Walks through blobs, manifests, tags and links by key; no request does any of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from entrepot.metadata.inventory import InventoryBlob, InventoryBody, InventoryManifest, InventoryTag
from entrepot.metadata.sql.rows import digest_from_text
from entrepot.metadata.sql.statements import Statement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from entrepot.metadata.sql.statements import ReadExecutor, Row

__all__ = ["STATEMENTS", "SqlInventoryReader", "blob_of"]

BLOBS: Final = Statement(
    "inventory.blobs",
    """
    SELECT id, digest, size_bytes, state, storage_key, quarantined_at FROM blobs
    WHERE id > :after ORDER BY id LIMIT :rows
    """,
)
BODIES: Final = Statement(
    "inventory.bodies",
    """
    SELECT digest, size_bytes, body, storage_key FROM manifest_bodies
    WHERE digest > :after ORDER BY digest LIMIT :rows
    """,
)
MANIFESTS: Final = Statement(
    "inventory.manifests",
    """
    SELECT m.id, r.name, m.digest, m.media_type, m.size_bytes, m.subject_digest
    FROM manifests m JOIN repositories r ON r.id = m.repository_id
    WHERE m.id > :after AND m.state = 'live' AND r.deleted_at IS NULL
    ORDER BY m.id LIMIT :rows
    """,
)
MANIFESTS_OF: Final = Statement(
    "inventory.manifests_of",
    """
    SELECT m.id, r.name, m.digest, m.media_type, m.size_bytes, m.subject_digest
    FROM repositories r JOIN manifests m ON m.repository_id = r.id
    WHERE r.name = :repository AND r.deleted_at IS NULL AND m.digest > :after AND m.state = 'live'
    ORDER BY m.digest LIMIT :rows
    """,
)
TAGS_OF: Final = Statement(
    "inventory.tags_of",
    """
    SELECT t.name, m.digest, m.media_type
    FROM repositories r JOIN tags t ON t.repository_id = r.id JOIN manifests m ON m.id = t.manifest_id
    WHERE r.name = :repository AND r.deleted_at IS NULL AND t.name > :after AND m.state = 'live'
    ORDER BY t.name LIMIT :rows
    """,
)
LINKS_OF: Final = Statement(
    "inventory.links_of",
    """
    SELECT b.id, b.digest, b.size_bytes, b.state, b.storage_key, b.quarantined_at
    FROM repositories r JOIN repository_blobs l ON l.repository_id = r.id JOIN blobs b ON b.id = l.blob_id
    WHERE r.name = :repository AND r.deleted_at IS NULL AND l.blob_id > :after
    ORDER BY l.blob_id LIMIT :rows
    """,
)

STATEMENTS: Final = (BLOBS, BODIES, MANIFESTS, MANIFESTS_OF, TAGS_OF, LINKS_OF)


class SqlInventoryReader:
    """Implements :class:`entrepot.metadata.inventory.InventoryReader`."""

    def __init__(self, executor: ReadExecutor) -> None:
        self._executor = executor

    async def blobs(self, after_id: int, limit: int) -> Sequence[InventoryBlob]:
        """See the protocol."""
        return [blob_of(row) for row in await self._executor.fetch_rows(BLOBS, after=after_id, rows=limit)]

    async def bodies(self, after_digest: str, limit: int) -> Sequence[InventoryBody]:
        """See the protocol."""
        rows = await self._executor.fetch_rows(BODIES, after=after_digest, rows=limit)
        return [
            InventoryBody(digest_from_text(digest), size_bytes, bytes(body), storage_key)
            for digest, size_bytes, body, storage_key in rows
        ]

    async def manifests(self, after_id: int, limit: int) -> Sequence[InventoryManifest]:
        """See the protocol."""
        rows = await self._executor.fetch_rows(MANIFESTS, after=after_id, rows=limit)
        return [_manifest(row) for row in rows]

    async def manifests_of(
        self, repository: str, after_digest: str, limit: int
    ) -> Sequence[InventoryManifest]:
        """See the protocol."""
        rows = await self._executor.fetch_rows(
            MANIFESTS_OF, repository=repository, after=after_digest, rows=limit
        )
        return [_manifest(row) for row in rows]

    async def tags_of(self, repository: str, after_name: str, limit: int) -> Sequence[InventoryTag]:
        """See the protocol."""
        rows = await self._executor.fetch_rows(TAGS_OF, repository=repository, after=after_name, rows=limit)
        return [InventoryTag(name, digest_from_text(digest), media_type) for name, digest, media_type in rows]

    async def links_of(self, repository: str, after_id: int, limit: int) -> Sequence[InventoryBlob]:
        """See the protocol."""
        rows = await self._executor.fetch_rows(LINKS_OF, repository=repository, after=after_id, rows=limit)
        return [blob_of(row) for row in rows]


def blob_of(row: Row) -> InventoryBlob:
    """Return the value of a row of id, digest, size, state, key and the time it was set aside."""
    number, digest, size_bytes, state, storage_key, quarantined_at = row
    return InventoryBlob(
        number, digest_from_text(digest), size_bytes, state, storage_key, quarantined_at is not None
    )


def _manifest(row: Row) -> InventoryManifest:
    number, repository, digest, media_type, size_bytes, subject = row
    return InventoryManifest(
        number,
        repository,
        digest_from_text(digest),
        media_type,
        size_bytes,
        None if subject is None else digest_from_text(subject),
    )
