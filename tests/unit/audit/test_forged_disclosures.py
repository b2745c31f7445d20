"""What stands beside the chain, and is hashed by its values only, takes no text that was not sealed (I11)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from entrepot.audit.export_format import encode_record
from entrepot.audit.proof import FaultKind, check_disclosure
from tests.running.audit_material import ALICE
from tests.unit.audit.export_material import FIRST, LINES, RECORDS, SIGNED, faults_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from entrepot.audit.proof import SealedRecord

_RECORD = next(record for record in RECORDS if ALICE.name.encode() in (record.disclosure or b""))
_DISCLOSURE = _RECORD.disclosure or b""
_PAIRS = msgspec.json.decode(_DISCLOSURE, type=dict[str, tuple[str, str]])
_SALT, _NAME = _PAIRS["user.name"]


def _replaced(former: str, later: str) -> bytes:
    assert former.encode() in _DISCLOSURE
    return _DISCLOSURE.replace(former.encode(), later.encode(), 1)


def _moved(letters: int) -> bytes:
    """Let the salt take the first letters of the name."""
    salt = _SALT + _NAME[:letters].encode().hex()
    return _replaced(f'"{_SALT}","{_NAME}"', f'"{salt}","{_NAME[letters:]}"')


_FORGERIES: dict[str, Callable[[], bytes]] = {
    "a name twice": lambda: b'{"user.name":["00","mallory did it"],' + _DISCLOSURE[1:],
    "a blank": lambda: _DISCLOSURE + b" ",
    "a blank within": lambda: _replaced('":["', '": ["'),
    "another order": lambda: msgspec.json.encode(dict(sorted(_PAIRS.items(), reverse=True))),
    "an escape": lambda: _replaced("alice", "\\u0061lice"),
    "a salt with blanks": lambda: _replaced(_SALT, f"{_SALT[:2]} {_SALT[2:]}"),
    "a salt in capitals": lambda: _replaced(_SALT, _SALT.upper()),
    "a salt that takes a part of the name": lambda: _moved(3),
    "a salt that takes the name": lambda: _moved(5),
}


@pytest.mark.parametrize("forgery", _FORGERIES)
def test_personal_data_of_an_export_are_to_the_byte_what_a_record_has_i11(forgery: str) -> None:
    """Each of these has the same commitments as what was sealed; all keys and checkpoints are given."""
    forged = msgspec.structs.replace(_RECORD, disclosure=_FORGERIES[forgery]())
    lines = list(LINES)
    lines[FIRST + _RECORD.sequence - 1] = encode_record(forged) + b"\n"

    assert faults_of(lines, SIGNED) == [(FaultKind.DISCLOSURE, _RECORD.sequence)]


@pytest.mark.parametrize("record", RECORDS)
def test_personal_data_as_a_record_has_them_are_no_fault(record: SealedRecord) -> None:
    assert check_disclosure(record) is None
