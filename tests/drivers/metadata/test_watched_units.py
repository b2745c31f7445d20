"""Units of the management API, step by step on PostgreSQL: what they were decided by holds until they end (S14, S9)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pytest

from entrepot.auth.errors import AccountChangingError
from entrepot.auth.host import HostDecisions
from entrepot.auth.principals import Principal
from entrepot.auth.rights_of_others import RightsOfOthers
from entrepot.auth.unmoved import watch_project
from entrepot.control_api.credentials import Caller
from entrepot.control_api.deciding import AsDecided
from entrepot.control_api.request_context import RequestContext
from entrepot.control_api.request_head import RequestHead
from tests.drivers.metadata.half_units import half_a_unit, started_and_waiting
from tests.drivers.metadata.identity_rows import IdentityRows

if TYPE_CHECKING:
    from entrepot.metadata.store import Metadata, Transaction
    from tests.drivers.metadata.raw_database import RawDatabase


@pytest.fixture
def engine() -> str:
    """PostgreSQL only: on SQLite there is one writer at a time."""
    return "postgresql"


_BOB: Final = Principal("id-bob", "127.0.0.1", forwarded=False, name="bob", kind="user")


def _context() -> RequestContext:
    head = RequestHead("PUT", "/", "/", "", {}, "", forwarded=False, encrypted=False, request_id="r")
    return RequestContext(head, caller=Caller(_BOB))


class _Request:
    """A request of bob's that changes a project. It is not decided anew: what became of the first decision matters."""

    def __init__(self, metadata: Metadata, bob: int, project: int) -> None:
        self._metadata = metadata
        self._bob = bob
        self._project = project

    async def handled(self) -> str:
        """Change it; return what became of it."""
        try:
            await AsDecided().handle(_context(), self._change, self._refuse)
        except AccountChangingError:
            return "refused"
        return "done"

    async def _change(self) -> None:
        watch_project(self._project, 0)

        async def unit(tx: Transaction) -> None:
            await tx.role_assignments.hold_assignee(self._bob + 1)
            await tx.epochs.move_project(self._project)

        await self._metadata.write(unit)

    async def _refuse(self) -> None:
        raise AccountChangingError


@dataclass(frozen=True, slots=True)
class _World:
    metadata: Metadata
    database: RawDatabase
    bob: int
    ann: int
    project: int

    @property
    def request(self) -> _Request:
        return _Request(self.metadata, self.bob, self.project)

    async def epochs(self) -> tuple[int, int]:
        """Return bob's and the project's."""
        bob = await self.database.value(f"SELECT epoch FROM subjects WHERE id = {self.bob}")
        project = await self.database.value(f"SELECT epoch FROM projects WHERE id = {self.project}")
        return bob, project


@pytest.fixture
async def world(metadata: Metadata, database: RawDatabase) -> _World:
    """Two people and a project, none of them ever changed."""
    rows = IdentityRows(database)
    bob, ann = await rows.user("bob"), await rows.user("ann")
    assert ann == bob + 1
    return _World(metadata, database, bob, ann, await rows.project("team"))


@pytest.mark.parametrize("in_order", [True, False], ids=["by a request", "by a command on the host"])
async def test_who_is_changed_while_their_unit_waits_has_changed_nothing_s14(
    world: _World, *, in_order: bool
) -> None:
    async with half_a_unit(world.database) as first:
        if in_order:
            await first.epochs.hold_order()
        await first.epochs.move_subjects([world.bob])
        request = await started_and_waiting(world.request.handled())

    assert await request == "refused"
    assert await world.epochs() == (1, 0)


async def test_what_moves_in_the_project_while_the_unit_waits_is_seen_s14(world: _World) -> None:
    async with half_a_unit(world.database) as first:
        await first.epochs.hold_order()
        await first.epochs.move_project(world.project)
        request = await started_and_waiting(world.request.handled())

    assert await request == "refused"
    assert await world.epochs() == (0, 1)


async def test_who_changes_somebody_waits_for_the_unit_that_they_have_under_way_s14(world: _World) -> None:
    """However long that waits for a third one: there is no moment between its look and its end."""

    async def change(tx: Transaction) -> None:
        await tx.epochs.move_subjects([world.bob])

    async with half_a_unit(world.database) as third:
        await third.role_assignments.hold_assignee(world.ann)
        request = await started_and_waiting(world.request.handled())
        changing = await started_and_waiting(world.metadata.write(change))

    assert await request == "done"
    await changing
    assert await world.epochs() == (1, 1)


async def test_who_is_given_a_role_meanwhile_is_not_judged_by_those_they_had_s9(world: _World) -> None:
    rights = RightsOfOthers(world.metadata.standings, HostDecisions(world.metadata.standings))
    done: list[str] = []

    async def act() -> None:
        await rights.require_held(_BOB, world.ann)
        await world.database.fetch(
            "INSERT INTO role_assignments (subject_id, role, created_at, creator) "
            f"VALUES ({world.ann}, 'auditor', 1, 'x')"
        )
        await world.metadata.write(lambda tx: tx.epochs.move_subjects([world.ann]))
        done.append("done")

    async def again() -> None:
        done.append("judged again")
        raise AccountChangingError

    with pytest.raises(AccountChangingError):
        await AsDecided().handle(_context(), act, again)

    assert done == ["judged again"]
    assert await world.database.value(f"SELECT epoch FROM subjects WHERE id = {world.ann}") == 0


async def test_a_request_waits_for_the_one_that_gives_a_role_and_is_judged_by_it_s9(world: _World) -> None:
    """Nobody's epoch moves when an empty group gets a role."""
    group = await IdentityRows(world.database).group("crew")
    rights = RightsOfOthers(world.metadata.standings, HostDecisions(world.metadata.standings))

    async def join() -> None:
        await rights.require_held(_BOB, group)
        await world.metadata.write(lambda tx: tx.user_groups.add_members(group, {world.ann}))

    async def again() -> None:
        raise AccountChangingError

    async with half_a_unit(world.database) as first:
        await first.epochs.hold_order()
        await first.role_assignments.add_system(group, "operations-admin", "x")
        joining = await started_and_waiting(AsDecided().handle(_context(), join, again))

    with pytest.raises(AccountChangingError):
        await joining
    assert await world.metadata.user_groups.member_ids(group) == []
