"""What the audit log calls an act that somebody was let to and that a rule or the state of things refused.

Whoever may not is recorded as refused, wrong credentials by whoever counts them; this is the rest: a person who is
there already, a password that is too weak, the last administrator. The act is named as if it had been done.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from entrepot.auth.audit_actions import AuditAction
from entrepot.auth.audit_records import AuditObject, audit_record
from entrepot.auth.grants import ProjectGrant
from entrepot.control_api.request_head import UNSAFE_METHODS
from entrepot.projects.errors import SubjectUnknownError

if TYPE_CHECKING:
    from entrepot.auth.principals import Principal
    from entrepot.control_api.request_context import RequestContext
    from entrepot.kernel.errors import EntrepotError
    from entrepot.metadata.audit_store import NewAuditRecord

__all__ = ["act_of", "failure_record"]

_FAILED: Final = frozenset({400, 404, 409, 412, 413, 422})
"""By these a change is refused to those who may make it."""

_PREFIX: Final = "api."
_NAMES: Final = frozenset(AuditAction)
_ACTIONS: Final = {
    "api.access-token.delete-of-person": AuditAction.ACCESS_TOKEN_DELETE,
    "api.group-member.add": AuditAction.GROUP_UPDATE,
    "api.group-member.remove": AuditAction.GROUP_UPDATE,
    "api.group-member.replace": AuditAction.GROUP_UPDATE,
    "api.logout": AuditAction.LOGOUT,
    "api.metadata.create": AuditAction.METADATA_UPDATE,
    "api.metadata.delete": AuditAction.METADATA_UPDATE,
    "api.metadata.update": AuditAction.METADATA_UPDATE,
    "api.robot.replace-secret": AuditAction.ROBOT_ROTATE,
    "api.role-assignment.create": AuditAction.ROLE_ASSIGN,
    "api.role-assignment.delete": AuditAction.ROLE_REVOKE,
    "api.session.delete": AuditAction.SESSION_REVOKE,
    "api.user.set-administrator": AuditAction.ROLE_ASSIGN,
    "api.user.set-disabled": AuditAction.USER_UPDATE,
    "api.user.set-password": AuditAction.USER_PASSWORD_CHANGE,
}
"""Where an operation is not called as its act is."""


def act_of(operation: str) -> AuditAction:
    """Return what an operation that changes something does, for the audit log; a refusal where no act is called so."""
    name = operation.removeprefix(_PREFIX)
    return _ACTIONS.get(operation) or (AuditAction(name) if name in _NAMES else AuditAction.ACCESS_DENIED)


def failure_record(context: RequestContext, status: int) -> NewAuditRecord | None:
    """Return the record of a change that is about to be refused; `None` for whatever is none, or nobody's."""
    principal = _known(context)
    if principal is None or context.failure is None or status not in _FAILED:
        return None
    if context.head.method not in UNSAFE_METHODS:
        return None
    project, number = _project_of(context.grant)
    act = act_of(context.operation)
    # Of all but projects only the endpoint is sure to be what it says.
    kind, name = (
        ("project", project) if project and act.startswith("project.") else ("endpoint", context.operation)
    )
    return audit_record(
        principal,
        act,
        AuditObject(kind, name, project=project),
        outcome="failure",
        reason=_reason(context.failure),
        status=status,
        project_id=number,
    )


def _reason(error: EntrepotError) -> str:
    """Return what was told, without the name that was typed for somebody: that of nobody may be a secret (S27)."""
    return f"there is no such {error.kind}" if isinstance(error, SubjectUnknownError) else str(error)


def _project_of(grant: object) -> tuple[str, int | None]:
    """Return the name and the number of the project that a grant is for."""
    return (grant.project, grant.project_id) if isinstance(grant, ProjectGrant) else ("", None)


def _known(context: RequestContext) -> Principal | None:
    caller = context.caller
    return None if caller is None or caller.principal.kind == "anonymous" else caller.principal
