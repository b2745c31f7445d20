"""Names records as the Elastic Common Schema does, for exports and for people."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["NO_RECORD", "disclosed_values", "ecs_fields"]

NO_RECORD: Final = (
    msgspec.MsgspecError,
    ValueError,
    AttributeError,
    TypeError,
    OSError,
    OverflowError,
    RecursionError,
)
"""What :func:`ecs_fields` may raise of what is no record: whoever owns the database may have put it there."""

_COPIED: Final = (
    "event.action",
    "event.outcome",
    "event.reason",
    "user.id",
    "http.request.method",
    "url.path",
    "http.request.id",
)


def ecs_fields(at: int, body: bytes, disclosure: bytes | None) -> dict[str, Any]:
    """Return a record under the names of the schema; what is empty, unknown or erased is left out.

    Raises:
        msgspec.DecodeError: body or disclosure are no JSON.
    """
    record: dict[str, Any] = msgspec.json.decode(body)
    fields: dict[str, Any] = {name: record.get(name) for name in _COPIED}
    fields["@timestamp"] = _timestamp(at)
    fields["event.kind"] = "event"
    fields["request.path"] = record.get("url.path")
    status = record.get("http.response.status_code")
    fields["http.response.status_code"] = fields["http.response.status"] = status
    fields["entrepot.user.kind"] = record.get("user.kind")
    fields["entrepot.credential"] = record.get("credential")
    fields["entrepot.repeats"] = record.get("repeats")
    fields["entrepot.repeats_from"] = record.get("repeats_from")
    fields.update(disclosed_values(disclosure))
    fields.update(_object_fields(record.get("object") or {}))
    change: dict[str, Any] = record.get("change") or {}
    fields["entrepot.before"], fields["entrepot.after"] = change.get("before"), change.get("after")
    return {name: value for name, value in fields.items() if value not in (None, "", 0, [])}


def disclosed_values(disclosure: bytes | None) -> dict[str, str]:
    """Return the personal data of a record by name, none of what was erased.

    Raises:
        msgspec.DecodeError: it is no disclosure.
    """
    if disclosure is None:
        return {}
    pairs = msgspec.json.decode(disclosure, type=dict[str, tuple[str, str]])
    return {name: value for name, (_, value) in pairs.items()}


def _object_fields(about: Mapping[str, str]) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "entrepot.object.kind": about.get("kind"),
        "entrepot.object.name": about.get("name"),
        "entrepot.project": about.get("project"),
    }
    if about.get("kind") == "repository":
        fields["container.image.name"] = about.get("name")
        fields["container.image.tag"] = [tag for tag in (about.get("tag") or "").split(",") if tag]
        fields["container.image.hash.all"] = [digest for digest in (about.get("digest"),) if digest]
    return fields


def _timestamp(at: int) -> str:
    """Return milliseconds since 1970 as a time in UTC."""
    seconds, milliseconds = divmod(at, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{milliseconds:03d}Z"
