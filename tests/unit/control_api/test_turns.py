"""Each account has one place in the line of changes, and who is overtaken decides while it is their turn."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from entrepot.auth.principals import Principal, Sponsor
from entrepot.control_api.credentials import Caller
from entrepot.control_api.deciding import AsDecided
from entrepot.control_api.errors import ChangesAheadError
from entrepot.control_api.request_context import RequestContext
from entrepot.control_api.request_head import RequestHead
from entrepot.control_api.turns import LastingTurn, Turns
from entrepot.metadata.unit_guard import run_guarded, watch

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


async def _served(turns: Turns, subject: str, order: list[str]) -> None:
    async with turns.turn(subject):
        await asyncio.sleep(0)
        order.append(subject)


async def test_who_comes_waits_for_one_unit_of_each_other_account_at_most() -> None:
    turns, order = Turns(), list[str]()
    flood = [asyncio.ensure_future(_served(turns, "flood", order)) for _ in range(100)]
    await asyncio.sleep(0)

    await _served(turns, "admin", order)

    assert order.index("admin") <= 2
    await asyncio.gather(*flood)
    assert len(order) == 101


async def test_who_waits_too_long_is_told_that_others_are_ahead() -> None:
    turns = Turns(patience_seconds=0.02)
    async with turns.turn("first"):
        with pytest.raises(ChangesAheadError, match="other changes are ahead of this one"):
            await _served(turns, "second", [])

    await asyncio.wait_for(_served(turns, "second", []), 60)  # and has left the line


@pytest.mark.parametrize("subject", ["first", "second"], ids=["in their own line", "in that of all"])
async def test_a_client_that_goes_away_while_it_waits_leaves_the_line(subject: str) -> None:
    turns, order = Turns(), list[str]()
    async with turns.turn("first"):
        gone = asyncio.ensure_future(_served(turns, subject, order))
        await asyncio.sleep(0.01)
        gone.cancel()
        await asyncio.wait((gone,))

    await asyncio.wait_for(_served(turns, subject, order), 60)
    assert order == [subject]


async def test_a_client_that_goes_away_while_it_has_the_turn_gives_it_back() -> None:
    turns = Turns()

    async def decide() -> None:
        async with LastingTurn(turns, "first").held():
            await asyncio.sleep(60)

    gone = asyncio.ensure_future(decide())
    await asyncio.sleep(0.01)
    gone.cancel()
    await asyncio.wait((gone,))

    await asyncio.wait_for(_served(turns, "second", []), 60)


async def test_units_of_who_has_the_turn_do_not_wait_for_another_one() -> None:
    turn = LastingTurn(Turns(patience_seconds=0.02), "first")
    async with turn.held(), turn.unit():
        assert turn.is_held


async def test_a_turn_ends_by_itself_so_that_a_slow_decision_keeps_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As one that waits for its place to check a password; its unit waits for a turn like any other then."""
    monkeypatch.setattr("entrepot.control_api.turns._LONGEST_SECONDS", 0.02)
    turns, order = Turns(), list[str]()
    turn = LastingTurn(turns, "slow")
    async with turn.held():
        await asyncio.wait_for(_served(turns, "second", order), 60)
        assert not turn.is_held
        async with turn.unit():
            order.append("slow")

    await asyncio.wait_for(_served(turns, "third", order), 60)
    assert order == ["second", "slow", "third"]


async def test_a_unit_under_way_keeps_the_turn_until_its_own_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("entrepot.control_api.turns._LONGEST_SECONDS", 0.01)
    turns, order = Turns(), list[str]()
    turn = LastingTurn(turns, "first")
    async with turn.held():
        async with turn.unit():
            waiting = asyncio.ensure_future(_served(turns, "second", order))
            await asyncio.sleep(0.05)
            assert order == []
        await asyncio.wait_for(waiting, 60)

    assert order == ["second"]


@dataclass(slots=True)
class _Counter:
    """What all requests are decided by, and change; units of it come one after the other."""

    value: int = 0
    tries: int = 0
    line: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def hold_order(self) -> None:
        """Be what a unit locks: here, nothing."""

    @property
    def epochs(self) -> _Counter:
        """Be a transaction."""
        return self

    async def write(self, unit: Callable[[Any], Awaitable[Any]]) -> Any:
        """Run a unit."""
        async with self.line:
            return await unit(self)

    async def change(self) -> None:
        """Decide, which takes a moment, and change."""
        self.tries += 1
        watch("value", self._look, self.value)
        await asyncio.sleep(0.002)
        await run_guarded(self.write, self._add)

    async def _look(self, tx: Any) -> int:
        return int(tx.value)

    async def _add(self, tx: Any) -> None:
        tx.value += 1


def _watch_nothing(context: RequestContext) -> None:
    del context


async def test_many_accounts_that_change_one_thing_at_once_do_not_overtake_one_another_over_and_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A third decision is made while nobody else of this process writes."""
    monkeypatch.setattr("entrepot.control_api.deciding._watch_admission", _watch_nothing)
    counter, deciding, count = _Counter(), AsDecided(), 30

    async def readmit() -> None:
        await asyncio.sleep(0)

    async def request(number: int) -> None:
        who = Principal(f"id-{number}", "127.0.0.1", forwarded=False, name=f"p{number}", kind="user")
        head = RequestHead("PUT", "/", "/", "", {}, "", forwarded=False, encrypted=False, request_id="r")
        await deciding.handle(RequestContext(head, caller=Caller(who)), counter.change, readmit)

    await asyncio.gather(*(request(number) for number in range(count)))

    assert counter.value == count
    assert counter.tries <= 3 * count


async def test_robots_have_the_place_of_who_answers_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else whoever makes a hundred of them has a hundred places."""
    monkeypatch.setattr("entrepot.control_api.deciding._watch_admission", _watch_nothing)
    deciding, order = AsDecided(), list[str]()

    async def write(unit: Callable[[Any], Awaitable[Any]]) -> Any:
        await asyncio.sleep(0.001)
        return await unit(_Counter())

    async def readmit() -> None:
        raise NotImplementedError

    async def request(name: str, sponsor: Sponsor | None = None) -> None:
        async def note(tx: Any) -> None:
            del tx
            order.append(name)

        who = Principal(f"id-{name}", "127.0.0.1", forwarded=False, name=name, kind="user", sponsor=sponsor)
        head = RequestHead("PUT", "/", "/", "", {}, "", forwarded=False, encrypted=False, request_id="r")
        await deciding.handle(
            RequestContext(head, caller=Caller(who)), lambda: run_guarded(write, note), readmit
        )

    robots = [asyncio.ensure_future(request(f"robot{number}", Sponsor("id-eve", 0))) for number in range(50)]
    await asyncio.sleep(0)
    await request("admin")
    await asyncio.gather(*robots)

    assert order.index("admin") <= 2
