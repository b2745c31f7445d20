"""What a unit gets to work with: the writer rows of all aggregates over one executor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from entrepot.metadata.sql.audit_records import SqlAuditWriterRows
from entrepot.metadata.sql.backups import SqlBackupReader, SqlBackupRows
from entrepot.metadata.sql.blobs import SqlBlobReader, SqlBlobWriterRows
from entrepot.metadata.sql.catalog import SqlCatalogReader
from entrepot.metadata.sql.diagnosis import SqlDiagnosisReader
from entrepot.metadata.sql.instance import SqlInstanceReader
from entrepot.metadata.sql.inventory import SqlInventoryReader
from entrepot.metadata.sql.manifests import SqlManifestReader, SqlManifestWriterRows
from entrepot.metadata.sql.mounts import SqlMountReader, SqlMountRows
from entrepot.metadata.sql.orphans import SqlOrphanReader, SqlOrphanRows
from entrepot.metadata.sql.outbox import SqlJournalRows, SqlOutboxReader, SqlOutboxWriterRows
from entrepot.metadata.sql.quarantine import SqlQuarantineRows
from entrepot.metadata.sql.references import SqlReferenceRows
from entrepot.metadata.sql.referrers import SqlReferrerReader
from entrepot.metadata.sql.replay import SqlReplayReader, SqlReplayRows
from entrepot.metadata.sql.repositories import SqlRepositoryWriterRows
from entrepot.metadata.sql.tags import SqlTagReader, SqlTagWriterRows
from entrepot.metadata.sql.upload_sessions import SqlUploadSessionReader, SqlUploadSessionWriterRows
from entrepot.metadata.sql.verification import SqlVerificationReader

if TYPE_CHECKING:
    from entrepot.metadata.sql.statements import Executor, ReadExecutor

__all__ = ["SqlReaders", "SqlTransaction"]


@dataclass(frozen=True, slots=True)
class SqlTransaction:
    """Implements :class:`entrepot.metadata.store.Transaction`."""

    repositories: SqlRepositoryWriterRows
    blobs: SqlBlobWriterRows
    manifests: SqlManifestWriterRows
    references: SqlReferenceRows
    tags: SqlTagWriterRows
    mounts: SqlMountRows
    upload_sessions: SqlUploadSessionWriterRows
    outbox: SqlOutboxWriterRows
    journal: SqlJournalRows
    orphans: SqlOrphanRows
    quarantine: SqlQuarantineRows
    replay: SqlReplayRows
    backups: SqlBackupRows
    audit: SqlAuditWriterRows

    @classmethod
    def over(cls, executor: Executor) -> SqlTransaction:
        """Build all writer rows on one executor."""
        return cls(
            SqlRepositoryWriterRows(executor),
            SqlBlobWriterRows(executor),
            SqlManifestWriterRows(executor),
            SqlReferenceRows(executor),
            SqlTagWriterRows(executor),
            SqlMountRows(executor),
            SqlUploadSessionWriterRows(executor),
            SqlOutboxWriterRows(executor),
            SqlJournalRows(executor),
            SqlOrphanRows(executor),
            SqlQuarantineRows(executor),
            SqlReplayRows(executor),
            SqlBackupRows(executor),
            SqlAuditWriterRows(executor),
        )


class SqlReaders:
    """The readers of all aggregates on one executor; the engines offer them by deriving from this."""

    def __init__(self, executor: ReadExecutor) -> None:
        self.manifests = SqlManifestReader(executor)
        self.blobs = SqlBlobReader(executor)
        self.tags = SqlTagReader(executor)
        self.referrers = SqlReferrerReader(executor)
        self.catalog = SqlCatalogReader(executor)
        self.mounts = SqlMountReader(executor)
        self.upload_sessions = SqlUploadSessionReader(executor)
        self.outbox = SqlOutboxReader(executor)
        self.orphans = SqlOrphanReader(executor)
        self.instance = SqlInstanceReader(executor)
        self.inventory = SqlInventoryReader(executor)
        self.diagnosis = SqlDiagnosisReader(executor)
        self.verification = SqlVerificationReader(executor)
        self.replay = SqlReplayReader(executor)
        self.backups = SqlBackupReader(executor)
