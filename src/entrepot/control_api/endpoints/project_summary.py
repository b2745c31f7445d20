"""What a project has, in numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from entrepot.auth.project_actions import ReadProject
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


class ProjectSummary(msgspec.Struct, frozen=True):
    """What a project has."""

    repo_count: int
    project_admin_count: int
    maintainer_count: int
    developer_count: int
    guest_count: int
    limited_guest_count: int
    quota: ProjectSummaryQuota


async def read_summary(
    services: ControlServices, call: Call[ProjectGrant[ReadProject], ProjectInputs, NoBody]
) -> Reply:
    """Show what a project has."""
    summary = await services.projects.summarize(call.grant)
    count = summary.members_by_role
    return json_reply(
        ProjectSummary(
            repo_count=summary.repository_count,
            project_admin_count=count.get("project-admin", 0),
            maintainer_count=count.get("team-lead", 0),
            developer_count=count.get("developer", 0),
            guest_count=count.get("guest", 0),
            limited_guest_count=count.get("limited-guest", 0),
            quota=ProjectSummaryQuota(
                ResourceList(summary.storage_limit_bytes), ResourceList(summary.used_bytes)
            ),
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
        handler=read_summary,
        inputs=ProjectInputs,
        body=NoBody,
        result=ProjectSummary,
    ),
)
