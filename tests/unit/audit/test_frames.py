"""Frames: what is whole is read, what is torn waits, what is damaged is passed over."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from entrepot.audit.frames import encode_frame, read_frames
from tests.running.audit_material import pull_record

_RECORDS = tuple(pull_record(number) for number in range(3))
_FRAMES = tuple(encode_frame(record) for record in _RECORDS)
_WHOLE = b"".join(_FRAMES)


def test_whole_frames_are_read_to_the_end() -> None:
    batch = read_frames(_WHOLE)

    assert (batch.records, batch.consumed, batch.damaged, batch.pending) == (_RECORDS, len(_WHOLE), 0, 0)


@given(st.integers(0, len(_WHOLE)))
def test_a_torn_end_waits_and_costs_nothing_before_it(length: int) -> None:
    batch = read_frames(_WHOLE[:length])

    whole = length // len(_FRAMES[0])
    assert batch.records == _RECORDS[:whole]
    assert (batch.consumed, batch.damaged) == (whole * len(_FRAMES[0]), 0)
    assert batch.pending == length - batch.consumed


@given(st.integers(0, len(_FRAMES[0]) - 1), st.integers(1, 255))
def test_a_changed_byte_costs_one_record_and_is_counted(place: int, change: int) -> None:
    hurt = bytearray(_WHOLE)
    hurt[len(_FRAMES[0]) + place] ^= change

    batch = read_frames(bytes(hurt))

    assert batch.records == (_RECORDS[0], _RECORDS[2])
    assert (batch.damaged, batch.pending) == (len(_FRAMES[1]), 0)


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_anything_else_is_never_taken_for_a_record(before: bytes, after: bytes) -> None:
    batch = read_frames(before + _FRAMES[0] + after)

    assert batch.records == (_RECORDS[0],)
    assert batch.consumed + batch.pending == len(before) + len(_FRAMES[0]) + len(after)


def test_a_mark_inside_a_record_that_is_hurt_misleads_nobody() -> None:
    inner = encode_frame(pull_record(9))[:20]
    hurt = _FRAMES[0][:-5] + inner + _FRAMES[1]

    assert read_frames(hurt).records == (_RECORDS[1],)
