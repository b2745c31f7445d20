"""Custom roles: made, changed and removed by those who hold everything that they put into them (S9)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import msgspec

from entrepot.auth.audit_actions import AuditAction
from entrepot.auth.audit_records import AuditObject, audit_record
from entrepot.auth.errors import AccountChangingError
from entrepot.auth.permissions import PROJECT_PERMISSIONS, SYSTEM_PERMISSIONS
from entrepot.auth.rights_of_others import RightsOfOthers, require_holding
from entrepot.auth.role_catalog import RoleCatalog, custom_role, row_number
from entrepot.auth.role_errors import (
    InvalidRoleError,
    RoleInUseError,
    RoleNameTakenError,
    RoleUnknownError,
)
from entrepot.auth.roles import is_taken_for_built_in
from entrepot.auth.stored_permissions import known_permissions, stored_names
from entrepot.kernel.ids import new_public_id
from entrepot.metadata.role_store import NewRole

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from entrepot.auth.decisions import Decisions
    from entrepot.auth.grants import ProjectGrant, SystemGrant
    from entrepot.auth.principals import Principal
    from entrepot.auth.project_actions import ListMember
    from entrepot.auth.roles import Role
    from entrepot.auth.system_actions import CreateRole, DeleteRole, ListRole, ReadRole, UpdateRole
    from entrepot.metadata.role_store import RoleLevel, StoredRole
    from entrepot.metadata.store import Metadata, Transaction

__all__ = ["Roles"]

_NAME: Final = re.compile(r"[a-z0-9]+(?:[._-][a-z0-9]+)*\Z", re.ASCII)
_MOST_NAME_CHARACTERS: Final = 64
_MOST_DESCRIPTION_CHARACTERS: Final = 1024

_THAT_CHANGES: Final = " that can be changed or deleted: built-in ones can't"
_encoder: Final = msgspec.json.Encoder()


class Roles:
    """The service of roles. Every change is one unit with its audit record.

    Where it changes what a role permits, it moves the epochs of all who have it, and is made by who holds what they do.
    """

    def __init__(self, metadata: Metadata, decisions: Decisions) -> None:
        self._metadata = metadata
        self._decisions = decisions
        self._rights = RightsOfOthers(metadata.standings, decisions)
        self._catalog = RoleCatalog(metadata.roles)

    async def list_all(self, grant: SystemGrant[ListRole]) -> Sequence[Role]:  # noqa: ARG002  # proof enough
        """Return all roles, built-in ones first."""
        return await self._catalog.list_all()

    async def list_for_members(self, grant: ProjectGrant[ListMember]) -> Sequence[Role]:  # noqa: ARG002  # proof enough
        """Return the roles that members of a project can have, for who sees them and calls them by these names."""
        return [role for role in await self._catalog.list_all() if role.assignable_in_project]

    async def find(self, grant: SystemGrant[ReadRole], role_id: int) -> Role:  # noqa: ARG002  # proof enough
        """Return one role by the number that APIs use.

        Raises:
            RoleUnknownError: there is none.
        """
        role = await self._catalog.find(role_id)
        if role is None:
            raise RoleUnknownError(role_id)
        return role

    async def create(
        self,
        grant: SystemGrant[CreateRole],
        name: str,
        level: RoleLevel,
        permissions: Iterable[str],
        description: str = "",
    ) -> Role:
        """Make a role.

        Raises:
            InvalidRoleError: name, level, description or a permission can't be.
            RoleNameTakenError: another role, or somebody who had one of this name, has it.
            AccessDeniedError: the creator does not hold all of it.
        """
        if len(name) > _MOST_NAME_CHARACTERS or _NAME.match(name) is None:
            raise InvalidRoleError(
                "the name of a role is lower-case letters and digits, joined by '.', '_' or '-', 64 at most"
            )
        if is_taken_for_built_in(name):
            raise RoleNameTakenError(name)
        wanted = await self._check(grant.principal, level, permissions, description)
        new = NewRole(name, level, description, wanted)
        record = audit_record(
            grant.principal, AuditAction.ROLE_CREATE, _about(name), after=_state(level, description, wanted)
        )

        async def create(tx: Transaction) -> StoredRole:
            stored = None if await tx.roles.is_assigned(name) else await tx.roles.add(new)
            if stored is None:
                raise RoleNameTakenError(name)
            await tx.audit.append(record)
            return stored

        return custom_role(await self._metadata.write(create))

    async def update(
        self, grant: SystemGrant[UpdateRole], role_id: int, permissions: Iterable[str], description: str
    ) -> None:
        """Replace what a custom role permits and says; its name and level stay.

        Raises:
            RoleUnknownError: there is no custom role with this number.
            InvalidRoleError: as for `create`.
            AccessDeniedError: the caller does not hold all that it permits, or is to permit, or that somebody holds
                who has it and would be logged out (S9).
            AccountChangingError: somebody else changed it meanwhile.
        """
        stored = await self._metadata.roles.find(row_number(role_id))
        if stored is None:
            raise RoleUnknownError(role_id, _THAT_CHANGES)
        present = known_permissions(stored.level, stored.permissions)
        await self._require_held(grant.principal, stored.level, present)
        wanted = await self._check(grant.principal, stored.level, permissions, description)
        record_id = new_public_id()
        if stored.permissions != wanted:
            await self._rights.require_held_of_holders(grant.principal, stored.name)

        async def update(tx: Transaction) -> None:
            held = await tx.roles.hold(row_number(role_id))
            if held is None:
                raise RoleUnknownError(role_id, _THAT_CHANGES)
            if held.permissions != stored.permissions:
                raise AccountChangingError
            if held.permissions != wanted:
                await tx.epochs.move_holders(held.name)
            await tx.roles.change(held.id, description, wanted)
            await tx.audit.append(
                audit_record(
                    grant.principal,
                    AuditAction.ROLE_UPDATE,
                    _about(held.name),
                    before=_state(held.level, held.description, held.permissions),
                    after=_state(held.level, description, wanted),
                    record_id=record_id,
                )
            )

        await self._metadata.write(update)

    async def delete(self, grant: SystemGrant[DeleteRole], role_id: int) -> None:
        """Delete a custom role that nobody has.

        Raises:
            RoleUnknownError: there is no custom role with this number.
            RoleInUseError: somebody has it, in a project or on the system.
        """
        record_id = new_public_id()

        async def delete(tx: Transaction) -> None:
            held = await tx.roles.hold(row_number(role_id))
            if held is None:
                raise RoleUnknownError(role_id, _THAT_CHANGES)
            if await tx.roles.is_assigned(held.name):
                raise RoleInUseError(held.name)
            await tx.roles.remove(held.id)
            await tx.audit.append(
                audit_record(
                    grant.principal,
                    AuditAction.ROLE_DELETE,
                    _about(held.name),
                    before=_state(held.level, held.description, held.permissions),
                    record_id=record_id,
                )
            )

        await self._metadata.write(delete)

    async def _check(
        self, principal: Principal, level: RoleLevel, permissions: Iterable[str], description: str
    ) -> bytes:
        """Return the permissions as they are stored, once they are known to exist and to be held."""
        wanted = sorted(set(permissions))
        if level not in {"project", "system"}:
            raise InvalidRoleError("the level of a role is project or system")
        _require_on_level(wanted, level)
        if not wanted:
            raise InvalidRoleError("a role permits something")
        if len(description) > _MOST_DESCRIPTION_CHARACTERS:
            raise InvalidRoleError(f"a description has {_MOST_DESCRIPTION_CHARACTERS} characters at most")
        await self._require_held(principal, level, wanted)
        return _encoder.encode(wanted)

    async def _require_held(self, principal: Principal, level: RoleLevel, permissions: Iterable[str]) -> None:
        project, system = (permissions, ()) if level == "project" else ((), permissions)
        await require_holding(self._decisions, principal, project, system)


def _require_on_level(names: Sequence[str], level: RoleLevel) -> None:
    """Refuse what there is on the other level only, saying so, and what there is on none."""
    here, there, other = PROJECT_PERMISSIONS, SYSTEM_PERMISSIONS, "system"
    if level == "system":
        here, there, other = there, here, "project"
    elsewhere = [name for name in names if name not in here and name in there]
    if elsewhere:
        raise InvalidRoleError(
            f"a role of the level {level} can't have {', '.join(elsewhere)}: these are permissions of the level {other}"
        )
    unknown = [name for name in names if name not in here]
    if unknown:
        raise InvalidRoleError(f"there is no such permission on this level: {', '.join(unknown)}")


def _about(name: str) -> AuditObject:
    return AuditObject("role", name)


def _state(level: str, description: str, permissions: bytes) -> Mapping[str, object]:
    names = stored_names(permissions)
    shown = "unreadable" if names is None else sorted(names)
    return {"level": level, "description": description, "permissions": shown}
