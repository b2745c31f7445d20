"""Reads the audit log for people: auditors see all of it, others what concerns a project of theirs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import msgspec

from entrepot.audit.ecs import NO_RECORD, ecs_fields
from entrepot.audit.errors import AuditSearchTooWideError
from entrepot.audit.search_turns import SearchTurns
from entrepot.auth.audit_actions import AuditAction
from entrepot.auth.audit_records import AuditObject, audit_record
from entrepot.auth.grants import ProjectGrant
from entrepot.kernel.secret_forms import without_secrets
from entrepot.metadata.errors import StatementTooLongError

if TYPE_CHECKING:
    from entrepot.auth.audit_notes import AuditNotes
    from entrepot.auth.grants import SystemGrant
    from entrepot.auth.project_actions import ListLog
    from entrepot.auth.system_actions import ListAuditLog
    from entrepot.metadata.audit_store import AuditFilter, AuditPageQuery, AuditRow
    from entrepot.metadata.store import Metadata

__all__ = ["MOST_ROWS", "AuditEntry", "AuditLog", "AuditPage"]

MOST_ROWS: Final = 1000
_LAST_MILLISECOND: Final = 253_402_300_799_000
"""Of the last second of the year 9999."""


class AuditEntry(msgspec.Struct, frozen=True):
    """A record as it is shown.

    Attributes:
        id: for paging.
        sequence: its place in the chain, `None` until it is sealed.
        at: within the calendar, whatever somebody wrote into the database.
        fields: by the names of the Elastic Common Schema; none of what is no record.
    """

    id: int
    record_id: str
    at: int
    action: str
    outcome: str
    user_name: str
    project: str
    object_kind: str
    object_name: str
    sequence: int | None
    fields: Mapping[str, object]


class AuditPage(msgspec.Struct, frozen=True):
    """A page of entries in the order that was asked for, and whether others follow."""

    entries: tuple[AuditEntry, ...]
    more: bool


class AuditLog:
    """Lists records; that somebody did so is noted (8.1.4.3a). Belongs to one event loop."""

    def __init__(self, metadata: Metadata, notes: AuditNotes, turns: SearchTurns | None = None) -> None:
        self._metadata = metadata
        self._notes = notes
        self._turns = turns or SearchTurns()

    async def list(
        self, grant: SystemGrant[ListAuditLog] | ProjectGrant[ListLog], query: AuditPageQuery
    ) -> AuditPage:
        """Return a page; a grant for a project shows the records of this project, whatever the query says.

        Those of a former project of the same name are not this one's. What is shown is noted, and before it is.

        Raises:
            AuditUnavailableError: the reading can't be noted.
            AuditSearchTooWideError: the database gave up.
            AuditSearchesBusyError: others were searched before, and that took too long.
            MetadataError: it failed, or could not be asked in time.
        """
        wanted = _within(grant, query.wanted)
        limit = min(max(query.limit, 1), MOST_ROWS)
        try:
            async with self._turns.turn(grant.principal):
                rows = await self._metadata.audit.page(replace(query, wanted=wanted, limit=limit + 1))
        except StatementTooLongError as error:
            raise AuditSearchTooWideError from error
        await self._note(grant, wanted)
        return AuditPage(tuple(_entry(row) for row in rows[:limit]), more=len(rows) > limit)

    async def count(
        self, grant: SystemGrant[ListAuditLog] | ProjectGrant[ListLog], wanted: AuditFilter
    ) -> int:
        """Return how many records :meth:`list` has in all, of a search :data:`MOST_COUNTED` at most.

        Raises:
            AuditSearchTooWideError: the database gave up.
            AuditSearchesBusyError: others were searched before, and that took too long.
            MetadataError: it failed, or could not be asked in time.
        """
        try:
            async with self._turns.turn(grant.principal):
                return await self._metadata.audit.count(_within(grant, wanted))
        except StatementTooLongError as error:
            raise AuditSearchTooWideError from error

    async def newest(self, _grant: SystemGrant[ListAuditLog] | ProjectGrant[ListLog]) -> int:
        """Return the id of the newest record, 0 without records: what a walk over pages holds on to."""
        return await self._metadata.audit.last_id()

    async def _note(
        self, grant: SystemGrant[ListAuditLog] | ProjectGrant[ListLog], wanted: AuditFilter
    ) -> None:
        project = grant.project if isinstance(grant, ProjectGrant) else ""
        about = AuditObject("audit-log", project, project)
        filters = {
            "action": wanted.action or ", ".join(wanted.actions),
            "outcome": wanted.outcome,
            "project": wanted.project or ", ".join(wanted.projects),
            "since": wanted.since,
            "until": wanted.until,
        }
        # Whom somebody looks for is personal data, which records hold as commitments only: it stays out.
        await self._notes.note(
            audit_record(
                grant.principal,
                AuditAction.AUDIT_READ,
                about,
                after={"filter": filters},
                project_id=grant.project_id if isinstance(grant, ProjectGrant) else None,
            )
        )


def _within(grant: SystemGrant[ListAuditLog] | ProjectGrant[ListLog], wanted: AuditFilter) -> AuditFilter:
    """Return what is wanted of what the grant shows: records name projects, whose names are used again.

    Names are looked for as records tell them, without secrets.
    """
    wanted = replace(
        wanted,
        user=without_secrets(wanted.user),
        users=tuple(map(without_secrets, wanted.users)),
        user_part=without_secrets(wanted.user_part),
        project=without_secrets(wanted.project),
        projects=tuple(map(without_secrets, wanted.projects)),
        project_part=without_secrets(wanted.project_part),
        object_name=without_secrets(wanted.object_name),
        objects=tuple(map(without_secrets, wanted.objects)),
        object_part=without_secrets(wanted.object_part),
        request_id=without_secrets(wanted.request_id),
    )
    if not isinstance(grant, ProjectGrant):
        return wanted
    return replace(wanted, project=grant.project, project_id=grant.project_id)


def _entry(row: AuditRow) -> AuditEntry:
    """Return a row as it is shown. One that is no record keeps nobody from reading the others."""
    return AuditEntry(
        id=row.id,
        record_id=row.record_id,
        at=min(max(row.at, 0), _LAST_MILLISECOND),
        action=row.action,
        outcome=row.outcome,
        user_name=row.user_name,
        project=row.project,
        object_kind=row.object_kind,
        object_name=row.object_name,
        sequence=row.sequence,
        fields=_fields(row),
    )


def _fields(row: AuditRow) -> dict[str, object]:
    try:
        return ecs_fields(row.at, row.body, row.disclosure)
    except NO_RECORD:
        return {}
