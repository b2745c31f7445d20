"""Who was let in before does not wait behind those whom nobody knows (F41)."""

from __future__ import annotations

from entrepot.auth.people.waiting_room import WaitingRoom


def _room(*known: str, each: int = 9, whole: int = 9, most_known: int = 9) -> WaitingRoom[str]:
    room: WaitingRoom[str] = WaitingRoom(each, whole, most_known)
    for place in known:
        room.welcome(place)
    return room


def _joined(room: WaitingRoom[str], *items: str) -> list[str | None]:
    """Let items wait, each at the place that its first letter names."""
    return [room.join(item[0], item) for item in items]


def test_places_that_are_known_have_three_turns_of_four_f41() -> None:
    room = _room("k")
    _joined(room, "a1", "b1", "c1", "d1", "k1", "k2", "k3", "k4")

    assert [room.take() for _ in range(9)] == ["k1", "k2", "k3", "a1", "k4", "b1", "c1", "d1", None]


def test_a_full_line_of_unknown_places_keeps_no_known_one_out_f41() -> None:
    room = _room("k", each=1, whole=3)

    assert _joined(room, "a1", "b1", "c1", "d1", "k1", "k2") == [None, None, None, "d1", None, "k2"]
    assert room.take() == "k1"


def test_known_places_do_not_starve_the_others() -> None:
    room = _room("k", "l")
    _joined(room, "k1", "k2", "k3", "k4", "l1", "l2", "l3", "a1")

    assert "a1" in [room.take() for _ in range(4)]


def test_the_place_that_was_unused_for_longest_is_forgotten_f41() -> None:
    """So nobody fills the memory with addresses."""
    room = _room("k", "l", "k", "m", most_known=2)
    _joined(room, "l1", "k1", "m1")

    assert [room.take() for _ in range(3)] == ["k1", "m1", "l1"]


def test_turns_are_counted_only_while_both_wait() -> None:
    room = _room("k")
    for number in range(5):
        _joined(room, f"a{number}")
        assert room.take() == f"a{number}"
    _joined(room, "k1", "a9")

    assert [room.take(), room.take()] == ["k1", "a9"]
