"""Decisions are remembered briefly, within bounds, and never beyond a move of any epoch."""

from __future__ import annotations

from entrepot.auth.decision_memory import DecisionMemory
from tests.unit.auth.identity_fakes import HandClock, HandEpochs


def test_a_decision_is_remembered_for_thirty_seconds() -> None:
    clock = HandClock()
    memory: DecisionMemory[str] = DecisionMemory(HandEpochs(), clock=clock)
    memory.keep("a", "yes", memory.moves())

    clock.now += 29.9
    assert memory.find("a") == "yes"
    clock.now += 0.1
    assert memory.find("a") is None


def test_s14_a_move_makes_it_forget_everything() -> None:
    epochs = HandEpochs()
    memory: DecisionMemory[str] = DecisionMemory(epochs)
    memory.keep("a", "yes", memory.moves())

    epochs.moved += 1

    assert memory.find("a") is None


def test_s14_what_was_read_before_a_move_is_not_remembered_after_it() -> None:
    epochs = HandEpochs()
    memory: DecisionMemory[str] = DecisionMemory(epochs)
    moves = memory.moves()

    epochs.moved += 1
    memory.keep("a", "yes", moves)

    assert memory.find("a") is None


def test_i12_the_one_that_was_not_asked_for_longest_makes_room() -> None:
    memory: DecisionMemory[int] = DecisionMemory(HandEpochs(), capacity=2)
    for number in (1, 2):
        memory.keep(number, number, memory.moves())
    memory.find(1)

    memory.keep(3, 3, memory.moves())

    assert [memory.find(number) for number in (1, 2, 3)] == [1, None, 3]
