"""Groups of people, which can be given roles as a person can."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from entrepot.auth.audit_actions import AuditAction
from entrepot.auth.audit_records import AuditObject, audit_record, name_of_another
from entrepot.auth.errors import AccountChangingError
from entrepot.auth.last_administrator import AdministratorsKept
from entrepot.auth.people.errors import (
    GroupMemberUnknownError,
    GroupUnknownError,
    NameTakenError,
    PersonUnknownError,
)
from entrepot.auth.people.new_people import require_group_name
from entrepot.kernel.ids import new_public_id
from entrepot.metadata.group_store import GroupPage

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from entrepot.auth.grants import SelfGrant, SystemGrant
    from entrepot.auth.principals import Principal
    from entrepot.auth.rights_of_others import RightsOfOthers
    from entrepot.auth.system_actions import (
        CreateUserGroup,
        DeleteUserGroup,
        ListUserGroup,
        ReadUserGroup,
        UpdateUserGroup,
    )
    from entrepot.metadata.audit_store import NewAuditRecord
    from entrepot.metadata.group_store import GroupMemberPage, GroupQuery, GroupRow
    from entrepot.metadata.store import Metadata, Transaction

__all__ = ["LOCAL_GROUP", "Groups"]

LOCAL_GROUP: Final = 2
"""Harbor's number of HTTP groups: those that no directory fills."""


class Groups:
    """The service; safe for any number of tasks. Whoever joins or leaves gets a new epoch in the same unit (S14).

    Who is in a group with rights, and what it is called, is decided by those who hold all of them, on the system and in
    each project (S9); and nobody is logged out, by joining or leaving, by who holds less than they do.
    """

    def __init__(self, metadata: Metadata, rights: RightsOfOthers) -> None:
        self._metadata = metadata
        self._rights = rights

    async def create(
        self,
        grant: SystemGrant[CreateUserGroup],
        name: str,
        group_type: int = LOCAL_GROUP,
        ldap_group_dn: str = "",
    ) -> GroupRow:
        """Make a group without members.

        Raises:
            InvalidPersonError, NameTakenError: none was made.
        """
        require_group_name(name)
        subject = new_public_id()
        after = {"group_name": name, "group_type": group_type}
        record = audit_record(
            grant.principal, AuditAction.GROUP_CREATE, AuditObject("group", name), after=after
        )

        async def unit(tx: Transaction) -> GroupRow:
            group_id = await tx.user_groups.insert(subject, name, group_type, ldap_group_dn)
            if group_id is None:
                raise NameTakenError("group", name)
            await tx.audit.append(record)
            return await _require_group(tx, group_id)

        return await self._metadata.write(unit)

    async def get(self, grant: SystemGrant[ReadUserGroup], group_id: int) -> GroupRow:
        """Return a group.

        Raises:
            GroupUnknownError: there is none.
        """
        del grant  # it is the proof that the caller may see every group
        return _found(await self._metadata.user_groups.find(group_id), group_id)

    async def list_page(self, grant: SystemGrant[ListUserGroup], query: GroupQuery) -> GroupPage:
        """Return a page of groups."""
        del grant
        return await self._metadata.user_groups.list_page(query)

    async def search(
        self, grant: SelfGrant | SystemGrant[ListUserGroup], prefix: str, limit: int, skip: int = 0
    ) -> GroupPage:
        """Return a page of groups whose name begins so, for whoever wants to make one a member."""
        del grant
        return await self._metadata.user_groups.search(prefix, limit, skip) if prefix else GroupPage((), 0)

    async def members(self, grant: SystemGrant[ReadUserGroup], group_id: int) -> Sequence[int]:
        """Return the numbers of the people in a group.

        Raises:
            GroupUnknownError: there is none.
        """
        group = await self.get(grant, group_id)
        return await self._metadata.user_groups.member_ids(group.id)

    async def list_members(
        self, grant: SystemGrant[ReadUserGroup], group_id: int, limit: int, skip: int
    ) -> GroupMemberPage:
        """Return a page of the people in a group, by number.

        Raises:
            GroupUnknownError: there is none.
        """
        group = await self.get(grant, group_id)
        return await self._metadata.user_groups.list_members(group.id, limit, skip)

    async def rename(self, grant: SystemGrant[UpdateUserGroup], group_id: int, name: str) -> None:
        """Give a group another name; its members and roles stay.

        Raises:
            GroupUnknownError, InvalidPersonError, NameTakenError: nothing was changed.
            AccessDeniedError: the group holds what the principal does not (S9).
        """
        require_group_name(name)
        await self._rights.require_held(grant.principal, group_id)
        record_id = new_public_id()

        async def unit(tx: Transaction) -> None:
            group = await _require_group(tx, group_id)
            if not await tx.user_groups.rename(group_id, name):
                raise NameTakenError("group", name)
            before, after = {"group_name": group.name}, {"group_name": name}
            await tx.audit.append(_update(grant.principal, group, before, after, record_id))

        await self._metadata.write(unit)

    async def delete(self, grant: SystemGrant[DeleteUserGroup], group_id: int) -> None:
        """Delete a group; its people stay, without what it gave them.

        Raises:
            GroupUnknownError: there is none.
            LastOperationsAdminError: nobody would administer the registry without it.
            AccessDeniedError: the group holds what the principal does not (S9).
        """
        await self._rights.require_held(grant.principal, group_id)
        await self._rights.require_held_of_all(grant.principal, {group_id})
        record_id = new_public_id()

        async def unit(tx: Transaction) -> None:
            async with AdministratorsKept(tx):
                group = await _require_group(tx, group_id)
                members = await tx.user_groups.member_ids(group_id)
                names = await tx.user_groups.hold_people(members)
                before = {"members": list(members), "left": _named(grant.principal, members, names)}
                await tx.user_groups.delete(group_id)
            about = AuditObject("group", group.name)
            await tx.audit.append(
                audit_record(
                    grant.principal, AuditAction.GROUP_DELETE, about, before=before, record_id=record_id
                )
            )

        await self._metadata.write(unit)

    async def add_member(self, grant: SystemGrant[UpdateUserGroup], group_id: int, person_id: int) -> None:
        """Put a person into a group, unless they are in it.

        Raises:
            GroupUnknownError, PersonUnknownError: nothing was changed.
            AccessDeniedError: the group holds what the principal does not (S9).
        """
        await self._rewrite(grant.principal, group_id, lambda present: present | {person_id}, {person_id})

    async def remove_member(self, grant: SystemGrant[UpdateUserGroup], group_id: int, person_id: int) -> None:
        """Take a person out of a group.

        Raises:
            GroupUnknownError: nothing was changed.
            GroupMemberUnknownError: the person is not in it (S7).
            LastOperationsAdminError: nobody would administer the registry without them in it.
            AccessDeniedError: the group holds what the principal does not (S9).
        """

        def without(present: frozenset[int]) -> frozenset[int]:
            if person_id not in present:
                raise GroupMemberUnknownError(group_id, person_id)
            return present - {person_id}

        await self._rewrite(grant.principal, group_id, without, {person_id})

    async def replace_members(
        self, grant: SystemGrant[UpdateUserGroup], group_id: int, person_ids: Collection[int]
    ) -> None:
        """Let exactly these people be in a group: whoever is not named leaves it (S13).

        Raises:
            GroupUnknownError, PersonUnknownError: nothing was changed.
            LastOperationsAdminError: nobody would administer the registry without those who leave it.
            AccessDeniedError: the group holds what the principal does not (S9).
        """
        wanted = frozenset(person_ids)
        moving = wanted ^ frozenset(await self._metadata.user_groups.member_ids(group_id))
        await self._rewrite(grant.principal, group_id, lambda _: wanted, moving)

    async def _rewrite(
        self,
        principal: Principal,
        group_id: int,
        choose: Callable[[frozenset[int]], frozenset[int]],
        moving: Collection[int],
    ) -> None:
        """Let those be in the group whom `choose` returns for those who are; a record is kept only of a change.

        The rights of those who join and leave are compared before the unit, for which `moving` is whom it may move.

        Raises:
            AccountChangingError: it would move others, who came or went meanwhile.
        """
        await self._rights.require_held(principal, group_id)
        await self._rights.require_held_of_all(principal, moving)
        judged, record_id = frozenset(moving), new_public_id()

        async def unit(tx: Transaction) -> None:
            async with AdministratorsKept(tx):
                group = await _require_group(tx, group_id)
                present = frozenset(await tx.user_groups.member_ids(group_id))
                wanted = choose(present)
                if not wanted ^ present <= judged:
                    raise AccountChangingError
                joining, leaving = wanted - present, present - wanted
                names = await _move(tx, group, joining, leaving)
            if wanted != present:
                before = {"members": sorted(present), "left": _named(principal, leaving, names)}
                after = {"members": sorted(wanted), "joined": _named(principal, joining, names)}
                await tx.audit.append(_update(principal, group, before, after, record_id))

        await self._metadata.write(unit)


async def _move(
    tx: Transaction, group: GroupRow, joining: frozenset[int], leaving: frozenset[int]
) -> Mapping[int, str]:
    """Have people join and leave a group; return their names."""
    names = await tx.user_groups.hold_people(joining | leaving)
    missing = joining - names.keys()
    if missing:
        raise PersonUnknownError(min(missing))
    await tx.user_groups.add_members(group.id, joining)
    await tx.user_groups.remove_members(group.id, leaving)
    return names


def _named(
    principal: Principal, person_ids: Collection[int], names: Mapping[int, str]
) -> Sequence[Mapping[str, object]]:
    """Return people as a record tells of them: by name, since a group's roles are given to them, and by number.

    As with members of projects the name is proven, and not erased with them; who acts is named as that only.
    """
    return [
        {"user_id": number, "username": name_of_another(principal, names.get(number, ""))}
        for number in sorted(person_ids)
    ]


async def _require_group(tx: Transaction, group_id: int) -> GroupRow:
    return _found(await tx.user_groups.find(group_id), group_id)


def _found(group: GroupRow | None, group_id: int) -> GroupRow:
    if group is None:
        raise GroupUnknownError(group_id)
    return group


def _update(
    principal: Principal,
    group: GroupRow,
    before: Mapping[str, object],
    after: Mapping[str, object],
    record_id: str,
) -> NewAuditRecord:
    about = AuditObject("group", group.name)
    return audit_record(
        principal, AuditAction.GROUP_UPDATE, about, before=before, after=after, record_id=record_id
    )
