"""Repositories as people see them: listed, described, made empty, and deleted with everything in them.

The journal tells of what is made and deleted here before the call returns, so that a registry that is rebuilt from its
store neither forgets a repository that waits for its first push nor revives one that was deleted (I5).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

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
from entrepot.registry.facts import RecordedFact, journalled_project_fact

if TYPE_CHECKING:
    from collections.abc import Sequence

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
    from entrepot.registry.journal import Journal

__all__ = ["ProjectRepositories"]

_CREATED: Final = "repository.create"
_DELETED: Final = "repository.delete"
_MAX_DESCRIPTION: Final = 4096


class ProjectRepositories:
    """Reads and changes repositories as a whole; names are those within the project, which the grant holds.

    A repository of the project `library` can have a full name of one segment: `ubuntu` means `library/ubuntu` where
    there is one, else `ubuntu` itself.
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
        candidates = _candidates(grant, name)
        for candidate in candidates:
            found = await self._metadata.project_repositories.find(grant.project_id, candidate.text)
            if found is not None:
                return found
        raise RepositoryUnknownError(candidates[0])

    async def create(self, grant: ProjectGrant[CreateRepository], name: str) -> RepositoryName:
        """Make an empty repository, so that people can push to it who may not create one.

        Raises:
            InvalidRepositoryNameError: the name can't be one.
            RepositoryExistsError: there is one.
            ProjectUnknownError: the project was deleted meanwhile.
            ActionDisabledError: nobody may write at present.
        """
        await self._gate.require_enabled(Push)
        full = _candidates(grant, name)[0]
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

    async def describe(
        self, grant: ProjectGrant[UpdateRepository], name: str, description: str
    ) -> RepositoryName:
        """Set a repository's description and return its full name.

        Raises:
            InvalidRepositoryNameError: the name can't be one.
            RepositoryDescriptionError: the description is too long.
            RepositoryUnknownError: there is none (S7).
        """
        if len(description) > _MAX_DESCRIPTION or "\0" in description:
            raise RepositoryDescriptionError(_MAX_DESCRIPTION)
        candidates = _candidates(grant, name)
        record_id = new_public_id()

        async def unit(tx: Transaction) -> RepositoryName:
            full, number, before = await _hold(tx, grant, candidates)
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
            return full

        return await self._metadata.write(unit)

    async def delete(self, grant: ProjectGrant[DeleteRepository], name: str) -> RepositoryName:
        """Delete a repository with its tags and manifests and return its full name, which is free then.

        A push that is under way comes before or after: what it brought is deleted, or it makes a new repository.

        Raises:
            InvalidRepositoryNameError: the name can't be one.
            RepositoryUnknownError: there is none (S7).
            ActionDisabledError: nobody may delete at present.
        """
        await self._gate.require_enabled(Delete)
        candidates = _candidates(grant, name)
        record_id = new_public_id()

        async def unit(tx: Transaction) -> tuple[RepositoryName, RecordedFact]:
            full, number, description = await _hold(tx, grant, candidates)
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
            return full, RecordedFact(await tx.outbox.append(fact), fact)

        full, deleted = await self._metadata.write(unit)
        reach(Failpoint.DELETE_COMMITTED)
        await self._journal.write_entry(deleted)
        return full


def _candidates(grant: ProjectGrant[ProjectAction], name: str) -> Sequence[RepositoryName]:
    """Return the full names that a name within the project can mean, the likeliest first."""
    full = RepositoryName.parse(f"{grant.project}/{name}")
    if grant.project == DEFAULT_PROJECT and "/" not in name:
        return full, RepositoryName.parse(name)
    return (full,)


async def _hold(
    tx: Transaction, grant: ProjectGrant[ProjectAction], candidates: Sequence[RepositoryName]
) -> tuple[RepositoryName, int, str]:
    for candidate in candidates:
        found = await tx.project_repositories.hold(grant.project_id, candidate.text)
        if found is not None:
            return candidate, *found
    raise RepositoryUnknownError(candidates[0])


def _about(grant: ProjectGrant[ProjectAction], name: RepositoryName) -> AuditObject:
    return AuditObject("repository", name.text, project=grant.project)
