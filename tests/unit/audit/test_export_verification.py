"""An export in an auditor's hands: each way of tampering is found, and the first bad record named."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from entrepot.audit.chain import chain_start, link_hash
from entrepot.audit.checkpoint_format import encode_checkpoint
from entrepot.audit.errors import AuditExportUnreadableError
from entrepot.audit.export_format import (
    ExportEnd,
    encode_line,
    encode_record,
)
from entrepot.audit.proof import FaultKind, SealedRecord
from entrepot.metadata.audit_store import END_OF_TIME
from tests.running.audit_material import BOB, KeyInMemory, pull_record
from tests.unit.audit.export_material import (
    AT,
    CHAIN,
    CHECKPOINT,
    COUNT,
    FIRST,
    HEADER,
    KEY,
    LINES,
    RECORDS,
    SIGNED,
    checkpoint_of,
    end_of,
    ending_of,
    faults_of,
    opening_of,
    seal,
    verify_export,
)

if TYPE_CHECKING:
    from collections.abc import Callable


def test_a_sound_export_is_proven_to_its_end() -> None:
    verdict = verify_export(LINES, [], [KEY.public_key])

    assert (verdict.records, verdict.signed, verdict.faults) == (5, 5, ())


def _without(*places: int) -> Callable[[], list[bytes]]:
    return lambda: [line for place, line in enumerate(LINES) if place not in places]


_CUT_HEADER = msgspec.structs.replace(
    HEADER, last=3, last_hash=RECORDS[2].chain_hash, made_at=AT + 3, signed=0
)


def _cut(*opening: bytes) -> list[bytes]:
    """Behind this opening, the first three records as if there had been no more, and no checkpoint."""
    return [*opening, *LINES[FIRST : FIRST + 3], encode_line(end_of(opening[0], RECORDS[:3], checkpoints=()))]


def _swapped() -> list[bytes]:
    lines = list(LINES)
    lines[FIRST + 1], lines[FIRST + 2] = lines[FIRST + 2], lines[FIRST + 1]
    return lines


def _made_anew() -> list[bytes]:
    """All but one record, sealed again under the same name with the old checkpoint."""
    records = seal(CHAIN, COUNT + 1)
    link = chain_start("sha256", CHAIN)
    kept: list[SealedRecord] = []
    for sequence, record in enumerate((records[0], *records[2:]), 1):
        link = link_hash("sha256", link, sequence, record.record_id, record.at, record.body)
        kept.append(msgspec.structs.replace(record, sequence=sequence, chain_hash=link))
    return [*LINES[:FIRST], *map(encode_record, kept), *LINES[-2:]]


def _of_another_database() -> list[bytes]:
    other = "d" * 32
    records = seal(other, COUNT)
    header = msgspec.structs.replace(
        HEADER, chain=other, after_hash=chain_start("sha256", other), last_hash=records[-1].chain_hash
    )
    opening = encode_line(header)
    return [opening, LINES[CHECKPOINT], *map(encode_record, records), encode_line(end_of(opening))]


def _with_a_field(place: int) -> Callable[[], list[bytes]]:
    """One line tells more than it did; other programs would read that, too."""

    def tampered() -> list[bytes]:
        lines = list(LINES)
        lines[place] = lines[place].replace(b"}\n", b',"user.name":"bob"}\n')
        return lines

    return tampered


@pytest.mark.parametrize(
    ("tampered", "kind", "sequence"),
    [
        (_without(FIRST + 2), FaultKind.DROPPED, 4),
        (_without(FIRST), FaultKind.DROPPED, 2),
        (_without(FIRST + 1, FIRST + 2), FaultKind.DROPPED, 4),
        (_without(FIRST + 5, FIRST + 6), FaultKind.TRUNCATED, 5),
        (_without(FIRST + 5), FaultKind.CHANGED, 6),
        (_without(FIRST + 6), FaultKind.UNSIGNED, 5),
        (_without(FIRST + 4), FaultKind.TRUNCATED, 4),
        (_without(FIRST + 4, FIRST + 5, FIRST + 6), FaultKind.TRUNCATED, 4),
        (lambda: [*LINES[:-2], LINES[-2][:10]], FaultKind.CHANGED, 6),
        (lambda: [*LINES[:-1], LINES[-1][:10]], FaultKind.CHANGED, 6),
        (lambda: [*LINES[:-1], LINES[1]], FaultKind.SIGNATURE, 5),
        (_with_a_field(FIRST + 6), FaultKind.CHANGED, 6),
        (_swapped, FaultKind.DROPPED, 3),
        (_made_anew, FaultKind.REPLACED, 5),
        (_with_a_field(CHECKPOINT), FaultKind.CHANGED, 0),
        (_with_a_field(1), FaultKind.CHANGED, 0),
        (_with_a_field(FIRST + 1), FaultKind.CHANGED, 2),
        (_with_a_field(FIRST + 5), FaultKind.CHANGED, 6),
        (lambda: [*LINES, LINES[FIRST]], FaultKind.CHANGED, 6),
        (lambda: [*LINES, b'{"type":"x"}'], FaultKind.CHANGED, 6),
        (lambda: [*LINES, b"\n"], FaultKind.CHANGED, 6),
        (lambda: [*LINES[:FIRST], LINES[1], *LINES[FIRST:]], FaultKind.CHANGED, 1),
        (lambda: [*LINES[:-2], *ending_of(ExportEnd(4, COUNT))], FaultKind.CHANGED, 6),
    ],
)
def test_each_way_of_tampering_is_found_and_the_first_bad_record_named(
    tampered: Callable[[], list[bytes]], kind: FaultKind, sequence: int
) -> None:
    assert faults_of(tampered()) == [(kind, sequence)]


def test_a_header_that_was_changed_is_not_what_was_signed() -> None:
    """Whatever else is wrong comes first."""
    start = msgspec.structs.replace(HEADER, after_hash="0" * 64)
    assert faults_of([encode_line(start), *LINES[1:]]) == [(FaultKind.REPLACED, 0), (FaultKind.SIGNATURE, 5)]

    times = msgspec.structs.replace(HEADER, until=AT)
    assert faults_of([encode_line(times), *LINES[1:]]) == [(FaultKind.SIGNATURE, 5)]

    more = LINES[0].replace(b"}\n", b',"user.name":"bob"}\n')
    assert faults_of([more, *LINES[1:]]) == [(FaultKind.CHANGED, 0), (FaultKind.SIGNATURE, 5)]


def test_a_tail_that_was_cut_off_with_every_mention_of_it_is_found_without_a_kept_checkpoint() -> None:
    """Who cuts has to change what was signed, or take the signature away, which nobody accepts without saying so."""
    assert faults_of(_cut(LINES[0], LINES[1])) == [(FaultKind.TRUNCATED, 3)]
    assert faults_of(_cut(encode_line(_CUT_HEADER), LINES[1])) == [(FaultKind.SIGNATURE, 3)]
    assert faults_of(_cut(*opening_of(_CUT_HEADER, KeyInMemory()))) == [(FaultKind.SIGNATURE, 3)]

    excused = msgspec.structs.replace(_CUT_HEADER, unsigned_because="the key is lost")
    (fault,) = verify_export(_cut(encode_line(excused)), [], [KEY.public_key]).faults
    assert (fault.kind, fault.sequence) == (FaultKind.UNSIGNED, 3)
    assert fault.message.endswith("records of the times asked for: the key is lost")


def test_what_is_not_signed_is_covered_by_a_kept_checkpoint_as_far_as_that_goes() -> None:
    later = msgspec.structs.replace(_CUT_HEADER, made_at=AT + 2000)
    cut = _cut(encode_line(later))
    assert faults_of(cut, SIGNED) == [(FaultKind.TRUNCATED, 3), (FaultKind.UNSIGNED, 3)]

    verdict = verify_export(cut, [checkpoint_of(RECORDS[1])], [KEY.public_key])
    assert (verdict.signed, verdict.uncovered) == (2, (3, 3))


def test_a_checkpoint_that_was_taken_away_is_missing_where_the_export_was_signed_up_to_it() -> None:
    unsigned = encode_line(msgspec.structs.replace(HEADER, unsigned_because="no key"))
    without = [unsigned, *LINES[FIRST:-2], encode_line(end_of(unsigned))]

    assert faults_of([unsigned, LINES[CHECKPOINT], *without[1:]]) == [(FaultKind.UNSIGNED, 5)]
    assert faults_of(without) == [(FaultKind.SIGNATURE, 5), (FaultKind.UNSIGNED, 5)]
    assert verify_export(without, [], []).signed == 0


def test_a_record_of_a_signed_end_can_not_be_made_anew() -> None:
    """What is only chained can be: its last record, sealed again with other words, is as good as the former."""
    forged = pull_record(99, BOB, record_id=RECORDS[-1].record_id)
    link = link_hash("sha256", RECORDS[-2].chain_hash, 5, forged.record_id, AT + 5, forged.body)
    record = SealedRecord(5, link, forged.record_id, AT + 5, forged.body, forged.disclosure)
    lines = [*LINES[:-3], encode_record(record), *LINES[-2:]]

    assert faults_of(lines) == [(FaultKind.REPLACED, 5)]
    assert faults_of([*lines[:CHECKPOINT], *lines[FIRST:]]) == [(FaultKind.REPLACED, 5)]
    header = msgspec.structs.replace(HEADER, last_hash=link, signed=0, unsigned_because="no key")
    opening = encode_line(header)
    lines = [opening, *lines[FIRST:-2], encode_line(end_of(opening, checkpoints=()))]
    verdict = verify_export(lines, [], [KEY.public_key])
    assert ([fault.kind for fault in verdict.faults], verdict.uncovered) == ([FaultKind.UNSIGNED], (1, 5))


def test_a_signed_header_proves_the_records_behind_the_last_checkpoint() -> None:
    header = msgspec.structs.replace(HEADER, signed=0)
    opening = opening_of(header)
    lines = [*opening, *LINES[FIRST:-2], *ending_of(end_of(opening[0], checkpoints=()))]

    verdict = verify_export(lines, [], [KEY.public_key])

    assert (verdict.signed, verdict.uncovered, verdict.faults) == (5, None, ())
    assert (verdict.since, verdict.until, verdict.made_at) == (0, END_OF_TIME, AT + 2000)


def _bare(*sequences: int) -> list[SealedRecord]:
    """Return the records, some of them without their personal data."""
    return [
        msgspec.structs.replace(record, disclosure=None) if record.sequence in sequences else record
        for record in RECORDS
    ]


def _with_records(records: list[SealedRecord], *ending: bytes) -> list[bytes]:
    return [*LINES[:FIRST], *map(encode_record, records), *ending]


def test_personal_data_that_were_taken_out_of_an_export_are_missed_8_1_4_3c() -> None:
    """All of them, one, one for another: who takes them out can't sign which there were."""
    everything = _with_records(_bare(1, 2, 3, 4, 5), *LINES[-2:])
    assert faults_of(everything) == [(FaultKind.DISCLOSURE, 1)]
    assert verify_export(everything, [], []).unaccounted == 5
    assert faults_of(_with_records(_bare(4), *LINES[-2:])) == [(FaultKind.DISCLOSURE, 4)]
    swapped = _with_records(_bare(4), *ending_of(end_of(LINES[0], _bare(2))))
    assert faults_of(swapped) == [(FaultKind.DISCLOSURE, 4)]
    mended = end_of(LINES[0], _bare(4))
    assert faults_of(_with_records(_bare(4), encode_line(mended), LINES[-1])) == [(FaultKind.SIGNATURE, 5)]
    assert faults_of(_with_records(_bare(4), *ending_of(mended, KeyInMemory()))) == [(FaultKind.SIGNATURE, 5)]
    assert faults_of(_with_records(_bare(4), encode_line(mended))) == [(FaultKind.UNSIGNED, 5)]


def test_personal_data_that_the_registry_had_erased_are_no_fault_wherever_their_erasure_is_recorded() -> None:
    verdict = verify_export(
        _with_records(_bare(2, 4), *ending_of(end_of(LINES[0], _bare(2, 4)))), [], [KEY.public_key]
    )
    assert (verdict.erased, verdict.unaccounted, verdict.faults) == (2, 0, ())


def test_personal_data_that_the_registry_lost_without_an_erasure_are_told() -> None:
    lost = _with_records(_bare(2, 4), *ending_of(end_of(LINES[0], _bare(2, 4), unaccounted=2)))
    (fault,) = verify_export(lost, [], [KEY.public_key]).faults
    assert (fault.kind, fault.sequence, fault.record_id) == (FaultKind.DISCLOSURE, 2, RECORDS[1].record_id)
    assert fault.message.startswith("2 records had no personal data when the export was made")


def test_the_end_of_another_export_of_the_same_records_is_found() -> None:
    """As of one that was made after an erasure."""
    later = encode_line(msgspec.structs.replace(HEADER, made_at=AT + 9000))
    lines = _with_records(_bare(2), *ending_of(end_of(later, _bare(2))))
    assert faults_of(lines) == [(FaultKind.DISCLOSURE, 2)]


def test_an_export_of_another_database_is_found_by_the_checkpoint() -> None:
    assert faults_of(_of_another_database()) == [(FaultKind.UNSIGNED, 5), (FaultKind.FOREIGN, 5)]


def test_a_checkpoint_signed_by_somebody_else_proves_nothing() -> None:
    forged = checkpoint_of(RECORDS[-1], key=KeyInMemory())

    lines = [*LINES[:CHECKPOINT], encode_checkpoint(forged), *LINES[FIRST:]]
    assert faults_of(lines) == [(FaultKind.SIGNATURE, 5)]


def test_a_changed_checkpoint_is_found_without_a_given_key() -> None:
    lines = list(LINES)
    lines[CHECKPOINT] = lines[CHECKPOINT].replace(b'\\"sequence\\":5', b'\\"sequence\\":4')
    assert lines != LINES

    assert [fault.kind for fault in verify_export(lines, [], []).faults] == [FaultKind.SIGNATURE]


@settings(max_examples=300)
@given(st.data())
def test_any_changed_byte_of_a_record_is_found_in_it(data: st.DataObject) -> None:
    number = data.draw(st.integers(0, COUNT - 1))
    line = bytearray(LINES[FIRST + number])
    place = data.draw(st.integers(0, len(line) - 2))
    line[place] ^= data.draw(st.integers(1, 255))
    lines = list(LINES)
    lines[FIRST + number] = bytes(line)

    faults = verify_export(b"".join(lines).splitlines(keepends=True), [], []).faults

    assert faults
    assert faults[0].sequence in (number + 1, number + 2) or faults[0].kind is FaultKind.DROPPED


_DEEP = b'{"x":' + b"[" * 50_000 + b"]" * 50_000 + b"}\n"


def test_what_is_nested_beyond_reason_ends_in_a_verdict() -> None:
    with pytest.raises(AuditExportUnreadableError):
        verify_export([_DEEP], [], [])
    assert faults_of([LINES[0], _DEEP, *LINES[2:]]) != []
    assert faults_of([*LINES[:FIRST], _DEEP, *LINES[FIRST:]]) == [(FaultKind.CHANGED, 1)]


def test_a_key_of_an_unknown_kind_proves_nothing() -> None:
    """A curve of which nobody has heard, in the place of P-256."""
    known, unknown = bytes.fromhex("2a8648ce3d030107"), bytes.fromhex("2a8648ce3d030163")
    key = KEY.public_key.replace(known, unknown)
    assert key != KEY.public_key
    line = msgspec.json.decode(LINES[1]) | {"public_key": base64.b64encode(key).decode()}
    lines = [LINES[0], msgspec.json.encode(line) + b"\n", *LINES[2:]]

    assert FaultKind.SIGNATURE in {fault.kind for fault in verify_export(lines, [], []).faults}


@pytest.mark.parametrize("lines", [[], [b"{}\n"], [b"hello\n"], LINES[1:]])
def test_what_is_no_export_is_said_to_be_none(lines: list[bytes]) -> None:
    with pytest.raises(AuditExportUnreadableError):
        verify_export(lines, [], [])


def test_an_export_of_a_later_format_is_not_judged() -> None:
    header = msgspec.structs.replace(HEADER, format=5)

    with pytest.raises(AuditExportUnreadableError, match="format 5"):
        verify_export([encode_line(header), *LINES[1:]], [], [])


def test_personal_data_that_were_taken_out_are_not_explained_by_an_end_that_a_stranger_signed() -> None:
    """The first line shows the key that kept checkpoints have; so must the last, or one of theirs (8.1.4.3c)."""
    bare = [msgspec.structs.replace(record, disclosure=None) for record in RECORDS]
    lines = [*LINES[:FIRST], *map(encode_record, bare)]
    stranger = KeyInMemory()
    forged = [*lines, *ending_of(end_of(LINES[0], bare), stranger)]

    faults = verify_export(forged, [SIGNED], []).faults

    assert [(fault.kind, fault.sequence) for fault in faults] == [(FaultKind.SIGNATURE, 5)]
    assert "the last line is signed with another key than the first" in faults[0].message
    # As where the first one was revoked meanwhile: the next one is vouched for by what it signed, or who was given it.
    later = checkpoint_of(RECORDS[-1], key=stranger)
    assert verify_export(forged, [SIGNED, later], []).faults == ()
    assert verify_export(forged, [], [KEY.public_key, stranger.public_key]).faults == ()
