"""Who administers the registry: Harbor's `sysadmin_flag`, which here is the role operations-admin on the system."""

from __future__ import annotations

from typing import TYPE_CHECKING

from entrepot.auth.audit_actions import AuditAction
from entrepot.auth.audit_records import AuditObject, audit_record
from entrepot.auth.last_administrator import OPERATIONS_ADMIN, AdministratorsKept
from entrepot.auth.people.people import require_person
from entrepot.auth.rights_of_others import require_holding
from entrepot.auth.roles import BUILT_IN_ROLES
from entrepot.kernel.ids import new_public_id

if TYPE_CHECKING:
    from entrepot.auth.decisions import Decisions
    from entrepot.auth.grants import SystemGrant
    from entrepot.auth.principals import Principal
    from entrepot.auth.system_actions import UpdateUser
    from entrepot.metadata.audit_store import NewAuditRecord
    from entrepot.metadata.store import Metadata, Transaction
    from entrepot.metadata.user_store import PersonRow

__all__ = ["Administrators"]


class Administrators:
    """Gives and takes the role, for those who hold all of it; there is always somebody who has it and can log in."""

    def __init__(self, metadata: Metadata, decisions: Decisions) -> None:
        self._metadata = metadata
        self._decisions = decisions

    async def make(self, grant: SystemGrant[UpdateUser], person_id: int) -> None:
        """Make a person an operations administrator, unless they are one.

        Raises:
            PersonUnknownError: there is none.
            AccessDeniedError: who makes one does not hold all that is in the role (S9).
        """
        await self._require_holding(grant.principal)
        record_id = new_public_id()

        async def unit(tx: Transaction) -> None:
            person = await require_person(tx, person_id)
            if not person.is_administrator:
                await tx.users.make_administrator(person_id, grant.principal.subject)
                await tx.audit.append(_record(grant.principal, AuditAction.ROLE_ASSIGN, person, record_id))

        await self._metadata.write(unit)

    async def unmake(self, grant: SystemGrant[UpdateUser], person_id: int) -> None:
        """Take the role from a person who has it.

        Raises:
            PersonUnknownError: there is none.
            LastOperationsAdminError: nobody else has it, by name or by a group.
            AccessDeniedError: who takes it does not hold all that is in it (S9).
        """
        await self._require_holding(grant.principal)
        record_id = new_public_id()

        async def unit(tx: Transaction) -> None:
            async with AdministratorsKept(tx):
                person = await require_person(tx, person_id)
                if person.is_administrator:
                    await tx.users.unmake_administrator(person_id)
            if person.is_administrator:
                await tx.audit.append(_record(grant.principal, AuditAction.ROLE_REVOKE, person, record_id))

        await self._metadata.write(unit)

    async def _require_holding(self, principal: Principal) -> None:
        role = BUILT_IN_ROLES[OPERATIONS_ADMIN]
        await require_holding(self._decisions, principal, role.project, role.system)


def _record(principal: Principal, action: AuditAction, person: PersonRow, record_id: str) -> NewAuditRecord:
    before, after = [], [OPERATIONS_ADMIN]
    if action is AuditAction.ROLE_REVOKE:
        before, after = after, before
    return audit_record(
        principal,
        action,
        AuditObject("user", person.name),
        before={"system_roles": before},
        after={"system_roles": after},
        record_id=record_id,
    )
