"""What a unit gets to work with: the writer rows of all aggregates over one executor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from entrepot.metadata.sql.blobs import SqlBlobReader, SqlBlobWriterRows
from entrepot.metadata.sql.instance import SqlInstanceReader
from entrepot.metadata.sql.manifests import SqlManifestReader, SqlManifestWriterRows
from entrepot.metadata.sql.outbox import SqlJournalRows, SqlOutboxReader, SqlOutboxWriterRows
from entrepot.metadata.sql.repositories import SqlRepositoryWriterRows
from entrepot.metadata.sql.tags import SqlTagReader, SqlTagWriterRows
from entrepot.metadata.sql.upload_sessions import SqlUploadSessionReader, SqlUploadSessionWriterRows

if TYPE_CHECKING:
    from entrepot.metadata.sql.statements import Executor, ReadExecutor

__all__ = ["SqlReaders", "SqlTransaction"]


@dataclass(frozen=True, slots=True)
class SqlTransaction:
    """Implements :class:`entrepot.metadata.store.Transaction`."""

    repositories: SqlRepositoryWriterRows
    blobs: SqlBlobWriterRows
    manifests: SqlManifestWriterRows
    tags: SqlTagWriterRows
    upload_sessions: SqlUploadSessionWriterRows
    outbox: SqlOutboxWriterRows
    journal: SqlJournalRows

    @classmethod
    def over(cls, executor: Executor) -> SqlTransaction:
        """Build all writer rows on one executor."""
        return cls(
            SqlRepositoryWriterRows(executor),
            SqlBlobWriterRows(executor),
            SqlManifestWriterRows(executor),
            SqlTagWriterRows(executor),
            SqlUploadSessionWriterRows(executor),
            SqlOutboxWriterRows(executor),
            SqlJournalRows(executor),
        )


@dataclass(frozen=True, slots=True)
class SqlReaders:
    """The readers of all aggregates, as :class:`entrepot.metadata.store.Metadata` offers them."""

    manifests: SqlManifestReader
    blobs: SqlBlobReader
    tags: SqlTagReader
    upload_sessions: SqlUploadSessionReader
    outbox: SqlOutboxReader
    instance: SqlInstanceReader

    @classmethod
    def over(cls, executor: ReadExecutor) -> SqlReaders:
        """Build all readers on one executor."""
        return cls(
            SqlManifestReader(executor),
            SqlBlobReader(executor),
            SqlTagReader(executor),
            SqlUploadSessionReader(executor),
            SqlOutboxReader(executor),
            SqlInstanceReader(executor),
        )
