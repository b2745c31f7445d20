"""The arithmetic and the record of multipart uploads; no store needed."""

from __future__ import annotations

import pytest

from entrepot.blobstore.driver import UploadReference
from entrepot.blobstore.errors import UploadLostError
from entrepot.blobstore.s3.part_buffer import PartBuffer
from entrepot.blobstore.s3.upload_state import (
    SMALLEST_PART_BYTES,
    UploadedPart,
    UploadState,
    composite_etag,
    part_bytes_at,
    read_state,
)

TIB = 1024**4
MOST_PARTS = 10_000


@pytest.mark.parametrize("first", [SMALLEST_PART_BYTES, 8 * 1024**2, 64 * 1024**2, 5 * 1024**3])
def test_five_tebibytes_fit_into_fewer_than_ten_thousand_parts(first: int) -> None:
    assert sum(part_bytes_at(number, first) for number in range(1, MOST_PARTS)) >= 5 * TIB


def test_parts_stay_small_for_usual_blobs_and_never_exceed_the_limit() -> None:
    sizes = [part_bytes_at(number, 8 * 1024**2) for number in range(1, MOST_PARTS)]
    assert sizes[:900] == [8 * 1024**2] * 900
    assert sizes == sorted(sizes)
    assert max(sizes) <= 5 * 1024**3


def test_a_state_survives_its_record() -> None:
    parts = (UploadedPart(1, '"abc"', 10), UploadedPart(2, '"def"', 20))
    state = UploadState("blobs/x-1-0", "multipart", parts, "uploads/x/tail-1-35", 5, ("uploads/x/tail-1-31",))
    assert read_state(UploadReference("x", 2, state.encode(), 35)) == state


@pytest.mark.parametrize("offset", [34, 36, 1])
def test_a_state_of_another_size_is_refused(offset: int) -> None:
    state = UploadState(tail_key="uploads/x/tail-1-35", tail_bytes=35)
    with pytest.raises(UploadLostError):
        read_state(UploadReference("x", 2, state.encode(), offset))


def test_the_composite_etag_is_the_digest_of_the_digests() -> None:
    """Known answer: two parts, MD5 of the MD5 digests of `a` and `b`."""
    etags = ['"0cc175b9c0f1b6a831c399e269772661"', "92eb5ffee6ae2fec3ad71c777531578f"]
    assert composite_etag(etags) == "96e024ba2074fe77e8e965ba43a704be-2"
    assert composite_etag(["not hexadecimal"]) == ""


def test_the_buffer_takes_what_is_wanted_and_gives_back_the_rest() -> None:
    buffer = PartBuffer()
    assert bytes(buffer.fill(memoryview(b"abc"), 5)) == b""
    assert bytes(buffer.fill(memoryview(b"defg"), 5)) == b"fg"
    assert buffer.size_bytes == 5
    assert b"".join(buffer.take()) == b"abcde"
    assert (buffer.size_bytes, buffer.pieces) == (0, [])
