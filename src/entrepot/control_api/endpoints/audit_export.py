"""The audit log in a form that proves itself, for who audits: they need no account on the host, and nobody's help."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import msgspec

from entrepot.auth.system_actions import ExportAuditLog
from entrepot.control_api.declarations import API_PREFIX, Endpoint, NoBody
from entrepot.control_api.demands import OnSystem
from entrepot.control_api.errors import InvalidInputError
from entrepot.control_api.reply import Reply
from entrepot.kernel.times import milliseconds_of
from entrepot.metadata.audit_store import END_OF_TIME

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from entrepot.audit.export import AuditExport, BegunExport
    from entrepot.auth.grants import SystemGrant
    from entrepot.control_api.declarations import AnyEndpoint, Call
    from entrepot.control_api.services import ControlServices

__all__ = ["AUDIT_EXPORT_ENDPOINTS"]

_JSON_LINES: Final = "application/x-ndjson"
_PIECE_BYTES: Final = 256 * 1024
"""Sent at once: each piece is a change of threads and an event."""

_Time = Annotated[
    str,
    msgspec.Meta(
        description="As 2026-11-01 or 2026-11-01T08:00+02:00; UTC without an offset; empty for no bound."
    ),
]


class ExportInputs(msgspec.Struct, frozen=True):
    """Which times are meant: from `since` on, before `until`."""

    since: _Time = ""
    until: _Time = ""


async def export_audit_log(
    services: ControlServices, call: Call[SystemGrant[ExportAuditLog], ExportInputs, NoBody]
) -> Reply:
    """Stream the export; the answer to HEAD begins none."""
    since, until = _read("since", call.inputs.since, 0), _read("until", call.inputs.until, END_OF_TIME)
    if since >= until:
        raise InvalidInputError(("until: has to be later than since",))
    if call.head.method == "HEAD":
        return Reply(200, media_type=_JSON_LINES)
    begun = await services.audit_export.begin(call.grant, since, until)
    name = f"audit-{begun.header.after + 1}-{begun.header.last}.jsonl"
    headers = (("content-disposition", f'attachment; filename="{name}"'),)
    return Reply(200, media_type=_JSON_LINES, headers=headers, pieces=_pieces(services.audit_export, begun))


async def _pieces(export: AuditExport, begun: BegunExport) -> AsyncGenerator[bytes]:
    """Yield the lines, many at a time."""
    waiting: list[bytes] = []
    size = 0
    async for line in export.lines(begun):
        waiting += (line, b"\n")
        size += len(line) + 1
        if size >= _PIECE_BYTES:
            yield b"".join(waiting)
            waiting, size = [], 0
    yield b"".join(waiting)


def _read(name: str, text: str, without: int) -> int:
    """Return a time in milliseconds."""
    if not text:
        return without
    try:
        return milliseconds_of(text)
    except ValueError as error:
        raise InvalidInputError((f"{name}: is no time as 2026-11-01T08:00Z",)) from error


AUDIT_EXPORT_ENDPOINTS: Final[tuple[AnyEndpoint, ...]] = (
    Endpoint(
        method="GET",
        path=f"{API_PREFIX}/audit-log-export",
        operation="api.audit-log.export",
        operation_id="exportAuditLog",
        tag="auditlog",
        summary="All records of some times as lines of JSON, signed; `entrepot audit verify` proves them.",
        demand=OnSystem(ExportAuditLog),
        handler=export_audit_log,
        inputs=ExportInputs,
        body=NoBody,
        result=str,
        result_media=_JSON_LINES,
        sent=("Content-Disposition",),
    ),
)
