"""An export in an auditor's hands: each way of tampering is found, and the first bad record named."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from entrepot.audit.chain import chain_start, link_hash
from entrepot.audit.checkpoints import CheckpointContent, encode_checkpoint
from entrepot.audit.errors import AuditExportUnreadableError
from entrepot.audit.export_format import ExportEnd, ExportHeader, encode_line, encode_record, encode_signature
from entrepot.audit.export_verification import verify_export
from entrepot.audit.proof import FaultKind, SealedRecord
from entrepot.metadata.audit_store import END_OF_TIME, CheckpointRow
from tests.running.audit_material import ALICE, BOB, KeyInMemory, pull_record

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_CHAIN = "c" * 32
_KEY = KeyInMemory()
_COUNT = 5
_AT = 1_790_000_000_000


def _seal(chain: str, count: int) -> list[SealedRecord]:
    sealed: list[SealedRecord] = []
    link = chain_start("sha256", chain)
    for sequence in range(1, count + 1):
        made = pull_record(sequence, (ALICE, BOB)[sequence % 2], record_id=f"{sequence:032d}")
        link = link_hash("sha256", link, sequence, made.record_id, _AT + sequence, made.body)
        sealed.append(
            SealedRecord(sequence, link, made.record_id, _AT + sequence, made.body, made.disclosure)
        )
    return sealed


def _checkpoint(record: SealedRecord, chain: str = _CHAIN, key: KeyInMemory = _KEY) -> CheckpointRow:
    content = CheckpointContent(1, chain, "sha256", record.sequence, record.chain_hash, _AT + 1000)
    signed = msgspec.json.encode(content)
    made = asyncio.run(key.sign(signed))
    return CheckpointRow(
        record.sequence,
        record.chain_hash,
        made.algorithm,
        made.key_id,
        made.public_key,
        signed,
        made.signature,
        _AT + 1000,
    )


_RECORDS = _seal(_CHAIN, _COUNT)
_HEADER = ExportHeader(
    format=2,
    chain=_CHAIN,
    algorithm="sha256",
    after=0,
    after_hash=chain_start("sha256", _CHAIN),
    last=_COUNT,
    last_hash=_RECORDS[-1].chain_hash,
    since=0,
    until=END_OF_TIME,
    made_at=_AT + 2000,
    signed=_COUNT,
)


def _opening(header: ExportHeader, key: KeyInMemory = _KEY) -> list[bytes]:
    """Return the line of a header and that of its signature."""
    line = encode_line(header)
    return [line + b"\n", encode_signature(asyncio.run(key.sign(line))) + b"\n"]


def _end(opening: bytes, records: Sequence[SealedRecord] = _RECORDS, **other: int) -> ExportEnd:
    """Return the end of an export with this first line, and of these records."""
    which = hashlib.sha256()
    bare = [record.sequence for record in records if record.disclosure is None]
    which.update(b"".join(b"%d\n" % sequence for sequence in bare))
    header = hashlib.sha256(opening.removesuffix(b"\n")).hexdigest()
    made = ExportEnd(len(records), len(records), header, len(bare), which.hexdigest())
    return msgspec.structs.replace(made, **other)


def _ending(end: ExportEnd, key: KeyInMemory = _KEY) -> list[bytes]:
    """Return the line of an end and that of its signature."""
    line = encode_line(end)
    return [line + b"\n", encode_signature(asyncio.run(key.sign(line))) + b"\n"]


_SIGNED = _checkpoint(_RECORDS[-1])
_OPENING = _opening(_HEADER)
_LINES = [
    *_OPENING,
    *(line + b"\n" for line in (encode_checkpoint(_SIGNED), *map(encode_record, _RECORDS))),
    *_ending(_end(_OPENING[0])),
]
_CHECKPOINT = 2
"""The place of the checkpoint among the lines."""
_FIRST = 3
"""The place of the first record among the lines."""


def _faults(lines: list[bytes], *kept: CheckpointRow) -> list[tuple[FaultKind, int]]:
    return [(fault.kind, fault.sequence) for fault in verify_export(lines, kept, [_KEY.public_key]).faults]


def test_a_sound_export_is_proven_to_its_end() -> None:
    verdict = verify_export(_LINES, [], [_KEY.public_key])

    assert (verdict.records, verdict.signed, verdict.faults) == (5, 5, ())


def _without(*places: int) -> Callable[[], list[bytes]]:
    return lambda: [line for place, line in enumerate(_LINES) if place not in places]


_CUT_HEADER = msgspec.structs.replace(
    _HEADER, last=3, last_hash=_RECORDS[2].chain_hash, made_at=_AT + 3, signed=0
)


def _cut(*opening: bytes) -> list[bytes]:
    """Behind this opening, the first three records as if there had been no more, and no checkpoint."""
    return [*opening, *_LINES[_FIRST : _FIRST + 3], encode_line(_end(opening[0], _RECORDS[:3]))]


def _swapped() -> list[bytes]:
    lines = list(_LINES)
    lines[_FIRST + 1], lines[_FIRST + 2] = lines[_FIRST + 2], lines[_FIRST + 1]
    return lines


def _made_anew() -> list[bytes]:
    """All but one record, sealed again under the same name with the old checkpoint."""
    records = _seal(_CHAIN, _COUNT + 1)
    link = chain_start("sha256", _CHAIN)
    kept: list[SealedRecord] = []
    for sequence, record in enumerate((records[0], *records[2:]), 1):
        link = link_hash("sha256", link, sequence, record.record_id, record.at, record.body)
        kept.append(msgspec.structs.replace(record, sequence=sequence, chain_hash=link))
    return [*_LINES[:_FIRST], *map(encode_record, kept), *_LINES[-2:]]


def _of_another_database() -> list[bytes]:
    other = "d" * 32
    records = _seal(other, _COUNT)
    header = msgspec.structs.replace(
        _HEADER, chain=other, after_hash=chain_start("sha256", other), last_hash=records[-1].chain_hash
    )
    opening = encode_line(header)
    return [opening, _LINES[_CHECKPOINT], *map(encode_record, records), encode_line(_end(opening))]


def _with_a_field(place: int) -> Callable[[], list[bytes]]:
    """One line tells more than it did; other programs would read that, too."""

    def tampered() -> list[bytes]:
        lines = list(_LINES)
        lines[place] = lines[place].replace(b"}\n", b',"user.name":"bob"}\n')
        return lines

    return tampered


@pytest.mark.parametrize(
    ("tampered", "kind", "sequence"),
    [
        (_without(_FIRST + 2), FaultKind.DROPPED, 4),
        (_without(_FIRST), FaultKind.DROPPED, 2),
        (_without(_FIRST + 1, _FIRST + 2), FaultKind.DROPPED, 4),
        (_without(_FIRST + 5, _FIRST + 6), FaultKind.TRUNCATED, 5),
        (_without(_FIRST + 5), FaultKind.CHANGED, 6),
        (_without(_FIRST + 6), FaultKind.UNSIGNED, 5),
        (_without(_FIRST + 4), FaultKind.TRUNCATED, 4),
        (_without(_FIRST + 4, _FIRST + 5, _FIRST + 6), FaultKind.TRUNCATED, 4),
        (lambda: [*_LINES[:-2], _LINES[-2][:10]], FaultKind.CHANGED, 6),
        (lambda: [*_LINES[:-1], _LINES[-1][:10]], FaultKind.CHANGED, 6),
        (lambda: [*_LINES[:-1], _LINES[1]], FaultKind.SIGNATURE, 5),
        (_with_a_field(_FIRST + 6), FaultKind.CHANGED, 6),
        (_swapped, FaultKind.DROPPED, 3),
        (_made_anew, FaultKind.REPLACED, 5),
        (_with_a_field(_CHECKPOINT), FaultKind.CHANGED, 0),
        (_with_a_field(1), FaultKind.CHANGED, 0),
        (_with_a_field(_FIRST + 1), FaultKind.CHANGED, 2),
        (_with_a_field(_FIRST + 5), FaultKind.CHANGED, 6),
        (lambda: [*_LINES, _LINES[_FIRST]], FaultKind.CHANGED, 6),
        (lambda: [*_LINES, b'{"type":"x"}'], FaultKind.CHANGED, 6),
        (lambda: [*_LINES, b"\n"], FaultKind.CHANGED, 6),
        (lambda: [*_LINES[:_FIRST], _LINES[1], *_LINES[_FIRST:]], FaultKind.CHANGED, 1),
        (lambda: [*_LINES[:-2], *_ending(ExportEnd(4, _COUNT))], FaultKind.CHANGED, 6),
    ],
)
def test_each_way_of_tampering_is_found_and_the_first_bad_record_named(
    tampered: Callable[[], list[bytes]], kind: FaultKind, sequence: int
) -> None:
    assert _faults(tampered()) == [(kind, sequence)]


def test_a_header_that_was_changed_is_not_what_was_signed() -> None:
    """Whatever else is wrong comes first."""
    start = msgspec.structs.replace(_HEADER, after_hash="0" * 64)
    assert _faults([encode_line(start), *_LINES[1:]]) == [(FaultKind.REPLACED, 0), (FaultKind.SIGNATURE, 5)]

    times = msgspec.structs.replace(_HEADER, until=_AT)
    assert _faults([encode_line(times), *_LINES[1:]]) == [(FaultKind.SIGNATURE, 5)]

    more = _LINES[0].replace(b"}\n", b',"user.name":"bob"}\n')
    assert _faults([more, *_LINES[1:]]) == [(FaultKind.CHANGED, 0), (FaultKind.SIGNATURE, 5)]


def test_a_tail_that_was_cut_off_with_every_mention_of_it_is_found_without_a_kept_checkpoint() -> None:
    """Who cuts has to change what was signed, or take the signature away, which nobody accepts without saying so."""
    assert _faults(_cut(_LINES[0], _LINES[1])) == [(FaultKind.TRUNCATED, 3)]
    assert _faults(_cut(encode_line(_CUT_HEADER), _LINES[1])) == [(FaultKind.SIGNATURE, 3)]
    assert _faults(_cut(*_opening(_CUT_HEADER, KeyInMemory()))) == [(FaultKind.SIGNATURE, 3)]

    excused = msgspec.structs.replace(_CUT_HEADER, unsigned_because="the key is lost")
    (fault,) = verify_export(_cut(encode_line(excused)), [], [_KEY.public_key]).faults
    assert (fault.kind, fault.sequence) == (FaultKind.UNSIGNED, 3)
    assert fault.message.endswith("records of the times asked for: the key is lost")


def test_what_is_not_signed_is_covered_by_a_kept_checkpoint_as_far_as_that_goes() -> None:
    later = msgspec.structs.replace(_CUT_HEADER, made_at=_AT + 2000)
    cut = _cut(encode_line(later))
    assert _faults(cut, _SIGNED) == [(FaultKind.TRUNCATED, 3), (FaultKind.UNSIGNED, 3)]

    verdict = verify_export(cut, [_checkpoint(_RECORDS[1])], [_KEY.public_key])
    assert (verdict.signed, verdict.uncovered) == (2, (3, 3))


def test_a_checkpoint_that_was_taken_away_is_missing_where_the_export_was_signed_up_to_it() -> None:
    unsigned = encode_line(msgspec.structs.replace(_HEADER, unsigned_because="no key"))
    without = [unsigned, *_LINES[_FIRST:-2], encode_line(_end(unsigned))]

    assert _faults([unsigned, _LINES[_CHECKPOINT], *without[1:]]) == [(FaultKind.UNSIGNED, 5)]
    assert _faults(without) == [(FaultKind.SIGNATURE, 5), (FaultKind.UNSIGNED, 5)]
    assert verify_export(without, [], []).signed == 0


def test_a_record_of_a_signed_end_can_not_be_made_anew() -> None:
    """What is only chained can be: its last record, sealed again with other words, is as good as the former."""
    forged = pull_record(99, BOB, record_id=_RECORDS[-1].record_id)
    link = link_hash("sha256", _RECORDS[-2].chain_hash, 5, forged.record_id, _AT + 5, forged.body)
    record = SealedRecord(5, link, forged.record_id, _AT + 5, forged.body, forged.disclosure)
    lines = [*_LINES[:-3], encode_record(record), *_LINES[-2:]]

    assert _faults(lines) == [(FaultKind.REPLACED, 5)]
    assert _faults([*lines[:_CHECKPOINT], *lines[_FIRST:]]) == [(FaultKind.REPLACED, 5)]
    header = msgspec.structs.replace(_HEADER, last_hash=link, signed=0, unsigned_because="no key")
    opening = encode_line(header)
    lines = [opening, *lines[_FIRST:-2], encode_line(_end(opening))]
    verdict = verify_export(lines, [], [_KEY.public_key])
    assert ([fault.kind for fault in verdict.faults], verdict.uncovered) == ([FaultKind.UNSIGNED], (1, 5))


def test_a_signed_header_proves_the_records_behind_the_last_checkpoint() -> None:
    header = msgspec.structs.replace(_HEADER, signed=0)
    opening = _opening(header)
    lines = [*opening, *_LINES[_FIRST:-2], *_ending(_end(opening[0]))]

    verdict = verify_export(lines, [], [_KEY.public_key])

    assert (verdict.signed, verdict.uncovered, verdict.faults) == (5, None, ())
    assert (verdict.since, verdict.until, verdict.made_at) == (0, END_OF_TIME, _AT + 2000)


def _bare(*sequences: int) -> list[SealedRecord]:
    """Return the records, some of them without their personal data."""
    return [
        msgspec.structs.replace(record, disclosure=None) if record.sequence in sequences else record
        for record in _RECORDS
    ]


def _with_records(records: list[SealedRecord], *ending: bytes) -> list[bytes]:
    return [*_LINES[:_FIRST], *map(encode_record, records), *ending]


def test_personal_data_that_were_taken_out_of_an_export_are_missed_8_1_4_3c() -> None:
    """All of them, one, one for another: who takes them out can't sign which there were."""
    everything = _with_records(_bare(1, 2, 3, 4, 5), *_LINES[-2:])
    assert _faults(everything) == [(FaultKind.DISCLOSURE, 1)]
    assert verify_export(everything, [], []).unaccounted == 5
    assert _faults(_with_records(_bare(4), *_LINES[-2:])) == [(FaultKind.DISCLOSURE, 4)]
    swapped = _with_records(_bare(4), *_ending(_end(_LINES[0], _bare(2))))
    assert _faults(swapped) == [(FaultKind.DISCLOSURE, 4)]
    mended = _end(_LINES[0], _bare(4))
    assert _faults(_with_records(_bare(4), encode_line(mended), _LINES[-1])) == [(FaultKind.SIGNATURE, 5)]
    assert _faults(_with_records(_bare(4), *_ending(mended, KeyInMemory()))) == [(FaultKind.SIGNATURE, 5)]
    assert _faults(_with_records(_bare(4), encode_line(mended))) == [(FaultKind.UNSIGNED, 5)]


def test_personal_data_that_the_registry_had_erased_are_no_fault_wherever_their_erasure_is_recorded() -> None:
    verdict = verify_export(
        _with_records(_bare(2, 4), *_ending(_end(_LINES[0], _bare(2, 4)))), [], [_KEY.public_key]
    )
    assert (verdict.erased, verdict.unaccounted, verdict.faults) == (2, 0, ())


def test_personal_data_that_the_registry_lost_without_an_erasure_are_told() -> None:
    lost = _with_records(_bare(2, 4), *_ending(_end(_LINES[0], _bare(2, 4), unaccounted=2)))
    (fault,) = verify_export(lost, [], [_KEY.public_key]).faults
    assert (fault.kind, fault.sequence, fault.record_id) == (FaultKind.DISCLOSURE, 2, _RECORDS[1].record_id)
    assert fault.message.startswith("2 records had no personal data when the export was made")


def test_the_end_of_another_export_of_the_same_records_is_found() -> None:
    """As of one that was made after an erasure."""
    later = encode_line(msgspec.structs.replace(_HEADER, made_at=_AT + 9000))
    lines = _with_records(_bare(2), *_ending(_end(later, _bare(2))))
    assert _faults(lines) == [(FaultKind.DISCLOSURE, 2)]


def test_an_export_of_another_database_is_found_by_the_checkpoint() -> None:
    assert _faults(_of_another_database()) == [(FaultKind.UNSIGNED, 5), (FaultKind.FOREIGN, 5)]


def test_a_checkpoint_signed_by_somebody_else_proves_nothing() -> None:
    forged = _checkpoint(_RECORDS[-1], key=KeyInMemory())

    lines = [*_LINES[:_CHECKPOINT], encode_checkpoint(forged), *_LINES[_FIRST:]]
    assert _faults(lines) == [(FaultKind.SIGNATURE, 5)]


def test_a_changed_checkpoint_is_found_without_a_given_key() -> None:
    lines = list(_LINES)
    lines[_CHECKPOINT] = lines[_CHECKPOINT].replace(b'\\"sequence\\":5', b'\\"sequence\\":4')
    assert lines != _LINES

    assert [fault.kind for fault in verify_export(lines, [], []).faults] == [FaultKind.SIGNATURE]


@settings(max_examples=300)
@given(st.data())
def test_any_changed_byte_of_a_record_is_found_in_it(data: st.DataObject) -> None:
    number = data.draw(st.integers(0, _COUNT - 1))
    line = bytearray(_LINES[_FIRST + number])
    place = data.draw(st.integers(0, len(line) - 2))
    line[place] ^= data.draw(st.integers(1, 255))
    lines = list(_LINES)
    lines[_FIRST + number] = bytes(line)

    faults = verify_export(b"".join(lines).splitlines(keepends=True), [], []).faults

    assert faults
    assert faults[0].sequence in (number + 1, number + 2) or faults[0].kind is FaultKind.DROPPED


_DEEP = b'{"x":' + b"[" * 50_000 + b"]" * 50_000 + b"}\n"


def test_what_is_nested_beyond_reason_ends_in_a_verdict() -> None:
    with pytest.raises(AuditExportUnreadableError):
        verify_export([_DEEP], [], [])
    assert _faults([_LINES[0], _DEEP, *_LINES[2:]]) != []
    assert _faults([*_LINES[:_FIRST], _DEEP, *_LINES[_FIRST:]]) == [(FaultKind.CHANGED, 1)]


def test_a_key_of_an_unknown_kind_proves_nothing() -> None:
    """A curve of which nobody has heard, in the place of P-256."""
    known, unknown = bytes.fromhex("2a8648ce3d030107"), bytes.fromhex("2a8648ce3d030163")
    key = _KEY.public_key.replace(known, unknown)
    assert key != _KEY.public_key
    line = msgspec.json.decode(_LINES[1]) | {"public_key": base64.b64encode(key).decode()}
    lines = [_LINES[0], msgspec.json.encode(line) + b"\n", *_LINES[2:]]

    assert FaultKind.SIGNATURE in {fault.kind for fault in verify_export(lines, [], []).faults}


@pytest.mark.parametrize("lines", [[], [b"{}\n"], [b"hello\n"], _LINES[1:]])
def test_what_is_no_export_is_said_to_be_none(lines: list[bytes]) -> None:
    with pytest.raises(AuditExportUnreadableError):
        verify_export(lines, [], [])


def test_an_export_of_a_later_format_is_not_judged() -> None:
    header = msgspec.structs.replace(_HEADER, format=3)

    with pytest.raises(AuditExportUnreadableError, match="format 3"):
        verify_export([encode_line(header), *_LINES[1:]], [], [])
