"""What a unit gets to work with: the writer rows of all aggregates over one executor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from entrepot.metadata.sql.access_tokens import SqlAccessTokenReader, SqlAccessTokenWriterRows
from entrepot.metadata.sql.assignments import SqlAssignmentReader, SqlAssignmentRows
from entrepot.metadata.sql.audit_chain import SqlAuditChainRows
from entrepot.metadata.sql.audit_queries import SqlAuditReader
from entrepot.metadata.sql.audit_records import SqlAuditWriterRows
from entrepot.metadata.sql.backups import SqlBackupReader, SqlBackupRows
from entrepot.metadata.sql.blobs import SqlBlobReader, SqlBlobWriterRows
from entrepot.metadata.sql.catalog import SqlCatalogReader
from entrepot.metadata.sql.configurations import SqlConfigurationReader, SqlConfigurationRows
from entrepot.metadata.sql.credentials import SqlCredentialReader
from entrepot.metadata.sql.diagnosis import SqlDiagnosisReader
from entrepot.metadata.sql.epochs import SqlEpochReader, SqlEpochRows
from entrepot.metadata.sql.instance import SqlInstanceReader
from entrepot.metadata.sql.inventory import SqlInventoryReader
from entrepot.metadata.sql.labels import SqlLabelReader, SqlLabelRows
from entrepot.metadata.sql.login_failures import SqlLoginFailureReader, SqlLoginFailureRows
from entrepot.metadata.sql.manifests import SqlManifestReader, SqlManifestWriterRows
from entrepot.metadata.sql.members import SqlMemberReader, SqlMemberRows
from entrepot.metadata.sql.mounts import SqlMountReader, SqlMountRows
from entrepot.metadata.sql.orphans import SqlOrphanReader, SqlOrphanRows
from entrepot.metadata.sql.outbox import SqlJournalRows, SqlOutboxReader, SqlOutboxWriterRows
from entrepot.metadata.sql.project_changes import SqlProjectRows
from entrepot.metadata.sql.project_repositories import SqlProjectRepositoryReader, SqlProjectRepositoryRows
from entrepot.metadata.sql.projects import SqlProjectReader
from entrepot.metadata.sql.quarantine import SqlQuarantineRows
from entrepot.metadata.sql.references import SqlReferenceRows
from entrepot.metadata.sql.referrers import SqlReferrerReader
from entrepot.metadata.sql.refresh_tokens import SqlRefreshTokenReader, SqlRefreshTokenRows
from entrepot.metadata.sql.replay import SqlReplayReader, SqlReplayRows
from entrepot.metadata.sql.repositories import SqlRepositoryWriterRows
from entrepot.metadata.sql.robots import SqlRobotReader, SqlRobotWriterRows
from entrepot.metadata.sql.roles import SqlRoleReader, SqlRoleRows
from entrepot.metadata.sql.signing_keys import SqlSigningKeyReader, SqlSigningKeyRows
from entrepot.metadata.sql.standings import SqlStandingReader
from entrepot.metadata.sql.tags import SqlTagReader, SqlTagWriterRows
from entrepot.metadata.sql.upload_sessions import SqlUploadSessionReader, SqlUploadSessionWriterRows
from entrepot.metadata.sql.user_changes import SqlUserWriterRows
from entrepot.metadata.sql.user_groups import SqlGroupReader, SqlGroupWriterRows
from entrepot.metadata.sql.users import SqlUserReader
from entrepot.metadata.sql.verification import SqlVerificationReader
from entrepot.metadata.sql.web_sessions import SqlSessionReader, SqlSessionWriterRows

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
    users: SqlUserWriterRows
    user_groups: SqlGroupWriterRows
    login_failures: SqlLoginFailureRows
    web_sessions: SqlSessionWriterRows
    epochs: SqlEpochRows
    standings: SqlStandingReader
    roles: SqlRoleRows
    role_assignments: SqlAssignmentRows
    projects: SqlProjectRows
    members: SqlMemberRows
    labels: SqlLabelRows
    configurations: SqlConfigurationRows
    project_repositories: SqlProjectRepositoryRows
    robots: SqlRobotWriterRows
    access_tokens: SqlAccessTokenWriterRows
    signing_keys: SqlSigningKeyRows
    refresh_tokens: SqlRefreshTokenRows
    audit_chain: SqlAuditChainRows

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
            SqlUserWriterRows(executor),
            SqlGroupWriterRows(executor),
            SqlLoginFailureRows(executor),
            SqlSessionWriterRows(executor),
            SqlEpochRows(executor),
            SqlStandingReader(executor),
            SqlRoleRows(executor),
            SqlAssignmentRows(executor),
            SqlProjectRows(executor),
            SqlMemberRows(executor),
            SqlLabelRows(executor),
            SqlConfigurationRows(executor),
            SqlProjectRepositoryRows(executor),
            SqlRobotWriterRows(executor),
            SqlAccessTokenWriterRows(executor),
            SqlSigningKeyRows(executor),
            SqlRefreshTokenRows(executor),
            SqlAuditChainRows(executor),
        )


class SqlReaders:
    """The readers of all aggregates on one executor; the engines offer them by deriving from this."""

    def __init__(self, executor: ReadExecutor, searches: ReadExecutor) -> None:
        """Take what runs statements, and what runs searches of the audit log, in a place of their own."""
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
        self.users = SqlUserReader(executor)
        self.user_groups = SqlGroupReader(executor)
        self.login_failures = SqlLoginFailureReader(executor)
        self.web_sessions = SqlSessionReader(executor)
        self.epochs = SqlEpochReader(executor)
        self.roles = SqlRoleReader(executor)
        self.role_assignments = SqlAssignmentReader(executor)
        self.standings = SqlStandingReader(executor)
        self.projects = SqlProjectReader(executor)
        self.members = SqlMemberReader(executor)
        self.labels = SqlLabelReader(executor)
        self.configurations = SqlConfigurationReader(executor)
        self.project_repositories = SqlProjectRepositoryReader(executor)
        self.credentials = SqlCredentialReader(executor)
        self.robots = SqlRobotReader(executor)
        self.access_tokens = SqlAccessTokenReader(executor)
        self.signing_keys = SqlSigningKeyReader(executor)
        self.refresh_tokens = SqlRefreshTokenReader(executor)
        self.audit = SqlAuditReader(executor, searches)
