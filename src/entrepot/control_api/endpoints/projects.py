"""Projects one by one, as Harbor's API shows, makes and changes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from entrepot.auth.errors import AccessDeniedError
from entrepot.auth.project_actions import DeleteProject, ReadProject, UpdateProject
from entrepot.auth.roles import BUILT_IN_ROLES
from entrepot.auth.system_actions import CreateProject
from entrepot.control_api.declarations import API_PREFIX, Endpoint, NoBody, NoInputs
from entrepot.control_api.demands import InProject, OwnOr
from entrepot.control_api.errors import InvalidInputError
from entrepot.control_api.json_bodies import missing_field
from entrepot.control_api.names import format_time, location
from entrepot.control_api.reply import DONE, created, json_reply
from entrepot.projects.metadata_values import NO_PROXY, NO_QUOTA

if TYPE_CHECKING:
    from collections.abc import Mapping

    from entrepot.auth.grants import ProjectGrant, SelfGrant, SystemGrant
    from entrepot.control_api.declarations import AnyEndpoint, Call
    from entrepot.control_api.demands import OwnGate
    from entrepot.control_api.reply import Reply
    from entrepot.control_api.services import ControlServices
    from entrepot.metadata.project_store import ListedProject

__all__ = ["PROJECT_ENDPOINTS", "Project", "ProjectInputs", "shown_project"]

_PROJECTS: Final = f"{API_PREFIX}/projects"
_NO_LIMIT: Final = -1


class Project(msgspec.Struct, frozen=True):
    """A project; the roles are those that the one who asks holds in it and on the system."""

    project_id: int
    name: str
    owner_id: int
    owner_name: str
    repo_count: int
    metadata: dict[str, str]
    creation_time: str
    update_time: str
    togglable: bool
    deleted: bool = False
    registry_id: int | None = None
    current_user_role_id: int = 0
    current_user_role_ids: tuple[int, ...] = ()


class ProjectReq(msgspec.Struct, frozen=True):
    """A project to be made or changed; there are no quotas and no proxy projects, so none can be asked for."""

    project_name: str = ""
    public: bool | None = None
    metadata: dict[str, str | None] | None = None
    storage_limit: int | None = None
    registry_id: int | None = None

    def written(self) -> Mapping[str, str]:
        """Return the metadata that are written; what is null is left as it is.

        Raises:
            InvalidInputError: it asks for what would be accepted and not done.
        """
        if self.storage_limit not in (None, _NO_LIMIT):
            raise InvalidInputError((f"storage_limit: {NO_QUOTA}",))
        if self.registry_id is not None:
            raise InvalidInputError((f"registry_id: {NO_PROXY}",))
        values = {name: value for name, value in (self.metadata or {}).items() if value is not None}
        if self.public is not None:
            values.setdefault("public", str(self.public).lower())
        return values


class ProjectDeletable(msgspec.Struct, frozen=True):
    """Whether a project can be deleted, and if not, why."""

    deletable: bool
    message: str


class ProjectInputs(msgspec.Struct, frozen=True):
    """Which project is meant."""

    project_name_or_id: str


def shown_project(project: ListedProject, held: frozenset[str]) -> Project:
    """Return a project as it is shown to somebody who holds these roles."""
    roles = tuple(sorted(BUILT_IN_ROLES[name].role_id for name in held if name in BUILT_IN_ROLES))
    access = {
        "public": str(project.is_public).lower(),
        "repository_creation": project.repository_creation,
    }
    return Project(
        project_id=project.id,
        name=project.name,
        owner_id=project.owner_id or 0,
        owner_name=project.owner_name,
        repo_count=project.repository_count,
        metadata={**access, **project.metadata},
        creation_time=format_time(project.created_at),
        update_time=format_time(project.updated_at),
        togglable=1 in roles,
        current_user_role_id=roles[0] if roles else 0,
        current_user_role_ids=roles,
    )


async def create_project(services: ControlServices, call: Call[OwnGate, NoInputs, ProjectReq]) -> Reply:
    """Make a project: with the permission, or where a setting lets everybody.

    Raises:
        InvalidInputError: it has no name.
    """
    name = call.body.project_name
    grant: SystemGrant[CreateProject] | SelfGrant
    try:
        grant = await call.grant.system(CreateProject)
    except AccessDeniedError:
        grant = await call.grant.own()
    if not name:
        raise InvalidInputError((missing_field("project_name"),))
    number = await services.projects.create(grant, name, call.body.written())
    return created(location(_PROJECTS, number, name, call.head.header("x-resource-name-in-location")))


async def read_project(
    services: ControlServices, call: Call[ProjectGrant[ReadProject], ProjectInputs, NoBody]
) -> Reply:
    """Show a project."""
    project = await services.projects.get(call.grant)
    standing = await services.decisions.on_project(call.grant.principal, call.grant.project_id)
    return json_reply(shown_project(project, frozenset() if standing is None else standing.roles))


async def update_project(
    services: ControlServices, call: Call[ProjectGrant[UpdateProject], ProjectInputs, ProjectReq]
) -> Reply:
    """Change a project's metadata."""
    await services.projects.update(call.grant, call.body.written())
    return DONE


async def delete_project(
    services: ControlServices, call: Call[ProjectGrant[DeleteProject], ProjectInputs, NoBody]
) -> Reply:
    """Delete a project without repositories."""
    await services.projects.delete(call.grant)
    return DONE


async def read_deletable(
    services: ControlServices, call: Call[ProjectGrant[DeleteProject], ProjectInputs, NoBody]
) -> Reply:
    """Answer whether a project can be deleted."""
    left = await services.projects.count_obstacles(call.grant)
    message = f"the project has {left} repositories: delete them first" if left else ""
    return json_reply(ProjectDeletable(left == 0, message))


PROJECT_ENDPOINTS: Final[tuple[AnyEndpoint, ...]] = (
    Endpoint(
        method="POST",
        path=_PROJECTS,
        operation="api.project.create",
        operation_id="createProject",
        tag="project",
        summary="Make a project, whose administrator one becomes.",
        demand=OwnOr((CreateProject,)),
        handler=create_project,
        inputs=NoInputs,
        body=ProjectReq,
        status=201,
        heeded=("X-Resource-Name-In-Location",),
    ),
    Endpoint(
        method="GET",
        path=f"{_PROJECTS}/{{project_name_or_id}}",
        operation="api.project.read",
        operation_id="getProject",
        tag="project",
        summary="A project.",
        demand=InProject(ReadProject),
        handler=read_project,
        inputs=ProjectInputs,
        body=NoBody,
        result=Project,
    ),
    Endpoint(
        method="PUT",
        path=f"{_PROJECTS}/{{project_name_or_id}}",
        operation="api.project.update",
        operation_id="updateProject",
        tag="project",
        summary="Set metadata of a project; what is left out stays.",
        demand=InProject(UpdateProject),
        handler=update_project,
        inputs=ProjectInputs,
        body=ProjectReq,
    ),
    Endpoint(
        method="DELETE",
        path=f"{_PROJECTS}/{{project_name_or_id}}",
        operation="api.project.delete",
        operation_id="deleteProject",
        tag="project",
        summary="Delete a project that has no repositories.",
        demand=InProject(DeleteProject),
        handler=delete_project,
        inputs=ProjectInputs,
        body=NoBody,
    ),
    Endpoint(
        method="GET",
        path=f"{_PROJECTS}/{{project_name_or_id}}/_deletable",
        operation="api.project.read-deletable",
        operation_id="getProjectDeletable",
        tag="project",
        summary="Whether a project can be deleted.",
        demand=InProject(DeleteProject),
        handler=read_deletable,
        inputs=ProjectInputs,
        body=NoBody,
        result=ProjectDeletable,
    ),
)
