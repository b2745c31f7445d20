"""What the data plane tells the audit log: pulls, listings and refusals, noted before the reply (I11, F45).

Pushes and deletes are recorded by the units that do them; here they only get to know which request they come from.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import msgspec

from entrepot.auth.audit_actions import AuditAction
from entrepot.auth.audit_records import AuditObject, audit_record
from entrepot.auth.errors import (
    AccessDeniedError,
    ActionDisabledError,
    AuditUnavailableError,
    AuthenticationRequiredError,
    InsufficientScopeError,
    InvalidTokenError,
    PasswordChangeRequiredError,
)
from entrepot.auth.principals import Origin
from entrepot.observability.request_ids import current_request_id
from entrepot.oci.names import InvalidRepositoryNameError, RepositoryName

if TYPE_CHECKING:
    from entrepot.auth.audit_notes import AuditNotes
    from entrepot.auth.principals import Principal
    from entrepot.distribution_api.requests import Request
    from entrepot.distribution_api.responses import Response
    from entrepot.distribution_api.routes import Route, Target
    from entrepot.kernel.errors import EntrepotError

__all__ = ["EdgeAudit", "with_origin"]

_NOTED: Final = {
    "manifest.pull": AuditAction.MANIFEST_PULL,
    "blob.pull": AuditAction.BLOB_PULL,
    "tags.list": AuditAction.TAGS_LIST,
    "catalog.list": AuditAction.CATALOG_READ,
}
_SUCCESS: Final = {
    "manifest.push": 201,
    "manifest.delete": 202,
    "blob.delete": 202,
    "upload.begin": 201,
    "upload.finish": 201,
}
"""Statuses with which acts are answered that a unit records."""

_REFUSALS: Final = (
    AccessDeniedError,
    ActionDisabledError,
    InsufficientScopeError,
    InvalidTokenError,
    PasswordChangeRequiredError,
)
_MOST_PROGRAM_BYTES: Final = 256
_MOST_PATH_CHARACTERS: Final = 1024


class EdgeAudit:
    """Notes what changes nothing."""

    def __init__(self, notes: AuditNotes) -> None:
        self._notes = notes

    async def note_reply(
        self, operation: str, request: Request, principal: Principal, target: Target, reply: Response
    ) -> None:
        """Note a pull or listing that is about to be answered.

        A HEAD brings nothing but the head, so it is none.

        Raises:
            AuditUnavailableError: it can't be noted, so it must not be answered.
        """
        action = _NOTED.get(operation)
        if action is None or request.method == "HEAD":
            return
        about = _about(target.name, target.reference, _digest_of(reply))
        try:
            await self._notes.note(audit_record(principal, action, about, status=reply.status))
        except AuditUnavailableError:
            if isinstance(reply.content, AsyncGenerator):
                await reply.content.aclose()
            raise

    async def note_refusal(
        self,
        request: Request,
        principal: Principal,
        found: tuple[Route, Target],
        error: EntrepotError,
        status: int,
    ) -> None:
        """Note that somebody was refused; the challenge to somebody who presented nothing yet is no refusal.

        Wrong names and secrets are none either: whoever checks and counts them records them (I11).

        Raises:
            AuditUnavailableError: it can't be noted.
        """
        presented = isinstance(error, AuthenticationRequiredError) and request.header(b"authorization")
        if not isinstance(error, _REFUSALS) and not presented:
            return
        reason = error.cause if isinstance(error, InvalidTokenError) else str(error)
        route, target = found
        record = audit_record(
            principal,
            AuditAction.ACCESS_DENIED,
            _about(target.name, "" if route.operation.startswith("upload.") else target.reference, ""),
            outcome="failure",
            reason=reason,
            status=status,
        )
        await self._notes.note(record)


def with_origin(peer: Principal, request: Request, operation: str) -> Principal:
    """Return the peer with what records tell of the request under way."""
    origin = Origin(
        request_id=current_request_id(),
        user_agent=_program((request.header(b"user-agent") or b"")[:_MOST_PROGRAM_BYTES]),
        method=request.method,
        path=_plain(request.path[:_MOST_PATH_CHARACTERS]),
        success_status=_SUCCESS.get(operation, 0),
    )
    return msgspec.structs.replace(peer, origin=origin)


def _about(name: str, reference: str, digest: str) -> AuditObject:
    if not name:
        return AuditObject("registry", "")
    try:
        repository = RepositoryName.parse(name)
    except InvalidRepositoryNameError:
        return AuditObject("registry", "")
    if ":" in reference:
        return AuditObject("repository", repository.text, repository.project, "", digest or reference)
    return AuditObject("repository", repository.text, repository.project, reference, digest)


def _digest_of(reply: Response) -> str:
    for name, value in reply.headers:
        if name == b"docker-content-digest":
            return value.decode("ascii")
    return ""


@lru_cache(maxsize=256)
def _program(header: bytes) -> str:
    return _plain(header.decode("latin-1"))


def _plain(text: str) -> str:
    """Return what a client sent as one line of ASCII, which every store and terminal can take."""
    if text.isascii() and text.isprintable():
        return text
    return text.encode("unicode_escape").decode("ascii")
