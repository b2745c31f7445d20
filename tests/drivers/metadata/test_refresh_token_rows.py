"""Refresh tokens on both engines: found by their hash, as long as their subject may do anything."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from entrepot.metadata.refresh_token_store import NewRefreshToken, RefreshTokenRow

if TYPE_CHECKING:
    from entrepot.metadata.store import Metadata, Transaction
    from tests.drivers.metadata.raw_database import RawDatabase


def _token(secret_hash: str, subject: str = "alice-id") -> NewRefreshToken:
    return NewRefreshToken(secret_hash, subject, "token-7", "entrepot", "docker", 3)


async def _add(tx: Transaction, token: NewRefreshToken) -> bool:
    return await tx.refresh_tokens.add(token, 2)


async def _left(database: RawDatabase) -> list[str]:
    return [name for (name,) in await database.fetch("SELECT secret_hash FROM refresh_tokens ORDER BY id")]


async def _add_subject(database: RawDatabase) -> None:
    await database.fetch(
        "INSERT INTO subjects (public_id, kind, name, epoch, created_at) VALUES ('alice-id', 'user', 'alice', 3, 1)"
    )


async def test_a_token_is_found_with_the_epoch_of_its_subject_t10(
    metadata: Metadata, database: RawDatabase
) -> None:
    await _add_subject(database)

    assert await metadata.write(lambda tx: tx.refresh_tokens.add(_token("aa"), 10)) is True
    await database.fetch("UPDATE subjects SET epoch = 4")

    assert await metadata.refresh_tokens.find("aa") == RefreshTokenRow(
        "alice-id", "token-7", "entrepot", 3, 4, "user", "alice"
    )
    assert await metadata.refresh_tokens.find("bb") is None


async def test_a_token_of_a_disabled_subject_is_not_found_s14(
    metadata: Metadata, database: RawDatabase
) -> None:
    await _add_subject(database)
    await metadata.write(lambda tx: tx.refresh_tokens.add(_token("aa"), 10))

    await database.fetch("UPDATE subjects SET disabled_at = 1")

    assert await metadata.refresh_tokens.find("aa") is None


async def test_nobody_gets_a_token_who_is_not_there(metadata: Metadata) -> None:
    assert await metadata.write(lambda tx: tx.refresh_tokens.add(_token("aa", "nobody"), 10)) is False


async def test_tokens_that_were_unused_for_longest_go_and_one_in_use_stays(
    metadata: Metadata, database: RawDatabase
) -> None:
    """A machine's login outlives those of any number of jobs, which use theirs once."""
    await _add_subject(database)
    await metadata.write(partial(_add, token=_token("machine")))
    for name in ("aa", "bb", "cc"):
        await database.fetch("UPDATE refresh_tokens SET created_at = 1 WHERE secret_hash <> 'machine'")
        await metadata.write(lambda tx: tx.refresh_tokens.touch("machine"))
        await metadata.write(partial(_add, token=_token(name)))

    left = await database.fetch("SELECT secret_hash FROM refresh_tokens ORDER BY id")
    assert left == [("machine",), ("cc",)]


@pytest.mark.parametrize("column", ["created_at", "last_used_at"])
async def test_tokens_of_a_clock_that_was_ahead_keep_no_place_from_others_f27(
    metadata: Metadata, database: RawDatabase, column: str
) -> None:
    """None ends for it; but neither is a new login at its end as it begins, nor do they stay for years unused."""
    await _add_subject(database)
    for name in ("aa", "bb"):
        await metadata.write(partial(_add, token=_token(name)))
    ahead = "(SELECT max(created_at) FROM refresh_tokens) + 410000000000"
    await database.fetch(f"UPDATE refresh_tokens SET {column} = {ahead}")

    await metadata.write(partial(_add, token=_token("cc")))
    assert await _left(database) == ["bb", "cc"]
    await database.fetch(
        "UPDATE refresh_tokens SET created_at = created_at - 1000, last_used_at = last_used_at - 1000"
    )
    await metadata.write(lambda tx: tx.refresh_tokens.touch("bb"))
    await metadata.write(partial(_add, token=_token("dd")))
    assert await _left(database) == ["bb", "dd"]
    await database.fetch(
        "UPDATE refresh_tokens SET created_at = created_at - 1000, last_used_at = last_used_at - 1000"
    )
    await metadata.write(lambda tx: tx.refresh_tokens.touch("dd"))
    await metadata.write(partial(_add, token=_token("ee")))
    assert await _left(database) == ["dd", "ee"]


async def test_a_clock_that_was_ahead_dates_no_token_of_another_credential_anew_f27(
    metadata: Metadata, database: RawDatabase
) -> None:
    await _add_subject(database)
    other = NewRefreshToken("other", "alice-id", "", "entrepot", "docker", 3)
    await metadata.write(partial(_add, token=other))
    await database.fetch("UPDATE refresh_tokens SET last_used_at = 4102444800000")

    await metadata.write(partial(_add, token=_token("aa")))

    assert await database.fetch("SELECT secret_hash, last_used_at FROM refresh_tokens ORDER BY id") == [
        ("other", 4102444800000),
        ("aa", None),
    ]


async def test_logins_by_an_access_token_end_none_by_the_password(
    metadata: Metadata, database: RawDatabase
) -> None:
    """Whoever has the weakest credential of a person must not end what the others opened."""
    await _add_subject(database)
    by_password = NewRefreshToken("password", "alice-id", "", "entrepot", "docker", 3)
    await metadata.write(partial(_add, token=by_password))
    for name in ("aa", "bb", "cc"):
        await metadata.write(partial(_add, token=_token(name)))

    left = await database.fetch("SELECT secret_hash FROM refresh_tokens ORDER BY id")
    assert left == [("password",), ("bb",), ("cc",)]


async def test_what_was_good_is_carried_over_to_the_next_epoch_and_what_was_not_is_not(
    metadata: Metadata, database: RawDatabase
) -> None:
    await _add_subject(database)
    await metadata.write(lambda tx: tx.refresh_tokens.add(_token("old"), 10))
    await database.fetch("UPDATE subjects SET epoch = 5")
    good = NewRefreshToken("good", "alice-id", "", "entrepot", "docker", 5)
    await metadata.write(lambda tx: tx.refresh_tokens.add(good, 10))
    number = await database.value("SELECT id FROM subjects WHERE public_id = 'alice-id'")
    await database.fetch("UPDATE subjects SET epoch = 6")

    await metadata.write(lambda tx: tx.refresh_tokens.carry_over(number))

    epochs = await database.fetch("SELECT secret_hash, subject_epoch FROM refresh_tokens ORDER BY id")
    assert epochs == [("old", 3), ("good", 6)]


async def test_use_is_noted_and_everything_can_be_revoked_t10(
    metadata: Metadata, database: RawDatabase
) -> None:
    await _add_subject(database)
    await metadata.write(lambda tx: tx.refresh_tokens.add(_token("aa"), 10))

    assert await metadata.write(lambda tx: tx.refresh_tokens.touch("aa")) is True
    assert await metadata.write(lambda tx: tx.refresh_tokens.touch("bb")) is False
    assert await database.value("SELECT last_used_at FROM refresh_tokens") > 1_600_000_000_000
    assert await metadata.write(lambda tx: tx.refresh_tokens.delete_all("alice-id")) == 1
    assert await metadata.refresh_tokens.find("aa") is None
