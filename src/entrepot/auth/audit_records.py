"""Makes the records of the audit log: who did what to which thing, from where, and how it ended.

What is hashed into the chain holds personal data (names, addresses, programs) only as commitments, SHA-256 of a random
salt and the value. The salts and values stand beside it, so that they can be erased and the chain still verifies.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from entrepot.kernel.ids import new_public_id
from entrepot.metadata.audit_store import NewAuditRecord

if TYPE_CHECKING:
    from collections.abc import Mapping

    from entrepot.auth.audit_actions import AuditAction
    from entrepot.auth.principals import Principal

__all__ = ["BODY_VERSION", "PERSONAL_FIELDS", "AuditObject", "AuditOutcome", "audit_record", "commitment"]

AuditOutcome = Literal["success", "failure"]

BODY_VERSION: Final = 1
PERSONAL_FIELDS: Final = ("user.name", "source.ip", "user_agent.original")
_SALT_BYTES: Final = 16

_encoder: Final = msgspec.json.Encoder(order="deterministic")


class AuditObject(msgspec.Struct, frozen=True):
    """What an act was done to; texts that do not apply are empty.

    Attributes:
        kind: as `repository`, `project`, `user`, `robot`.
        name: for an image its repository, else what people call the thing.
    """

    kind: str
    name: str
    project: str = ""
    tag: str = ""
    digest: str = ""


def audit_record(
    principal: Principal,
    action: AuditAction,
    about: AuditObject,
    *,
    outcome: AuditOutcome = "success",
    reason: str = "",
    status: int = 0,
    before: Mapping[str, object] | None = None,
    after: Mapping[str, object] | None = None,
    record_id: str = "",
) -> NewAuditRecord:
    """Return the record of an act.

    `before` and `after` are what was changed, without secrets. `status` is that of the HTTP reply, 0 where there is
    none. A unit may be run twice and must add one record: make the record before the unit, or, where it tells of what
    the unit found, make its `record_id` before.
    """
    origin = principal.origin
    personal = {
        "user.name": principal.name,
        "source.ip": principal.address,
        "user_agent.original": origin.user_agent,
    }
    salts = secrets.token_bytes(_SALT_BYTES * len(personal))
    disclosure = {
        field: (salts[place * _SALT_BYTES : (place + 1) * _SALT_BYTES].hex(), value)
        for place, (field, value) in enumerate(personal.items())
    }
    body: dict[str, object] = {
        "v": BODY_VERSION,
        "event.action": action.value,
        "event.outcome": outcome,
        "event.reason": reason,
        "user.id": principal.subject,
        "user.kind": principal.kind,
        "credential": principal.limits.credential if principal.limits is not None else "",
        "http.request.method": origin.method,
        "http.response.status_code": status,
        "url.path": origin.path,
        "http.request.id": origin.request_id,
        "object": about,
        "personal": {field: commitment(salt, value) for field, (salt, value) in disclosure.items()},
    }
    if before is not None or after is not None:
        body["change"] = {"before": before, "after": after}
    return NewAuditRecord(
        record_id=record_id or new_public_id(),
        action=action.value,
        outcome=outcome,
        subject=principal.subject,
        user_name=principal.name,
        address=principal.address,
        project=about.project,
        object_kind=about.kind,
        object_name=about.name,
        request_id=origin.request_id,
        body=_encoder.encode(body),
        disclosure=_encoder.encode(disclosure),
    )


def commitment(salt: str, value: str) -> str:
    """Return what stands for a personal value in the chain: SHA-256 (hex) of the salt (hex) and the value."""
    return hashlib.sha256(bytes.fromhex(salt) + value.encode()).hexdigest()
