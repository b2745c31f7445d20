"""An export in an auditor's hands: each way of tampering is found, and the first bad record named."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from entrepot.audit.chain import chain_start, link_hash
from entrepot.audit.checkpoints import CheckpointContent, encode_checkpoint
from entrepot.audit.errors import AuditExportUnreadableError
from entrepot.audit.export_format import ExportEnd, ExportHeader, encode_line, encode_record
from entrepot.audit.proof import FaultKind, SealedRecord
from entrepot.audit.verification import verify_export
from entrepot.metadata.audit_store import END_OF_TIME, CheckpointRow
from tests.running.audit_material import ALICE, BOB, KeyInMemory, pull_record

if TYPE_CHECKING:
    from collections.abc import Callable

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
    1, _CHAIN, "sha256", 0, chain_start("sha256", _CHAIN), _COUNT, 0, END_OF_TIME, _AT + 2000
)
_SIGNED = _checkpoint(_RECORDS[-1])
_LINES = [
    line + b"\n"
    for line in (
        encode_line(_HEADER),
        encode_checkpoint(_SIGNED),
        *map(encode_record, _RECORDS),
        encode_line(ExportEnd(_COUNT, _COUNT)),
    )
]
_FIRST = 2
"""The place of the first record among the lines."""


def _faults(lines: list[bytes], *kept: CheckpointRow) -> list[tuple[FaultKind, int]]:
    return [(fault.kind, fault.sequence) for fault in verify_export(lines, kept, [_KEY.public_key]).faults]


def test_a_sound_export_is_proven_to_its_end() -> None:
    verdict = verify_export(_LINES, [], [_KEY.public_key])

    assert (verdict.records, verdict.signed, verdict.faults) == (5, 5, ())


def _without(*places: int) -> Callable[[], list[bytes]]:
    return lambda: [line for place, line in enumerate(_LINES) if place not in places]


def _cut_and_mended() -> list[bytes]:
    """The last two records, the checkpoint and every mention of them are gone."""
    header = msgspec.structs.replace(_HEADER, last=3)
    return [encode_line(header), *_LINES[_FIRST : _FIRST + 3], encode_line(ExportEnd(3, 3))]


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
    return [*_LINES[:_FIRST], *map(encode_record, kept), _LINES[-1]]


def _of_another_database() -> list[bytes]:
    other = "d" * 32
    header = msgspec.structs.replace(_HEADER, chain=other, after_hash=chain_start("sha256", other))
    return [encode_line(header), _LINES[1], *map(encode_record, _seal(other, _COUNT)), _LINES[-1]]


def _with_another_start() -> list[bytes]:
    return [encode_line(msgspec.structs.replace(_HEADER, after_hash="0" * 64)), *_LINES[1:]]


@pytest.mark.parametrize(
    ("tampered", "kind", "sequence"),
    [
        (_without(_FIRST + 2), FaultKind.DROPPED, 4),
        (_without(_FIRST), FaultKind.DROPPED, 2),
        (_without(_FIRST + 1, _FIRST + 2), FaultKind.DROPPED, 4),
        (_without(_FIRST + 5), FaultKind.TRUNCATED, 5),
        (_without(_FIRST + 4), FaultKind.TRUNCATED, 4),
        (_without(_FIRST + 4, _FIRST + 5), FaultKind.TRUNCATED, 4),
        (lambda: [*_LINES[:-1], _LINES[-1][:10]], FaultKind.CHANGED, 6),
        (_swapped, FaultKind.DROPPED, 3),
        (_made_anew, FaultKind.REPLACED, 5),
        (_with_another_start, FaultKind.REPLACED, 0),
    ],
)
def test_each_way_of_tampering_is_found_and_the_first_bad_record_named(
    tampered: Callable[[], list[bytes]], kind: FaultKind, sequence: int
) -> None:
    assert _faults(tampered()) == [(kind, sequence)]


def test_a_tail_that_was_cut_off_with_every_mention_of_it_is_found_by_a_kept_checkpoint() -> None:
    assert _faults(_cut_and_mended()) == []
    assert _faults(_cut_and_mended(), _SIGNED) == [(FaultKind.TRUNCATED, 3)]


def test_a_tail_that_was_cut_off_with_its_checkpoint_is_missing_where_the_export_was_signed() -> None:
    """The header is no proof, but who cuts has to change it, too; what is left then says that it is not covered."""
    signed = msgspec.structs.replace(_HEADER, last=3, signed=_COUNT)
    cut = [encode_line(signed), *_cut_and_mended()[1:]]
    assert _faults(cut) == [(FaultKind.SIGNATURE, 5)]

    changed = msgspec.structs.replace(signed, signed=0, unsigned_because="the key is lost")
    verdict = verify_export([encode_line(changed), *cut[1:]], [], [_KEY.public_key])
    assert (verdict.faults, verdict.uncovered) == ((), (1, 3))
    assert verdict.unsigned_because == "the key is lost"


def test_a_record_of_a_signed_end_can_not_be_made_anew() -> None:
    """What is only chained can be: its last record, sealed again with other words, is as good as the former."""
    header = msgspec.structs.replace(_HEADER, signed=_COUNT)
    forged = pull_record(99, BOB, record_id=_RECORDS[-1].record_id)
    link = link_hash("sha256", _RECORDS[-2].chain_hash, 5, forged.record_id, _AT + 5, forged.body)
    record = SealedRecord(5, link, forged.record_id, _AT + 5, forged.body, forged.disclosure)
    lines = [*_LINES[:-2], encode_record(record), _LINES[-1]]

    assert _faults([encode_line(header), *lines[1:]]) == [(FaultKind.REPLACED, 5)]
    unsigned = [encode_line(_HEADER), *lines[_FIRST:]]
    verdict = verify_export(unsigned, [], [_KEY.public_key])
    assert (verdict.faults, verdict.uncovered) == ((), (1, 5))


def test_an_export_of_an_older_program_says_nothing_of_its_signature() -> None:
    header = msgspec.json.decode(_LINES[0])
    del header["signed"], header["unsigned_because"]

    verdict = verify_export([msgspec.json.encode(header), *_LINES[1:]], [], [_KEY.public_key])

    assert (verdict.signed, verdict.uncovered, verdict.faults) == (5, None, ())


def test_an_export_of_another_database_is_found_by_the_checkpoint() -> None:
    assert _faults(_of_another_database()) == [(FaultKind.FOREIGN, 5)]


def test_a_checkpoint_signed_by_somebody_else_proves_nothing() -> None:
    forged = _checkpoint(_RECORDS[-1], key=KeyInMemory())

    assert _faults([_LINES[0], encode_checkpoint(forged), *_LINES[_FIRST:]]) == [(FaultKind.SIGNATURE, 5)]


def test_a_changed_checkpoint_is_found_without_a_given_key() -> None:
    changed = msgspec.json.decode(_LINES[1])
    changed["signed"] = changed["signed"].replace('"sequence":5', '"sequence":4')
    lines = [_LINES[0], msgspec.json.encode(changed), *_LINES[_FIRST:]]

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


@pytest.mark.parametrize("lines", [[], [b"{}\n"], [b"hello\n"], _LINES[1:]])
def test_what_is_no_export_is_said_to_be_none(lines: list[bytes]) -> None:
    with pytest.raises(AuditExportUnreadableError):
        verify_export(lines, [], [])


def test_an_export_of_a_later_format_is_not_judged() -> None:
    header = msgspec.structs.replace(_HEADER, format=2)

    with pytest.raises(AuditExportUnreadableError, match="format 2"):
        verify_export([encode_line(header), *_LINES[1:]], [], [])
