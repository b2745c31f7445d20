"""Groups: who is in them is exactly who was last said to be, and each change reaches what was issued."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from entrepot.auth.errors import AccountChangingError
from entrepot.auth.host import HostDecisions
from entrepot.auth.people.errors import (
    GroupMemberUnknownError,
    GroupUnknownError,
    NameTakenError,
    PersonUnknownError,
)
from entrepot.auth.people.groups import Groups
from entrepot.auth.rights_of_others import RightsOfOthers
from entrepot.metadata.group_store import GroupQuery
from tests.integration.people.conftest import own

if TYPE_CHECKING:
    from collections.abc import Collection

    from entrepot.auth.principals import Principal
    from tests.integration.people.conftest import Office


async def test_replacing_members_removes_whoever_is_not_named_s13(office: Office) -> None:
    """CVE-2025-23208: a list that was appended to kept those who had left."""
    group = await office.groups.create(office.grant(), "team")
    alice, bob, carol = [await office.make(name) for name in ("alice", "bob", "carol")]
    await office.groups.replace_members(office.grant(), group.id, [alice.id, bob.id])

    await office.groups.replace_members(office.grant(), group.id, [bob.id, carol.id])

    assert await office.groups.members(office.grant(), group.id) == [bob.id, carol.id]
    moved = [await office.epoch_of(person.id) - person.epoch for person in (alice, bob, carol)]
    assert moved == [2, 1, 1]
    await office.groups.replace_members(office.grant(), group.id, [])
    assert await office.groups.members(office.grant(), group.id) == []


async def test_replacing_members_by_the_same_ones_changes_nothing(office: Office) -> None:
    group = await office.groups.create(office.grant(), "team")
    alice = await office.make("alice")
    await office.groups.replace_members(office.grant(), group.id, [alice.id])
    records = await office.records()

    await office.groups.replace_members(office.grant(), group.id, [alice.id])

    assert await office.records() == records
    assert await office.epoch_of(alice.id) == alice.epoch + 1


async def test_a_person_joins_and_leaves_with_epoch_and_record_s14(office: Office) -> None:
    group = await office.groups.create(office.grant(), "team")
    alice = await office.make("alice")

    await office.groups.add_member(office.grant(), group.id, alice.id)
    await office.groups.add_member(office.grant(), group.id, alice.id)
    await office.groups.remove_member(office.grant(), group.id, alice.id)

    assert await office.epoch_of(alice.id) == alice.epoch + 2
    changes = [record for record in await office.records() if record[0].startswith("group.")]
    assert changes == [
        ("group.create", "success", "team"),
        ("group.update", "success", "team"),
        ("group.update", "success", "team"),
    ]


async def test_a_member_of_another_group_is_not_removed_s7(office: Office) -> None:
    team, other = [await office.groups.create(office.grant(), name) for name in ("team", "other")]
    alice = await office.make("alice")
    await office.groups.add_member(office.grant(), other.id, alice.id)

    for number in (alice.id, 12345):
        with pytest.raises(GroupMemberUnknownError, match=f"^group {team.id} has no member {number}$"):
            await office.groups.remove_member(office.grant(), team.id, number)
    assert await office.groups.members(office.grant(), other.id) == [alice.id]


async def test_only_people_who_exist_are_members(office: Office) -> None:
    team, other = [await office.groups.create(office.grant(), name) for name in ("team", "other")]
    alice = await office.make("alice")

    for nobody in (12345, other.id):
        with pytest.raises(PersonUnknownError):
            await office.groups.replace_members(office.grant(), team.id, [alice.id, nobody])
    assert await office.groups.members(office.grant(), team.id) == []


async def test_a_deleted_group_takes_what_it_gave_and_frees_its_name_s14(office: Office) -> None:
    group = await office.groups.create(office.grant(), "team")
    alice = await office.make("alice")
    await office.groups.add_member(office.grant(), group.id, alice.id)

    await office.groups.delete(office.grant(), group.id)

    assert await office.epoch_of(alice.id) == alice.epoch + 2
    with pytest.raises(GroupUnknownError):
        await office.groups.get(office.grant(), group.id)
    assert (await office.groups.create(office.grant(), "team")).name == "team"


async def test_a_group_is_renamed_but_not_to_a_name_that_is_taken(office: Office) -> None:
    group = await office.groups.create(office.grant(), "team")
    await office.groups.create(office.grant(), "other")

    with pytest.raises(NameTakenError):
        await office.groups.rename(office.grant(), group.id, "other")
    with pytest.raises(NameTakenError):
        await office.groups.create(office.grant(), "other")
    await office.groups.rename(office.grant(), group.id, "crew")

    assert (await office.groups.get(office.grant(), group.id)).name == "crew"


async def test_groups_are_listed_and_searched(office: Office) -> None:
    for name in ("team b", "Team a", "crew"):
        await office.groups.create(office.grant(), name)

    page = await office.groups.list_page(office.grant(), GroupQuery(name_part="EAM", limit=1))
    exact = await office.groups.list_page(office.grant(), GroupQuery(name="crew"))
    found = await office.groups.search(own(office.admin), "tea", 10)
    second = await office.groups.search(own(office.admin), "tea", 1, 1)

    assert ([group.name for group in page.groups], page.total) == (["Team a"], 2)
    assert [group.name for group in exact.groups] == ["crew"]
    assert ([group.name for group in found.groups], found.total) == (["Team a", "team b"], 2)
    assert ([group.name for group in second.groups], second.total) == (["team b"], 2)


async def test_what_does_not_exist_can_not_be_changed(office: Office) -> None:
    alice = await office.make("alice")
    for attempt in (
        office.groups.delete(office.grant(), alice.id),
        office.groups.rename(office.grant(), alice.id, "x"),
        office.groups.replace_members(office.grant(), alice.id, []),
    ):
        with pytest.raises(GroupUnknownError):
            await attempt


async def test_who_came_into_the_group_meanwhile_is_judged_before_they_are_put_out_s9(office: Office) -> None:
    """Between the judgement and the unit: the unit changes nothing, and the request is decided anew."""
    group = await office.groups.create(office.grant(), "team")
    alice, bob = [await office.make(name) for name in ("alice", "bob")]
    await office.groups.add_member(office.grant(), group.id, alice.id)

    class Overtaken(RightsOfOthers):
        """Lets somebody join when the judgement was made."""

        async def require_held_of_all(self, principal: Principal, subject_ids: Collection[int]) -> None:
            await super().require_held_of_all(principal, subject_ids)
            await office.groups.add_member(office.grant(), group.id, bob.id)

    decisions = HostDecisions(office.metadata.standings)
    groups = Groups(office.metadata, Overtaken(office.metadata.standings, decisions))
    with pytest.raises(AccountChangingError):
        await groups.replace_members(office.grant(), group.id, [])

    assert await office.groups.members(office.grant(), group.id) == [alice.id, bob.id]
    assert await office.epoch_of(bob.id) == bob.epoch + 1
