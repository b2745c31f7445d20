"""Manifests: the statements behind pulls by tag or digest, and behind the PUT of a manifest."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from entrepot.metadata.errors import MetadataUnavailableError
from entrepot.metadata.records import Missing, StoredManifest
from entrepot.metadata.sql.references import insert_references, resolve_references
from entrepot.metadata.sql.rows import digest_from_text
from entrepot.metadata.sql.statements import Statement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from entrepot.metadata.records import NewManifest
    from entrepot.metadata.sql.statements import Executor, ReadExecutor, Row, Value
    from entrepot.oci.digest import Digest

__all__ = ["POINT_READS", "STATEMENTS", "SqlManifestReader", "SqlManifestWriterRows"]

_REVIVAL_ATTEMPTS: Final = 5

# A body that the caller knows is not looked for: nothing equals NULL.
FIND_BY_TAG: Final = Statement(
    "manifests.find_by_tag",
    """
    SELECT m.digest, m.media_type, m.size_bytes, b.body, r.project_id
    FROM repositories r
    LEFT JOIN tags t ON t.repository_id = r.id AND t.name = :tag
    LEFT JOIN manifests m ON m.id = t.manifest_id AND m.state = 'live'
    LEFT JOIN manifest_bodies b ON b.digest = nullif(m.digest, :known)
    WHERE r.name = :repository AND r.deleted_at IS NULL
    """,
)
FIND_BY_DIGEST: Final = Statement(
    "manifests.find_by_digest",
    """
    SELECT m.digest, m.media_type, m.size_bytes, b.body, r.project_id
    FROM repositories r
    LEFT JOIN manifests m ON m.repository_id = r.id AND m.digest = :digest AND m.state = 'live'
    LEFT JOIN manifest_bodies b ON b.digest = nullif(m.digest, :known)
    WHERE r.name = :repository AND r.deleted_at IS NULL
    """,
)
DESCRIBE_BY_TAG: Final = Statement(
    "manifests.describe_by_tag",
    """
    SELECT m.digest, m.media_type, m.size_bytes
    FROM repositories r
    LEFT JOIN tags t ON t.repository_id = r.id AND t.name = :tag
    LEFT JOIN manifests m ON m.id = t.manifest_id AND m.state = 'live'
    WHERE r.name = :repository AND r.deleted_at IS NULL
    """,
)
DESCRIBE_BY_DIGEST: Final = Statement(
    "manifests.describe_by_digest",
    """
    SELECT m.digest, m.media_type, m.size_bytes
    FROM repositories r
    LEFT JOIN manifests m ON m.repository_id = r.id AND m.digest = :digest AND m.state = 'live'
    WHERE r.name = :repository AND r.deleted_at IS NULL
    """,
)
INSERT_BODY: Final = Statement(
    "manifests.insert_body",
    """
    INSERT INTO manifest_bodies (digest, size_bytes, body, storage_key)
    VALUES (:digest, :size_bytes, :body, :storage_key)
    ON CONFLICT (digest) DO NOTHING
    """,
)
INSERT: Final = Statement(
    "manifests.insert",
    """
    INSERT INTO manifests (repository_id, digest, media_type, artifact_type, config_media_type, subject_digest,
                           annotations, size_bytes, state, created_at, creator)
    VALUES (:repository_id, :digest, :media_type, :artifact_type, :config_media_type, :subject_digest,
            :annotations, :size_bytes, 'live', {now}, :creator)
    ON CONFLICT (repository_id, digest) DO NOTHING
    RETURNING id
    """,
)
REVIVE: Final = Statement(
    "manifests.revive",
    """
    UPDATE manifests SET state = 'live', condemned_at = NULL, quarantined_at = NULL, quarantine_reason = NULL
    WHERE repository_id = :repository_id AND digest = :digest
        AND (state = 'condemned' OR quarantined_at IS NOT NULL)
    """,
)
HOLD_LIVE: Final = Statement(
    "manifests.hold_live",
    """
    SELECT id FROM manifests
    WHERE repository_id = :repository_id AND digest = :digest AND state = 'live' {for_share}
    """,
)
HOLD: Final = Statement(
    "manifests.hold",
    """
    SELECT id FROM manifests
    WHERE repository_id = :repository_id AND digest = :digest
        AND (state = 'live' OR quarantined_at IS NOT NULL) {for_update}
    """,
)
CONDEMN: Final = Statement(
    "manifests.condemn",
    """
    UPDATE manifests
    SET state = 'condemned', condemned_at = {now}, quarantined_at = NULL, quarantine_reason = NULL
    WHERE id = :manifest_id AND (state = 'live' OR quarantined_at IS NOT NULL)
    """,
)
FIND_PRESENT: Final = Statement(
    "manifests.find_present",
    """
    SELECT digest FROM manifests
    WHERE repository_id = :repository_id AND digest IN {texts:digests} AND state = 'live'
    ORDER BY digest {for_share}
    """,
)
# Bytes that differ from those of somebody who hashed his are damaged, and so are of no use to him.
FIND_BODY_KEY: Final = Statement(
    "manifests.find_body_key",
    "SELECT storage_key FROM manifest_bodies WHERE digest = :digest AND body = :body",
)
REPLACE_BODY: Final = Statement(
    "manifests.replace_body",
    """
    UPDATE manifest_bodies SET body = :body, size_bytes = :size_bytes, storage_key = :storage_key
    WHERE digest = :digest AND body <> :body
    """,
)

POINT_READS: Final = (FIND_BY_TAG, FIND_BY_DIGEST, DESCRIBE_BY_TAG, DESCRIBE_BY_DIGEST)
STATEMENTS: Final = (
    *POINT_READS,
    INSERT_BODY,
    INSERT,
    REVIVE,
    HOLD_LIVE,
    HOLD,
    CONDEMN,
    FIND_PRESENT,
    FIND_BODY_KEY,
    REPLACE_BODY,
)


class SqlManifestReader:
    """Implements :class:`entrepot.metadata.store.ManifestReader`."""

    def __init__(self, executor: ReadExecutor) -> None:
        self._executor = executor

    async def find_by_tag(
        self, repository: str, tag: str, known: Digest | None = None
    ) -> StoredManifest | Missing:
        """See the protocol."""
        row = await self._executor.fetch_row(
            FIND_BY_TAG, repository=repository, tag=tag, known="" if known is None else str(known)
        )
        return _with_body(row)

    async def find_by_digest(
        self, repository: str, digest: Digest, known: Digest | None = None
    ) -> StoredManifest | Missing:
        """See the protocol."""
        row = await self._executor.fetch_row(
            FIND_BY_DIGEST,
            repository=repository,
            digest=str(digest),
            known="" if known is None else str(known),
        )
        return _with_body(row)

    async def describe_by_tag(self, repository: str, tag: str) -> StoredManifest | Missing:
        """See the protocol."""
        return _without_body(await self._executor.fetch_row(DESCRIBE_BY_TAG, repository=repository, tag=tag))

    async def describe_by_digest(self, repository: str, digest: Digest) -> StoredManifest | Missing:
        """See the protocol."""
        row = await self._executor.fetch_row(DESCRIBE_BY_DIGEST, repository=repository, digest=str(digest))
        return _without_body(row)


class SqlManifestWriterRows:
    """Implements :class:`entrepot.metadata.manifest_store.ManifestWriterRows`."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def put(self, manifest: NewManifest) -> bool:
        """See the protocol."""
        digest = str(manifest.digest)
        body: dict[str, Value] = {
            "digest": digest,
            "size_bytes": len(manifest.body),
            "body": manifest.body,
            "storage_key": manifest.storage_key,
        }
        inserted = await self._executor.execute(INSERT_BODY, **body)
        if inserted == 0 and manifest.fresh_copy:
            await self._executor.execute(REPLACE_BODY, **body)
        row = await self._executor.fetch_row(
            INSERT,
            repository_id=manifest.repository_id,
            digest=digest,
            media_type=manifest.media_type,
            artifact_type=manifest.artifact_type,
            config_media_type=manifest.config_media_type,
            subject_digest=None if manifest.subject is None else str(manifest.subject),
            annotations=manifest.annotations_json,
            size_bytes=len(manifest.body),
            creator=manifest.creator,
        )
        if row is None:
            return await self._keep_or_revive(manifest)
        await insert_references(self._executor, row[0], manifest)
        return True

    async def _keep_or_revive(self, manifest: NewManifest) -> bool:
        """Make sure that a manifest which has a row is live until the unit ends; return whether it was not before.

        A unit that deletes it may be under way. Then its row looks live to the first statement, the second waits for
        that unit and finds nothing, and the next turn revives what was deleted.
        """
        key: dict[str, Value] = {"repository_id": manifest.repository_id, "digest": str(manifest.digest)}
        for _ in range(_REVIVAL_ATTEMPTS):
            revived = await self._executor.execute(REVIVE, **key)
            held = await self._executor.fetch_row(HOLD_LIVE, **key)
            if held is not None:
                await resolve_references(self._executor, held[0], manifest)
                return revived == 1
        raise MetadataUnavailableError(f"manifest {manifest.digest} is being deleted again and again")

    async def absent_from(self, repository_id: int, digests: Sequence[Digest]) -> Sequence[Digest]:
        """See the protocol. The rows found stay locked against condemnation until the unit ends."""
        if not digests:
            return ()
        wanted = json.dumps([str(digest) for digest in digests])
        rows = await self._executor.fetch_rows(FIND_PRESENT, repository_id=repository_id, digests=wanted)
        present = {digest for (digest,) in rows}
        return tuple(digest for digest in digests if str(digest) not in present)

    async def hold(self, repository_id: int, digest: Digest) -> int | None:
        """See the protocol."""
        row = await self._executor.fetch_row(HOLD, repository_id=repository_id, digest=str(digest))
        return None if row is None else int(row[0])

    async def condemn(self, manifest_id: int) -> None:
        """See the protocol."""
        await self._executor.execute(CONDEMN, manifest_id=manifest_id)

    async def body_key(self, digest: Digest, body: bytes) -> str | None:
        """See the protocol."""
        row = await self._executor.fetch_row(FIND_BODY_KEY, digest=str(digest), body=body)
        return None if row is None else row[0]


def _with_body(row: Row | None) -> StoredManifest | Missing:
    if row is None:
        return Missing.REPOSITORY
    digest, media_type, size_bytes, body, project_id = row
    if digest is None:
        return Missing.CONTENT
    return StoredManifest(digest_from_text(digest), media_type, size_bytes, body or b"", project_id)


def _without_body(row: Row | None) -> StoredManifest | Missing:
    if row is None:
        return Missing.REPOSITORY
    digest, media_type, size_bytes = row
    if digest is None:
        return Missing.CONTENT
    return StoredManifest(digest_from_text(digest), media_type, size_bytes, b"")
