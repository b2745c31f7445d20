"""Projects: who has which, what is known about them, and their beginning and end.

A project exists because somebody made it here; a push by an account never makes one. Whatever decides about access
moves the project's epoch in the same unit, so that what was issued before dies.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from entrepot.auth.audit_actions import AuditAction
from entrepot.auth.audit_records import AuditObject, audit_record
from entrepot.auth.errors import AccessDeniedError, ProjectUnknownError
from entrepot.auth.grants import SelfGrant
from entrepot.auth.system_actions import CreateProject
from entrepot.kernel.ids import new_public_id
from entrepot.metadata.project_store import NewProject, ProjectQuery
from entrepot.projects.errors import ProjectExistsError, ProjectNotEmptyError
from entrepot.projects.metadata_values import check_metadata, split_metadata
from entrepot.projects.names import require_project_name
from entrepot.projects.openings import permissions_in, require_opened_held
from entrepot.projects.robot_namespaces import without_project

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from entrepot.auth.decisions import Decisions
    from entrepot.auth.grants import ProjectGrant, SystemGrant
    from entrepot.auth.project_actions import DeleteProject, ReadProject, UpdateProject
    from entrepot.metadata.project_store import HeldProject, ListedProject, ProjectPage
    from entrepot.metadata.store import Metadata, Transaction
    from entrepot.projects.configurations import Configurations
    from entrepot.projects.visibility import Sight

__all__ = ["ProjectSummary", "Projects", "access_of", "apply_metadata"]

OWNER_ROLE: Final = "project-admin"
_DEFAULT_CREATION: Final = "operators"
_UNLIMITED: Final = -1


@dataclass(frozen=True, slots=True)
class ProjectSummary:
    """What a project has; `storage_limit_bytes` -1 is no limit."""

    repository_count: int
    members_by_role: Mapping[str, int]
    used_bytes: int
    storage_limit_bytes: int = _UNLIMITED


class Projects:
    """Reads and changes projects; each change is one unit with its audit record."""

    def __init__(self, metadata: Metadata, configurations: Configurations, decisions: Decisions) -> None:
        self._metadata = metadata
        self._decisions = decisions
        self._configurations = configurations

    async def create(
        self, grant: SystemGrant[CreateProject] | SelfGrant, name: str, metadata: Mapping[str, str]
    ) -> int:
        """Make a project and return its number; whoever makes it owns it and is its first project administrator.

        Without the right to, it takes the setting that everyone may.

        Raises:
            ProjectNameInvalidError, MetadataInvalidError: it can't be like this.
            AccessDeniedError: the principal may not.
            ProjectExistsError: there is one.
        """
        if isinstance(grant, SelfGrant):
            await self._require_open_creation(grant)
        require_project_name(name)
        values = check_metadata(metadata)
        access, texts = split_metadata(values)
        principal = grant.principal
        project = NewProject(
            public_id=new_public_id(),
            name=name,
            creator=principal.subject,
            owner_id=None,
            is_public=bool(access.is_public),
            repository_creation=access.repository_creation or _DEFAULT_CREATION,
        )
        record = audit_record(principal, AuditAction.PROJECT_CREATE, _about(name), after=values)

        async def unit(tx: Transaction) -> int:
            owner = await tx.projects.owner_for(principal.subject)
            number = await tx.projects.insert(replace(project, owner_id=owner))
            if number is None:
                raise ProjectExistsError(name)
            await tx.projects.put_metadata(number, texts)
            if owner is not None:
                await tx.members.insert(number, owner, OWNER_ROLE, principal.subject)
            await tx.audit.append(record)
            return number

        return await self._metadata.write(unit)

    async def _require_open_creation(self, grant: SelfGrant) -> None:
        principal = grant.principal
        limits = principal.limits
        name = CreateProject.permission.name
        within = limits is None or (
            limits.projects is None and (limits.permissions is None or name in limits.permissions)
        )
        everyone = await self._configurations.decide_creation()
        if not (everyone and within and principal.kind == "user" and not principal.must_change_password):
            raise AccessDeniedError(
                "you may not create projects: ask an operations administrator for a project, or for the setting "
                "project_creation_restriction=everyone"
            )

    async def list_visible(self, sight: Sight[ReadProject], query: ProjectQuery) -> ProjectPage:
        """Return a page of the projects that somebody sees."""
        return await self._metadata.projects.list_page(sight.viewer, query)

    async def exists(self, sight: Sight[ReadProject], name: str) -> bool:
        """Whether there is a project of this name that somebody sees; others do not exist for them (S19)."""
        page = await self.list_visible(sight, ProjectQuery(limit=1, name=name))
        return bool(name) and page.total > 0

    async def seen_among(self, sight: Sight[ReadProject], names: Collection[str]) -> frozenset[str]:
        """Return which of some names of projects somebody sees; to others they are as those of none (S19).

        Who sees all projects sees all names, also those of projects that are not there any more.
        """
        viewer = sight.viewer
        if not names or viewer.sees_all:
            return frozenset(names)
        only = names if viewer.only_projects is None else set(names).intersection(viewer.only_projects)
        narrowed = replace(viewer, only_projects=sorted(only))
        page = await self._metadata.projects.list_page(narrowed, ProjectQuery(limit=len(names)))
        return frozenset(project.name for project in page.projects)

    async def get(self, grant: ProjectGrant[ReadProject]) -> ListedProject:
        """Return a project.

        Raises:
            ProjectUnknownError: it was deleted meanwhile.
        """
        return await self._describe(grant.project_id, grant.project)

    async def update(self, grant: ProjectGrant[UpdateProject], metadata: Mapping[str, str]) -> None:
        """Set some of a project's metadata; the others stay.

        Raises:
            MetadataInvalidError: one is unknown, or can't have this value; nothing was changed.
            AccessDeniedError: others could do what the principal may not (S9).
            ProjectUnknownError: the project was deleted meanwhile.
        """
        values = check_metadata(metadata)
        own = await permissions_in(self._decisions, grant)
        record_id = new_public_id()

        async def unit(tx: Transaction) -> None:
            held = await tx.projects.hold(grant.project_id)
            if held is None:
                raise ProjectUnknownError(grant.project)
            require_opened_held(held, values, own)
            before = {**await tx.projects.metadata(held.id), **access_of(held)}
            await apply_metadata(tx, held, values)
            await tx.audit.append(
                audit_record(
                    grant.principal,
                    AuditAction.PROJECT_UPDATE,
                    _about(held.name),
                    before={name: before.get(name) for name in values},
                    after=values,
                    record_id=record_id,
                )
            )

        await self._metadata.write(unit)

    async def count_obstacles(self, grant: ProjectGrant[DeleteProject]) -> int:
        """Return how many repositories keep the project from being deleted.

        Raises:
            ProjectUnknownError: it was deleted meanwhile.
        """
        return (await self._describe(grant.project_id, grant.project)).repository_count

    async def delete(self, grant: ProjectGrant[DeleteProject]) -> None:
        """Delete a project with its members, robots, labels and metadata. Its name is free; its number stays its own.

        Raises:
            ProjectNotEmptyError: it has repositories.
            ProjectUnknownError: it was deleted meanwhile.
        """
        record_id = new_public_id()

        async def unit(tx: Transaction) -> None:
            held = await tx.projects.hold(grant.project_id)
            if held is None:
                raise ProjectUnknownError(grant.project)
            repositories = await tx.projects.live_repositories(held.id)
            if repositories:
                raise ProjectNotEmptyError(held.name, repositories)
            before = {**await tx.projects.metadata(held.id), **access_of(held)}
            await tx.projects.delete(held.id)
            await _forget_name(tx, held.name)
            await tx.audit.append(
                audit_record(
                    grant.principal,
                    AuditAction.PROJECT_DELETE,
                    _about(held.name),
                    before=before,
                    record_id=record_id,
                )
            )

        await self._metadata.write(unit)

    async def summarize(self, grant: ProjectGrant[ReadProject]) -> ProjectSummary:
        """Return what the project has.

        Raises:
            ProjectUnknownError: it was deleted meanwhile.
        """
        project = await self._describe(grant.project_id, grant.project)
        return ProjectSummary(
            project.repository_count,
            await self._metadata.projects.member_counts(project.id),
            await self._metadata.projects.used_bytes(project.id),
        )

    async def _describe(self, project_id: int, name: str) -> ListedProject:
        found = await self._metadata.projects.describe(project_id)
        if found is None:
            raise ProjectUnknownError(name)
        return found


def access_of(held: HeldProject) -> dict[str, str]:
    """Return what decides about access to a project, as metadata."""
    return {"public": str(held.is_public).lower(), "repository_creation": held.repository_creation}


async def apply_metadata(tx: Transaction, held: HeldProject, values: Mapping[str, str]) -> None:
    """Set checked metadata of a held project; the epoch moves only if something else is decided by them."""
    access, texts = split_metadata(values)
    public = held.is_public if access.is_public is None else access.is_public
    creation = access.repository_creation or held.repository_creation
    if (public, creation) == (held.is_public, held.repository_creation):
        await tx.projects.touch(held.id)
    else:
        await tx.projects.change(held.id, is_public=public, repository_creation=creation)
    await tx.projects.put_metadata(held.id, texts)


async def _forget_name(tx: Transaction, name: str) -> None:
    """Take from the robots of the system what they may in a project, so that the next of its name is none of theirs."""
    for robot in await tx.projects.system_robots():
        left = without_project(robot.permissions, name)
        if left is not None:
            await tx.projects.change_robot(replace(robot, permissions=left))


def _about(name: str) -> AuditObject:
    return AuditObject("project", name, project=name)
