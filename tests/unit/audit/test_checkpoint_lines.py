"""Lines of checkpoints as somebody may have written them: whatever they hold, they are read or they are none."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from entrepot.audit.checkpoint_format import decode_checkpoint, encode_checkpoint
from entrepot.audit.export_format import decode_signature
from entrepot.metadata.audit_store import CheckpointRow

_ROW = CheckpointRow(
    sequence=3,
    chain_hash="00ff",
    algorithm="ES256",
    key_id="key-1",
    public_key=b"public",
    signed=b'{"v":1,"chain":"c","algorithm":"sha256","sequence":3,"hash":"00ff","at":5}',
    signature=b"signature",
    at=5,
)


def _line_with(field: str, value: str) -> bytes:
    return msgspec.json.encode(msgspec.json.decode(encode_checkpoint(_ROW)) | {field: value})


@pytest.mark.parametrize("field", ["public_key", "signature", "signed"])
def test_a_checkpoint_with_letters_that_are_not_ascii_is_none(field: str) -> None:
    assert decode_checkpoint(encode_checkpoint(_ROW)) == _ROW
    assert decode_checkpoint(_line_with(field, "é")) is None


@given(st.sampled_from(["public_key", "signature", "signed", "key_id", "algorithm"]), st.text())
def test_a_checkpoint_of_any_texts_is_read_or_is_none(field: str, value: str) -> None:
    decode_checkpoint(_line_with(field, value))
    decode_signature(_line_with(field, value))
