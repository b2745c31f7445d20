"""Refresh tokens on both engines: found by their hash, as long as their subject may do anything."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from entrepot.metadata.refresh_token_store import NewRefreshToken, RefreshTokenRow

if TYPE_CHECKING:
    from entrepot.metadata.store import Metadata, Transaction
    from tests.drivers.metadata.raw_database import RawDatabase


def _token(secret_hash: str, subject: str = "alice-id") -> NewRefreshToken:
    return NewRefreshToken(secret_hash, subject, "token-7", "entrepot", "docker", 3)


async def _add(tx: Transaction, token: NewRefreshToken) -> bool:
    return await tx.refresh_tokens.add(token, 2)


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


async def test_only_the_newest_tokens_of_a_subject_are_kept(
    metadata: Metadata, database: RawDatabase
) -> None:
    await _add_subject(database)
    for name in ("aa", "bb", "cc", "dd"):
        await metadata.write(partial(_add, token=_token(name)))

    assert await database.fetch("SELECT secret_hash FROM refresh_tokens ORDER BY id") == [("cc",), ("dd",)]


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
