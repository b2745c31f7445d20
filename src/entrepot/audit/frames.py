"""How records lie in a file: each framed so that a torn end and a damaged middle are told apart and passed over.

A frame is a mark, the length and the CRC-32 of what follows, and a record in MessagePack. The mark lets a reader find
the next frame behind bytes that are no frame.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import Final

import msgspec

from entrepot.metadata.audit_store import NewAuditRecord

__all__ = ["FrameBatch", "encode_frame", "read_frames"]

_MARK: Final = b"\xfeEA1"
_HEAD: Final = struct.Struct(">4sII")
_MOST_BYTES: Final = 4 * 1024 * 1024
"""No record is longer; a length beyond it is damage."""

_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(NewAuditRecord)


@dataclass(frozen=True, slots=True)
class FrameBatch:
    """What a stretch of a file holds.

    Attributes:
        consumed: how many of its bytes are done with: whole frames, and damage between them.
        damaged: how many of these were no sound frame.
        pending: how many bytes of a frame that has not ended follow.
        is_begun: whether these are the beginning of a frame, which is all that a process leaves that dies over one.
    """

    records: tuple[NewAuditRecord, ...]
    consumed: int
    damaged: int
    pending: int
    is_begun: bool = False


def encode_frame(record: NewAuditRecord) -> bytes:
    """Return a record as it is written to a file, in one piece."""
    payload = _encoder.encode(record)
    return _HEAD.pack(_MARK, len(payload), zlib.crc32(payload)) + payload


def read_frames(data: bytes) -> FrameBatch:
    """Read all whole frames of `data`, which begins where a frame should.

    What is no frame is passed over up to the next mark. At the end of `data` it may be the beginning of a frame that is
    being written, so it is left pending.
    """
    records: list[NewAuditRecord] = []
    position = damaged = 0
    while position < len(data):
        found = _frame_at(data, position)
        if found is not None:
            record, position = found
            records.append(record)
            continue
        following = _next_frame(data, position)
        if following is None:
            break
        damaged += following - position
        position = following
    return FrameBatch(
        tuple(records), position, damaged, len(data) - position, is_begun=_begins_frame(data, position)
    )


def _next_frame(data: bytes, position: int) -> int | None:
    """Return where the next sound frame behind `position` begins."""
    following = data.find(_MARK, position + 1)
    while following >= 0:
        if _frame_at(data, following) is not None:
            return following
        following = data.find(_MARK, following + 1)
    return None


def _begins_frame(data: bytes, position: int) -> bool:
    """Whether all behind `position` is the beginning of a frame that goes on behind `data`."""
    rest = len(data) - position
    if not _MARK.startswith(data[position : position + len(_MARK)]):
        return False
    if rest < _HEAD.size:
        return rest > 0
    length: int = _HEAD.unpack_from(data, position)[1]
    return rest < _HEAD.size + length <= _HEAD.size + _MOST_BYTES


def _frame_at(data: bytes, position: int) -> tuple[NewAuditRecord, int] | None:
    """Return the record of a sound and whole frame, and where it ends."""
    if len(data) - position < _HEAD.size:
        return None
    mark, length, checksum = _HEAD.unpack_from(data, position)
    start = position + _HEAD.size
    payload = data[start : start + length]
    if mark != _MARK or length > _MOST_BYTES or len(payload) < length or zlib.crc32(payload) != checksum:
        return None
    try:
        return _decoder.decode(payload), start + length
    except (msgspec.MsgspecError, UnicodeError):
        return None
