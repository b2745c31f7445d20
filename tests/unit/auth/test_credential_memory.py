"""What is remembered of credentials that were right: bounded, short, and no secret."""

from __future__ import annotations

import gc
import itertools

import pytest

from entrepot.auth.credential_memory import CredentialMemory, Verified
from entrepot.auth.principals import BY_THE_HOST, Principal, Sponsor
from entrepot.metadata.errors import MetadataUnavailableError
from tests.plumbing.identity_doubles import ScriptedEpochs

_CANARY = "canary-Secret-7731"


class _Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def _verified(subject: str = "s1", epoch: int | None = 3, seconds_left: float | None = None) -> Verified:
    principal = Principal(subject, "192.0.2.1", forwarded=False, name="alice", kind="user")
    return Verified(principal, epoch, seconds_left)


def _memory(capacity: int = 10) -> tuple[CredentialMemory, ScriptedEpochs, _Clock]:
    epochs, clock = ScriptedEpochs(), _Clock()
    return CredentialMemory(epochs, capacity=capacity, clock=clock), epochs, clock


@pytest.mark.parametrize(
    ("seconds_left", "remembered_until"), [(None, 60.0), (100.0, 60.0), (5.0, 5.0), (0.5, 0.5)]
)
def test_a_credential_is_remembered_for_a_minute_and_never_beyond_its_end(
    seconds_left: float | None, remembered_until: float
) -> None:
    memory, _, clock = _memory()
    verified = _verified(seconds_left=seconds_left)
    memory.remember(b"k", verified, memory.moment())

    clock.seconds += remembered_until - 0.001
    assert memory.find(b"k") == verified
    clock.seconds += 0.001
    assert memory.find(b"k") is None
    assert len(memory) == 0


def test_a_subject_that_moved_is_not_remembered_s14() -> None:
    memory, epochs, _ = _memory()
    memory.remember(b"k", _verified(), memory.moment())

    epochs.seen["s1"] = 3
    assert memory.find(b"k") is not None
    epochs.seen["s1"] = 4
    assert memory.find(b"k") is None


@pytest.mark.parametrize("sponsor", [Sponsor("s9", 5), BY_THE_HOST])
def test_a_robot_is_not_remembered_beyond_a_change_of_who_answers_for_it_s9_s14(sponsor: Sponsor) -> None:
    memory, epochs, _ = _memory()
    robot = Principal("s1", "192.0.2.1", forwarded=False, name="robot$ci", kind="robot", sponsor=sponsor)
    memory.remember(b"k", Verified(robot, 3), memory.moment())

    epochs.seen["s9"] = 5
    assert memory.find(b"k") is not None
    epochs.seen["s9"] = 6
    assert (memory.find(b"k") is None) == (sponsor is not BY_THE_HOST)


def test_what_moved_while_it_was_checked_is_not_remembered_s14() -> None:
    memory, epochs, _ = _memory()
    epochs.seen["s1"] = 4
    memory.remember(b"k", _verified(), memory.moment())

    assert len(memory) == 0


def test_who_was_forgotten_is_forgotten_at_once_and_nobody_else_s14() -> None:
    memory, _, _ = _memory()
    memory.remember(b"a", _verified(), memory.moment())
    memory.remember(b"b", _verified("s2"), memory.moment())

    memory.forget("s1")

    assert memory.find(b"a") is None
    assert memory.find(b"b") is not None


def test_a_check_that_was_under_way_when_somebody_was_forgotten_leaves_nothing_s14() -> None:
    """It may have read the row from before."""
    memory, _, _ = _memory()
    moment = memory.moment()
    memory.forget("s1")
    memory.remember(b"k", _verified(), moment)

    assert len(memory) == 0


def test_what_has_no_epoch_is_not_remembered() -> None:
    memory, _, _ = _memory()
    memory.remember(b"k", _verified(epoch=None), memory.moment())

    assert len(memory) == 0


def test_nothing_is_vouched_for_without_the_database_i6() -> None:
    memory, epochs, _ = _memory()
    memory.remember(b"k", _verified(), memory.moment())
    epochs.fresh = False

    with pytest.raises(MetadataUnavailableError):
        memory.find(b"k")


def test_the_memory_is_bounded_and_keeps_what_is_used() -> None:
    memory, _, _ = _memory(capacity=3)
    for number in range(3):
        memory.remember(bytes([number]), _verified(), memory.moment())
    memory.find(b"\x00")
    memory.remember(b"\x03", _verified(), memory.moment())

    assert len(memory) == 3
    assert [memory.find(bytes([number])) is not None for number in range(4)] == [True, False, True, True]


def test_no_two_attempts_share_a_key() -> None:
    """Parts can't be shifted from one to the next, and address and proxy count."""
    memory, _, _ = _memory()
    attempts = list(itertools.product(["a", "ab", ""], ["a", "b", "ab", ""], ["a", "b", ""], [True, False]))

    keys = {
        memory.key(name, secret, address, forwarded=forwarded)
        for name, secret, address, forwarded in attempts
    }

    assert len(keys) == len(attempts)
    assert memory.key("\ud800", "a", "", forwarded=False)


def test_keys_are_worth_nothing_in_another_process() -> None:
    one, other = _memory()[0], _memory()[0]

    assert one.key("a", "b", "c", forwarded=False) != other.key("a", "b", "c", forwarded=False)


def test_no_secret_stays_in_memory_s27() -> None:
    memory, _, _ = _memory()
    memory.remember(memory.key("alice", _CANARY, "", forwarded=False), _verified(), memory.moment())

    held = [memory._entries, *gc.get_referents(memory._entries)]
    assert _CANARY not in repr(held)
    assert _CANARY not in repr(vars(memory))
