"""What a request that is refused, or fails, was meant for: what its path names, if that exists (I11).

Whoever presented nothing right costs the database nothing by that: it is asked for those only who are known.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from entrepot.auth.audit_records import AuditObject
from entrepot.auth.grants import ProjectGrant
from entrepot.control_api.demands import Gate
from entrepot.control_api.names import project_reference
from entrepot.projects.audit_targets import AuditTarget

if TYPE_CHECKING:
    from collections.abc import Mapping

    from entrepot.auth.principals import Principal
    from entrepot.control_api.request_context import RequestContext
    from entrepot.projects.audit_targets import AuditTargets, NumberedKind

__all__ = ["endpoint_itself", "known_caller", "target_of"]

_NUMBERED: Final[Mapping[str, NumberedKind]] = {
    "group_id": "group",
    "user_id": "user",
    "role_id": "role",
    "assignment_id": "role assignment",
    "robot_id": "robot",
    "label_id": "label",
}
"""What parameters of paths name; of two in one path, as of a group and who is in it, the first one here."""
_PROJECTS: Final = ("project_name_or_id", "project_name")
_MEMBER: Final = "mid"
_ON_PROJECTS: Final = ("api.project.", "api.metadata.")
"""How operations on projects themselves begin; others are on what is in one."""


def known_caller(context: RequestContext) -> Principal | None:
    """Return who asks, `None` for nobody in particular."""
    caller = context.caller
    return None if caller is None or caller.principal.kind == "anonymous" else caller.principal


def endpoint_itself(context: RequestContext) -> AuditTarget:
    """Return what a request is about of which nothing else is known."""
    return AuditTarget(AuditObject("endpoint", context.operation))


async def target_of(context: RequestContext, principal: Principal, targets: AuditTargets) -> AuditTarget:
    """Return what a request of somebody known was meant for; the endpoint where its path names nothing that exists.

    The endpoint has the project that the path, or what was asked at a gate, names: its log tells of the act.
    """
    for parameter, kind in _NUMBERED.items():
        if parameter in context.path_values:
            number = _number(context.path_values[parameter])
            found = None if number is None else await targets.numbered(kind, number)
            return found or endpoint_itself(context)
    project = await _project(context, targets)
    if project is not None and context.operation.startswith(_ON_PROJECTS):
        return project
    member = _number(context.path_values.get(_MEMBER, ""))
    found = None if member is None else await targets.member(principal, project, member)
    if project is None:
        return endpoint_itself(context)
    about = AuditObject("endpoint", context.operation, project=project.about.project)
    return found or AuditTarget(about, project.project_id)


async def _project(context: RequestContext, targets: AuditTargets) -> AuditTarget | None:
    """Return the project that a request was for; one that was granted something in was read already."""
    place = context.grant.place if isinstance(context.grant, Gate) else context.grant
    if isinstance(place, ProjectGrant):
        return AuditTarget(AuditObject("project", place.project, project=place.project), place.project_id)
    if isinstance(place, (str, int)):
        return await targets.project(place)
    for parameter in _PROJECTS:
        text = context.path_values.get(parameter)
        if text:
            by_name = context.head.header("x-is-resource-name") if parameter == _PROJECTS[0] else "true"
            return await targets.project(project_reference(text, by_name))
    return None


def _number(text: str) -> int | None:
    """Return the number that a part of a path is, if it is one, as endpoints read it."""
    reference = project_reference(text, "")
    return reference if isinstance(reference, int) else None
