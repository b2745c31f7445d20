"""Signing keys on both engines: one pair of keys for however many nodes, and a rotation that nobody notices."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest

from entrepot.auth.host import host_operator
from entrepot.auth.keys import key_watch
from entrepot.auth.keys.errors import (
    KeyRotationError,
    KeyUnknownError,
    MasterKeyFileMissingError,
    MasterKeyMissingError,
    SigningKeyUnavailableError,
)
from entrepot.auth.keys.key_pairs import SigningKey
from entrepot.auth.keys.key_ring import KeyRing
from entrepot.auth.keys.key_watch import KeyWatch
from entrepot.auth.keys.master_key import MasterKey
from entrepot.auth.keys.opening import open_node_sealing
from entrepot.auth.keys.renewal import renew_signing_keys
from entrepot.auth.keys.rewrapping import rewrap_signing_keys
from entrepot.auth.keys.sealing import Sealing
from entrepot.auth.keys.signing_keys import SigningKeys
from entrepot.metadata.errors import MetadataUnavailableError
from entrepot.metadata.key_store import NewSigningKey
from entrepot.workers.accounts_upkeep import key_rotation_duty

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from entrepot.metadata.store import Metadata, Transaction
    from tests.drivers.metadata.raw_database import RawDatabase

OLD = MasterKey(bytes(32))
NEW = MasterKey(bytes([7]) * 32)
TWO_MINUTES_AGO = "UPDATE signing_keys SET created_at = created_at - 120000"


@pytest.fixture
def keys(metadata: Metadata) -> SigningKeys:
    """Return the keys of tokens as a node keeps them."""
    return SigningKeys(metadata, Sealing(OLD), "token")


async def _states(database: RawDatabase) -> list[str]:
    return [state for (state,) in await database.fetch("SELECT state FROM signing_keys ORDER BY id")]


async def test_nodes_that_start_at_once_agree_on_one_active_and_one_next_key_t13(
    metadata: Metadata, database: RawDatabase
) -> None:
    await asyncio.gather(*(SigningKeys(metadata, Sealing(OLD), "token").ensure() for _ in range(5)))

    assert sorted(await _states(database)) == ["active", "next"]


async def test_the_keys_of_the_audit_log_are_others(metadata: Metadata, keys: SigningKeys) -> None:
    await keys.ensure()
    await SigningKeys(metadata, Sealing(OLD), "audit").ensure()

    tokens = {row.key_id for row in (await metadata.signing_keys.read("token")).rows}
    audit = {row.key_id for row in (await metadata.signing_keys.read("audit")).rows}
    assert len(tokens) == len(audit) == 2
    assert tokens & audit == set()


async def test_a_ring_holds_both_keys_and_the_time_of_the_database_f27(
    keys: SigningKeys, database: RawDatabase
) -> None:
    ring = KeyRing()
    await keys.ensure()
    await keys.refresh(ring)

    assert len(ring.verification_keys()) == 2
    assert ring.signing_key().key_id in ring.verification_keys()
    created_at = await database.value("SELECT max(created_at) FROM signing_keys")
    assert 0 <= ring.now() - created_at / 1000 < 60


async def test_the_next_key_takes_over_and_the_old_one_still_verifies_t13(
    keys: SigningKeys, database: RawDatabase
) -> None:
    ring = KeyRing()
    await keys.ensure()
    await keys.refresh(ring)
    old = ring.signing_key()
    published = set(ring.verification_keys())
    await database.fetch(TWO_MINUTES_AGO)

    new_id = await keys.rotate(host_operator())
    await keys.refresh(ring)

    assert ring.signing_key().key_id == new_id != old.key_id
    assert new_id in published
    assert ring.verification_keys()[old.key_id].verify(b"data", old.sign(b"data")) is True
    assert await _states(database) == ["retired", "active", "next"]
    assert await database.fetch("SELECT action, object_name FROM audit_records") == [("key.rotate", new_id)]


async def test_a_key_that_was_published_just_now_does_not_sign_yet_t13(
    keys: SigningKeys, database: RawDatabase
) -> None:
    await keys.ensure()

    with pytest.raises(KeyRotationError, match="published too recently"):
        await keys.rotate(host_operator())

    assert await _states(database) == ["active", "next"]


async def test_nodes_that_rotate_at_once_rotate_once(
    metadata: Metadata, keys: SigningKeys, database: RawDatabase
) -> None:
    await keys.ensure()
    await database.fetch(TWO_MINUTES_AGO)
    await database.fetch(
        "UPDATE signing_keys SET activated_at = activated_at - 120000 WHERE state = 'active'"
    )
    nodes = [SigningKeys(metadata, Sealing(OLD), "token") for _ in range(3)]

    outcomes = await asyncio.gather(
        *(node.rotate_when_due(host_operator(), 60) for node in nodes), return_exceptions=True
    )

    assert [outcome for outcome in outcomes if not isinstance(outcome, bool | KeyRotationError)] == []
    assert await _states(database) == ["retired", "active", "next"]


async def test_a_key_is_replaced_only_when_it_is_old(keys: SigningKeys, database: RawDatabase) -> None:
    await keys.ensure()
    await database.fetch(TWO_MINUTES_AGO)

    assert await keys.rotate_when_due(host_operator(), 3600) is False
    assert await _states(database) == ["active", "next"]


async def test_the_background_worker_replaces_a_key_after_the_days_that_are_set(
    keys: SigningKeys, database: RawDatabase
) -> None:
    async def open_keys() -> SigningKeys:
        return keys

    await keys.ensure()
    await database.fetch(TWO_MINUTES_AGO)
    duty = key_rotation_duty(open_keys, 90)
    for age_days, states in ((89, ["active", "next"]), (91, ["retired", "active", "next"])):
        moment = f"(SELECT created_at FROM signing_keys WHERE state = 'next') - {age_days * 86_400_000}"
        await database.fetch(f"UPDATE signing_keys SET activated_at = {moment} WHERE state = 'active'")
        await duty.run()
        assert await _states(database) == states

    (record,) = await database.fetch(
        "SELECT subject, user_name, body FROM audit_records WHERE action = 'key.rotate'"
    )
    body = json.loads(bytes(record[2]))
    assert tuple(record[:2]) == ("registry", "registry")
    assert (body["user.kind"], body["event.reason"]) == ("host", "by its age")


async def test_a_rotation_by_hand_is_of_who_did_it_i11(keys: SigningKeys, database: RawDatabase) -> None:
    await keys.ensure()
    await database.fetch(TWO_MINUTES_AGO)

    await keys.rotate(host_operator())

    ((subject, body),) = await database.fetch(
        "SELECT subject, body FROM audit_records WHERE action = 'key.rotate'"
    )
    assert (subject, json.loads(bytes(body))["event.reason"]) == (host_operator().subject, "")


async def test_a_retired_key_is_dropped_when_nothing_it_signed_can_live_t13(
    keys: SigningKeys, database: RawDatabase
) -> None:
    await keys.ensure()
    await database.fetch(TWO_MINUTES_AGO)
    await keys.rotate(host_operator())
    await database.fetch("UPDATE signing_keys SET retired_at = retired_at - 7100000 WHERE state = 'retired'")
    await keys.rotate_when_due(host_operator(), 3600)
    assert await _states(database) == ["retired", "active", "next"]
    await database.fetch("UPDATE signing_keys SET retired_at = retired_at - 200000 WHERE state = 'retired'")

    ring = KeyRing()
    await keys.refresh(ring)
    assert len(ring.verification_keys()) == 2
    await keys.rotate_when_due(host_operator(), 3600)
    assert await _states(database) == ["active", "next"]


async def test_a_revoked_key_verifies_nothing_and_the_next_one_signs_at_once_t13(
    keys: SigningKeys, database: RawDatabase
) -> None:
    ring = KeyRing()
    await keys.ensure()
    await keys.refresh(ring)
    compromised = ring.signing_key().key_id

    await keys.revoke(host_operator(), compromised)
    await keys.refresh(ring)

    assert ring.signing_key().key_id != compromised
    assert compromised not in ring.verification_keys()
    assert len(ring.verification_keys()) == 2
    assert await _states(database) == ["revoked", "active", "next"]
    assert await database.fetch("SELECT action, object_name FROM audit_records") == [
        ("key.revoke", compromised)
    ]


async def test_a_key_that_does_not_exist_can_not_be_revoked(keys: SigningKeys, database: RawDatabase) -> None:
    await keys.ensure()

    with pytest.raises(KeyUnknownError):
        await keys.revoke(host_operator(), "0" * 32)

    assert await _states(database) == ["active", "next"]
    assert await database.value("SELECT count(*) FROM audit_records") == 0


async def test_everything_is_sealed_anew_or_nothing_f46(
    metadata: Metadata, keys: SigningKeys, database: RawDatabase
) -> None:
    await keys.ensure()
    foreign = SigningKey.generate()
    unopenable = NewSigningKey(
        foreign.key_id, "audit", "ES256", foreign.public.encoded, b"?" * 60, "elsewhere"
    )

    async def add(tx: Transaction) -> None:
        await tx.signing_keys.add(unopenable, "active")

    await metadata.write(add)
    with pytest.raises(MasterKeyMissingError):
        await rewrap_signing_keys(metadata, Sealing(NEW, OLD), host_operator())
    assert await database.fetch(
        "SELECT DISTINCT master_key_id FROM signing_keys WHERE purpose = 'token'"
    ) == [(OLD.key_id,)]

    await database.fetch("DELETE FROM signing_keys WHERE purpose = 'audit'")
    assert await rewrap_signing_keys(metadata, Sealing(NEW, OLD), host_operator()) == 2
    assert await database.fetch("SELECT DISTINCT master_key_id FROM signing_keys") == [(NEW.key_id,)]
    await SigningKeys(metadata, Sealing(NEW), "token").refresh(KeyRing())
    with pytest.raises(MasterKeyMissingError, match=NEW.key_id):
        await SigningKeys(metadata, Sealing(OLD), "token").refresh(KeyRing())
    assert await rewrap_signing_keys(metadata, Sealing(NEW, OLD), host_operator()) == 0


async def test_keys_whose_master_key_is_lost_are_given_up_and_new_ones_sign_f46(
    metadata: Metadata, keys: SigningKeys, database: RawDatabase
) -> None:
    """Without it no node could start. What the old ones signed is still verified; a later rewrap opens every row."""
    ring = KeyRing()
    await keys.ensure()
    await SigningKeys(metadata, Sealing(OLD), "audit").ensure()
    await keys.refresh(ring)
    former = ring.signing_key().key_id

    assert await renew_signing_keys(metadata, Sealing(OLD), host_operator()) == 0
    assert await renew_signing_keys(metadata, Sealing(NEW), host_operator()) == 4

    await SigningKeys(metadata, Sealing(NEW), "token").refresh(ring)
    assert ring.signing_key().key_id != former
    assert former in ring.verification_keys()
    assert await database.fetch("SELECT state, count(*) FROM signing_keys GROUP BY state ORDER BY state") == [
        ("active", 2),
        ("next", 2),
        ("retired", 4),
    ]
    assert await rewrap_signing_keys(metadata, Sealing(OLD, NEW), host_operator()) == 8
    assert await renew_signing_keys(metadata, Sealing(OLD), host_operator()) == 0


async def test_a_node_with_the_former_master_key_goes_on_signing_but_makes_no_key_f46(
    metadata: Metadata, keys: SigningKeys, database: RawDatabase
) -> None:
    ring = KeyRing()
    await keys.ensure()
    await keys.refresh(ring)
    await database.fetch(TWO_MINUTES_AGO)
    await rewrap_signing_keys(metadata, Sealing(NEW, OLD), host_operator())

    await keys.refresh(ring)
    with pytest.raises(KeyRotationError, match="give this node the master key of the others"):
        await keys.rotate(host_operator())

    assert ring.signing_key().sign(b"data")
    assert await _states(database) == ["active", "next"]


async def test_where_a_change_of_the_master_key_was_not_finished_no_key_is_made_f46(
    metadata: Metadata, keys: SigningKeys, database: RawDatabase
) -> None:
    await keys.ensure()
    await database.fetch(TWO_MINUTES_AGO)
    await database.fetch(
        f"UPDATE signing_keys SET master_key_id = '{NEW.key_id}' WHERE state = 'next' AND purpose = 'token'"
    )

    with pytest.raises(KeyRotationError, match="finish `entrepot keys rewrap`"):
        await keys.rotate(host_operator())

    assert await _states(database) == ["active", "next"]


async def _rotate_after_a_rewrap(metadata: Metadata, database: RawDatabase) -> None:
    await database.fetch(TWO_MINUTES_AGO)
    await SigningKeys(metadata, Sealing(NEW), "token").rotate(host_operator())


async def test_a_node_reads_a_replaced_master_key_by_itself_and_goes_on_signing_f46(
    metadata: Metadata, database: RawDatabase
) -> None:
    """A rewrap and rotations while it runs; it looks for its master key only when it meets rows of another."""
    looks: list[str] = []

    async def reopen() -> Sealing:
        looks.append("look")
        return Sealing(NEW)

    ring = KeyRing()
    node = SigningKeys(metadata, Sealing(OLD), "token", reopen)
    await node.ensure()
    assert await node.refresh(ring) is None
    assert looks == []
    await rewrap_signing_keys(metadata, Sealing(NEW, OLD), host_operator())
    for _ in range(3):
        await _rotate_after_a_rewrap(metadata, database)
        assert await node.refresh(ring) is None
        assert ring.signing_key().key_id in ring.verification_keys()

    assert looks == ["look"]


async def test_a_node_without_the_new_master_key_signs_after_a_rotation_and_tells_f46(
    metadata: Metadata, database: RawDatabase
) -> None:
    """The next key was opened before; only a second rotation takes its last one, and the error names the cause."""
    ring, locked = KeyRing(), list[int]()
    node = SigningKeys(metadata, Sealing(OLD), "token")
    watch = KeyWatch(node, ring, locked.append)
    await watch.start()
    await rewrap_signing_keys(metadata, Sealing(NEW, OLD), host_operator())
    await watch.start()
    await _rotate_after_a_rewrap(metadata, database)
    await watch.start()

    assert ring.signing_key().key_id in ring.verification_keys()
    assert locked == [0, 1, 1]

    await _rotate_after_a_rewrap(metadata, database)
    with pytest.raises(MasterKeyMissingError, match=NEW.key_id):
        await node.refresh(ring)
    with pytest.raises(SigningKeyUnavailableError, match=f"sealed with the master key {NEW.key_id}"):
        ring.signing_key()
    assert len(ring.verification_keys()) == 4


async def test_no_master_key_is_made_where_something_is_sealed_f46(
    metadata: Metadata, keys: SigningKeys, tmp_path: Path
) -> None:
    made = await open_node_sealing(metadata, "", tmp_path / "fresh")
    await keys.ensure()

    assert (await open_node_sealing(metadata, "", tmp_path / "fresh")).key_id == made.key_id
    with pytest.raises(MasterKeyFileMissingError, match=f"{OLD.key_id}.*keys renew") as missing:
        await open_node_sealing(metadata, "", tmp_path / "other")
    assert missing.value.path == str(tmp_path / "other" / "secrets" / "master.key")
    assert not (tmp_path / "other").exists()


async def _wait_until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not holds():  # noqa: ASYNC110  # what is waited for happens in a database
            await asyncio.sleep(0.01)


def _signs(ring: KeyRing) -> bool:
    try:
        return ring.signing_key().key_id in ring.verification_keys()
    except (MetadataUnavailableError, SigningKeyUnavailableError):
        return False


async def test_a_watch_follows_the_database_whatever_fails_t13(
    metadata: Metadata, keys: SigningKeys, database: RawDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A revoked key is gone at the next look, even when the next one can't be opened; no failure is the last."""
    monkeypatch.setattr(key_watch, "REFRESH_SECONDS", 0.01)
    ring = KeyRing()
    watch = KeyWatch(keys, ring)
    await keys.ensure()
    await database.fetch("UPDATE signing_keys SET private_key_sealed = public_key WHERE state = 'next'")
    await watch.start()
    first = ring.signing_key().key_id
    running = asyncio.create_task(watch.run())

    await SigningKeys(metadata, Sealing(OLD), "token").revoke(host_operator(), first)
    await _wait_until(lambda: first not in ring.verification_keys())
    assert _signs(ring) is False

    await database.fetch("DELETE FROM signing_keys")
    await SigningKeys(metadata, Sealing(OLD), "token").ensure()
    await _wait_until(lambda: _signs(ring))
    running.cancel()
    assert len(ring.verification_keys()) == 2
