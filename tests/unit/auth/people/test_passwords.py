"""Hashing on few threads: what it costs, what it refuses, and that nobody's place is given away."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING, Final, NoReturn

import argon2
import pytest

from entrepot.auth.people.errors import PasswordsBusyError
from entrepot.auth.people.passwords import OWASP_FIRST, HashCost, PasswordHashing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_CHEAP: Final = HashCost(memory_kibibytes=8, passes=1, lanes=1)


def _waiting_for(gate: threading.Event) -> Callable[[str, str], bool]:
    def wait(_hash: str, _password: str) -> bool:
        return gate.wait(60)

    return wait


@pytest.fixture
def hashing() -> Iterator[PasswordHashing]:
    """Two threads, and room for one that waits."""
    made = PasswordHashing(_CHEAP, waiting=1)
    yield made
    made.close()


async def test_a_password_matches_its_own_hash_only(hashing: PasswordHashing) -> None:
    first, again = await hashing.hash("one"), await hashing.hash("one")

    assert first != again
    assert await hashing.verify(first, "one") is True
    assert await hashing.verify(first, "two") is False
    assert await hashing.matches_any([again, first], "one") is True
    assert await hashing.matches_any([], "one") is False


async def test_new_hashes_have_the_parameters_that_owasp_recommends() -> None:
    """The cheat sheet's first option: 46 MiB, one pass, one lane; RFC 9106's 128-bit salt and 256-bit tag."""
    hashing = PasswordHashing()

    made = argon2.extract_parameters(await hashing.hash("one"))

    hashing.close()
    assert (made.type, made.version) == (argon2.Type.ID, 19)
    assert (made.memory_cost, made.time_cost, made.parallelism) == (47104, 1, 1)
    assert (made.salt_len, made.hash_len) == (16, 32)
    assert HashCost(47104, 1, 1) == OWASP_FIRST


async def test_a_name_that_nobody_has_is_checked_at_the_same_cost_s19(hashing: PasswordHashing) -> None:
    nobody = argon2.extract_parameters(hashing._nobody)

    assert nobody == argon2.extract_parameters(await hashing.hash("one"))
    assert await hashing.verify(None, "one") is False


@pytest.mark.parametrize("stored", ["", "plain", "$argon2id$v=19$m=8,t=1,p=1$x$y", "$2b$10$abc"])
async def test_what_is_no_hash_matches_nothing(hashing: PasswordHashing, stored: str) -> None:
    assert await hashing.verify(stored, "plain") is False
    assert await hashing.verify(stored, "") is False


async def test_a_hash_of_other_parameters_is_outdated(hashing: PasswordHashing) -> None:
    other = PasswordHashing(HashCost(memory_kibibytes=16, passes=1, lanes=1))
    stored = await other.hash("one")
    other.close()

    assert hashing.is_outdated(stored) is True
    assert hashing.is_outdated(await hashing.hash("one")) is False
    assert hashing.is_outdated("plain") is False
    assert await hashing.verify(stored, "one") is True


async def test_the_same_password_typed_in_another_way_matches(hashing: PasswordHashing) -> None:
    stored = await hashing.hash("caf\N{LATIN SMALL LETTER E WITH ACUTE}")

    assert await hashing.verify(stored, "cafe\N{COMBINING ACUTE ACCENT}") is True


async def test_one_more_than_threads_and_places_is_refused_and_a_place_comes_free(
    hashing: PasswordHashing, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = threading.Event()
    monkeypatch.setattr(hashing, "_matches", _waiting_for(gate))
    waiting = [asyncio.ensure_future(hashing.verify("hash", "one")) for _ in range(3)]
    await asyncio.sleep(0)

    with pytest.raises(PasswordsBusyError):
        await hashing.verify("hash", "one")
    gate.set()

    assert await asyncio.gather(*waiting) == [True, True, True]
    assert await hashing.verify("hash", "one") is True


async def test_a_client_that_goes_away_makes_no_room_while_its_thread_works(
    hashing: PasswordHashing, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = threading.Event()
    monkeypatch.setattr(hashing, "_matches", _waiting_for(gate))
    waiting = [asyncio.ensure_future(hashing.verify("hash", "one")) for _ in range(3)]
    await asyncio.sleep(0)
    for future in waiting:
        future.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)

    with pytest.raises(PasswordsBusyError):
        await hashing.verify("hash", "one")
    gate.set()


async def test_the_event_loop_goes_on_while_threads_hash(hashing: PasswordHashing) -> None:
    loop_thread = threading.get_ident()
    seen: list[int] = []

    await hashing._run(lambda: seen.append(threading.get_ident()))

    assert seen != [loop_thread]


async def test_a_name_that_nobody_has_costs_as_much_time_s19() -> None:
    """A rank test: neither kind of name is told by the time of its check."""
    hashing = PasswordHashing(HashCost(memory_kibibytes=2048, passes=1, lanes=1))
    known_hash = await hashing.hash("one")
    times: list[tuple[float, str]] = []
    for _ in range(60):
        for kind, password_hash in (("known", known_hash), ("unknown", None)):
            begun = time.perf_counter()
            assert await hashing.verify(password_hash, "two") is False
            times.append((time.perf_counter() - begun, kind))
    hashing.close()

    ranks = [rank for rank, (_, kind) in enumerate(sorted(times)) if kind == "known"]
    # The sum for 60 and 60 has the mean 3570 and the deviation 190; six deviations are no accident.
    assert 2430 < sum(ranks) < 4710


async def test_an_address_that_guesses_shuts_nobody_else_out_f41(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever comes from elsewhere is next, though as many wait as may."""
    hashing = PasswordHashing(_CHEAP, waiting=4, waiting_in_all=4)
    gate = threading.Event()
    begun: list[str] = []

    def matches(_hash: str, password: str) -> bool:
        begun.append(password)  # not when it ends: that is for the machine's scheduler to say
        return gate.wait(60)

    monkeypatch.setattr(hashing, "_matches", matches)
    ended: list[str] = []

    async def check(place: str) -> None:
        try:
            await hashing.verify("hash", place, place=place)
        except PasswordsBusyError:
            ended.append(f"{place} busy")
        else:
            ended.append(place)

    guesses = [asyncio.ensure_future(check("guesser")) for _ in range(7)]
    await asyncio.sleep(0)
    honest = asyncio.ensure_future(check("honest"))
    await asyncio.sleep(0)
    gate.set()
    await asyncio.gather(*guesses, honest)
    hashing.close()

    # Two threads and four places; the seventh is refused, and the last that waits has to go for the newcomer.
    assert sorted(ended) == ["guesser"] * 5 + ["guesser busy"] * 2 + ["honest"]
    assert begun.index("honest") <= 4  # the two under way, and the guesser's turn or two before it


async def test_hundreds_of_addresses_shut_nobody_out_where_a_password_was_right_before_f41(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """However many wait at as many places, and though each of them has no more than one."""
    hashing = PasswordHashing(_CHEAP, waiting=4, waiting_in_all=4)
    assert await hashing.verify(await hashing.hash("one"), "one", place="home")
    gate = threading.Event()
    monkeypatch.setattr(hashing, "_matches", _waiting_for(gate))
    checks = [hashing.verify("hash", "guess", place=f"guesser {number}") for number in range(300)]
    guesses = [asyncio.ensure_future(check) for check in checks]
    await asyncio.sleep(0)
    places = ("abroad", "home")
    honest = [asyncio.ensure_future(hashing.verify("hash", "one", place=place)) for place in places]
    await asyncio.sleep(0)
    gate.set()

    abroad, home = await asyncio.gather(*honest, return_exceptions=True)
    refused = await asyncio.gather(*guesses, return_exceptions=True)
    hashing.close()

    assert home is True
    assert isinstance(abroad, PasswordsBusyError)  # who is new there can't be told from those who guess
    assert sum(isinstance(one, PasswordsBusyError) for one in refused) == 294


async def test_what_waits_is_given_up_when_the_hashing_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    hashing = PasswordHashing(_CHEAP)
    gate = threading.Event()
    monkeypatch.setattr(hashing, "_matches", _waiting_for(gate))
    waiting = [asyncio.ensure_future(hashing.verify("hash", "one")) for _ in range(3)]
    await asyncio.sleep(0)

    hashing.close()
    gate.set()

    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert results[:2] == [True, True]
    assert isinstance(results[2], asyncio.CancelledError)


async def test_what_comes_after_the_end_is_refused_and_waits_for_nobody() -> None:
    hashing = PasswordHashing(_CHEAP)
    hashing.close()

    with pytest.raises(PasswordsBusyError):
        await asyncio.wait_for(hashing.verify("hash", "one"), 60)


async def test_a_machine_that_gives_no_thread_refuses_and_recovers(monkeypatch: pytest.MonkeyPatch) -> None:
    """As under a limit of processes; each refusal used to cost a thread for ever."""
    hashing = PasswordHashing(_CHEAP)
    submit = hashing._executor.submit

    def fail(*_: object) -> NoReturn:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(hashing._executor, "submit", fail)
    for _ in range(5):
        with pytest.raises(PasswordsBusyError):
            await hashing.hash("one")
    monkeypatch.setattr(hashing._executor, "submit", submit)

    assert await hashing.verify(await hashing.hash("one"), "one")
    hashing.close()
