"""What manifests refer to: recorded with a manifest, asked before a blob or a manifest is deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from entrepot.metadata.sql.rows import digest_from_text
from entrepot.metadata.sql.statements import Statement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from entrepot.metadata.records import ImageReference, NewManifest
    from entrepot.metadata.sql.statements import Executor, Value
    from entrepot.oci.digest import Digest

__all__ = ["STATEMENTS", "SqlReferenceRows", "insert_references", "resolve_references"]

INSERT_TO_BLOB: Final = Statement(
    "references.insert_to_blob",
    """
    INSERT INTO manifest_references (manifest_id, position, kind, digest, size_bytes, media_type, blob_id)
    VALUES (:manifest_id, :position, :kind, :digest, :size_bytes, :media_type,
            (SELECT b.id FROM blobs b JOIN repository_blobs l ON l.blob_id = b.id
             WHERE b.digest = :digest AND l.repository_id = :repository_id AND b.state = 'live'))
    """,
)
INSERT_TO_CHILD: Final = Statement(
    "references.insert_to_child",
    """
    INSERT INTO manifest_references (manifest_id, position, kind, digest, size_bytes, media_type, child_id)
    VALUES (:manifest_id, :position, :kind, :digest, :size_bytes, :media_type,
            (SELECT id FROM manifests
             WHERE repository_id = :repository_id AND digest = :digest AND state = 'live'))
    """,
)
RESOLVE_TO_BLOBS: Final = Statement(
    "references.resolve_to_blobs",
    """
    UPDATE manifest_references SET blob_id = (
        SELECT b.id FROM blobs b JOIN repository_blobs l ON l.blob_id = b.id
        WHERE b.digest = manifest_references.digest AND l.repository_id = :repository_id AND b.state = 'live')
    WHERE manifest_id = :manifest_id AND kind <> 'manifest' AND blob_id IS NULL
    """,
)
RESOLVE_TO_CHILDREN: Final = Statement(
    "references.resolve_to_children",
    """
    UPDATE manifest_references SET child_id = (
        SELECT c.id FROM manifests c
        WHERE c.repository_id = :repository_id AND c.digest = manifest_references.digest AND c.state = 'live')
    WHERE manifest_id = :manifest_id AND kind = 'manifest' AND child_id IS NULL
    """,
)
# A reference without a target names what the repository did not have when the manifest came. It counts all the same:
# the thing may have come later.
MANIFESTS_WITH_BLOB: Final = Statement(
    "references.manifests_with_blob",
    """
    SELECT m.digest FROM manifest_references x JOIN manifests m ON m.id = x.manifest_id
    WHERE x.blob_id = :blob_id AND m.repository_id = :repository_id AND m.state = 'live'
    UNION ALL
    SELECT m.digest FROM manifest_references x JOIN manifests m ON m.id = x.manifest_id
    WHERE x.digest = :digest AND x.blob_id IS NULL AND x.child_id IS NULL AND x.kind <> 'manifest'
        AND m.repository_id = :repository_id AND m.state = 'live'
    LIMIT :rows
    """,
)
INDEXES_WITH_MANIFEST: Final = Statement(
    "references.indexes_with_manifest",
    """
    SELECT m.digest FROM manifest_references x JOIN manifests m ON m.id = x.manifest_id
    WHERE x.child_id = :manifest_id AND m.state = 'live'
    UNION ALL
    SELECT m.digest FROM manifest_references x JOIN manifests m ON m.id = x.manifest_id
    WHERE x.digest = :digest AND x.blob_id IS NULL AND x.child_id IS NULL AND x.kind = 'manifest'
        AND m.repository_id = :repository_id AND m.state = 'live'
    LIMIT :rows
    """,
)

STATEMENTS: Final = (
    INSERT_TO_BLOB,
    INSERT_TO_CHILD,
    RESOLVE_TO_BLOBS,
    RESOLVE_TO_CHILDREN,
    MANIFESTS_WITH_BLOB,
    INDEXES_WITH_MANIFEST,
)


class SqlReferenceRows:
    """Implements :class:`entrepot.metadata.manifest_store.ReferenceRows`."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def manifests_with_blob(
        self, repository_id: int, blob_id: int, digest: Digest, limit: int
    ) -> Sequence[Digest]:
        """See the protocol."""
        rows = await self._executor.fetch_rows(
            MANIFESTS_WITH_BLOB,
            repository_id=repository_id,
            blob_id=blob_id,
            digest=str(digest),
            rows=limit,
        )
        return [digest_from_text(found) for (found,) in rows]

    async def indexes_with_manifest(
        self, repository_id: int, manifest_id: int, digest: Digest, limit: int
    ) -> Sequence[Digest]:
        """See the protocol."""
        rows = await self._executor.fetch_rows(
            INDEXES_WITH_MANIFEST,
            repository_id=repository_id,
            manifest_id=manifest_id,
            digest=str(digest),
            rows=limit,
        )
        return [digest_from_text(found) for (found,) in rows]


async def insert_references(executor: Executor, manifest_id: int, manifest: NewManifest) -> None:
    """Record what a new manifest refers to; what the repository does not have is recorded by its digest alone."""
    to_blobs: list[dict[str, Value]] = []
    to_manifests: list[dict[str, Value]] = []
    for position, reference in enumerate(manifest.references):
        target = to_manifests if reference.kind == "manifest" else to_blobs
        target.append(_reference_values(manifest_id, manifest.repository_id, position, reference))
    if to_blobs:
        await executor.execute_many(INSERT_TO_BLOB, to_blobs)
    if to_manifests:
        await executor.execute_many(INSERT_TO_CHILD, to_manifests)


async def resolve_references(executor: Executor, manifest_id: int, manifest: NewManifest) -> None:
    """Connect a manifest that is pushed again with what came into the repository since it was first pushed.

    Only what a manifest may name without its being there can have been missing.
    """
    optional = {reference.kind == "manifest" for reference in manifest.references if not reference.required}
    for to_manifests in sorted(optional):
        await executor.execute(
            RESOLVE_TO_CHILDREN if to_manifests else RESOLVE_TO_BLOBS,
            manifest_id=manifest_id,
            repository_id=manifest.repository_id,
        )


def _reference_values(
    manifest_id: int, repository_id: int, position: int, reference: ImageReference
) -> dict[str, Value]:
    return {
        "manifest_id": manifest_id,
        "repository_id": repository_id,
        "position": position,
        "kind": reference.kind,
        "digest": str(reference.digest),
        "size_bytes": reference.size_bytes,
        "media_type": reference.media_type,
    }
