"""Members of a project: people and groups, each with one role there.

Nobody gives or takes a role that has permissions he does not hold himself (S9). Each change moves the project's epoch:
what was issued to anybody for the project is decided anew, and nobody is logged out for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from entrepot.auth.audit_actions import AuditAction
from entrepot.auth.audit_records import AuditObject, audit_record, name_of_another
from entrepot.auth.errors import ProjectUnknownError
from entrepot.auth.role_catalog import RoleCatalog, custom_role
from entrepot.auth.roles import BUILT_IN_ROLES
from entrepot.kernel.ids import new_public_id
from entrepot.projects.errors import (
    MemberExistsError,
    MemberNeededError,
    MemberUnknownError,
    RoleBeyondOwnError,
    RoleNotAssignableError,
    SubjectUnknownError,
)
from entrepot.projects.projects import OWNER_ROLE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from entrepot.auth.decisions import Decisions, ProjectStanding
    from entrepot.auth.grants import ProjectGrant
    from entrepot.auth.project_actions import (
        CreateMember,
        DeleteMember,
        ListMember,
        ProjectAction,
        ReadMember,
        UpdateMember,
    )
    from entrepot.auth.roles import Role
    from entrepot.metadata.member_store import MemberKind, MemberRow, SubjectRow
    from entrepot.metadata.project_store import HeldProject
    from entrepot.metadata.store import Metadata, Transaction

__all__ = ["Member", "Members", "MembersPage", "ProjectRole"]

_ABOVE_PROJECTS: Final = "operations-admin"


class ProjectRole(msgspec.Struct, frozen=True):
    """A role that a member can have; `label` is what Harbor's API calls it."""

    role_id: int
    name: str
    label: str
    permissions: frozenset[str]


@dataclass(frozen=True, slots=True)
class Member:
    """A person or group with a role in a project."""

    member_id: int
    project_id: int
    kind: MemberKind
    subject_id: int
    name: str
    role: ProjectRole


@dataclass(frozen=True, slots=True)
class MembersPage:
    """One page of members, and how many there are on all pages."""

    members: Sequence[Member]
    total: int


class Members:
    """Reads and changes the members of projects; each change is one unit with its audit record."""

    def __init__(self, metadata: Metadata, decisions: Decisions) -> None:
        self._metadata = metadata
        self._decisions = decisions
        self._catalog = RoleCatalog(metadata.roles)

    async def roles(self) -> Mapping[int, ProjectRole]:
        """Return the roles that members can have, by their numbers in the API."""
        return {
            role.role_id: _project_role(role)
            for role in await self._catalog.list_all()
            if role.assignable_in_project
        }

    async def list_page(
        self, grant: ProjectGrant[ListMember], name_part: str, limit: int, offset: int
    ) -> MembersPage:
        """Return a page of members in the order of their names; `name_part` filters by what a name contains."""
        page = await self._metadata.members.list_page(grant.project_id, name_part, limit, offset)
        roles = _by_name(await self.roles())
        return MembersPage([_member(row, roles) for row in page.members], page.total)

    async def get(self, grant: ProjectGrant[ReadMember], member_id: int) -> Member:
        """Return a member.

        Raises:
            MemberUnknownError: it is none of this project (S7).
        """
        row = await self._metadata.members.find(grant.project_id, member_id)
        if row is None:
            raise MemberUnknownError(grant.project, member_id)
        return _member(row, _by_name(await self.roles()))

    async def add(
        self, grant: ProjectGrant[CreateMember], kind: MemberKind, subject: str | int, role_id: int
    ) -> int:
        """Add a person or group, by name or by number, and return the member's number.

        Raises:
            RoleNotAssignableError, SubjectUnknownError: there is no such role, person or group.
            RoleBeyondOwnError: the role reaches further than whoever gives it.
            MemberExistsError: they are a member already.
            ProjectUnknownError: the project was deleted meanwhile.
        """
        role = await self._role(role_id)
        _require_held(await self._standing(grant), role)
        record_id = new_public_id()

        async def unit(tx: Transaction) -> int:
            held = await _hold(tx, grant, role)
            found = await _find_subject(tx, kind, subject)
            if found is None:
                raise SubjectUnknownError(kind, subject)
            number = await tx.members.insert(held.id, found.id, role.name, grant.principal.subject)
            if number is None:
                raise MemberExistsError(held.name, found.name)
            await _record(tx, grant, AuditAction.MEMBER_CREATE, found, ("", role.name), record_id)
            return number

        return await self._metadata.write(unit)

    async def change_role(self, grant: ProjectGrant[UpdateMember], member_id: int, role_id: int) -> None:
        """Give a member another role.

        Raises:
            RoleNotAssignableError: there is no such role.
            RoleBeyondOwnError: the new role, or the old one, reaches further than whoever changes it.
            MemberUnknownError: it is no member of this project (S7).
            MemberNeededError: it is the owner, or the last project administrator.
            ProjectUnknownError: the project was deleted meanwhile.
        """
        role = await self._role(role_id)
        standing = await self._standing(grant)
        _require_held(standing, role)
        record_id = new_public_id()

        async def unit(tx: Transaction) -> None:
            held = await _hold(tx, grant, role)
            row = await _require_member(tx, held, member_id)
            if row.role == role.name:
                return
            _require_held(standing, await _present_role(tx, row))
            await _require_spared(tx, held, row, standing)
            await tx.members.set_role(held.id, row.id, role.name)
            await _record(tx, grant, AuditAction.MEMBER_UPDATE, row.subject, (row.role, role.name), record_id)

        await self._metadata.write(unit)

    async def remove(self, grant: ProjectGrant[DeleteMember], member_id: int) -> None:
        """Remove a member.

        Raises:
            RoleBeyondOwnError: the member's role reaches further than whoever removes it.
            MemberUnknownError: it is no member of this project (S7).
            MemberNeededError: it is the owner, or the last project administrator.
            ProjectUnknownError: the project was deleted meanwhile.
        """
        standing = await self._standing(grant)
        record_id = new_public_id()

        async def unit(tx: Transaction) -> None:
            held = await _hold(tx, grant, None)
            row = await _require_member(tx, held, member_id)
            _require_held(standing, await _present_role(tx, row))
            await _require_spared(tx, held, row, standing)
            await tx.members.remove(held.id, row.id)
            await _record(tx, grant, AuditAction.MEMBER_DELETE, row.subject, (row.role, ""), record_id)

        await self._metadata.write(unit)

    async def _role(self, role_id: int) -> ProjectRole:
        role = await self._catalog.find(role_id)
        if role is None or not role.assignable_in_project:
            raise RoleNotAssignableError(role_id)
        return _project_role(role)

    async def _standing(self, grant: ProjectGrant[ProjectAction]) -> ProjectStanding:
        standing = await self._decisions.on_project(grant.principal, grant.project_id)
        if standing is None:
            raise ProjectUnknownError(grant.project)
        return standing


def _by_name(roles: Mapping[int, ProjectRole]) -> Mapping[str, ProjectRole]:
    return {role.name: role for role in roles.values()}


def _role_of(row: MemberRow, roles: Mapping[str, ProjectRole]) -> ProjectRole:
    """Return a member's role; one that is gone grants nothing and has the number 0."""
    return roles.get(row.role) or ProjectRole(0, row.role, row.role, frozenset())


async def _present_role(tx: Transaction, row: MemberRow) -> ProjectRole:
    """Return the role that a member has, with what it permits until the unit ends."""
    built_in = BUILT_IN_ROLES.get(row.role)
    if built_in is not None:
        return _project_role(built_in)
    stored = await tx.roles.hold_by_name(row.role)
    if stored is None or stored.level != "project":
        return _role_of(row, {})
    return _project_role(custom_role(stored))


def _project_role(role: Role) -> ProjectRole:
    return ProjectRole(role.role_id, role.name, role.harbor_name, role.project)


def _member(row: MemberRow, roles: Mapping[str, ProjectRole]) -> Member:
    subject = row.subject
    return Member(row.id, row.project_id, subject.kind, subject.id, subject.name, _role_of(row, roles))


def _require_held(standing: ProjectStanding, role: ProjectRole) -> None:
    missing = role.permissions - standing.permissions
    if missing:
        raise RoleBeyondOwnError(role.name, missing)


async def _hold(tx: Transaction, grant: ProjectGrant[ProjectAction], role: ProjectRole | None) -> HeldProject:
    """Return the project, held; a role that is to be given is there until the unit ends."""
    held = await tx.projects.hold(grant.project_id)
    if held is None:
        raise ProjectUnknownError(grant.project)
    if (
        role is not None
        and role.name not in BUILT_IN_ROLES
        and not await tx.members.custom_role_exists(role.name)
    ):
        raise RoleNotAssignableError(role.role_id)
    return held


async def _find_subject(tx: Transaction, kind: MemberKind, subject: str | int) -> SubjectRow | None:
    if isinstance(subject, int):
        return await tx.members.subject_by_id(kind, subject)
    return await tx.members.subject_by_name(kind, subject)


async def _require_member(tx: Transaction, held: HeldProject, member_id: int) -> MemberRow:
    row = await tx.members.find(held.id, member_id)
    if row is None:
        raise MemberUnknownError(held.name, member_id)
    return row


async def _require_spared(
    tx: Transaction, held: HeldProject, row: MemberRow, standing: ProjectStanding
) -> None:
    """Refuse to take the owner, or the last project administrator, from a project unless from above."""
    if _ABOVE_PROJECTS in standing.roles:
        return
    if row.subject.id == held.owner_id:
        raise MemberNeededError(held.name, row.subject.name, "the owner")
    if row.role == OWNER_ROLE and await tx.members.count_with_role(held.id, OWNER_ROLE) == 1:
        raise MemberNeededError(held.name, row.subject.name, "the last project administrator")


async def _record(
    tx: Transaction,
    grant: ProjectGrant[ProjectAction],
    action: AuditAction,
    subject: SubjectRow,
    roles: tuple[str, str],
    record_id: str,
) -> None:
    """Let the change be felt and told of; a role that is no role is empty."""
    name = name_of_another(grant.principal, subject.name) if subject.kind == "user" else subject.name
    before, after = ({"kind": subject.kind, "role": role} if role else None for role in roles)
    await tx.projects.move_epoch(grant.project_id)
    await tx.audit.append(
        audit_record(
            grant.principal,
            action,
            AuditObject("member", name, project=grant.project),
            before=before,
            after=after,
            record_id=record_id,
        )
    )
