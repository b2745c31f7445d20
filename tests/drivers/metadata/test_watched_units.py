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
from entrepot.control_api.errors import ChangesAheadError
from entrepot.control_api.request_context import RequestContext
from entrepot.control_api.request_head import RequestHead
from entrepot.metadata.sql.opening import open_metadata
from entrepot.metadata.unit_guard import in_order
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


async def test_a_command_on_the_host_waits_for_the_changes_before_it_s9(world: _World) -> None:
    async def command() -> None:
        with in_order():
            await world.metadata.write(lambda tx: tx.epochs.move_subjects([world.ann]))

    async with half_a_unit(world.database) as first:
        await first.epochs.hold_order()
        commanding = await started_and_waiting(command())
        assert await world.database.value(f"SELECT epoch FROM subjects WHERE id = {world.ann}") == 0

    await commanding
    assert await world.database.value(f"SELECT epoch FROM subjects WHERE id = {world.ann}") == 1


async def test_who_is_given_a_role_on_the_host_is_judged_by_it_though_that_waits_for_a_third_s9(
    world: _World,
) -> None:
    """The request comes while the command is under way and has committed nothing."""
    rights = RightsOfOthers(world.metadata.standings, HostDecisions(world.metadata.standings))

    async def command() -> None:
        async def give(tx: Transaction) -> None:
            await tx.role_assignments.hold_assignee(world.ann)
            await tx.role_assignments.add_system(world.ann, "operations-admin", "host:x")

        with in_order():
            await world.metadata.write(give)

    async def reset() -> None:
        await rights.require_held(_BOB, world.ann)
        await world.metadata.write(lambda tx: tx.epochs.move_subjects([world.ann]))

    async def again() -> None:
        raise AccountChangingError

    async with half_a_unit(world.database) as third:
        await third.role_assignments.hold_assignee(world.ann)
        giving = await started_and_waiting(command())
        resetting = await started_and_waiting(AsDecided().handle(_context(), reset, again))

    await giving
    with pytest.raises(AccountChangingError):
        await resetting
    assert await world.database.value(f"SELECT epoch FROM subjects WHERE id = {world.ann}") == 0


async def test_the_account_that_is_touched_is_kept_as_it_was_judged_until_the_unit_ends_s9(
    world: _World,
) -> None:
    """Also from what is in no order: here somebody who is given something by hand."""
    rights = RightsOfOthers(world.metadata.standings, HostDecisions(world.metadata.standings))

    async def act() -> None:
        await rights.require_held(_BOB, world.ann)

        async def unit(tx: Transaction) -> None:
            await tx.projects.hold(world.project)

        await world.metadata.write(unit)

    async def again() -> None:
        raise AccountChangingError

    async with half_a_unit(world.database) as third:
        await third.projects.hold(world.project)
        acting = await started_and_waiting(AsDecided().handle(_context(), act, again))
        giving = await started_and_waiting(
            world.database.fetch(f"UPDATE subjects SET epoch = epoch + 1 WHERE id = {world.ann}")
        )

    await acting
    await giving


async def test_a_robot_that_expires_while_its_unit_waits_has_changed_nothing_s14(world: _World) -> None:
    """No epoch moves when something expires."""
    robot = await IdentityRows(world.database).user("ci")
    await world.database.fetch(
        "INSERT INTO robots (subject_id, short_name, description, secret_hash, permissions, allowed_addresses, "
        "duration_days, expires_at, creator, updated_at) "
        f"VALUES ({robot}, 'ci', '', 'x', '[]', '[]', 1, 9999999999999, 'x', 1)"
    )
    subject = await world.database.value(f"SELECT public_id FROM subjects WHERE id = {robot}")
    context = _context()
    context.caller = Caller(Principal(subject, "127.0.0.1", forwarded=False, name="ci", kind="robot"))

    async def change() -> None:
        await world.metadata.write(lambda tx: tx.epochs.move_subjects([world.ann]))

    async def again() -> None:
        raise AccountChangingError

    async with half_a_unit(world.database) as first:
        await first.epochs.hold_order()
        changing = await started_and_waiting(AsDecided().handle(context, change, again))
        await world.database.fetch(f"UPDATE robots SET expires_at = 1 WHERE subject_id = {robot}")

    with pytest.raises(AccountChangingError):
        await changing
    assert await world.database.value(f"SELECT epoch FROM subjects WHERE id = {world.ann}") == 0


async def test_who_waits_too_long_for_the_changes_of_another_node_is_told_so(world: _World) -> None:
    """The server ends the wait with its own limit; it is not that the database does not answer."""
    hurried = await open_metadata(world.database.url, 2, 0.3)
    try:
        async with half_a_unit(world.database) as first:
            await first.epochs.hold_order()
            with pytest.raises(ChangesAheadError):
                await _Request(hurried, world.bob, world.project).handled()
    finally:
        await hurried.aclose()

    assert await world.epochs() == (0, 0)
