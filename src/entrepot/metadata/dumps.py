"""The protocols of a dump: all rows of one consistent snapshot, read and loaded in a form that both engines share.

A row is a tuple of integers, texts, bytes and `None` in the order of its table's columns. Nothing of an engine shows in
it, so what was dumped from one is loaded into the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, Protocol

from entrepot.metadata.errors import MetadataError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from entrepot.metadata.audit_store import NewAuditRecord

__all__ = [
    "DUMPED_TABLES",
    "LEFT_OUT_TABLES",
    "WORK_TABLES",
    "ColumnKind",
    "DatabaseNotEmptyError",
    "DumpFacts",
    "DumpSource",
    "DumpTarget",
    "DumpedColumn",
    "DumpedValue",
]

ColumnKind = Literal["integer", "text", "bytes"]
DumpedValue = int | str | bytes | None

DUMPED_TABLES: Final = (
    "instance",
    "subjects",
    "projects",
    "repositories",
    "blobs",
    "repository_blobs",
    "manifest_bodies",
    "manifests",
    "manifest_references",
    "tags",
    "tag_history",
    "pull_days",
    "outbox",
    "jobs",
    "sweeps",
    "project_metadata",
    "users",
    "password_history",
    "user_groups",
    "group_members",
    "roles",
    "role_assignments",
    "robots",
    "access_tokens",
    "signing_keys",
    "configurations",
    "labels",
    "audit_records",
    "audit_chain",
    "audit_checkpoints",
)
"""The tables that hold state, each after those its rows refer to."""

WORK_TABLES: Final = frozenset({"instance", "sweeps"})
"""The dumped tables that have rows also in a database into which nothing was ever pushed."""

LEFT_OUT_TABLES: Final = {
    "schema_migrations": "the restored database gets its schema from the program's migrations, and notes them itself",
    "upload_sessions": "staged bytes are not copied; whoever was uploading begins anew, as after a session's end",
    "orphans": "what a sweep saw in one blob store says nothing of another",
    "scrub_findings": "what a verification found in one blob store; the next pass looks for itself",
    "refresh_tokens": "a copy of the database must not bring back logins that were ended since; clients log in again",
    "web_sessions": "as refresh_tokens",
    "login_failures": "counts of a few minutes; those that matter are in the audit log",
    "row_changes": "how often rows changed that processes keep in memory; only on SQLite, and counted by triggers",
    "audit_spools": "how far the files of one node were read; a record that is read twice is kept once",
}
"""The tables that a dump leaves out, each with the reason. A test fails for a table that is in neither list."""


class DatabaseNotEmptyError(MetadataError):
    """A restore was to begin in a database that holds something; nothing was changed."""

    def __init__(self, table: str) -> None:
        super().__init__(
            f"the database is not empty: its table {table} has rows; restore into a new database, or single "
            "repositories into this one (--repository)"
        )
        self.table = table


@dataclass(frozen=True, slots=True)
class DumpedColumn:
    """A column by its name, and what its values are."""

    name: str
    kind: ColumnKind


@dataclass(frozen=True, slots=True)
class DumpFacts:
    """What a snapshot says of itself.

    Attributes:
        taken_at: milliseconds since 1970 by the database's clock.
        last_fact: the greatest number in the outbox, 0 when it is empty.
    """

    engine: Literal["sqlite", "postgresql"]
    schema_version: int
    incarnation: str
    taken_at: int
    last_fact: int


class DumpSource(Protocol):
    """One consistent snapshot of a database, for one task. It does not see what is committed after it was taken."""

    @property
    def facts(self) -> DumpFacts:
        """What the snapshot says of itself."""
        ...

    async def columns(self, table: str) -> Sequence[DumpedColumn]:
        """Return the table's columns in the order of their definition."""
        ...

    def rows(self, table: str) -> AsyncIterator[Sequence[Sequence[DumpedValue]]]:
        """Yield all rows in batches, in the order of the primary key, texts by bytes.

        Raises:
            MetadataError: the snapshot can't be read.
        """
        ...


class DumpTarget(Protocol):
    """An empty database with a schema, inside one transaction that is committed at the very end, for one task."""

    async def insert(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[DumpedValue]]) -> None:
        """Insert rows with the numbers they had.

        Raises:
            MetadataError: the table has no such columns, or the rows break a rule of the schema.
        """

    async def keep_numbers_above(self, table: str, number: int) -> None:
        """See to it that the table never gives a row a number up to `number` by itself."""

    async def add_record(self, record: NewAuditRecord) -> None:
        """Add a record to the audit log, behind all that were inserted; dated by the database's clock.

        Raises:
            MetadataError: the schema is older than the audit log.
        """
