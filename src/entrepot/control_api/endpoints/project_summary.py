"""What a project has, in numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from entrepot.auth.decisions import NOTHING
from entrepot.auth.project_actions import ListMember, ReadProject, ReadQuota
from entrepot.control_api.declarations import API_PREFIX, Endpoint, NoBody
from entrepot.control_api.demands import InProject
from entrepot.control_api.endpoints.projects import ProjectInputs
from entrepot.control_api.reply import json_reply

if TYPE_CHECKING:
    from entrepot.auth.grants import ProjectGrant
    from entrepot.control_api.declarations import AnyEndpoint, Call
    from entrepot.control_api.reply import Reply
    from entrepot.control_api.services import ControlServices

__all__ = ["PROJECT_SUMMARY_ENDPOINTS"]


class ResourceList(msgspec.Struct, frozen=True):
    """Amounts; -1 is no limit."""

    storage: int


class ProjectSummaryQuota(msgspec.Struct, frozen=True):
    """What a project may take, and takes."""

    hard: ResourceList
    used: ResourceList


class ProjectSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What a project has; nothing of what the one who asks may not see."""

    repo_count: int
    project_admin_count: int | msgspec.UnsetType = msgspec.UNSET
    maintainer_count: int | msgspec.UnsetType = msgspec.UNSET
    developer_count: int | msgspec.UnsetType = msgspec.UNSET
    guest_count: int | msgspec.UnsetType = msgspec.UNSET
    limited_guest_count: int | msgspec.UnsetType = msgspec.UNSET
    quota: ProjectSummaryQuota | msgspec.UnsetType = msgspec.UNSET


_COUNTED_ROLES: Final = {
    "project_admin_count": "project-admin",
    "maintainer_count": "team-lead",
    "developer_count": "developer",
    "guest_count": "guest",
    "limited_guest_count": "limited-guest",
}
"""Our role of each field."""


async def read_summary(
    services: ControlServices, call: Call[ProjectGrant[ReadProject], ProjectInputs, NoBody]
) -> Reply:
    """Show what a project has: how much it takes and how many work in it is not everybody's, though it be public."""
    summary = await services.projects.summarize(call.grant)
    standing = await services.decisions.on_project(call.grant.principal, call.grant.project_id)
    held = NOTHING if standing is None else standing.permissions
    count = summary.members_by_role
    may_count = ListMember.permission.name in held
    counts = {field: count.get(role, 0) for field, role in _COUNTED_ROLES.items()} if may_count else {}
    quota = ProjectSummaryQuota(ResourceList(summary.storage_limit_bytes), ResourceList(summary.used_bytes))
    return json_reply(
        ProjectSummary(
            repo_count=summary.repository_count,
            **counts,
            quota=quota if ReadQuota.permission.name in held else msgspec.UNSET,
        )
    )


PROJECT_SUMMARY_ENDPOINTS: Final[tuple[AnyEndpoint, ...]] = (
    Endpoint(
        method="GET",
        path=f"{API_PREFIX}/projects/{{project_name_or_id}}/summary",
        operation="api.project.read-summary",
        operation_id="getProjectSummary",
        tag="project",
        summary="What a project has: repositories, members by role, bytes.",
        demand=InProject(ReadProject),
        told_more=(ListMember, ReadQuota),
        handler=read_summary,
        inputs=ProjectInputs,
        body=NoBody,
        result=ProjectSummary,
    ),
)
