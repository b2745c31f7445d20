"""Units that could take administrators, step by step on PostgreSQL: who comes first is waited for, and then seen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from tests.drivers.metadata.half_units import half_a_unit, started_and_waiting
from tests.drivers.metadata.identity_rows import IdentityRows

if TYPE_CHECKING:
    from entrepot.metadata.store import Metadata, Transaction
    from tests.drivers.metadata.raw_database import RawDatabase

_ROLE: Final = "operations-admin"


@pytest.fixture
def engine() -> str:
    """PostgreSQL only: on SQLite there is one writer at a time."""
    return "postgresql"


async def _held(tx: Transaction) -> frozenset[int]:
    await tx.role_assignments.hold_holders(_ROLE)
    return await tx.role_assignments.active_holders(_ROLE)


async def test_who_holds_administrators_waits_for_who_did_before_and_sees_who_is_left(
    metadata: Metadata, database: RawDatabase
) -> None:
    rows = IdentityRows(database)
    ann, bob = await rows.user("ann"), await rows.user("bob")
    number, _ = await rows.give(ann, _ROLE), await rows.give(bob, _ROLE)

    async with half_a_unit(database) as first:
        await first.role_assignments.hold_holders(_ROLE)
        second = await started_and_waiting(metadata.write(_held))
        await first.role_assignments.remove_system(number)

    assert await second == {bob}


async def test_an_administrator_who_was_made_while_somebody_waited_is_held_as_well(
    metadata: Metadata, database: RawDatabase
) -> None:
    """The statement that waited saw only those of before, of whom nobody may be left to hold."""
    rows = IdentityRows(database)
    ann, bob = await rows.user("ann"), await rows.user("bob")
    number = await rows.give(ann, _ROLE)

    async with half_a_unit(database) as second:
        async with half_a_unit(database) as first:
            await first.role_assignments.hold_holders(_ROLE)
            waiting = await started_and_waiting(second.role_assignments.hold_holders(_ROLE))
            await first.role_assignments.add_system(bob, _ROLE, "id-x")
            await first.role_assignments.remove_system(number)
        await waiting
        third = await started_and_waiting(metadata.write(_held))

    assert await third == {bob}
