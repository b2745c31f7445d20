"""A key ring fails closed, and tells the database's time."""

from __future__ import annotations

import pytest

from entrepot.auth.keys.errors import SigningKeyUnavailableError
from entrepot.auth.keys.key_pairs import SigningKey, VerificationKey
from entrepot.auth.keys.key_ring import KeyRing
from entrepot.metadata.errors import MetadataUnavailableError
from tests.asgi.identity import Clock, ring_of


def test_a_ring_that_was_never_filled_knows_no_key_i6() -> None:
    with pytest.raises(MetadataUnavailableError):
        KeyRing().signing_key()
    with pytest.raises(MetadataUnavailableError):
        KeyRing().verification_keys()


def test_a_ring_trusts_itself_for_a_minute_i6() -> None:
    clock = Clock()
    ring = ring_of(clock)

    clock.seconds += 60
    assert len(ring.verification_keys()) == 1
    clock.seconds += 0.1
    with pytest.raises(MetadataUnavailableError):
        ring.verification_keys()
    with pytest.raises(MetadataUnavailableError):
        ring.signing_key()


def test_the_time_is_that_of_the_database_f27() -> None:
    clock = Clock(100.0)
    ring = KeyRing(clock)
    ring.install(None, {}, 5000.0)

    clock.seconds += 2.5

    assert ring.now() == 5002.5


def test_a_clock_that_is_set_back_is_counted_also_when_it_goes_in_small_steps_f27() -> None:
    ring = KeyRing(Clock(100.0))

    counts = list[int]()
    for database_time in (5000.0, 5003.0, 5001.0, 4998.5, 4997.9, 4997.0, 6000.0, 4996.0):
        ring.install(None, {}, database_time)
        counts.append(ring.set_backs)

    assert counts == [0, 0, 0, 0, 1, 1, 1, 2]


def test_a_ring_without_an_active_key_signs_nothing() -> None:
    ring = KeyRing(Clock())
    ring.install(None, {}, 5000.0)

    with pytest.raises(SigningKeyUnavailableError, match="no active signing key"):
        ring.signing_key()


async def test_a_ring_names_the_master_key_that_is_missing_and_not_the_database_f46() -> None:
    """It is the log that is read at night, and a check of the health board."""
    ring = KeyRing(Clock())
    ring.install(None, {}, 5000.0, "sealed with the master key 0123")

    with pytest.raises(SigningKeyUnavailableError, match=r"^tokens can't be issued: .* the master key 0123$"):
        await ring.check()


def test_a_signature_is_good_for_its_data_and_its_key_only() -> None:
    key, other = SigningKey.generate(), SigningKey.generate()
    signature = key.sign(b"data")

    assert VerificationKey(key.public.encoded).verify(b"data", signature) is True
    assert key.public.verify(b"Data", signature) is False
    assert other.public.verify(b"data", signature) is False
    assert key.public.verify(b"data", b"") is False


def test_the_key_set_shows_no_private_half_s27() -> None:
    assert set(SigningKey.generate().public.as_jwk()) == {"kty", "crv", "x", "y", "use", "alg", "kid"}
