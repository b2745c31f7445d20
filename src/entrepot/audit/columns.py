"""Compares the columns that records are found by with what was sealed: a change there would hide them from searches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from entrepot.audit.ecs import disclosed_values
from entrepot.audit.proof import Fault, FaultKind
from entrepot.metadata.audit_store import END_OF_TIME

if TYPE_CHECKING:
    from entrepot.metadata.audit_store import AuditRow

__all__ = ["column_fault", "is_listed"]


def is_listed(row_id: int) -> bool:
    """Tell whether lists reach a row of this number; the database gives no others."""
    return 0 < row_id < END_OF_TIME


def column_fault(row: AuditRow) -> Fault | None:
    """Return what is wrong with a row as lists show it, beside what its body says."""
    try:
        message = _difference(row)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        message = "its content is not that of a record"
    return Fault(FaultKind.CHANGED, row.sequence or 0, row.record_id, message) if message else None


def _difference(row: AuditRow) -> str:
    """Return how a row differs from what was sealed, empty where it does not.

    Raises:
        msgspec.MsgspecError: what was sealed is no record.
    """
    if not is_listed(row.id):
        return f"its number {row.id} hides it from lists"
    body = msgspec.json.decode(row.body, type=dict[str, Any])
    about = msgspec.convert(body.get("object") or {}, type=dict[str, Any])
    personal = disclosed_values(row.disclosure)
    columns: dict[str, tuple[str | int | None, Any]] = {
        "action": (row.action, body.get("event.action")),
        "outcome": (row.outcome, body.get("event.outcome")),
        "subject": (row.subject, body.get("user.id")),
        "request_id": (row.request_id, body.get("http.request.id")),
        "project": (row.project, about.get("project")),
        "object_kind": (row.object_kind, about.get("kind")),
        "object_name": (row.object_name, about.get("name")),
        "user_name": (row.user_name, personal.get("user.name", "")),
        "address": (row.address, personal.get("source.ip", "")),
    }
    if "project_id" in body:
        columns["project_id"] = (row.project_id, body["project_id"])
    elif row.project_id == 0 and row.outcome == "success":
        return "its column project_id says that there was no such project, which only refusals can tell"
    for column, (actual, sealed) in columns.items():
        if actual != sealed:
            return f"its column {column} is not what was sealed"
    return ""
