"""Projects, as Harbor's API shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import msgspec

from entrepot.auth.errors import AccessDeniedError
from entrepot.auth.project_actions import DeleteProject, ReadProject, UpdateProject
from entrepot.auth.roles import BUILT_IN_ROLES
from entrepot.auth.system_actions import CreateProject
from entrepot.control_api.declarations import API_PREFIX, Endpoint, NoBody, NoInputs
from entrepot.control_api.demands import Anyone, InProject, OwnOr
from entrepot.control_api.errors import ItemUnknownError
from entrepot.control_api.filters import Exact, FilterField, Fuzzy, parse_filters
from entrepot.control_api.names import format_time, location
from entrepot.control_api.paging import PageInputs
from entrepot.control_api.reply import DONE, created, json_reply, page_reply
from entrepot.control_api.sorting import parse_sort
from entrepot.metadata.project_store import ProjectQuery

if TYPE_CHECKING:
    from collections.abc import Mapping

    from entrepot.auth.grants import ProjectGrant, SelfGrant, SystemGrant
    from entrepot.control_api.credentials import Caller
    from entrepot.control_api.declarations import AnyEndpoint, Call
    from entrepot.control_api.demands import OwnGate
    from entrepot.control_api.reply import Reply
    from entrepot.control_api.services import ControlServices
    from entrepot.metadata.project_store import ListedProject, ProjectSort

__all__ = ["PROJECT_ENDPOINTS", "Project", "ProjectInputs", "shown_project"]

_PROJECTS: Final = f"{API_PREFIX}/projects"
_FILTERS: Final = {
    "name": FilterField("name"),
    "public": FilterField("public", "text", frozenset({"exact"})),
    "owner": FilterField("owner", "text", frozenset({"exact"})),
}
_SORTS: Final = {
    "projectid": "id",
    "name": "name",
    "creationtime": "creation_time",
    "updatetime": "update_time",
}
_ORDERS: Final[tuple[ProjectSort, ...]] = (
    "id",
    "-id",
    "name",
    "-name",
    "creation_time",
    "-creation_time",
    "update_time",
    "-update_time",
)


class Project(msgspec.Struct, frozen=True):
    """A project; the roles are those of the one who asks, where one project is shown."""

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
    """A project to be made or changed."""

    project_name: str = ""
    public: bool | None = None
    metadata: dict[str, str | None] | None = None

    def written(self) -> Mapping[str, str]:
        """Return the metadata that are written; what is null is left as it is."""
        values = {name: value for name, value in (self.metadata or {}).items() if value is not None}
        if self.public is not None:
            values.setdefault("public", str(self.public).lower())
        return values


class ProjectDeletable(msgspec.Struct, frozen=True):
    """Whether a project can be deleted, and if not, why."""

    deletable: bool
    message: str


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


class ProjectInputs(msgspec.Struct, frozen=True):
    """Which project is meant."""

    project_name_or_id: str


class ProjectListInputs(PageInputs, frozen=True):
    """Which projects are meant."""

    q: str = ""
    sort: str = ""
    name: Annotated[str, msgspec.Meta(max_length=255, description="What the name contains.")] = ""
    public: bool | None = None
    owner: str = ""
    with_detail: bool = True


class ProjectNameInputs(msgspec.Struct, frozen=True):
    """Which name is meant."""

    project_name: str


def shown_project(project: ListedProject, roles: tuple[int, ...] = ()) -> Project:
    """Return a project as it is shown to somebody with these roles in it."""
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


def _query(inputs: ProjectListInputs) -> ProjectQuery:
    exact: dict[str, str | int] = {}
    part = inputs.name
    for term in parse_filters(inputs.q, _FILTERS):
        if isinstance(term.condition, Exact):
            exact[term.field] = term.condition.value
        elif isinstance(term.condition, Fuzzy):
            part = term.condition.text
    public = {"true": True, "1": True, "false": False, "0": False}.get(str(exact.get("public", "")).lower())
    keys = parse_sort(inputs.sort, _SORTS)
    wanted = f"{'-' if keys[0].descending else ''}{keys[0].field}" if keys else "name"
    return ProjectQuery(
        limit=inputs.page_size,
        offset=inputs.offset,
        sort=next(order for order in _ORDERS if order == wanted),
        name=str(exact.get("name", "")),
        name_part=part,
        public=inputs.public if public is None else public,
        owner=str(exact.get("owner", inputs.owner)),
    )


async def list_projects(services: ControlServices, call: Call[Caller, ProjectListInputs, NoBody]) -> Reply:
    """List the projects that the one who asks sees."""
    page = await services.projects.list_visible(call.grant.principal, _query(call.inputs))
    return page_reply(
        [shown_project(project) for project in page.projects], page.total, call.inputs, call.head
    )


async def find_project(services: ControlServices, call: Call[Caller, ProjectNameInputs, NoBody]) -> Reply:
    """Answer whether a project of this name is there to see (S19)."""
    if not await services.projects.exists(call.grant.principal, call.inputs.project_name):
        raise ItemUnknownError("project")
    return DONE


async def create_project(services: ControlServices, call: Call[OwnGate, NoInputs, ProjectReq]) -> Reply:
    """Make a project: with the permission, or where a setting lets everybody."""
    name = call.body.project_name
    grant: SystemGrant[CreateProject] | SelfGrant
    try:
        grant = await call.grant.system(CreateProject)
    except AccessDeniedError:
        grant = await call.grant.own()
    number = await services.projects.create(grant, name, call.body.written())
    return created(location(_PROJECTS, number, name, call.head.header("x-resource-name-in-location")))


async def read_project(
    services: ControlServices, call: Call[ProjectGrant[ReadProject], ProjectInputs, NoBody]
) -> Reply:
    """Show a project."""
    project = await services.projects.get(call.grant)
    standing = await services.decisions.on_project(call.grant.principal, call.grant.project_id)
    held = frozenset[str]() if standing is None else standing.roles
    roles = tuple(sorted(BUILT_IN_ROLES[name].role_id for name in held if name in BUILT_IN_ROLES))
    return json_reply(shown_project(project, roles))


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


PROJECT_ENDPOINTS: Final[tuple[AnyEndpoint, ...]] = (
    Endpoint(
        method="GET",
        path=_PROJECTS,
        operation="api.project.list",
        operation_id="listProjects",
        tag="project",
        summary="The projects that the one who asks sees.",
        demand=Anyone(),
        handler=list_projects,
        inputs=ProjectListInputs,
        body=NoBody,
        result=list[Project],
    ),
    Endpoint(
        method="HEAD",
        path=_PROJECTS,
        operation="api.project.find",
        operation_id="headProject",
        tag="project",
        summary="Whether a project of this name is there to see; 404 if not.",
        demand=Anyone(),
        handler=find_project,
        inputs=ProjectNameInputs,
        body=NoBody,
    ),
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
    Endpoint(
        method="GET",
        path=f"{_PROJECTS}/{{project_name_or_id}}/summary",
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
