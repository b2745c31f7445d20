"""The audit log, as Harbor's API shows it; the full records are what `entrepot audit export` writes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import msgspec

from entrepot.audit.errors import AuditSearchesBusyError, AuditSearchTooWideError
from entrepot.auth.audit_actions import AuditAction
from entrepot.auth.grants import ProjectGrant
from entrepot.auth.project_actions import ListLog
from entrepot.auth.system_actions import ListAuditLog
from entrepot.control_api.audit_filters import AuditFilterInputs, wanted_order, wanted_records
from entrepot.control_api.audit_pages import read_walk
from entrepot.control_api.declarations import API_PREFIX, Endpoint, NoBody, NoInputs
from entrepot.control_api.demands import InProject, OnSelf, OnSystem
from entrepot.control_api.errors import InvalidFilterError
from entrepot.control_api.names import format_time
from entrepot.control_api.reply import json_reply, page_reply
from entrepot.metadata.errors import MetadataTimeoutError

if TYPE_CHECKING:
    from collections.abc import Callable

    from entrepot.audit.queries import AuditEntry
    from entrepot.auth.grants import SelfGrant, SystemGrant
    from entrepot.control_api.declarations import AnyEndpoint, Call
    from entrepot.control_api.reply import Reply
    from entrepot.control_api.services import ControlServices
    from entrepot.metadata.audit_store import AuditFilter

__all__ = ["AUDIT_LOG_ENDPOINTS", "AuditLog"]


class AuditLog(msgspec.Struct, frozen=True):
    """One act. `operation` is its name here, as `manifest.push`; `fields` are those of the Elastic Common Schema."""

    id: int
    username: str
    resource: str
    resource_type: str
    operation: str
    op_time: str
    outcome: str
    project_name: str
    fields: Mapping[str, object]


class AuditLogExt(msgspec.Struct, frozen=True):
    """One act in the form of Harbor's newer listing."""

    id: int
    username: str
    resource: str
    resource_type: str
    operation: str
    operation_description: str
    operation_result: bool
    op_time: str


class AuditLogEventType(msgspec.Struct, frozen=True):
    """A name that `operation` can have."""

    event_type: str


class ProjectAuditInputs(AuditFilterInputs, frozen=True):
    """Which acts in a project are meant."""

    project_name: str


def _shown(entry: AuditEntry) -> AuditLog:
    return AuditLog(
        id=entry.id,
        username=entry.user_name,
        resource=entry.object_name,
        resource_type=entry.object_kind,
        operation=entry.action,
        op_time=format_time(entry.at),
        outcome=entry.outcome,
        project_name=entry.project,
        fields=entry.fields,
    )


def _shown_ext(entry: AuditEntry) -> AuditLogExt:
    done = entry.outcome == "success"
    return AuditLogExt(
        id=entry.id,
        username=entry.user_name,
        resource=entry.object_name,
        resource_type=entry.object_kind,
        operation=entry.action,
        operation_description=f"{entry.action} {entry.object_name}".rstrip(),
        operation_result=done,
        op_time=format_time(entry.at),
    )


async def _page(
    services: ControlServices,
    call: Call[SystemGrant[ListAuditLog], AuditFilterInputs, NoBody]
    | Call[ProjectGrant[ListLog], ProjectAuditInputs, NoBody],
    show: Callable[[AuditEntry], msgspec.Struct],
) -> Reply:
    inputs, log = call.inputs, services.audit_log
    wanted, order = wanted_records(inputs.q), wanted_order(inputs.sort)
    if isinstance(call.grant, ProjectGrant) and wanted.project not in ("", call.grant.project):
        raise InvalidFilterError(f"this is the log of {call.grant.project}: project_name can't be another")
    newest = inputs.upto or await log.newest(call.grant)
    walk = read_walk(inputs, wanted, newest, order)
    page = await log.list(call.grant, walk.query())
    entries = walk.in_order(page.entries)
    total = walk.known_total
    if total is None:
        total = await _count(services, call.grant, walk.wanted)
    if entries and not walk.is_backward:
        total = max(total, inputs.offset + len(entries) + page.more)
    shown = [show(entry) for entry in entries]
    return page_reply(shown, total, inputs, call.head, walk.neighbours(entries, total))


async def _count(
    services: ControlServices, grant: SystemGrant[ListAuditLog] | ProjectGrant[ListLog], wanted: AuditFilter
) -> int:
    """Return how many records there are, as far as they were counted: a page that was found is shown all the same."""
    try:
        return await services.audit_log.count(grant, wanted)
    except (AuditSearchTooWideError, AuditSearchesBusyError, MetadataTimeoutError):
        return 0


async def list_audit_logs(
    services: ControlServices, call: Call[SystemGrant[ListAuditLog], AuditFilterInputs, NoBody]
) -> Reply:
    """List acts, the newest first."""
    return await _page(services, call, _shown)


async def list_project_logs(
    services: ControlServices, call: Call[ProjectGrant[ListLog], ProjectAuditInputs, NoBody]
) -> Reply:
    """List acts in a project, the newest first."""
    return await _page(services, call, _shown)


async def list_audit_log_exts(
    services: ControlServices, call: Call[SystemGrant[ListAuditLog], AuditFilterInputs, NoBody]
) -> Reply:
    """List acts as Harbor's newer clients read them."""
    return await _page(services, call, _shown_ext)


async def list_project_log_exts(
    services: ControlServices, call: Call[ProjectGrant[ListLog], ProjectAuditInputs, NoBody]
) -> Reply:
    """List acts in a project as Harbor's newer clients read them."""
    return await _page(services, call, _shown_ext)


async def list_event_types(
    services: ControlServices,  # noqa: ARG001  # what can be recorded is the same in every registry
    call: Call[SelfGrant, NoInputs, NoBody],  # noqa: ARG001  # nor does it matter who asks
) -> Reply:
    """List what an act can be."""
    return json_reply([AuditLogEventType(action.value) for action in AuditAction])


AUDIT_LOG_ENDPOINTS: Final[tuple[AnyEndpoint, ...]] = (
    Endpoint(
        method="GET",
        path=f"{API_PREFIX}/audit-logs",
        operation="api.audit-log.list",
        operation_id="listAuditLogs",
        tag="auditlog",
        summary="What was done, the newest first.",
        demand=OnSystem(ListAuditLog),
        handler=list_audit_logs,
        inputs=AuditFilterInputs,
        body=NoBody,
        result=list[AuditLog],
    ),
    Endpoint(
        method="GET",
        path=f"{API_PREFIX}/projects/{{project_name}}/logs",
        operation="api.project-log.list",
        operation_id="getLogs",
        tag="auditlog",
        summary="What was done in a project, the newest first.",
        demand=InProject(ListLog, "project_name"),
        handler=list_project_logs,
        inputs=ProjectAuditInputs,
        body=NoBody,
        result=list[AuditLog],
    ),
    Endpoint(
        method="GET",
        path=f"{API_PREFIX}/auditlog-exts",
        operation="api.audit-log-ext.list",
        operation_id="listAuditLogExts",
        tag="auditlog",
        summary="What was done, the newest first, in the form of Harbor's newer listing.",
        demand=OnSystem(ListAuditLog),
        handler=list_audit_log_exts,
        inputs=AuditFilterInputs,
        body=NoBody,
        result=list[AuditLogExt],
    ),
    Endpoint(
        method="GET",
        path=f"{API_PREFIX}/auditlog-exts/events",
        operation="api.audit-event-type.list",
        operation_id="listAuditLogEventTypes",
        tag="auditlog",
        summary="What `operation` of an entry can be; for filters, so whoever has an account may see it.",
        demand=OnSelf(),
        handler=list_event_types,
        inputs=NoInputs,
        body=NoBody,
        result=list[AuditLogEventType],
    ),
    Endpoint(
        method="GET",
        path=f"{API_PREFIX}/projects/{{project_name}}/auditlog-exts",
        operation="api.project-log-ext.list",
        operation_id="getLogExts",
        tag="auditlog",
        summary="What was done in a project, the newest first, in the form of Harbor's newer listing.",
        demand=InProject(ListLog, "project_name"),
        handler=list_project_log_exts,
        inputs=ProjectAuditInputs,
        body=NoBody,
        result=list[AuditLogExt],
    ),
)
