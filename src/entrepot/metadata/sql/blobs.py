"""Blobs and their links to repositories: looked up by pulls, adopted and linked by pushes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from entrepot.metadata.errors import MetadataUnavailableError
from entrepot.metadata.records import AdoptedBlob, Missing, StoredBlob
from entrepot.metadata.sql.statements import Statement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from entrepot.metadata.records import NewBlob
    from entrepot.metadata.sql.statements import Executor, ReadExecutor, Value
    from entrepot.oci.digest import Digest

__all__ = ["POINT_READS", "STATEMENTS", "SqlBlobReader", "SqlBlobWriterRows"]

_ADOPTION_ATTEMPTS: Final = 5
"""How often a row may vanish between the refused insert and its look-up; only a collector's last step does that."""

FIND: Final = Statement(
    "blobs.find",
    """
    SELECT b.size_bytes, b.storage_key, r.project_id
    FROM repositories r
    LEFT JOIN blobs b ON b.digest = :digest AND b.state = 'live'
        AND EXISTS (SELECT 1 FROM repository_blobs l WHERE l.repository_id = r.id AND l.blob_id = b.id)
    WHERE r.name = :repository AND r.deleted_at IS NULL
    """,
)
INSERT: Final = Statement(
    "blobs.insert",
    """
    INSERT INTO blobs (digest, size_bytes, state, storage_key, created_at, creator)
    VALUES (:digest, :size_bytes, 'live', :storage_key, {now}, :creator)
    ON CONFLICT (digest) DO NOTHING
    RETURNING id
    """,
)
LOCK: Final = Statement(
    "blobs.lock",
    "SELECT id, state, storage_key FROM blobs WHERE digest = :digest {for_update}",
)
REVIVE_CONDEMNED: Final = Statement(
    "blobs.revive_condemned",
    "UPDATE blobs SET state = 'live', condemned_at = NULL WHERE id = :blob_id",
)
REVIVE_TRASHED: Final = Statement(
    "blobs.revive_trashed",
    """
    UPDATE blobs
    SET state = 'live', condemned_at = NULL, trashed_at = NULL, storage_key = :storage_key,
        size_bytes = :size_bytes, tier = 'standard', pool = 'default', encryption_key_id = NULL,
        quarantined_at = NULL, quarantine_reason = NULL
    WHERE id = :blob_id
    """,
)
LINK: Final = Statement(
    "blobs.link",
    """
    INSERT INTO repository_blobs (repository_id, blob_id, linked_at, creator)
    VALUES (:repository_id, :blob_id, {now}, :creator)
    ON CONFLICT (repository_id, blob_id) DO NOTHING
    """,
)
FIND_LINKED: Final = Statement(
    "blobs.find_linked",
    """
    SELECT b.digest, b.state
    FROM blobs b JOIN repository_blobs l ON l.blob_id = b.id
    WHERE b.digest IN {texts:digests} AND l.repository_id = :repository_id AND b.state <> 'trash'
    ORDER BY b.digest {for_share}
    """,
)
REVIVE_LINKED: Final = Statement(
    "blobs.revive_linked",
    """
    UPDATE blobs SET state = 'live', condemned_at = NULL
    WHERE digest IN {texts:digests} AND state = 'condemned'
        AND EXISTS (SELECT 1 FROM repository_blobs l WHERE l.repository_id = :repository_id AND l.blob_id = blobs.id)
    """,
)
HOLD_LINK: Final = Statement(
    "blobs.hold_link",
    """
    SELECT blob_id FROM repository_blobs
    WHERE repository_id = :repository_id
        AND blob_id = (SELECT b.id FROM blobs b WHERE b.digest = :digest AND b.state = 'live') {for_update}
    """,
)
KEEP_LINK: Final = Statement(
    "blobs.keep_link",
    """
    SELECT blob_id FROM repository_blobs
    WHERE repository_id = :repository_id AND blob_id = :blob_id {for_share}
    """,
)
UNLINK: Final = Statement(
    "blobs.unlink",
    "DELETE FROM repository_blobs WHERE repository_id = :repository_id AND blob_id = :blob_id",
)

POINT_READS: Final = (FIND,)
STATEMENTS: Final = (
    *POINT_READS,
    INSERT,
    LOCK,
    REVIVE_CONDEMNED,
    REVIVE_TRASHED,
    LINK,
    FIND_LINKED,
    REVIVE_LINKED,
    HOLD_LINK,
    KEEP_LINK,
    UNLINK,
)


class SqlBlobReader:
    """Implements :class:`entrepot.metadata.store.BlobReader`."""

    def __init__(self, executor: ReadExecutor) -> None:
        self._executor = executor

    async def find(self, repository: str, digest: Digest) -> StoredBlob | Missing:
        """See the protocol."""
        row = await self._executor.fetch_row(FIND, repository=repository, digest=str(digest))
        if row is None:
            return Missing.REPOSITORY
        size_bytes, storage_key, project_id = row
        if storage_key is None:
            return Missing.CONTENT
        return StoredBlob(digest, size_bytes, storage_key, project_id)


class SqlBlobWriterRows:
    """Implements :class:`entrepot.metadata.store.BlobWriterRows`.

    On PostgreSQL rows are locked in digest order within a call; a unit that adopts several blobs does so in digest
    order too, or risks a deadlock, which costs a repetition and nothing else.
    """

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def adopt(self, blob: NewBlob) -> AdoptedBlob:
        """See the protocol."""
        digest = str(blob.digest)
        for _ in range(_ADOPTION_ATTEMPTS):
            inserted = await self._executor.fetch_row(
                INSERT,
                digest=digest,
                size_bytes=blob.size_bytes,
                storage_key=blob.storage_key,
                creator=blob.creator,
            )
            if inserted is not None:
                return AdoptedBlob(inserted[0], blob.storage_key)
            found = await self._executor.fetch_row(LOCK, digest=digest)
            if found is not None:
                return await self._revive(blob, *found)
        raise MetadataUnavailableError(f"blob {digest} is being removed")

    async def link(self, repository_id: int, blob_id: int, creator: str) -> bool:
        """See the protocol. `blob_id` comes from :meth:`adopt` in the same unit, which made the blob live.

        A link that is there already is held: a unit that removes it may be under way, and then it is made anew.
        """
        key: dict[str, Value] = {"repository_id": repository_id, "blob_id": blob_id}
        for _ in range(_ADOPTION_ATTEMPTS):
            if await self._executor.execute(LINK, creator=creator, **key) == 1:
                return True
            if await self._executor.fetch_row(KEEP_LINK, **key) is not None:
                return False
        raise MetadataUnavailableError(f"blob {blob_id} is being unlinked again and again")

    async def absent_from(self, repository_id: int, digests: Sequence[Digest]) -> Sequence[Digest]:
        """See the protocol. The rows found stay locked against condemnation until the unit ends."""
        if not digests:
            return ()
        wanted = json.dumps([str(digest) for digest in digests])
        rows = await self._executor.fetch_rows(FIND_LINKED, repository_id=repository_id, digests=wanted)
        if any(state == "condemned" for _, state in rows):
            await self._executor.execute(REVIVE_LINKED, repository_id=repository_id, digests=wanted)
        present = {digest for digest, _ in rows}
        return tuple(digest for digest in digests if str(digest) not in present)

    async def hold_link(self, repository_id: int, digest: Digest) -> int | None:
        """See the protocol. Only the link is locked: pushes to other repositories don't wait."""
        row = await self._executor.fetch_row(HOLD_LINK, repository_id=repository_id, digest=str(digest))
        return None if row is None else int(row[0])

    async def unlink(self, repository_id: int, blob_id: int) -> None:
        """See the protocol."""
        await self._executor.execute(UNLINK, repository_id=repository_id, blob_id=blob_id)

    async def _revive(self, blob: NewBlob, blob_id: int, state: str, storage_key: str) -> AdoptedBlob:
        if state == "trash":
            await self._executor.execute(
                REVIVE_TRASHED, blob_id=blob_id, storage_key=blob.storage_key, size_bytes=blob.size_bytes
            )
            return AdoptedBlob(blob_id, blob.storage_key)
        if state == "condemned":
            await self._executor.execute(REVIVE_CONDEMNED, blob_id=blob_id)
        return AdoptedBlob(blob_id, storage_key)
