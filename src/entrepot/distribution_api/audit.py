"""What the data plane tells the audit log: pulls, listings and refusals, noted before the reply (I11, F45).

Pushes and deletes are recorded by the units that do them; those that are not done are noted here.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
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
from entrepot.oci.names import InvalidRepositoryNameError, RepositoryName

if TYPE_CHECKING:
    from entrepot.auth.audit_notes import AuditNotes
    from entrepot.auth.principals import Principal
    from entrepot.distribution_api.requests import Request
    from entrepot.distribution_api.responses import Response
    from entrepot.distribution_api.routes import Route, Target
    from entrepot.kernel.errors import EntrepotError
    from entrepot.registry.project_numbers import ProjectNumbers

__all__ = ["EdgeAudit"]

_NOTED: Final = {
    "manifest.pull": AuditAction.MANIFEST_PULL,
    "blob.pull": AuditAction.BLOB_PULL,
    "tags.list": AuditAction.TAGS_LIST,
    "referrers.list": AuditAction.REFERRERS_LIST,
    "catalog.list": AuditAction.CATALOG_READ,
}
_CHANGES: Final = {
    "manifest.push": AuditAction.MANIFEST_PUSH,
    "manifest.delete": AuditAction.MANIFEST_DELETE,
    "blob.delete": AuditAction.BLOB_DELETE,
    "upload.begin": AuditAction.BLOB_PUSH,
    "upload.append": AuditAction.BLOB_PUSH,
    "upload.finish": AuditAction.BLOB_PUSH,
    "upload.cancel": AuditAction.BLOB_PUSH,
}
"""By operation, what it would have been."""
_FAILED: Final = frozenset({400, 404, 409, 412, 413})
"""By these a push or delete is refused to those who may do it."""
_REFUSALS: Final = (
    AccessDeniedError,
    ActionDisabledError,
    InsufficientScopeError,
    InvalidTokenError,
    PasswordChangeRequiredError,
)


class EdgeAudit:
    """Notes what changes nothing."""

    def __init__(self, notes: AuditNotes, numbers: ProjectNumbers) -> None:
        self._notes = notes
        self._numbers = numbers

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
            await self._notes.note(
                audit_record(principal, action, about, status=reply.status, project_id=reply.project_id)
            )
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
        """Note that somebody was refused, or that a push or delete by somebody known is not what can be done.

        The challenge to somebody who presented nothing yet is no refusal. Wrong names and secrets are none either:
        whoever checks and counts them records them (I11).

        Raises:
            AuditUnavailableError: it can't be noted.
        """
        presented = isinstance(error, AuthenticationRequiredError) and request.header(b"authorization")
        route, target = found
        action = AuditAction.ACCESS_DENIED
        if isinstance(error, PasswordChangeRequiredError):
            principal = error.whose or principal
        if not isinstance(error, _REFUSALS) and not presented:
            failed = _CHANGES.get(route.operation)
            if failed is None or status not in _FAILED or principal.kind == "anonymous":
                return
            action = failed
        reason, peer = str(error), principal
        if isinstance(error, InvalidTokenError):
            principal, reason = _presenter(error, peer), error.cause
        about = _about(target.name, "" if route.operation.startswith("upload.") else target.reference, "")
        record = audit_record(
            principal,
            action,
            about,
            outcome="failure",
            reason=reason,
            status=status,
            project_id=await self._number(peer, about.project),
        )
        await self._notes.note(record)

    async def _number(self, principal: Principal, project: str) -> int | None:
        """Return the project's number; for nobody the database is not asked, however often they are refused."""
        if not project or principal.kind == "anonymous":
            return None
        return await self._numbers.find(project)


def _presenter(error: InvalidTokenError, peer: Principal) -> Principal:
    """Return whom a token speaks for that was signed here, as asking from where the request came; else the peer.

    A person is named by id alone: the name that the token carries may have been erased meanwhile.
    """
    whose = error.whose
    if whose is None:
        return peer
    name = whose.name if whose.kind == "robot" else ""
    return msgspec.structs.replace(
        whose, name=name, address=peer.address, forwarded=peer.forwarded, origin=peer.origin
    )


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
