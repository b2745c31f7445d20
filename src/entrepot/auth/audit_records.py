"""Makes the records of the audit log: who did what to which thing, from where, and how it ended.

What is hashed into the chain holds personal data (names, addresses, programs) only as commitments, SHA-256 of a random
salt and the value. The salts and values stand beside it, so that they can be erased and the chain still verifies.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import time
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import msgspec
from msgspec import UNSET

from entrepot.auth.audit_masking import masked_values
from entrepot.kernel.ids import new_ordered_id
from entrepot.kernel.plain_addresses import written_address
from entrepot.kernel.secret_forms import MOST_CHARACTERS, bytes_without_secrets, without_secrets
from entrepot.metadata.audit_store import NewAuditRecord

if TYPE_CHECKING:
    from entrepot.auth.audit_actions import AuditAction
    from entrepot.auth.principals import Origin, Principal

__all__ = [
    "BODY_VERSION",
    "PERSONAL_FIELDS",
    "AuditObject",
    "AuditOutcome",
    "audit_record",
    "commitment",
    "name_of_another",
    "read_disclosure",
    "reason_of",
    "repeated",
]

AuditOutcome = Literal["success", "failure"]

BODY_VERSION: Final = 1
PERSONAL_FIELDS: Final = ("user.name", "source.ip", "user_agent.original")
_SALT_BYTES: Final = 16
_SALT: Final = re.compile(rf"[0-9a-f]{{{2 * _SALT_BYTES}}}")
_MOST_REASON_CHARACTERS: Final = 512
_MOST_OF_A_REASON: Final = 4096
"""Characters. What is longer is cut before it is looked through; what is left of a secret then is none."""
_MOST_REFERENCE_CHARACTERS: Final = 256
"""Of what failed, since anybody may type anything: tags have 128 characters, digests fewer than 256."""
_MOST_PROGRAM_CHARACTERS: Final = 256
"""Of what requests say of themselves, wherever they come in."""

_SHARED_SECONDS: Final = 60.0

_Change: TypeAlias = dict[str, Mapping[str, object] | None] | msgspec.UnsetType

_encoder: Final = msgspec.json.Encoder(order="deterministic")


class AuditObject(msgspec.Struct, frozen=True):
    """What an act was done to; texts that do not apply are empty.

    Attributes:
        kind: as `repository`, `project`, `user`, `robot`.
        name: for an image its repository, else what people call the thing. That of a person is not erased with them,
            so it is left out of acts on oneself: :func:`name_of_another`.
    """

    kind: str
    name: str
    project: str = ""
    tag: str = ""
    digest: str = ""


class _Body(
    msgspec.Struct,
    rename={
        "action": "event.action",
        "outcome": "event.outcome",
        "reason": "event.reason",
        "user_id": "user.id",
        "user_kind": "user.kind",
        "method": "http.request.method",
        "status": "http.response.status_code",
        "path": "url.path",
        "request_id": "http.request.id",
        "about": "object",
    },
    gc=False,
):
    """What is hashed into the chain, in the order in which it is encoded."""

    v: int
    action: str
    outcome: AuditOutcome
    reason: str
    user_id: str
    user_kind: str
    credential: str
    method: str
    status: int
    path: str
    request_id: str
    about: AuditObject
    personal: msgspec.Raw
    change: _Change = UNSET
    project_id: int | msgspec.UnsetType | None = UNSET
    """Where the object is in a project; the last, as :data:`UNNUMBERED` says. Former programs did not tell."""


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
    project_id: int | None = None,
) -> NewAuditRecord:
    """Return the record of an act.

    Secrets that were typed or pasted are left out. `before` and `after` are what was changed. `status` is that of the
    HTTP reply, 0 where there is none. `project_id` is for notes (:class:`NewAuditRecord`). A unit may be run twice and
    must add one record: make that before it, or its `record_id` where it tells of what the unit found.
    """
    if about.kind == "user":
        about = msgspec.structs.replace(about, name=name_of_another(principal, about.name))
    origin, about, reason = _told(principal.origin, about, reason, refused=outcome == "failure")
    act, subject, project = str(action), principal.subject, about.project
    period = time.monotonic() // _SHARED_SECONDS
    user_name, address, personal, disclosure = _committed(
        subject, principal.name, principal.address, origin.user_agent, period
    )
    change: _Change = UNSET if before is None and after is None else {"before": before, "after": after}
    body = _Body(
        v=BODY_VERSION,
        action=act,
        outcome=outcome,
        reason=reason,
        user_id=subject,
        user_kind=principal.kind,
        credential=principal.session if principal.limits is None else principal.limits.credential,
        method=origin.method,
        status=status or (origin.success_status if outcome == "success" else 0),
        path=origin.path,
        request_id=origin.request_id,
        about=about,
        personal=personal,
        change=change,
        project_id=project_id if project else UNSET,
    )
    return NewAuditRecord(
        record_id=record_id or new_ordered_id(),
        action=act,
        outcome=outcome,
        subject=subject,
        user_name=user_name,
        address=address,
        project=project,
        object_kind=about.kind,
        object_name=about.name,
        request_id=origin.request_id,
        body=_encoder.encode(body) if change is UNSET else _encoded(body),
        disclosure=disclosure,
        project_id=project_id if project else None,
    )


def _encoded(body: _Body) -> bytes:
    """Return a body as it is hashed; its other texts hold no secrets, those of what was changed may."""
    encoded = _encoder.encode(body)
    if bytes_without_secrets(encoded) is encoded:
        return encoded
    return _encoder.encode(msgspec.structs.replace(body, change=masked_values(body.change)))


def reason_of(record: NewAuditRecord) -> str:
    """Return why, as the record tells it."""
    return msgspec.json.decode(record.body, type=_Reasoned).reason


class _Reasoned(msgspec.Struct, rename={"reason": "event.reason"}, gc=False):
    reason: str = ""


def repeated(
    record: NewAuditRecord, times: int, *, of_several: bool = False, without_object: bool = False
) -> NewAuditRecord:
    """Return a record that stands for as many of its kind, of which the given one was the last.

    Args:
        of_several: the others were not all of its address, so that nobody is blamed for them.
        without_object: nor were they all about the same: what the last one was about is left out.
    """
    body: dict[str, object] = msgspec.json.decode(record.body)
    body["repeats"] = times
    if of_several:
        body["repeats_from"] = "several addresses"
    if without_object:
        body.pop("project_id", None)
        body |= {"object": AuditObject("registry", ""), "url.path": "", "event.reason": "several reasons"}
        record = msgspec.structs.replace(
            record, project="", project_id=None, object_kind="registry", object_name=""
        )
    return msgspec.structs.replace(record, record_id=new_ordered_id(), body=msgspec.json.encode(body))


def _told(
    origin: Origin, about: AuditObject, reason: str, *, refused: bool
) -> tuple[Origin, AuditObject, str]:
    """Return what a record tells of the request, the object and the reason: without secrets, and not too long."""
    path, reason = origin.path[:MOST_CHARACTERS], reason[:_MOST_OF_A_REASON]
    # No secret reaches over a blank.
    texts = f"{path} {origin.request_id} {reason} {about.name} {about.project} {about.tag} {about.digest}"
    if without_secrets(texts) is not texts:
        path, request_id, reason = map(without_secrets, (path, origin.request_id, reason))
        name, project, tag, digest = map(
            without_secrets, (about.name, about.project, about.tag, about.digest)
        )
        origin = msgspec.structs.replace(origin, request_id=request_id)
        about = msgspec.structs.replace(about, name=name, project=project, tag=tag, digest=digest)
    if path is not origin.path:
        origin = msgspec.structs.replace(origin, path=path)
    return (origin, _bounded(about), reason[:_MOST_REASON_CHARACTERS]) if refused else (origin, about, reason)


def _bounded(about: AuditObject) -> AuditObject:
    """Return an object whose tag and digest may be anything that somebody typed, with no more of them than there is."""
    if len(about.tag) <= _MOST_REFERENCE_CHARACTERS >= len(about.digest):
        return about
    tag, digest = (text[:_MOST_REFERENCE_CHARACTERS] for text in (about.tag, about.digest))
    return msgspec.structs.replace(about, tag=tag, digest=digest)


def name_of_another(principal: Principal, name: str) -> str:
    """Return a person's name as that of the object of an act, empty where it is the one who acts.

    Who acts is in the record already, by id and by a name that can be erased.
    """
    return "" if principal.kind == "user" and principal.name == name else name


def _bare(address: str) -> str:
    """Return an address as it is searched for: a listener of both families tells IPv4 ones in IPv6 clothes."""
    try:
        return written_address(address)
    except ValueError:
        return address


@lru_cache(maxsize=1024)
def _committed(
    subject: str,  # noqa: ARG001  # part of the key
    name: str,
    address: str,
    user_agent: str,
    period: float,  # noqa: ARG001  # part of the key
) -> tuple[str, str, msgspec.Raw, bytes]:
    """Return name and address as they are kept, and commitments and disclosure of personal data, both as JSON.

    Records of one subject under one name, from one address and program, share salts within a period: who they are of is
    no secret, and whoever is told the values of one of them knows those of the others. Most of the cost of a record is
    spared. Those of another subject never share them, nor those of nobody, though their values be the same: they are
    not erased together, and what stays would open what was erased. Nor do those of long after: a subject whose data
    were erased may still act.
    """
    name, program = without_secrets(name), without_secrets(user_agent[:_MOST_PROGRAM_CHARACTERS])
    peer = _bare(address)
    values = dict(zip(PERSONAL_FIELDS, (name, peer, program), strict=True))
    salts = secrets.token_bytes(_SALT_BYTES * len(values)).hex()
    length = 2 * _SALT_BYTES
    disclosure = {
        field: (salts[place * length : (place + 1) * length], value)
        for place, (field, value) in enumerate(values.items())
    }
    commitments = {field: commitment(salt, value) for field, (salt, value) in disclosure.items()}
    return name, peer, msgspec.Raw(_encoder.encode(commitments)), _encoder.encode(disclosure)


def commitment(salt: str, value: str) -> str:
    """Return what stands for a personal value in the chain: SHA-256 (hex) of the salt (hex) and the value."""
    return hashlib.sha256(bytes.fromhex(salt) + value.encode()).hexdigest()


def read_disclosure(disclosure: bytes) -> dict[str, tuple[str, str]]:
    """Return salts and values by field, of what is to the byte as a record has it.

    A name twice, a blank or a salt in capitals would leave room for what no commitment covers; and a salt that is
    shorter or longer would take the first letters of its value, or give it more.

    Raises:
        ValueError: it is not (msgspec's errors are ones).
    """
    pairs = msgspec.json.decode(disclosure, type=dict[str, tuple[str, str]])
    are_salts = all(_SALT.fullmatch(salt) for salt, _ in pairs.values())
    if set(pairs) != set(PERSONAL_FIELDS) or not are_salts or _encoder.encode(pairs) != disclosure:
        raise ValueError
    return pairs
