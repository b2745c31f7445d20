"""A passphrase opens the repository it was given for, and says so when it does not."""

from __future__ import annotations

import msgspec
import pytest

from entrepot.backup.errors import PassphraseError, RepositoryFormatError
from entrepot.backup.format import RepositoryHeader
from entrepot.backup.passphrase import make_slot, unwrap_key

KEY = bytes(range(32))
QUICK = 1 << 10


def test_any_slot_opens() -> None:
    """Two passphrases, one key; a third one opens nothing."""
    slots = (make_slot("id", "first", KEY, QUICK), make_slot("id", "second", KEY, QUICK))
    header = RepositoryHeader(id="id", keys=slots)

    assert unwrap_key(header, "first") == KEY
    assert unwrap_key(header, "second") == KEY
    with pytest.raises(PassphraseError, match="nothing was read or written"):
        unwrap_key(header, "third")


def test_a_slot_belongs_to_its_repository() -> None:
    """A header with another id does not open: keys are not moved between repositories."""
    header = RepositoryHeader(id="other", keys=(make_slot("id", "first", KEY, QUICK),))

    with pytest.raises(PassphraseError):
        unwrap_key(header, "first")


def test_a_header_can_not_take_the_memory() -> None:
    """Absurd parameters are refused before anything is computed."""
    slot = msgspec.structs.replace(make_slot("id", "first", KEY, QUICK), n=1 << 40)

    with pytest.raises(RepositoryFormatError, match="memory"):
        unwrap_key(RepositoryHeader(id="id", keys=(slot,)), "first")
