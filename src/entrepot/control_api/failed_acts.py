"""What the audit log calls an act that somebody was let to and that a rule or the state of things refused.

Whoever may not is recorded as refused, wrong credentials by whoever counts them; this is the rest: a person who is
there already, a password that is too weak, the last administrator. The act is named as if it had been done.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from entrepot.auth.audit_actions import AuditAction
from entrepot.auth.audit_records import audit_record
from entrepot.control_api.act_targets import endpoint_itself, known_caller, target_of
from entrepot.control_api.demands import Gate
from entrepot.control_api.request_head import UNSAFE_METHODS
from entrepot.kernel.errors import EntrepotError
from entrepot.projects.errors import SubjectUnknownError

if TYPE_CHECKING:
    from entrepot.auth.decisions import Decisions
    from entrepot.auth.principals import Principal
    from entrepot.control_api.request_context import RequestContext
    from entrepot.metadata.audit_store import NewAuditRecord
    from entrepot.projects.audit_targets import AuditTarget, AuditTargets

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
_SETS_ADMINISTRATOR: Final = "api.user.set-administrator"
_LETS_IN: Final = "api.user.set-password"
"""Operations that are one act or another."""


def act_of(operation: str) -> AuditAction:
    """Return what an operation that changes something does, for the audit log; a refusal where no act is called so."""
    name = operation.removeprefix(_PREFIX)
    return _ACTIONS.get(operation) or (AuditAction(name) if name in _NAMES else AuditAction.ACCESS_DENIED)


async def failure_record(
    context: RequestContext, status: int, targets: AuditTargets, decisions: Decisions
) -> NewAuditRecord | None:
    """Return the record of a change that is about to be refused; `None` for whatever is none, or nobody's."""
    principal = known_caller(context)
    if principal is None or context.failure is None or status not in _FAILED:
        return None
    if context.head.method not in UNSAFE_METHODS:
        return None
    target = await target_of(context, principal, targets)
    if await _is_none_of_theirs(context, principal, target, decisions):
        target = endpoint_itself(context)
    return audit_record(
        principal,
        _act(context, principal, target),
        target.about,
        outcome="failure",
        reason=_reason(context.failure),
        status=status,
        project_id=target.project_id,
    )


async def _is_none_of_theirs(
    context: RequestContext, principal: Principal, target: AuditTarget, decisions: Decisions
) -> bool:
    """Whether nobody decided yet whether they may, and it is in a project where they hold nothing.

    It is no act there, and stands in no log of it; what is refused to them does.
    """
    is_undecided = isinstance(context.grant, Gate) and not context.grant.has_granted
    if target.project_id is None or not is_undecided:
        return False
    try:
        standing = await decisions.on_project(principal, target.project_id)
    except EntrepotError:
        return True
    return standing is None or not standing.permissions


def _act(context: RequestContext, principal: Principal, target: AuditTarget) -> AuditAction:
    """Return what would have been done, also where that depends on what was sent, or on whose account it is."""
    if context.operation == _SETS_ADMINISTRATOR and getattr(context.body, "sysadmin_flag", None) is False:
        return AuditAction.ROLE_REVOKE
    if context.operation == _LETS_IN and target.subject != principal.subject:
        return AuditAction.USER_PASSWORD_RESET
    return act_of(context.operation)


def _reason(error: EntrepotError) -> str:
    """Return what was told, without the name that was typed for somebody: that of nobody may be a secret (S27)."""
    return f"there is no such {error.kind}" if isinstance(error, SubjectUnknownError) else str(error)
