"""Roles on the system: given and taken by those who hold all that is in them, and never from the last administrator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from entrepot.auth.audit_actions import AuditAction
from entrepot.auth.audit_records import AuditObject, audit_record, name_of_another
from entrepot.auth.errors import AccessDeniedError
from entrepot.auth.last_administrator import AdministratorsKept
from entrepot.auth.rights_of_others import RightsOfOthers, require_holding
from entrepot.auth.role_catalog import RoleCatalog
from entrepot.auth.role_errors import (
    AlreadyAssignedError,
    AssigneeUnknownError,
    AssignmentUnknownError,
    InvalidRoleError,
    RoleUnknownError,
)
from entrepot.auth.roles import BUILT_IN_ROLES
from entrepot.kernel.ids import new_public_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from entrepot.auth.decisions import Decisions
    from entrepot.auth.grants import SystemGrant
    from entrepot.auth.principals import Principal
    from entrepot.auth.system_actions import CreateRoleAssignment, DeleteRoleAssignment, ListRoleAssignment
    from entrepot.metadata.assignment_store import Assignee, SystemAssignment
    from entrepot.metadata.audit_store import NewAuditRecord
    from entrepot.metadata.store import Metadata, Transaction

__all__ = ["RoleAssignments"]

_GIVEN: Final = ", ".join(role.name for role in BUILT_IN_ROLES.values() if role.assignable_on_system)
_THERE_ARE: Final = f"; there are {_GIVEN}, and those of your own: entrepot role list, or GET /api/v2.0/roles"


class RoleAssignments:
    """The service of roles on the system. Every change is one unit with its audit record and moved epochs.

    Nobody's are moved by who holds less than they do, nor those of anybody in a group whose role it is (S9).
    """

    def __init__(self, metadata: Metadata, decisions: Decisions) -> None:
        self._metadata = metadata
        self._decisions = decisions
        self._rights = RightsOfOthers(metadata.standings, decisions)
        self._catalog = RoleCatalog(metadata.roles)

    async def list_page(
        self,
        grant: SystemGrant[ListRoleAssignment],  # noqa: ARG002  # proof enough
        limit: int,
        skip: int,
    ) -> Sequence[SystemAssignment]:
        """Return up to `limit` assignments in the order in which they were given, without the first `skip`."""
        return await self._metadata.role_assignments.list_system(limit, skip)

    async def count(self, grant: SystemGrant[ListRoleAssignment]) -> int:  # noqa: ARG002  # proof enough
        """Return how many assignments there are."""
        return await self._metadata.role_assignments.count_system()

    async def give(self, grant: SystemGrant[CreateRoleAssignment], subject_id: int, role: str) -> int:
        """Give a role to a person or a group and return the assignment's number.

        Raises:
            RoleUnknownError: there is no such role.
            InvalidRoleError: the role is for projects only.
            AssigneeUnknownError: there is no such person or group; a robot has permissions of its own.
            AlreadyAssignedError: the role was given before.
            AccessDeniedError: the giver does not hold all that is in the role, or that who is given it holds (S9).
        """
        found = await self._catalog.find_by_name(role)
        if found is None:
            raise RoleUnknownError(role, _THERE_ARE)
        if not found.assignable_on_system:
            raise InvalidRoleError(f"the role {role} is given in projects, not on the system")
        await require_holding(self._decisions, grant.principal, found.project, found.system)
        await self._rights.require_held_of_all(grant.principal, {subject_id})
        record_id = new_public_id()

        async def give(tx: Transaction) -> int:
            if role not in BUILT_IN_ROLES and await tx.roles.hold_by_name(role) is None:
                raise RoleUnknownError(role, _THERE_ARE)
            assignee = await tx.role_assignments.hold_assignee(subject_id)
            if assignee is None:
                raise AssigneeUnknownError(subject_id)
            number = await tx.role_assignments.add_system(subject_id, role, grant.principal.subject)
            if number is None:
                raise AlreadyAssignedError(assignee.name, role)
            await tx.epochs.move_with_members(subject_id)
            await tx.audit.append(
                _record(grant.principal, AuditAction.ROLE_ASSIGN, role, assignee, record_id)
            )
            return number

        return await self._metadata.write(give)

    async def take(self, grant: SystemGrant[DeleteRoleAssignment], assignment_id: int) -> None:
        """Take a role on the system; the number of a project's member is unknown here (S7).

        Raises:
            AssignmentUnknownError: there is no such assignment.
            LastOperationsAdminError: nobody who can administer would be left.
            AccessDeniedError: whoever takes it does not hold all that is in it, or that who has it holds (S9).
        """
        found = await self._metadata.role_assignments.find_system(assignment_id)
        if found is None:
            raise AssignmentUnknownError(assignment_id)
        if await self._is_beyond(grant.principal, found.role):
            raise AccessDeniedError(
                f"nobody takes the role {found.role} who does not hold all of it everywhere"
            )
        await self._rights.require_held_of_all(grant.principal, {found.assignee.subject_id})
        record_id = new_public_id()

        async def take(tx: Transaction) -> None:
            async with AdministratorsKept(tx):
                held = await tx.role_assignments.hold_system(assignment_id)
                if held is None:
                    raise AssignmentUnknownError(assignment_id)
                await tx.epochs.move_with_members(held.assignee.subject_id)
                await tx.role_assignments.remove_system(assignment_id)
            await tx.audit.append(
                _record(grant.principal, AuditAction.ROLE_REVOKE, held.role, held.assignee, record_id)
            )

        await self._metadata.write(take)

    async def _is_beyond(self, principal: Principal, name: str) -> bool:
        """Whether a role holds more, on the system, than a principal does; one that is gone holds nothing."""
        role = await self._catalog.find_by_name(name)
        if role is None or not role.assignable_on_system:
            return False
        system = await self._decisions.on_registry(principal)
        return not (
            role.system <= system and role.project <= await self._decisions.in_every_project(principal)
        )


def _record(
    principal: Principal, action: AuditAction, role: str, assignee: Assignee, record_id: str
) -> NewAuditRecord:
    name = name_of_another(principal, assignee.name) if assignee.kind == "user" else assignee.name
    state = {"role": role, "kind": assignee.kind, "name": name}
    given = action is AuditAction.ROLE_ASSIGN
    return audit_record(
        principal,
        action,
        AuditObject("role", role),
        before=None if given else state,
        after=state if given else None,
        record_id=record_id,
    )
