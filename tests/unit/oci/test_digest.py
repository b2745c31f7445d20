"""A digest is parsed strictly, once (S33)."""

from __future__ import annotations

import hashlib

import pytest

from entrepot.oci.digest import ALGORITHMS, Algorithm, Digest, InvalidDigestError, new_hasher

_SHA256_OF_NOTHING = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_a_digest_is_taken_apart_and_written_as_it_came() -> None:
    digest = Digest.parse(_SHA256_OF_NOTHING)

    assert (digest.algorithm, digest.hex) == ("sha256", _SHA256_OF_NOTHING.removeprefix("sha256:"))
    assert str(digest) == _SHA256_OF_NOTHING


def test_sha512_is_accepted() -> None:
    text = f"sha512:{'0a' * 64}"

    assert str(Digest.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sha256",
        "sha256:",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        _SHA256_OF_NOTHING.upper(),
        "SHA256" + _SHA256_OF_NOTHING[6:],
        _SHA256_OF_NOTHING[:-1] + "B",
        _SHA256_OF_NOTHING[:-1] + "g",
        _SHA256_OF_NOTHING[:-1],
        _SHA256_OF_NOTHING + "5",
        _SHA256_OF_NOTHING + "\n",
        " " + _SHA256_OF_NOTHING,
        _SHA256_OF_NOTHING[:-1] + "\u0663",
        _SHA256_OF_NOTHING[:-1] + "\ud800",
        f"sha512:{'a' * 64}",
        f"sha256:{'a' * 128}",
        f"sha384:{'a' * 96}",
        f"sha1:{'a' * 40}",
        f"md5:{'a' * 32}",
        f"sha256+b64:{'a' * 64}",
        "sha256:../../../../../../../../../../../etc/passwd",
    ],
)
def test_s33_anything_but_a_canonical_sha256_or_sha512_digest_is_refused(text: str) -> None:
    with pytest.raises(InvalidDigestError) as caught:
        Digest.parse(text)

    assert caught.value.text == text


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_digest_of_bytes_is_what_the_algorithm_says(algorithm: Algorithm) -> None:
    assert Digest.of_bytes(b"entrepot", algorithm).hex == hashlib.new(algorithm, b"entrepot").hexdigest()


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_copied_hasher_goes_its_own_way(algorithm: Algorithm) -> None:
    hasher = new_hasher(algorithm)
    hasher.update(b"entre")
    copied = hasher.copy()
    hasher.update(b"pot")

    assert hasher.hexdigest() == Digest.of_bytes(b"entrepot", algorithm).hex
    assert copied.hexdigest() == Digest.of_bytes(b"entre", algorithm).hex


def test_digests_are_ordered_by_algorithm_and_value_so_that_locks_can_be() -> None:
    unordered = [Digest("sha512", "00"), Digest("sha256", "a0"), Digest("sha256", "0b")]

    assert [str(digest) for digest in sorted(unordered)] == ["sha256:0b", "sha256:a0", "sha512:00"]
