"""Repositories as people see them: listed, described, made empty, and deleted with everything in them.

The journal tells of what is made and deleted here before the call returns, so that a registry that is rebuilt from its
store neither forgets a repository that waits for its first push nor revives one that was deleted (I5).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, TypeVar

from entrepot.auth.audit_actions import AuditAction
from entrepot.auth.audit_records import AuditObject, audit_record
from entrepot.auth.errors import ProjectUnknownError
from entrepot.auth.grants import Delete, Push
from entrepot.kernel.failpoints import Failpoint, reach
from entrepot.kernel.ids import new_public_id
from entrepot.metadata.project_store import Viewer
from entrepot.oci.names import DEFAULT_PROJECT, RepositoryName
from entrepot.registry.errors import (
    RepositoryDescriptionError,
    RepositoryExistsError,
    RepositoryUnknownError,
)
from entrepot.registry.journal.facts import RecordedFact, journalled_project_fact

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from entrepot.auth.grants import ProjectGrant
    from entrepot.auth.modes import ModeGate
    from entrepot.auth.project_actions import (
        CreateRepository,
        DeleteRepository,
        ListRepository,
        ProjectAction,
        ReadRepository,
        UpdateRepository,
    )
    from entrepot.metadata.project_repository_store import (
        ListedRepository,
        ListedRepositoryPage,
        RepositoryQuery,
    )
    from entrepot.metadata.store import Metadata, Transaction
    from entrepot.projects.visibility import Sight
    from entrepot.registry.journal.writer import Journal

__all__ = ["ProjectRepositories"]

T = TypeVar("T")

_CREATED: Final = "repository.create"
_DELETED: Final = "repository.delete"
_MAX_DESCRIPTION: Final = 4096


class ProjectRepositories:
    """Reads and changes repositories as a whole; names are those within the project, which the grant holds.

    A name means one repository, whatever else there is: in `library`, `ubuntu` is `library/ubuntu`, and `_/ubuntu` is
    `ubuntu`. Else a deletion that is sent again, since its answer was lost, would meet the other one.
    """

    def __init__(self, metadata: Metadata, journal: Journal, gate: ModeGate) -> None:
        self._metadata = metadata
        self._journal = journal
        self._gate = gate

    async def list_of_project(
        self, grant: ProjectGrant[ListRepository], query: RepositoryQuery
    ) -> ListedRepositoryPage:
        """Return a page of the project's repositories; the query's own project does not count."""
        everything = Viewer(everything=True)
        rows = self._metadata.project_repositories
        return await rows.list_page(everything, replace(query, project_id=grant.project_id))

    async def list_visible(
        self, sight: Sight[ListRepository], query: RepositoryQuery
    ) -> ListedRepositoryPage:
        """Return a page of the repositories in all projects where somebody may list them."""
        return await self._metadata.project_repositories.list_page(sight.viewer, query)

    async def get(self, grant: ProjectGrant[ReadRepository], name: str) -> ListedRepository:
        """Return a repository of the project.

        Raises:
            InvalidRepositoryNameError: the name can't be one.
            RepositoryUnknownError: there is none (S7).
        """
        full = RepositoryName.within(grant.project, name)
        found = await self._metadata.project_repositories.find(grant.project_id, full.text)
        if found is None:
            raise await self._missing(grant, full)
        return found

    async def create(self, grant: ProjectGrant[CreateRepository], name: str) -> RepositoryName:
        """Make an empty repository, so that people can push to it who may not create one.

        Raises:
            InvalidRepositoryNameError: the name can't be one.
            RepositoryExistsError: there is one.
            ProjectUnknownError: the project was deleted meanwhile.
            ActionDisabledError: nobody may write at present.
        """
        await self._gate.require_enabled(Push)
        full = RepositoryName.within(grant.project, name)
        subject = grant.principal.subject
        public_id = new_public_id()
        record = audit_record(grant.principal, AuditAction.REPOSITORY_CREATE, _about(grant, full))
        fact = journalled_project_fact(grant, _CREATED, full.text, {})

        async def unit(tx: Transaction) -> RecordedFact:
            if await tx.projects.hold(grant.project_id) is None:
                raise ProjectUnknownError(grant.project)
            if await tx.project_repositories.insert(grant.project_id, full.text, public_id, subject) is None:
                raise RepositoryExistsError(full)
            await tx.audit.append(record)
            return RecordedFact(await tx.outbox.append(fact), fact)

        await self._journal.write_entry(await self._metadata.write(unit))
        return full

    async def describe(self, grant: ProjectGrant[UpdateRepository], name: str, description: str) -> None:
        """Set a repository's description.

        Raises:
            InvalidRepositoryNameError: the name can't be one.
            RepositoryDescriptionError: the description is too long.
            RepositoryUnknownError: there is none (S7).
        """
        if len(description) > _MAX_DESCRIPTION or "\0" in description:
            raise RepositoryDescriptionError(_MAX_DESCRIPTION)
        full = RepositoryName.within(grant.project, name)
        record_id = new_public_id()

        async def unit(tx: Transaction) -> None:
            number, before = await _hold(tx, grant, full)
            await tx.project_repositories.describe(number, description)
            await tx.audit.append(
                audit_record(
                    grant.principal,
                    AuditAction.REPOSITORY_UPDATE,
                    _about(grant, full),
                    before={"description": before},
                    after={"description": description},
                    record_id=record_id,
                )
            )

        await self._change(grant, unit)

    async def delete(self, grant: ProjectGrant[DeleteRepository], name: str) -> None:
        """Delete a repository with its tags and manifests; its name is free then.

        A push that is under way comes before or after: what it brought is deleted, or it makes a new repository.

        Raises:
            InvalidRepositoryNameError: the name can't be one.
            RepositoryUnknownError: there is none (S7).
            ActionDisabledError: nobody may delete at present.
        """
        await self._gate.require_enabled(Delete)
        full = RepositoryName.within(grant.project, name)
        record_id = new_public_id()

        async def unit(tx: Transaction) -> RecordedFact:
            number, description = await _hold(tx, grant, full)
            content = await tx.project_repositories.delete(number, grant.principal.subject)
            await tx.audit.append(
                audit_record(
                    grant.principal,
                    AuditAction.REPOSITORY_DELETE,
                    _about(grant, full),
                    before={
                        "description": description,
                        "manifests": content.manifests,
                        "tags": content.tags,
                    },
                    record_id=record_id,
                )
            )
            fact = journalled_project_fact(grant, _DELETED, full.text, {})
            return RecordedFact(await tx.outbox.append(fact), fact)

        deleted = await self._change(grant, unit)
        reach(Failpoint.DELETE_COMMITTED)
        await self._journal.write_entry(deleted)

    async def _change(
        self, grant: ProjectGrant[ProjectAction], unit: Callable[[Transaction], Awaitable[T]]
    ) -> T:
        """Do a unit; that its repository is unknown is told as for reads, which takes no lock on another one."""
        try:
            return await self._metadata.write(unit)
        except RepositoryUnknownError as error:
            raise await self._missing(grant, error.repository) from None

    async def _missing(
        self, grant: ProjectGrant[ProjectAction], full: RepositoryName
    ) -> RepositoryUnknownError:
        """Return the error that tells of the namesake, which lies in the grant's own project: what it says is no news.

        Whoever has the grant may ask by it for the namesake itself (S19).
        """
        namesake = _namesake(full)
        rows = self._metadata.project_repositories
        if namesake is None or await rows.find(grant.project_id, namesake.text) is None:
            return RepositoryUnknownError(full)
        return RepositoryUnknownError(full, namesake)


def _namesake(name: RepositoryName) -> RepositoryName | None:
    """Return the repository that is easily taken for this one: `library/app` for `app`, and the other way round."""
    head, slash, rest = name.text.partition("/")
    if not slash:
        return RepositoryName(f"{DEFAULT_PROJECT}/{name}")
    return RepositoryName(rest) if head == DEFAULT_PROJECT and "/" not in rest else None


async def _hold(tx: Transaction, grant: ProjectGrant[ProjectAction], full: RepositoryName) -> tuple[int, str]:
    found = await tx.project_repositories.hold(grant.project_id, full.text)
    if found is None:
        raise RepositoryUnknownError(full)
    return found


def _about(grant: ProjectGrant[ProjectAction], name: RepositoryName) -> AuditObject:
    return AuditObject("repository", name.text, project=grant.project)
