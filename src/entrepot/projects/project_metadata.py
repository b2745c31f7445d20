"""A project's metadata one by one, as Harbor's API offers them beside the project itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from entrepot.auth.audit_actions import AuditAction
from entrepot.auth.audit_records import AuditObject, audit_record
from entrepot.auth.errors import ProjectUnknownError
from entrepot.kernel.ids import new_public_id
from entrepot.projects.errors import MetadataInvalidError, MetadataMissingError
from entrepot.projects.metadata_values import PUBLIC, REPOSITORY_CREATION, check_metadata
from entrepot.projects.openings import permissions_in, require_opened_held
from entrepot.projects.projects import access_of, apply_metadata

if TYPE_CHECKING:
    from collections.abc import Mapping

    from entrepot.auth.decisions import Decisions
    from entrepot.auth.grants import ProjectGrant
    from entrepot.auth.project_actions import (
        CreateMetadata,
        DeleteMetadata,
        ListMetadata,
        ProjectAction,
        ReadMetadata,
        UpdateMetadata,
    )
    from entrepot.metadata.project_store import HeldProject
    from entrepot.metadata.store import Metadata, Transaction

__all__ = ["ProjectMetadata"]


class ProjectMetadata:
    """Reads and changes single metadata; each change is one unit with its audit record."""

    def __init__(self, metadata: Metadata, decisions: Decisions) -> None:
        self._metadata = metadata
        self._decisions = decisions

    async def list_all(self, grant: ProjectGrant[ListMetadata]) -> Mapping[str, str]:
        """Return all metadata of the project by name.

        Raises:
            ProjectUnknownError: it was deleted meanwhile.
        """
        return await self._read(grant)

    async def get(self, grant: ProjectGrant[ReadMetadata], name: str) -> str:
        """Return one.

        Raises:
            MetadataMissingError: the project has no such metadata.
            ProjectUnknownError: it was deleted meanwhile.
        """
        value = (await self._read(grant)).get(name)
        if value is None:
            raise MetadataMissingError(grant.project, name)
        return value

    async def add(self, grant: ProjectGrant[CreateMetadata], values: Mapping[str, str | None]) -> None:
        """Set some; the others stay.

        Raises:
            MetadataInvalidError: one is unknown, or can't have this value; nothing was changed.
            AccessDeniedError: others could do what the principal may not (S9).
            ProjectUnknownError: the project was deleted meanwhile.
        """
        await self._put(grant, check_metadata(values))

    async def update(self, grant: ProjectGrant[UpdateMetadata], name: str, value: str | None) -> None:
        """Set one.

        Raises:
            MetadataInvalidError: it is unknown, or can't have this value.
            AccessDeniedError: others could do what the principal may not (S9).
            ProjectUnknownError: the project was deleted meanwhile.
        """
        await self._put(grant, check_metadata({name: value}))

    async def remove(self, grant: ProjectGrant[DeleteMetadata], name: str) -> None:
        """Remove one.

        Raises:
            MetadataInvalidError: a project can't be without it.
            MetadataMissingError: the project has no such metadata.
            ProjectUnknownError: it was deleted meanwhile.
        """
        if name in {PUBLIC, REPOSITORY_CREATION}:
            raise MetadataInvalidError(name, "is always there: change it instead")
        record_id = new_public_id()

        async def unit(tx: Transaction) -> None:
            held = await _hold(tx, grant)
            before = (await tx.projects.metadata(held.id)).get(name)
            if before is None or not await tx.projects.remove_metadata(held.id, name):
                raise MetadataMissingError(held.name, name)
            await tx.projects.touch(held.id)
            await tx.audit.append(
                audit_record(
                    grant.principal,
                    AuditAction.METADATA_UPDATE,
                    AuditObject("project", held.name, project=held.name),
                    before={name: before},
                    after={name: None},
                    record_id=record_id,
                )
            )

        await self._metadata.write(unit)

    async def _read(self, grant: ProjectGrant[ProjectAction]) -> Mapping[str, str]:
        project = await self._metadata.projects.describe(grant.project_id)
        if project is None:
            raise ProjectUnknownError(grant.project)
        return {
            PUBLIC: str(project.is_public).lower(),
            REPOSITORY_CREATION: project.repository_creation,
            **project.metadata,
        }

    async def _put(self, grant: ProjectGrant[ProjectAction], values: Mapping[str, str]) -> None:
        own = await permissions_in(self._decisions, grant)
        record_id = new_public_id()

        async def unit(tx: Transaction) -> None:
            held = await _hold(tx, grant)
            require_opened_held(held, values, own)
            before = {**await tx.projects.metadata(held.id), **access_of(held)}
            await apply_metadata(tx, held, values)
            await tx.audit.append(
                audit_record(
                    grant.principal,
                    AuditAction.METADATA_UPDATE,
                    AuditObject("project", held.name, project=held.name),
                    before={name: before.get(name) for name in values},
                    after=values,
                    record_id=record_id,
                )
            )

        await self._metadata.write(unit)


async def _hold(tx: Transaction, grant: ProjectGrant[ProjectAction]) -> HeldProject:
    held = await tx.projects.hold(grant.project_id)
    if held is None:
        raise ProjectUnknownError(grant.project)
    return held
