"""Signing keys go on taking turns on both engines when a clock that was ahead has been put back (F27)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest
from structlog.testing import capture_logs

from entrepot.auth.host import host_operator
from entrepot.auth.keys.errors import KeyRotationError
from entrepot.auth.keys.key_ring import KeyRing
from entrepot.auth.keys.key_times import read_keys, require_published
from entrepot.auth.keys.master_key import MasterKey
from entrepot.auth.keys.sealing import Sealing
from entrepot.auth.keys.signing_keys import SigningKeys
from entrepot.metadata.errors import MetadataUnavailableError
from entrepot.metadata.key_store import SigningKeyRow

if TYPE_CHECKING:
    from entrepot.metadata.key_store import KeyPurpose
    from entrepot.metadata.store import Metadata
    from tests.drivers.metadata.raw_database import RawDatabase

_MASTER: Final = MasterKey(bytes(32))
_YEARS: Final = 13 * 365 * 86_400_000
_AHEAD: Final = (
    f"UPDATE signing_keys SET created_at = created_at + {_YEARS}, activated_at = activated_at + {_YEARS}, "
    f"retired_at = retired_at + {_YEARS}"
)
_A_MINUTE_LATER: Final = (
    "UPDATE signing_keys SET created_at = created_at - 60000, activated_at = activated_at - 60000, "
    "retired_at = retired_at - 60000"
)


async def _keys(metadata: Metadata, purpose: KeyPurpose) -> SigningKeys:
    keys = SigningKeys(metadata, Sealing(_MASTER), purpose)
    await keys.ensure()
    return keys


async def _states(database: RawDatabase) -> list[str]:
    return [state for (state,) in await database.fetch("SELECT state FROM signing_keys ORDER BY id")]


async def _of_state(keys: SigningKeys, state: str) -> SigningKeyRow:
    (row,) = [row for row in (await keys.table()).rows if row.state == state]
    return row


@pytest.mark.parametrize("purpose", ["token", "audit"])
async def test_keys_are_rotated_by_hand_a_minute_after_a_clock_was_put_back_f27(
    metadata: Metadata, database: RawDatabase, purpose: KeyPurpose
) -> None:
    """What is refused until then names no more than that minute, and changes no key."""
    keys = await _keys(metadata, purpose)
    await database.fetch(_AHEAD)

    for _ in range(2):
        with pytest.raises(KeyRotationError, match=r"try again in ([1-5]?\d|60) s"):
            await keys.rotate(host_operator())
    assert await _states(database) == ["active", "next"]
    assert await database.count("audit_records") == 0
    await database.fetch(_A_MINUTE_LATER)
    await keys.rotate(host_operator())

    assert await _states(database) == ["retired", "active", "next"]


async def test_what_is_read_is_of_the_time_after_the_keys_were_put_right_f27(
    metadata: Metadata, database: RawDatabase
) -> None:
    """A database that takes no writes may have kept that waiting, and the time that is read becomes a process's."""
    await _keys(metadata, "token")
    await database.fetch(_AHEAD)

    assert (await read_keys(metadata, "token")).ahead_milliseconds == 0


async def test_whoever_reads_the_keys_begins_that_minute_and_says_so_once_f27(
    metadata: Metadata, database: RawDatabase
) -> None:
    """A node does, within seconds; so does the look for keys that are too old, which counts on from there."""
    keys = await _keys(metadata, "token")
    await database.fetch(_AHEAD)

    with capture_logs() as logs:
        for _ in range(2):
            await keys.refresh(KeyRing())
    assert [(line["event"], line["purpose"], line["keys"]) for line in logs] == [
        ("keys.dated_ahead", "token", 2)
    ]
    assert abs(logs[0]["seconds"] - _YEARS // 1000) < 60

    assert await keys.rotate_when_due(host_operator(), 60) is False
    await database.fetch(_A_MINUTE_LATER)
    assert await keys.rotate_when_due(host_operator(), 59) is True
    assert await _states(database) == ["retired", "active", "next"]


async def test_the_duty_alone_puts_the_age_of_a_key_right_f27(
    metadata: Metadata, database: RawDatabase
) -> None:
    keys = await _keys(metadata, "token")
    await database.fetch(_AHEAD)

    assert await keys.rotate_when_due(host_operator(), 59) is False
    await database.fetch(_A_MINUTE_LATER)

    assert await keys.rotate_when_due(host_operator(), 59) is True


async def test_a_key_that_was_retired_under_such_a_clock_verifies_for_two_hours_more_f27(
    metadata: Metadata, database: RawDatabase
) -> None:
    """It would verify what it signed, and stay, until the clock comes there."""
    keys, ring = await _keys(metadata, "token"), KeyRing()
    await database.fetch("UPDATE signing_keys SET created_at = created_at - 120000")
    await keys.rotate(host_operator())
    retired = await _of_state(keys, "retired")
    await database.fetch(f"UPDATE signing_keys SET retired_at = retired_at + {_YEARS}")

    await keys.refresh(ring)
    assert retired.key_id in ring.verification_keys()
    now = await _of_state(keys, "retired")
    assert (now.created_at, now.activated_at) == (retired.created_at, retired.activated_at)
    await database.fetch("UPDATE signing_keys SET retired_at = retired_at - 7200000")
    await keys.refresh(ring)
    assert retired.key_id not in ring.verification_keys()
    await keys.rotate_when_due(host_operator(), 3600)

    assert await _states(database) == ["active", "next"]


async def test_only_what_lies_ahead_is_put_right_f27(metadata: Metadata, database: RawDatabase) -> None:
    """A key that has long been in use does not begin anew, since the next one was made under a wrong clock."""
    keys = await _keys(metadata, "token")
    await database.fetch(f"UPDATE signing_keys SET created_at = created_at + {_YEARS} WHERE state = 'next'")
    await database.fetch("UPDATE signing_keys SET created_at = 2, activated_at = 3 WHERE state = 'active'")
    await keys.refresh(KeyRing())

    active = await _of_state(keys, "active")
    assert (active.created_at, active.activated_at) == (2, 3)
    with pytest.raises(KeyRotationError, match="published too recently"):
        await keys.rotate_when_due(host_operator(), 3600)
    assert await _states(database) == ["active", "next"]
    await database.fetch("UPDATE signing_keys SET created_at = created_at - 60000 WHERE state = 'next'")
    assert await keys.rotate_when_due(host_operator(), 3600) is True


def test_a_refusal_never_names_more_than_a_minute_f27() -> None:
    """Not where the clock is put back between a look and the unit either."""
    row = SigningKeyRow("id", "token", "ES256", b"", b"", "master", "next", 4_102_444_800_000, None, None)

    with pytest.raises(KeyRotationError, match="try again in 60 s"):
        require_published(row, 1_700_000_000_000)
    with pytest.raises(KeyRotationError, match="try again in 1 s"):
        require_published(row, row.created_at + 59_999)
    require_published(row, row.created_at + 60_000)


async def test_keys_of_the_past_stay_as_they_are_f27(metadata: Metadata, database: RawDatabase) -> None:
    keys = await _keys(metadata, "token")
    await database.fetch(
        "UPDATE signing_keys SET created_at = created_at - 5, activated_at = activated_at - 3"
    )
    before = await database.fetch("SELECT created_at, activated_at FROM signing_keys ORDER BY id")

    with capture_logs() as logs:
        await keys.refresh(KeyRing())

    assert logs == []
    assert await database.fetch("SELECT created_at, activated_at FROM signing_keys ORDER BY id") == before


async def test_keys_are_read_where_nothing_can_be_written_down_f27(
    metadata: Metadata, database: RawDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A registry whose database takes no writes verifies tokens, whatever the times of its keys."""
    keys, ring = await _keys(metadata, "token"), KeyRing()
    await database.fetch(_AHEAD)

    async def refuse(unit: object) -> None:
        raise MetadataUnavailableError(f"read-only: {unit}")

    monkeypatch.setattr(metadata, "write", refuse)
    await keys.refresh(ring)

    assert ring.signing_key().key_id in ring.verification_keys()
