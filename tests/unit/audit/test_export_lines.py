"""Every byte of an export counts, also those of lines that prove no record."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from entrepot.audit.checkpoint_format import encode_checkpoint
from entrepot.audit.export_verification import verify_export as verify_lines
from entrepot.audit.proof import FaultKind
from entrepot.kernel.errors import EntrepotError
from tests.unit.audit.export_material import (
    CHECKPOINT,
    FIRST,
    HEADER,
    LINES,
    OPENING,
    RECORDS,
    checkpoint_of,
    end_of,
    ending_of,
    faults_of,
    opening_of,
)

if TYPE_CHECKING:
    from entrepot.audit.export_format import ExportHeader


_FORMER = Path(__file__).parent / "former_exports"
_FOUR = [checkpoint_of(record) for record in RECORDS[1:]]
_WITH_FOUR = [
    *OPENING,
    *(encode_checkpoint(checkpoint) + b"\n" for checkpoint in _FOUR),
    *LINES[FIRST:-2],
    *ending_of(end_of(OPENING[0], checkpoints=_FOUR)),
]


@pytest.mark.parametrize(
    "order", [[3], [0, 1, 3], [0, 0, 1, 2, 3], [0, 1, 2, 3, 3], [1, 0, 2, 3], [0, 1, 2, 0, 3]]
)
def test_checkpoints_that_were_dropped_doubled_or_swapped_are_missed_though_the_rest_proves_the_records(
    order: list[int],
) -> None:
    """The last one is there each time, and the header is signed as well."""
    assert faults_of(_WITH_FOUR) == []
    lines = [*OPENING, *(_WITH_FOUR[CHECKPOINT + place] for place in order), *_WITH_FOUR[CHECKPOINT + 4 :]]

    assert faults_of(lines) == [(FaultKind.CHANGED, 0)]


@pytest.mark.parametrize(
    ("place", "fault"),
    [
        (1, (FaultKind.SIGNATURE, 5)),
        (CHECKPOINT, (FaultKind.CHANGED, 0)),
        (len(LINES) - 1, (FaultKind.SIGNATURE, 5)),
    ],
)
def test_a_key_that_a_signatures_line_names_otherwise_is_found(
    place: int, fault: tuple[FaultKind, int]
) -> None:
    lines = list(LINES)
    lines[place] = lines[place].replace(b'"key_id":"key-1"', b'"key_id":"key-2"')
    assert lines != LINES

    assert faults_of(lines) == [fault]


def test_a_last_line_that_is_not_ended_is_found() -> None:
    (fault,) = verify_lines([*LINES[:-1], LINES[-1].rstrip()], [], []).faults
    assert (fault.kind, fault.message) == (FaultKind.TRUNCATED, "the last line has no end")


@settings(max_examples=400)
@given(st.data())
def test_any_changed_byte_of_an_export_is_found(data: st.DataObject) -> None:
    content = bytearray(b"".join(_WITH_FOUR))
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))

    try:
        faults = verify_lines(io.BytesIO(content), [], []).faults
    except EntrepotError:  # it can't be read
        return
    assert faults


def _of_before(header: ExportHeader) -> list[bytes]:
    """Return an export of these records as it was when no line named its key."""
    opening = opening_of(header)
    unset = dict.fromkeys(("key_id", "checkpoints", "checkpoints_which"), msgspec.UNSET)
    end = msgspec.structs.replace(end_of(opening[0]), **unset)
    return [*opening, *LINES[CHECKPOINT:-2], *ending_of(end)]


def test_exports_of_before_the_signed_lines_named_their_keys_can_be_verified() -> None:
    header = msgspec.structs.replace(HEADER, format=2, key_id=msgspec.UNSET)
    lines = _of_before(header)

    assert b"key_id" not in lines[0] + lines[-2]
    assert faults_of(lines) == []
    assert faults_of(_of_before(msgspec.structs.replace(header, format=3))) == [
        (FaultKind.CHANGED, 6),
        (FaultKind.CHANGED, 0),
    ]
    assert faults_of([*lines[:-2], *LINES[-2:]]) == [(FaultKind.CHANGED, 6)]


@pytest.mark.parametrize("name", ["format-2", "format-3-without-node-at"])
def test_exports_that_former_programs_wrote_are_sound_and_a_changed_first_line_of_theirs_is_not_i11(
    name: str,
) -> None:
    """Their bytes are those of real programs, which did not tell the clock of the process."""
    lines = (_FORMER / f"{name}.jsonl").read_bytes().splitlines(keepends=True)
    assert b"node_at" not in lines[0]

    verdict = verify_lines(lines, [], [])

    assert (verdict.faults, verdict.last, verdict.signed) == ((), 2, 2)
    added = lines[0].replace(b'"purge_record"', b'"node_at":0,"purge_record"')
    assert added != lines[0]
    faults = verify_lines([added, *lines[1:]], [], []).faults
    assert [fault.kind for fault in faults] == [FaultKind.SIGNATURE]


@pytest.mark.parametrize("left_out", [("node_at",), ("node_at", "purged", "purged_hash", "purge_record")])
def test_a_header_may_leave_out_only_what_former_programs_did_not_tell(left_out: tuple[str, ...]) -> None:
    def header_without(*names: str) -> bytes:
        told: dict[str, object] = msgspec.json.decode(LINES[0])
        kept = {name: part for name, part in told.items() if name not in names}
        return msgspec.json.encode(kept) + b"\n"

    for names, kinds in (
        (left_out, [FaultKind.SIGNATURE]),
        (("unsigned_because",), [FaultKind.CHANGED, FaultKind.SIGNATURE]),
    ):
        faults = verify_lines([header_without(*names), *LINES[1:]], [], []).faults
        assert [fault.kind for fault in faults] == kinds
