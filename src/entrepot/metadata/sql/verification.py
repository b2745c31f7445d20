"""What a verification asks about single rows: who refers to something, and what became of what is referred to."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from entrepot.metadata.inventory import InventoryBody
from entrepot.metadata.records import JournalFact
from entrepot.metadata.sql.inventory import blob_of
from entrepot.metadata.sql.rows import digest_from_text
from entrepot.metadata.sql.statements import Statement
from entrepot.metadata.verification import (
    BrokenTag,
    HeldManifest,
    RecordedReference,
    ScrubFindingRow,
    StoredTotals,
    SweepState,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from entrepot.metadata.inventory import InventoryBlob
    from entrepot.metadata.sql.statements import ReadExecutor
    from entrepot.oci.digest import Digest

__all__ = ["STATEMENTS", "SqlVerificationReader"]

# The condition holds for every row, and lets the engines walk along the primary key.
TOTALS: Final = Statement(
    "verification.totals", "SELECT count(*), coalesce(sum(size_bytes), 0) FROM blobs WHERE id > 0"
)
TOTALS_OF: Final = Statement(
    "verification.totals_of",
    """
    SELECT count(*), coalesce(sum(b.size_bytes), 0)
    FROM repositories r JOIN repository_blobs l ON l.repository_id = r.id JOIN blobs b ON b.id = l.blob_id
    WHERE r.name = :repository AND r.deleted_at IS NULL
    """,
)
BLOB: Final = Statement(
    "verification.blob",
    "SELECT id, digest, size_bytes, state, storage_key, quarantined_at FROM blobs WHERE id = :blob_id",
)
BODY: Final = Statement(
    "verification.body",
    "SELECT digest, size_bytes, body, storage_key FROM manifest_bodies WHERE digest = :digest",
)
BODIES: Final = Statement(
    "verification.bodies",
    "SELECT digest, body FROM manifest_bodies WHERE digest IN {texts:digests}",
)
REPOSITORIES_OF_BLOB: Final = Statement(
    "verification.repositories_of_blob",
    """
    SELECT r.name FROM repository_blobs l JOIN repositories r ON r.id = l.repository_id
    WHERE l.blob_id = :blob_id AND r.deleted_at IS NULL
    ORDER BY l.repository_id LIMIT :rows
    """,
)
MANIFESTS_OF_BLOB: Final = Statement(
    "verification.manifests_of_blob",
    """
    SELECT m.id, r.name, m.digest, m.quarantined_at
    FROM manifest_references x JOIN manifests m ON m.id = x.manifest_id JOIN repositories r ON r.id = m.repository_id
    WHERE x.blob_id = :blob_id AND m.state = 'live' AND r.deleted_at IS NULL
    LIMIT :rows
    """,
)
MANIFESTS_OF_BODY: Final = Statement(
    "verification.manifests_of_body",
    """
    SELECT m.id, r.name, m.digest, m.quarantined_at
    FROM manifests m JOIN repositories r ON r.id = m.repository_id
    WHERE m.digest = :digest AND (m.state = 'live' OR m.quarantined_at IS NOT NULL) AND r.deleted_at IS NULL
    LIMIT :rows
    """,
)
QUARANTINED: Final = Statement(
    "verification.quarantined",
    "SELECT DISTINCT digest FROM manifests WHERE digest IN {texts:digests} AND quarantined_at IS NOT NULL",
)
INDEXES_ABOVE: Final = Statement(
    "verification.indexes_above",
    """
    SELECT m.id, r.name, m.digest, m.quarantined_at
    FROM manifest_references x JOIN manifests m ON m.id = x.manifest_id JOIN repositories r ON r.id = m.repository_id
    WHERE x.child_id IN {integers:manifests} AND m.state = 'live' AND r.deleted_at IS NULL
    LIMIT :rows
    """,
)
TAGS_OF: Final = Statement(
    "verification.tags_of",
    """
    SELECT r.name, t.name FROM tags t JOIN repositories r ON r.id = t.repository_id
    WHERE t.manifest_id IN {integers:manifests} AND r.deleted_at IS NULL
    LIMIT :rows
    """,
)
# One statement, so that manifest, reference and target are seen at one moment: what a unit changes together is never
# taken for damage.
REFERENCES_OF: Final = Statement(
    "verification.references_of",
    """
    SELECT m.id, x.kind, x.digest, coalesce(x.blob_id, x.child_id),
        CASE WHEN x.kind = 'manifest'
            THEN (SELECT CASE WHEN c.quarantined_at IS NULL THEN c.state ELSE 'quarantined' END FROM manifests c
                  WHERE c.repository_id = m.repository_id AND c.digest = x.digest)
            ELSE (SELECT CASE WHEN b.quarantined_at IS NULL THEN b.state ELSE 'quarantined' END
                  FROM blobs b JOIN repository_blobs l ON l.blob_id = b.id AND l.repository_id = m.repository_id
                  WHERE b.digest = x.digest) END
    FROM manifests m LEFT JOIN manifest_references x ON x.manifest_id = m.id
    WHERE m.id IN {integers:manifests} AND m.state = 'live'
    """,
)
# The state is asked in a way that keeps the engines from walking through all manifests that are not live, page by page.
BROKEN_TAGS: Final = Statement(
    "verification.broken_tags",
    """
    SELECT r.name, t.name, m.digest, m.state
    FROM manifests m JOIN tags t ON t.manifest_id = m.id JOIN repositories r ON r.id = t.repository_id
    WHERE m.id > :after AND m.id <= :last AND CASE m.state WHEN 'live' THEN 0 ELSE 1 END = 1
        AND m.quarantined_at IS NULL
        AND r.deleted_at IS NULL
    """,
)
JOURNALLED: Final = Statement(
    "verification.journalled",
    """
    SELECT id, at, kind, repository, actor, payload FROM outbox
    WHERE id > :after AND journalled = 1 AND journalled_at IS NOT NULL
    ORDER BY id LIMIT :rows
    """,
)
RECORDED: Final = Statement("verification.recorded", "SELECT id FROM outbox WHERE id IN {integers:sequences}")
SWEEP: Final = Statement(
    "verification.sweep",
    "SELECT coalesce((SELECT progress FROM sweeps WHERE name = :name), ''), {now}",
)
FINDINGS: Final = Statement(
    "verification.findings",
    """
    SELECT kind, subject, finding, damage FROM scrub_findings
    WHERE sweep = :sweep AND (kind, subject) > (:kind, :subject)
    ORDER BY kind, subject LIMIT :rows
    """,
)

STATEMENTS: Final = (
    TOTALS,
    TOTALS_OF,
    BLOB,
    BODY,
    BODIES,
    REPOSITORIES_OF_BLOB,
    MANIFESTS_OF_BLOB,
    MANIFESTS_OF_BODY,
    QUARANTINED,
    INDEXES_ABOVE,
    TAGS_OF,
    REFERENCES_OF,
    BROKEN_TAGS,
    JOURNALLED,
    RECORDED,
    SWEEP,
    FINDINGS,
)


class SqlVerificationReader:
    """Implements :class:`entrepot.metadata.verification.VerificationReader`."""

    def __init__(self, executor: ReadExecutor) -> None:
        self._executor = executor

    async def totals(self) -> StoredTotals:
        """See the protocol."""
        ((blobs, size),) = await self._executor.fetch_rows(TOTALS)
        return StoredTotals(int(blobs), int(size))

    async def totals_of(self, repository: str) -> StoredTotals:
        """See the protocol."""
        ((blobs, size),) = await self._executor.fetch_rows(TOTALS_OF, repository=repository)
        return StoredTotals(int(blobs), int(size))

    async def blob(self, blob_id: int) -> InventoryBlob | None:
        """See the protocol."""
        rows = await self._executor.fetch_rows(BLOB, blob_id=blob_id)
        return blob_of(rows[0]) if rows else None

    async def body(self, digest: Digest) -> InventoryBody | None:
        """See the protocol."""
        for text, size_bytes, body, storage_key in await self._executor.fetch_rows(BODY, digest=str(digest)):
            return InventoryBody(digest_from_text(text), size_bytes, bytes(body), storage_key)
        return None

    async def bodies(self, digests: Sequence[Digest]) -> Mapping[Digest, bytes]:
        """See the protocol."""
        wanted = json.dumps([str(digest) for digest in digests])
        rows = await self._executor.fetch_rows(BODIES, digests=wanted)
        return {digest_from_text(text): bytes(body) for text, body in rows}

    async def repositories_of_blob(self, blob_id: int, limit: int) -> Sequence[str]:
        """See the protocol."""
        rows = await self._executor.fetch_rows(REPOSITORIES_OF_BLOB, blob_id=blob_id, rows=limit)
        return [str(name) for (name,) in rows]

    async def manifests_of_blob(self, blob_id: int, limit: int) -> Sequence[HeldManifest]:
        """See the protocol."""
        rows = await self._executor.fetch_rows(MANIFESTS_OF_BLOB, blob_id=blob_id, rows=limit)
        return [HeldManifest(row[0], row[1], digest_from_text(row[2]), row[3] is not None) for row in rows]

    async def manifests_of_body(self, digest: Digest, limit: int) -> Sequence[HeldManifest]:
        """See the protocol."""
        rows = await self._executor.fetch_rows(MANIFESTS_OF_BODY, digest=str(digest), rows=limit)
        return [HeldManifest(row[0], row[1], digest_from_text(row[2]), row[3] is not None) for row in rows]

    async def quarantined(self, digests: Sequence[Digest]) -> frozenset[Digest]:
        """See the protocol."""
        wanted = json.dumps([str(digest) for digest in digests])
        rows = await self._executor.fetch_rows(QUARANTINED, digests=wanted)
        return frozenset(digest_from_text(text) for (text,) in rows)

    async def indexes_above(self, manifest_ids: Sequence[int], limit: int) -> Sequence[HeldManifest]:
        """See the protocol."""
        rows = await self._executor.fetch_rows(
            INDEXES_ABOVE, manifests=json.dumps(list(manifest_ids)), rows=limit
        )
        return [HeldManifest(row[0], row[1], digest_from_text(row[2]), row[3] is not None) for row in rows]

    async def tags_of(self, manifest_ids: Sequence[int], limit: int) -> Sequence[tuple[str, str]]:
        """See the protocol."""
        rows = await self._executor.fetch_rows(TAGS_OF, manifests=json.dumps(list(manifest_ids)), rows=limit)
        return [(str(repository), str(tag)) for repository, tag in rows]

    async def references_of(self, manifest_ids: Sequence[int]) -> Sequence[RecordedReference]:
        """See the protocol."""
        rows = await self._executor.fetch_rows(REFERENCES_OF, manifests=json.dumps(list(manifest_ids)))
        return [
            RecordedReference(
                number,
                kind,
                None if digest is None else digest_from_text(digest),
                resolved=target_id is not None,
                target=state or "missing",
            )
            for number, kind, digest, target_id, state in rows
        ]

    async def broken_tags(self, after_manifest_id: int, last_manifest_id: int) -> Sequence[BrokenTag]:
        """See the protocol."""
        rows = await self._executor.fetch_rows(BROKEN_TAGS, after=after_manifest_id, last=last_manifest_id)
        return [BrokenTag(row[0], row[1], digest_from_text(row[2]), row[3]) for row in rows]

    async def journalled(self, after: int, limit: int) -> Sequence[JournalFact]:
        """See the protocol."""
        rows = await self._executor.fetch_rows(JOURNALLED, after=after, rows=limit)
        return [JournalFact(*row) for row in rows]

    async def recorded(self, sequences: Sequence[int]) -> frozenset[int]:
        """See the protocol."""
        rows = await self._executor.fetch_rows(RECORDED, sequences=json.dumps(list(sequences)))
        return frozenset(int(sequence) for (sequence,) in rows)

    async def sweep(self, name: str) -> SweepState:
        """See the protocol."""
        ((progress, now),) = await self._executor.fetch_rows(SWEEP, name=name)
        return SweepState(str(progress), int(now))

    async def findings(self, sweep: str, after: tuple[str, str], limit: int) -> Sequence[ScrubFindingRow]:
        """See the protocol."""
        rows = await self._executor.fetch_rows(
            FINDINGS, sweep=sweep, kind=after[0], subject=after[1], rows=limit
        )
        return [ScrubFindingRow(kind, subject, text, damage == 1) for kind, subject, text, damage in rows]
