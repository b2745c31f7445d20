"""What the sweep of orphans asks and remembers, and whose turn it is, on each engine."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from entrepot.metadata.records import Candidate, MountableBlob, Owners, SweepClaim
from tests.drivers.metadata.material import (
    ALICE,
    REPOSITORY,
    digest_of,
    fact,
    new_session,
    push_blob,
    push_manifest,
)

if TYPE_CHECKING:
    from entrepot.metadata.store import Metadata, Transaction
    from tests.drivers.metadata.raw_database import RawDatabase

_SWEEP = "orphans"


async def _remember(metadata: Metadata, **sizes: int) -> None:
    await metadata.write(lambda tx: tx.orphans.remember(sizes))


async def _claim(metadata: Metadata) -> SweepClaim | None:
    return await metadata.write(lambda tx: tx.orphans.claim(_SWEEP, 60))


async def test_owners_are_sessions_blobs_and_manifests(metadata: Metadata, database: RawDatabase) -> None:
    key = await push_blob(metadata, "layer")
    await push_manifest(metadata)
    manifest_key = await database.value("SELECT storage_key FROM manifest_bodies")

    async def unit(tx: Transaction) -> None:
        row = await tx.repositories.ensure(REPOSITORY, "team", ALICE)
        await tx.upload_sessions.create(new_session(row.id, "s1"))

    await metadata.write(unit)

    owners = await metadata.orphans.owners(["s1", "s2"], [key, manifest_key, "blobs/none"])

    assert owners == Owners(frozenset({"s1"}), frozenset({key, manifest_key}))
    assert await metadata.orphans.owners([], []) == Owners(frozenset(), frozenset())


async def test_candidates_are_read_by_range_in_byte_order(metadata: Metadata) -> None:
    await _remember(metadata, **{"blobs/B": 2, "blobs/a": 1, "index/x": 0, "blobs/é": 3, "blobs/b": 4})

    found = await metadata.orphans.candidates("blobs/B", "blobs/~", 60)

    assert found == [Candidate("blobs/a", 1, due=False), Candidate("blobs/b", 4, due=False)]
    assert await metadata.orphans.count() == (5, 10)


async def test_a_candidate_keeps_the_time_it_was_first_seen(
    metadata: Metadata, database: RawDatabase
) -> None:
    await _remember(metadata, a=1)
    await database.fetch("UPDATE orphans SET seen_at = seen_at - 61000")
    await _remember(metadata, a=1, b=1)

    found = await metadata.orphans.candidates("", "~", 60)

    assert [(one.storage_key, one.due) for one in found] == [("a", True), ("b", False)]
    await metadata.write(lambda tx: tx.orphans.forget(["a", "never seen"]))
    assert await metadata.orphans.count() == (1, 1)


async def test_a_sweep_is_claimed_by_one(metadata: Metadata) -> None:
    claims = await asyncio.gather(*(_claim(metadata) for _ in range(5)))

    assert sorted(claims, key=str) == sorted([SweepClaim(_SWEEP, 1, ""), *[None] * 4], key=str)


async def test_a_sweep_goes_on_from_its_progress(metadata: Metadata, database: RawDatabase) -> None:
    claim = await _claim(metadata)
    assert claim is not None
    assert await metadata.write(lambda tx: tx.orphans.save(replace(claim, progress="half"), 60))
    await database.fetch("UPDATE sweeps SET lease_until = 1")

    following = await _claim(metadata)

    assert following == SweepClaim(_SWEEP, claim.fence + 1, "half")


async def test_f30_a_sweep_that_was_given_up_changes_nothing(
    metadata: Metadata, database: RawDatabase
) -> None:
    late = await _claim(metadata)
    assert late is not None
    await database.fetch("UPDATE sweeps SET lease_until = 1")
    following = await _claim(metadata)
    assert following is not None

    assert not await metadata.write(lambda tx: tx.orphans.save(replace(late, progress="late"), 60))
    await metadata.write(lambda tx: tx.orphans.release(late, 0))

    assert await _claim(metadata) is None
    assert await metadata.write(lambda tx: tx.orphans.save(following, 60))


async def test_a_sweep_is_due_again_after_its_pause(metadata: Metadata, database: RawDatabase) -> None:
    claim = await _claim(metadata)
    assert claim is not None
    await metadata.write(lambda tx: tx.orphans.release(claim, 3600))
    assert await _claim(metadata) is None

    await database.fetch("UPDATE sweeps SET due_at = due_at - 3600000")

    assert await _claim(metadata) is not None


async def test_the_last_fact_is_the_youngest(metadata: Metadata) -> None:
    before = await metadata.orphans.last_fact()

    sequence = await metadata.write(lambda tx: tx.outbox.append(fact()))

    assert sequence > before
    assert await metadata.orphans.last_fact() == sequence


async def test_sources_of_a_mount_are_live_and_linked(metadata: Metadata, database: RawDatabase) -> None:
    key = await push_blob(metadata, "layer")
    await push_blob(metadata, "other", "team/other")
    digest = digest_of("layer")

    assert await metadata.mounts.repositories_with(digest, 10) == [REPOSITORY]
    found = await metadata.write(lambda tx: tx.mounts.hold_source(REPOSITORY, digest))
    assert found is not None
    assert found == MountableBlob(found.id, len("layer"), key)
    assert await metadata.write(lambda tx: tx.mounts.hold_source("team/other", digest)) is None
    assert await metadata.write(lambda tx: tx.mounts.hold_source("team/none", digest)) is None

    await database.fetch("UPDATE blobs SET state = 'condemned'")
    assert await metadata.mounts.repositories_with(digest, 10) == []
    assert await metadata.write(lambda tx: tx.mounts.hold_source(REPOSITORY, digest)) is None


async def test_sources_of_a_mount_are_bounded(metadata: Metadata) -> None:
    for number in range(5):
        await push_blob(metadata, "layer", f"team/app{number}")

    assert len(await metadata.mounts.repositories_with(digest_of("layer"), 3)) == 3
