"""Who joined and left a group is told by the log alone: groups can administer the registry (8.1.4.3a, I11)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.integration.people.conftest import ALICE_PASSWORD

if TYPE_CHECKING:
    from tests.integration.people.conftest import Office


async def _changes(office: Office, action: str) -> list[dict[str, Any]]:
    """Return what records of an act say was changed."""
    rows = await office.database.fetch(
        f"SELECT body FROM audit_records WHERE action = '{action}' ORDER BY id"
    )
    return [json.loads(row[0])["change"] for row in rows]


async def test_records_of_groups_name_who_joined_and_left_i11(office: Office) -> None:
    """By name and by the number that the record of their account has."""
    group = await office.groups.create(office.grant(), "team")
    alice, bob = await office.make("alice"), await office.make("bob")
    named = [{"user_id": one.id, "username": one.name} for one in (alice, bob)]

    await office.groups.replace_members(office.grant(), group.id, [alice.id])
    await office.groups.replace_members(office.grant(), group.id, [bob.id])
    await office.groups.delete(office.grant(), group.id)

    assert await _changes(office, "group.update") == [
        {
            "before": {"members": [], "left": []},
            "after": {"members": [alice.id], "joined": named[:1]},
        },
        {
            "before": {"members": [alice.id], "left": named[:1]},
            "after": {"members": [bob.id], "joined": named[1:]},
        },
    ]
    assert await _changes(office, "group.delete") == [
        {"before": {"members": [bob.id], "left": named[1:]}, "after": None}
    ]
    made = [change["after"] for change in await _changes(office, "user.create")]
    assert [one["username"] for one in made[1:]] == ["alice", "bob"]
    first = await office.metadata.users.find_named("admin")
    assert first is not None
    assert [one["user_id"] for one in made] == [first.id, alice.id, bob.id]


async def test_who_moves_themselves_is_not_named_beside_their_acts_i11(office: Office) -> None:
    """Their name is in the record once, where it can be erased."""
    group = await office.groups.create(office.grant(), "team")
    alice = await office.make("alice")
    grant = office.grant(await office.log_in("alice", ALICE_PASSWORD))

    await office.groups.add_member(grant, group.id, alice.id)
    await office.groups.remove_member(grant, group.id, alice.id)

    oneself = [{"user_id": alice.id, "username": ""}]
    joined, left = await _changes(office, "group.update")
    assert (joined["after"]["joined"], left["before"]["left"]) == (oneself, oneself)
