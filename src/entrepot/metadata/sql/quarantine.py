"""Setting damaged content aside and putting sound content in its place; what a verification found, as rows."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from entrepot.metadata.sql.statements import Statement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from entrepot.metadata.sql.statements import Executor
    from entrepot.metadata.verification import ScrubFindingRow
    from entrepot.oci.digest import Digest

__all__ = ["STATEMENTS", "SqlQuarantineRows"]

ISOLATE_BLOB: Final = Statement(
    "quarantine.isolate_blob",
    """
    UPDATE blobs SET state = 'trash', trashed_at = {now}, quarantined_at = {now}, quarantine_reason = :reason
    WHERE id = :blob_id AND storage_key = :storage_key AND (state <> 'trash' OR quarantined_at IS NOT NULL)
    """,
)
RESTORE_BLOB: Final = Statement(
    "quarantine.restore_blob",
    """
    UPDATE blobs
    SET state = CASE WHEN condemned_at IS NULL THEN 'live' ELSE 'condemned' END, trashed_at = NULL,
        quarantined_at = NULL, quarantine_reason = NULL
    WHERE id = :blob_id AND storage_key = :storage_key AND quarantined_at IS NOT NULL
    """,
)
# Also when the row names the new key already: a unit whose first COMMIT was lost on the way runs again, and must not
# take its own bytes for superfluous.
REPOINT_BLOB: Final = Statement(
    "quarantine.repoint_blob",
    """
    UPDATE blobs
    SET storage_key = :new_key,
        state = CASE WHEN quarantined_at IS NULL THEN state WHEN condemned_at IS NULL THEN 'live' ELSE 'condemned' END,
        trashed_at = CASE WHEN quarantined_at IS NULL THEN trashed_at END,
        quarantined_at = NULL, quarantine_reason = NULL
    WHERE id = :blob_id AND (storage_key = :storage_key OR storage_key = :new_key)
    """,
)
ISOLATE_MANIFESTS: Final = Statement(
    "quarantine.isolate_manifests",
    """
    UPDATE manifests SET state = 'trash', quarantined_at = {now}, quarantine_reason = :reason
    WHERE digest = :digest AND state = 'live'
        AND EXISTS (SELECT 1 FROM manifest_bodies b WHERE b.digest = :digest AND b.body = :body)
    """,
)
RESTORE_MANIFESTS: Final = Statement(
    "quarantine.restore_manifests",
    """
    UPDATE manifests SET state = 'live', quarantined_at = NULL, quarantine_reason = NULL
    WHERE digest = :digest AND quarantined_at IS NOT NULL
    """,
)
REPLACE_BODY: Final = Statement(
    "quarantine.replace_body",
    "UPDATE manifest_bodies SET body = :body, size_bytes = :size_bytes WHERE digest = :digest AND body <> :body",
)
REOPEN_FACTS: Final = Statement(
    "quarantine.reopen_facts",
    "UPDATE outbox SET journalled_at = NULL WHERE id IN {integers:sequences} AND journalled = 1",
)
CLEAR_FINDINGS: Final = Statement(
    "quarantine.clear_findings", "DELETE FROM scrub_findings WHERE sweep = :sweep"
)
ADD_FINDING: Final = Statement(
    "quarantine.add_finding",
    """
    INSERT INTO scrub_findings (sweep, kind, subject, finding, damage, found_at)
    VALUES (:sweep, :kind, :subject, :finding, :damage, {now})
    ON CONFLICT (sweep, kind, subject) DO UPDATE SET finding = excluded.finding, damage = excluded.damage
    """,
)
COPY_FINDINGS: Final = Statement(
    "quarantine.copy_findings",
    """
    INSERT INTO scrub_findings (sweep, kind, subject, finding, damage, found_at)
    SELECT :target, kind, subject, finding, damage, found_at FROM scrub_findings WHERE sweep = :sweep
    """,
)

STATEMENTS: Final = (
    ISOLATE_BLOB,
    RESTORE_BLOB,
    REPOINT_BLOB,
    ISOLATE_MANIFESTS,
    RESTORE_MANIFESTS,
    REPLACE_BODY,
    REOPEN_FACTS,
    CLEAR_FINDINGS,
    ADD_FINDING,
    COPY_FINDINGS,
)


class SqlQuarantineRows:
    """Implements :class:`entrepot.metadata.verification.QuarantineRows`."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def isolate_blob(self, blob_id: int, storage_key: str, reason: str) -> bool:
        """See the protocol."""
        changed = await self._executor.execute(
            ISOLATE_BLOB, blob_id=blob_id, storage_key=storage_key, reason=reason
        )
        return changed == 1

    async def restore_blob(self, blob_id: int, storage_key: str) -> bool:
        """See the protocol."""
        return await self._executor.execute(RESTORE_BLOB, blob_id=blob_id, storage_key=storage_key) == 1

    async def repoint_blob(self, blob_id: int, storage_key: str, new_key: str) -> bool:
        """See the protocol."""
        changed = await self._executor.execute(
            REPOINT_BLOB, blob_id=blob_id, storage_key=storage_key, new_key=new_key
        )
        return changed == 1

    async def isolate_manifests(self, digest: Digest, body: bytes, reason: str) -> int:
        """See the protocol."""
        return await self._executor.execute(ISOLATE_MANIFESTS, digest=str(digest), body=body, reason=reason)

    async def restore_manifests(self, digest: Digest) -> int:
        """See the protocol."""
        return await self._executor.execute(RESTORE_MANIFESTS, digest=str(digest))

    async def replace_body(self, digest: Digest, body: bytes) -> bool:
        """See the protocol."""
        changed = await self._executor.execute(
            REPLACE_BODY, digest=str(digest), body=body, size_bytes=len(body)
        )
        return changed == 1

    async def reopen_facts(self, sequences: Sequence[int]) -> None:
        """See the protocol."""
        await self._executor.execute(REOPEN_FACTS, sequences=json.dumps(list(sequences)))

    async def clear_findings(self, sweep: str) -> None:
        """See the protocol."""
        await self._executor.execute(CLEAR_FINDINGS, sweep=sweep)

    async def copy_findings(self, sweep: str, target: str) -> None:
        """See the protocol."""
        await self.clear_findings(target)
        await self._executor.execute(COPY_FINDINGS, sweep=sweep, target=target)

    async def add_findings(self, sweep: str, findings: Sequence[ScrubFindingRow]) -> None:
        """See the protocol."""
        await self._executor.execute_many(
            ADD_FINDING,
            [
                {
                    "sweep": sweep,
                    "kind": finding.kind,
                    "subject": finding.subject,
                    "finding": finding.finding,
                    "damage": int(finding.damage),
                }
                for finding in findings
            ],
        )
