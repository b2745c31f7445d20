"""Few searches of the audit log run at once, and one of each account: who searches a lot waits for themselves (I12)."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import msgspec
import pytest

from entrepot.audit.errors import AuditSearchesBusyError
from entrepot.audit.search_turns import SearchTurns
from entrepot.auth.principals import BY_THE_HOST, Principal, Sponsor
from tests.running.audit_material import ALICE, BOB

_CAROL = msgspec.structs.replace(ALICE, subject="c" * 32, name="carol")
_ROBOT = msgspec.structs.replace(
    ALICE, subject="d" * 32, name="robot$ci", kind="robot", sponsor=Sponsor(ALICE.subject, 0)
)


async def _refused(turns: SearchTurns, principal: Principal) -> bool:
    try:
        async with turns.turn(principal):
            return False
    except AuditSearchesBusyError:
        return True


async def test_of_many_searches_of_one_account_one_runs_at_a_time_i12() -> None:
    turns, running, most = SearchTurns(), 0, 0

    async def search() -> None:
        nonlocal running, most
        async with turns.turn(ALICE):
            running += 1
            most = max(most, running)
            await asyncio.sleep(0)
            running -= 1

    flood = [asyncio.ensure_future(search()) for _ in range(50)]
    await asyncio.sleep(0)
    async with asyncio.timeout(60), turns.turn(BOB):
        assert not all(task.done() for task in flood)
    await asyncio.gather(*flood)

    assert most == 1


@pytest.mark.parametrize(
    ("most", "others", "refused"),
    [
        (2, [], False),
        (2, [BOB], False),
        (1, [BOB], True),
        (2, [BOB, _CAROL], True),
        (2, [ALICE], True),
        (2, [_ROBOT], True),
        (2, [msgspec.structs.replace(_ROBOT, sponsor=BY_THE_HOST)], False),
    ],
)
async def test_who_waits_too_long_is_told_that_others_are_searching(
    most: int, others: list[Principal], refused: bool
) -> None:
    turns = SearchTurns(most, patience_seconds=0.02)
    async with AsyncExitStack() as held:
        for other in others:
            await held.enter_async_context(turns.turn(other))
        assert await _refused(turns, ALICE) is refused

    assert not await _refused(
        turns, ALICE
    )  # who waited in vain has left the line, and its places are free again


@pytest.mark.parametrize("waits_for", [[ALICE], [BOB, _CAROL]], ids=["its own account", "others"])
async def test_a_search_that_is_given_up_leaves_the_line(waits_for: list[Principal]) -> None:
    turns = SearchTurns()
    async with AsyncExitStack() as held:
        for other in waits_for:
            await held.enter_async_context(turns.turn(other))
        gone = asyncio.ensure_future(_refused(turns, ALICE))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.wait((gone,))

    async with asyncio.timeout(60), turns.turn(ALICE), turns.turn(BOB):
        pass


@pytest.mark.parametrize(("connections", "at_once"), [(1, 1), (2, 1), (3, 1), (4, 2), (10, 2)])
async def test_half_of_the_connections_are_left_to_others(connections: int, at_once: int) -> None:
    turns = SearchTurns.beside_others(connections)
    turns._patience_seconds = 0.02
    accounts = [ALICE, BOB, _CAROL]

    async with AsyncExitStack() as held:
        for account in accounts[:at_once]:
            await held.enter_async_context(turns.turn(account))
        assert await _refused(turns, accounts[at_once])
