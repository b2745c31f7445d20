"""The protocols of groups of people. Who joins or leaves one gets a new epoch, since roles are given to groups."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, Protocol, get_args

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

__all__ = [
    "GROUP_ORDERS",
    "GroupMember",
    "GroupMemberPage",
    "GroupOrder",
    "GroupPage",
    "GroupQuery",
    "GroupReader",
    "GroupRow",
    "GroupWriterRows",
]


@dataclass(frozen=True, slots=True)
class GroupRow:
    """A group.

    Attributes:
        group_type: Harbor's number: 1 for LDAP, 2 for HTTP (which is what local ones are), 3 for OIDC.
    """

    id: int
    subject: str
    name: str
    group_type: int
    ldap_group_dn: str
    created_at: int
    updated_at: int


GroupOrder = Literal["group_name", "-group_name"]
GROUP_ORDERS: Final[tuple[GroupOrder, ...]] = get_args(GroupOrder)


@dataclass(frozen=True, slots=True)
class GroupQuery:
    """Which groups to list, by name; empty texts filter nothing, a part is found anywhere and in either case."""

    name: str = ""
    name_part: str = ""
    order: GroupOrder = "group_name"
    skip: int = 0
    limit: int = 100


@dataclass(frozen=True, slots=True)
class GroupPage:
    """A page of a listing, and how many groups the filters leave in all."""

    groups: Sequence[GroupRow]
    total: int


@dataclass(frozen=True, slots=True)
class GroupMember:
    """A person in a group."""

    id: int
    name: str


@dataclass(frozen=True, slots=True)
class GroupMemberPage:
    """A page of the people in a group, and how many they are in all."""

    members: Sequence[GroupMember]
    total: int


class GroupReader(Protocol):
    """Groups that exist. Members are people that exist."""

    async def find(self, group_id: int) -> GroupRow | None:
        """Return a group by number."""
        ...

    async def find_named(self, name: str) -> GroupRow | None:
        """Return a group by name."""
        ...

    async def list_page(self, query: GroupQuery) -> GroupPage:
        """Return a page of groups."""
        ...

    async def search(self, prefix: str, limit: int, skip: int) -> GroupPage:
        """Return a page of groups whose name begins so, in either case, by name."""
        ...

    async def member_ids(self, group_id: int) -> Sequence[int]:
        """Return the numbers of the members, in order."""
        ...

    async def list_members(self, group_id: int, limit: int, skip: int) -> GroupMemberPage:
        """Return a page of the members by number; an empty one for a group that is not there."""
        ...


class GroupWriterRows(Protocol):
    """Groups within a unit."""

    async def find(self, group_id: int) -> GroupRow | None:
        """Return a group by number; the row stays as it is until the unit ends."""
        ...

    async def insert(self, subject: str, name: str, group_type: int, ldap_group_dn: str) -> int | None:
        """Add a group and return its number; `None` when another has the name."""
        ...

    async def rename(self, group_id: int, name: str) -> bool:
        """Give a group another name; `False` when another group has it."""
        ...

    async def delete(self, group_id: int) -> None:
        """Delete a group with its members and roles, and move the epochs of those who were in it."""

    async def member_ids(self, group_id: int) -> Sequence[int]:
        """Return the numbers of the members, in order."""
        ...

    async def hold_people(self, person_ids: Collection[int]) -> Mapping[int, str]:
        """Return the names of those of these numbers that are people, who are not deleted until the unit ends."""
        ...

    async def add_members(self, group_id: int, person_ids: Collection[int]) -> None:
        """Add people who are there, and move the epochs of those who were not in it. Few statements, however many."""

    async def remove_members(self, group_id: int, person_ids: Collection[int]) -> None:
        """Remove people, and move the epochs of those who were in it."""
