"""Which of the states after a crash are tried: all of them where they are few, else extremes and seeded samples."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass
from itertools import combinations, islice, zip_longest
from typing import TYPE_CHECKING, Any, Final, TypeVar

from tests.faults.crashstates.history import PAGE_BYTES, SECTOR_BYTES, CrashState, Damage, DamageKind
from tests.faults.crashstates.operations import AddEntry, Mark, RemoveEntry, Rename, Write

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tests.faults.crashstates.history import History

__all__ = ["Thoroughness", "choose", "coverage", "distinct_states", "enumerate_states"]

_T = TypeVar("_T")
_LOG_SUFFIX: Final = "-wal"
_DATABASE_SUFFIX: Final = ".db"


@dataclass(frozen=True, slots=True)
class Thoroughness:
    """How much is tried at each crash.

    Attributes:
        all_subsets_up_to: so many operations in doubt have every subset of them lost.
        samples: so many random subsets are lost where more are in doubt.
        torn_writes: so many of the writes in doubt are damaged, in every way.
        crashes: after so many writes at most the power fails, chosen by chance; and after each other operation, and
            each answer to the client.
    """

    all_subsets_up_to: int
    samples: int
    torn_writes: int
    crashes: int


def enumerate_states(history: History, thoroughness: Thoroughness, seed: int) -> Iterator[CrashState]:
    """Yield states for a crash after each operation with an effect, and after each answer to the client.

    The operation that was just done is there: without it, the state is one of the crash before. A sync only removes
    states, so no crash is tried between it and what follows.
    """
    draw = random.Random(seed)
    for length in _moments(history, thoroughness.crashes, draw):
        newest = length - 1
        in_doubt = history.volatile(length)
        free = [index for index in in_doubt if index != newest]
        for lost in _lost_sets(free, thoroughness, draw):
            yield CrashState(length, history.with_consequences(length, lost))
        for state in _damaged(history, length, in_doubt, thoroughness, draw):
            yield CrashState(length, history.with_consequences(length, state.lost), state.damaged)


def distinct_states(history: History, states: Iterable[CrashState]) -> tuple[int, list[CrashState]]:
    """Return how many there were, and one state for each tree: the latest, when the client had been told most."""
    latest: dict[Any, CrashState] = {}
    count = 0
    for count, state in enumerate(states, 1):  # noqa: B007 - counts what an iterator yields
        signature = history.signature(state)
        known = latest.get(signature)
        if known is None or known.length < state.length:
            latest[signature] = state
    return count, sorted(latest.values(), key=lambda state: (state.length, sorted(state.lost), state.damaged))


def choose(history: History, states: list[CrashState], most: int, seed: int) -> tuple[list[CrashState], int]:
    """Return at most `most` states, as different as can be, and the number of classes they were drawn from.

    Every moment of a crash has its turn before any has a second one, and so has every class within a moment. Two states
    are of one class when only what follows the first gap in SQLite's log tells them apart: SQLite reads up to there.
    """
    draw = random.Random(seed)
    moments: dict[int, dict[Any, list[CrashState]]] = {}
    for state in draw.sample(states, len(states)):
        moments.setdefault(state.length, {}).setdefault(_class_of(history, state), []).append(state)
    count = len({one for classes in moments.values() for one in classes})
    queues = [_by_turns(list(classes.values()), draw) for classes in moments.values()]
    return list(islice(_by_turns(queues, draw), most)), count


def _by_turns(queues: list[list[_T]], draw: random.Random) -> list[_T]:
    """Return the members of all queues: the first of each, in an order of chance, then the second of each."""
    draw.shuffle(queues)
    rounds = zip_longest(*queues, fillvalue=None)
    return [one for members in rounds for one in members if one is not None]


def coverage(history: History, state: CrashState) -> Counter[str]:
    """Count the kinds of loss that make `state` interesting."""
    seen: Counter[str] = Counter()
    by_half = {one.operation: one.kind for one in state.damaged}
    kept = [index for index in history.volatile(state.length) if index not in state.lost]
    for index in (*state.lost, *by_half):
        seen[_what_happened(history, index, by_half.get(index))] += 1
    hurt = {node for index in (*state.lost, *by_half) if (node := history.written_node(index)) is not None}
    for index in kept:
        operation = history.operations[index]
        if isinstance(operation, Rename) and operation.node in hurt:
            seen["renamed without all its bytes"] += 1
        elif isinstance(operation, AddEntry) and operation.node in hurt:
            seen["named without all its bytes"] += 1
        elif (
            isinstance(operation, Write)
            and operation.node in hurt
            and any(
                earlier < index and history.written_node(earlier) == operation.node for earlier in state.lost
            )
        ):
            seen[f"{_role(history, operation.node)}: written out of order"] += 1
    if not state.lost and not state.damaged:
        seen["nothing lost"] += 1
    return Counter(dict.fromkeys(seen, 1))


def _moments(history: History, most: int, draw: random.Random) -> list[int]:
    """Return after how many operations the power fails."""
    operations = range(history.begin, len(history.operations))
    writes = [index + 1 for index in operations if history.written_node(index) is not None]
    others = [
        index + 1
        for index in operations
        if isinstance(history.operations[index], Mark | AddEntry | RemoveEntry | Rename)
    ]
    return sorted([*others, *(draw.sample(writes, most) if len(writes) > most else writes)])


def _lost_sets(free: list[int], thoroughness: Thoroughness, draw: random.Random) -> Iterator[frozenset[int]]:
    if len(free) <= thoroughness.all_subsets_up_to:
        for size in range(len(free) + 1):
            yield from map(frozenset, combinations(free, size))
        return
    everything = frozenset(free)
    yield frozenset()
    yield everything
    for index in free:
        yield frozenset((index,))
        yield everything - {index}
    for _ in range(thoroughness.samples):
        share = draw.random()
        yield frozenset(index for index in free if draw.random() < share)


def _damaged(
    history: History, length: int, in_doubt: list[int], thoroughness: Thoroughness, draw: random.Random
) -> Iterator[CrashState]:
    writes = [index for index in in_doubt if isinstance(history.operations[index], Write)]
    if len(writes) > thoroughness.torn_writes:
        writes = sorted(draw.sample(writes, thoroughness.torn_writes))
    for index in writes:
        others = frozenset(in_doubt) - {index, length - 1}
        for damage in _damages(history, index, draw):
            yield CrashState(length, frozenset(), (damage,))
            yield CrashState(length, others, (damage,))


def _damages(history: History, index: int, draw: random.Random) -> Iterator[Damage]:
    write = history.operations[index]
    assert isinstance(write, Write)
    sectors, pages = len(write.data) // SECTOR_BYTES, -(-len(write.data) // PAGE_BYTES)
    if sectors > 1:
        yield Damage(index, DamageKind.PREFIX, SECTOR_BYTES * draw.randrange(1, sectors))
    if pages > 1:
        yield Damage(index, DamageKind.PAGES, draw.randrange(1, (1 << pages) - 1))
    yield Damage(index, DamageKind.ZEROS)
    yield Damage(index, DamageKind.GARBAGE)


def _class_of(history: History, state: CrashState) -> Any:
    parts: list[Any] = [len(history.marks(state.length))]
    for file in history.signature(state):
        if file.path.endswith(_LOG_SUFFIX) and (file.lost or file.damaged):
            parts.append((file.path, min((*file.lost, *(one.operation for one in file.damaged)))))
        else:
            parts.append(file)
    return tuple(parts)


def _what_happened(history: History, index: int, damage: DamageKind | None) -> str:
    operation = history.operations[index]
    if isinstance(operation, AddEntry):
        return "a directory's name lost" if operation.is_directory else "a new name lost"
    if isinstance(operation, Rename):
        return "a rename lost"
    if isinstance(operation, RemoveEntry):
        return "a removed name is back"
    node = history.written_node(index)
    assert node is not None
    return f"{_role(history, node)}: {'lost' if damage is None else damage.value}"


def _role(history: History, node: int) -> str:
    name = history.name_of(node)
    if name.endswith(_LOG_SUFFIX):
        return "log"
    return "database" if name.endswith(_DATABASE_SUFFIX) else "file"
