"""Records of the audit log: added here by whatever unit does what they tell of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from entrepot.metadata.audit_store import UNNUMBERED
from entrepot.metadata.sql.statements import Statement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from entrepot.metadata.audit_store import NewAuditRecord
    from entrepot.metadata.sql.statements import Executor, Value

__all__ = ["LOAD", "STATEMENTS", "SqlAuditWriterRows", "record_values"]

# What has a date was noted before, when the name may have been another project's. A project that was deleted keeps its
# name until somebody makes another one of that name. The number that the column gets stands in the body as well, which
# is what the chain covers: by the column alone, whoever owns the database could hide a record from its project's log.
APPEND: Final = Statement(
    "audit_records.append",
    """
    INSERT INTO audit_records
        (record_id, at, action, outcome, subject, user_name, address, project, object_kind, object_name, request_id,
         body, disclosure, project_id)
    VALUES
        (:record_id, coalesce(:at, {now}), :action, :outcome, :subject, :user_name, :address, :project, :object_kind,
         :object_name, :request_id,
         CASE WHEN CAST(:closing AS text) = '' THEN CAST(:body AS {bytes})
            ELSE CAST(CAST(:body AS {bytes}) || CAST(
                coalesce(CAST((SELECT p.id FROM projects p WHERE p.name = :project) AS text), 'null') || :closing
                AS {bytes}) AS {bytes}) END,
         :disclosure,
         CASE WHEN CAST(:project_id AS bigint) IS NULL AND CAST(:at AS bigint) IS NULL
            THEN (SELECT p.id FROM projects p WHERE p.name = :project) ELSE CAST(:project_id AS bigint) END)
    ON CONFLICT (record_id) DO NOTHING
    """,
)
# Into a database that is being restored, with the schema of the backup: before version 7 it had no numbers of projects.
LOAD: Final = Statement(
    "audit_records.load",
    """
    INSERT INTO audit_records
        (record_id, at, action, outcome, subject, user_name, address, project, object_kind, object_name, request_id,
         body, disclosure)
    VALUES
        (:record_id, coalesce(:at, {now}), :action, :outcome, :subject, :user_name, :address, :project, :object_kind,
         :object_name, :request_id, :body, :disclosure)
    ON CONFLICT (record_id) DO NOTHING
    """,
)

STATEMENTS: Final = (APPEND, LOAD)

_OPEN_END: Final = b"null}"
"""What is cut off a body for the number that the unit finds, and what closes it behind that."""
_CLOSING: Final = "}"


class SqlAuditWriterRows:
    """Implements :class:`entrepot.metadata.audit_store.AuditWriterRows`."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def append(self, record: NewAuditRecord) -> None:
        """See the protocol."""
        await self._executor.execute(APPEND, **_appended_values(record))

    async def extend(self, records: Sequence[NewAuditRecord]) -> None:
        """See the protocol."""
        if records:
            await self._executor.execute_many(APPEND, [_appended_values(record) for record in records])


def record_values(record: NewAuditRecord) -> dict[str, Value]:
    """Return the parameters of a statement that adds a record."""
    return {
        "record_id": record.record_id,
        "at": record.at_milliseconds,
        "action": record.action,
        "outcome": record.outcome,
        "subject": record.subject,
        "user_name": record.user_name,
        "address": record.address,
        "project": record.project,
        "object_kind": record.object_kind,
        "object_name": record.object_name,
        "request_id": record.request_id,
        "body": record.body,
        "disclosure": record.disclosure,
        "project_id": record.project_id,
    }


def _appended_values(record: NewAuditRecord) -> dict[str, Value]:
    """Return the parameters of :data:`APPEND`, by which the unit looks for the project of what has no date."""
    is_open = (
        record.project_id is None and record.at_milliseconds is None and record.body.endswith(UNNUMBERED)
    )
    body = record.body.removesuffix(_OPEN_END) if is_open else record.body
    return {**record_values(record), "body": body, "closing": _CLOSING if is_open else ""}
