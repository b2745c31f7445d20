"""What one process must know to continue a multipart upload that another one began."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

import msgspec

from entrepot.blobstore.errors import UploadLostError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from entrepot.blobstore.driver import UploadReference

__all__ = [
    "SMALLEST_PART_BYTES",
    "UploadState",
    "UploadedPart",
    "composite_etag",
    "part_bytes_at",
    "read_state",
]

SMALLEST_PART_BYTES: Final = 5 * 1024 * 1024
"""Of every part but the last (Amazon S3 user guide, "Multipart upload limits")."""

_LARGEST_PART_BYTES: Final = 5 * 1024 * 1024 * 1024
_PARTS_PER_SIZE: Final = 900
"""Parts of one size before it doubles: 8 MiB parts up to 7 GiB, and 5 TiB fit into fewer than 10,000 parts."""


class UploadedPart(msgspec.Struct, frozen=True, array_like=True):
    """A part the store has acknowledged; `etag` as the store spells it."""

    number: int
    etag: str
    size_bytes: int


class UploadState(msgspec.Struct, frozen=True, omit_defaults=True):
    """The staged bytes of an upload: parts in order, then a tail.

    Attributes:
        key: where the multipart upload will appear; empty while there is none.
        multipart_id: the store's id of it.
        parts: what it consists of so far.
        tail_key: the object that holds the bytes after the last part; empty when there are none.
        tail_bytes: its size.
        stale_keys: earlier tails that nobody needs once this state has been recorded.
    """

    key: str = ""
    multipart_id: str = ""
    parts: tuple[UploadedPart, ...] = ()
    tail_key: str = ""
    tail_bytes: int = 0
    stale_keys: tuple[str, ...] = ()

    @property
    def part_total_bytes(self) -> int:
        """Bytes in all parts."""
        return sum(part.size_bytes for part in self.parts)

    def encode(self) -> bytes:
        """Return the state as JSON."""
        return msgspec.json.encode(self)


def read_state(upload: UploadReference) -> UploadState:
    """Return the state that belongs to `upload.offset`.

    Raises:
        UploadLostError: the recorded state is unreadable or covers another number of bytes.
    """
    if not upload.state:
        state = UploadState()
    else:
        try:
            state = msgspec.json.decode(upload.state, type=UploadState)
        except msgspec.DecodeError as error:
            raise UploadLostError(upload.upload_id, "its recorded state is unreadable") from error
    if upload.offset == 0:
        return UploadState(stale_keys=state.stale_keys)
    covered = state.part_total_bytes + state.tail_bytes
    if covered != upload.offset:
        raise UploadLostError(upload.upload_id, f"its state covers {covered} of {upload.offset} bytes")
    return state


def part_bytes_at(number: int, first_part_bytes: int) -> int:
    """Return the size of part `number`, counted from 1."""
    doublings = (number - 1) // _PARTS_PER_SIZE
    return min(first_part_bytes << doublings, _LARGEST_PART_BYTES)


def composite_etag(etags: Iterable[str]) -> str:
    """Return the ETag that S3 and its relatives give an object of several parts: MD5 of the MD5 digests, and a count.

    Empty when a part's ETag is no MD5 digest, as with some kinds of encryption.
    """
    digests: list[bytes] = []
    for etag in etags:
        try:
            digests.append(bytes.fromhex(etag.strip('"')))
        except ValueError:
            return ""
    return f"{hashlib.md5(b''.join(digests), usedforsecurity=False).hexdigest()}-{len(digests)}"
