"""Sealed objects give back what was sealed, or nothing: every change to one is found."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entrepot.backup import sealing
from entrepot.backup.errors import BackupDamagedError
from entrepot.backup.sealing import KEY_BYTES, PlainCipher, SealingCipher, derive_key
from entrepot.oci.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from entrepot.backup.sealing import Transform

CIPHER = SealingCipher(bytes(range(KEY_BYTES)))
SEGMENT = 8
"""Bytes in a segment of these tests, so that a few bytes are many segments."""

SEALED_SEGMENT = SEGMENT + 16
HEADER = 40


@pytest.fixture(autouse=True, scope="module")
def _small_segments() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sealing, "_SEGMENT_BYTES", SEGMENT)
        yield


def passed(transform: Transform, content: bytes, step: int = 1 << 20) -> bytes:
    """Pass content through in steps of this size."""
    pieces: list[bytes] = []
    for start in range(0, len(content), step):
        pieces += transform.update(content[start : start + step])
    return b"".join((*pieces, *transform.finish()))


def sealed(content: bytes, context: str = "blob a") -> bytes:
    """Seal a content."""
    return passed(CIPHER.seal(context), content)


def unsealed(stored: bytes, context: str = "blob a", step: int = 1 << 20) -> bytes:
    """Open an object."""
    return passed(CIPHER.unseal(context), stored, step)


@given(content=st.binary(max_size=5 * SEGMENT + 1), step=st.integers(1, 100))
def test_what_is_sealed_comes_back(content: bytes, step: int) -> None:
    """In whatever steps it is written and read, and it has the size that was foretold."""
    stored = passed(CIPHER.seal("blob a"), content, step)

    assert len(stored) == CIPHER.stored_bytes(len(content))
    assert unsealed(stored, step=step) == content


@given(content=st.binary(max_size=4 * SEGMENT), data=st.data())
def test_every_flipped_bit_is_found(content: bytes, data: st.DataObject) -> None:
    """In the header, a segment or a tag."""
    stored = bytearray(sealed(content))
    place = data.draw(st.integers(0, len(stored) * 8 - 1))
    stored[place // 8] ^= 1 << place % 8

    with pytest.raises(BackupDamagedError):
        unsealed(bytes(stored))


@given(content=st.binary(max_size=4 * SEGMENT), data=st.data())
def test_every_truncation_is_found(content: bytes, data: st.DataObject) -> None:
    """Also one at the end of a segment, which is a whole object in itself."""
    stored = sealed(content)
    cut = data.draw(st.one_of(st.integers(0, len(stored) - 1), st.just(len(stored) - 16)))

    with pytest.raises(BackupDamagedError):
        unsealed(stored[:cut])


@given(content=st.binary(min_size=SEGMENT + 1, max_size=4 * SEGMENT), data=st.data())
def test_segments_can_not_be_moved(content: bytes, data: st.DataObject) -> None:
    """Swapped, doubled, left out or added: none passes."""
    stored = sealed(content)
    header, rest = stored[:HEADER], stored[HEADER:]
    segments = [rest[start : start + SEALED_SEGMENT] for start in range(0, len(rest), SEALED_SEGMENT)]
    moved = data.draw(st.lists(st.sampled_from(segments), max_size=len(segments) + 1))
    if moved == segments:
        moved = segments[:-1]

    with pytest.raises(BackupDamagedError):
        unsealed(header + b"".join(moved))


def test_no_object_stands_in_for_another() -> None:
    """An object opens only as what it was sealed as, and with the key it was sealed with."""
    stored = sealed(b"content", "blob a")

    with pytest.raises(BackupDamagedError):
        unsealed(stored, "blob b")
    with pytest.raises(BackupDamagedError):
        passed(SealingCipher(os.urandom(KEY_BYTES)).unseal("blob a"), stored)


def test_the_same_content_is_never_sealed_the_same() -> None:
    """Otherwise a look at the repository would tell which blobs are alike."""
    assert sealed(b"content") != sealed(b"content")


def test_names_are_stable_and_tell_nothing() -> None:
    """A digest has one name per repository, which holds nothing of the digest."""
    digest = Digest.of_bytes(b"content")
    name = CIPHER.name_of(digest)

    assert CIPHER.name_of(digest) == name
    assert digest.hex[:8] not in name.hex
    assert SealingCipher(os.urandom(KEY_BYTES)).name_of(digest) != name
    assert CIPHER.name_of(Digest("sha512", digest.hex * 2)) != name
    assert PlainCipher().name_of(digest) == digest


def test_keys_are_derived_as_the_rfc_says() -> None:
    """RFC 5869, test case 1, its first 32 bytes."""
    expected = "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf"
    key = derive_key(bytes([0x0B]) * 22, bytes(range(13)), bytes(range(0xF0, 0xFA)))

    assert key.hex() == expected
