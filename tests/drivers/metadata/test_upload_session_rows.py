"""Upload sessions: seen by their creator only, leased to one at a time, changed by the holder of the fence only."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from entrepot.metadata.records import ExpiredUpload, Missing, UploadLease, UploadProgress, UploadSession
from tests.drivers.metadata.material import ALICE, BOB, REPOSITORY, new_session, push_manifest

if TYPE_CHECKING:
    from entrepot.metadata.store import Metadata, Transaction
    from tests.drivers.metadata.raw_database import RawDatabase

_OWNER = "process-1"
_OTHER = "process-2"
_EXPIRE_LEASE = "UPDATE upload_sessions SET lease_until = 1"
_EXPIRE = "UPDATE upload_sessions SET expires_at = 1"


async def _create(metadata: Metadata) -> None:
    async def unit(tx: Transaction) -> None:
        row = await tx.repositories.ensure(REPOSITORY, "team", ALICE)
        await tx.upload_sessions.create(new_session(row.id))

    await metadata.write(unit)


async def _lease(
    metadata: Metadata, owner: str = _OWNER, creator: str = ALICE, repository: str = REPOSITORY
) -> UploadLease | Missing | None:
    return await metadata.write(lambda tx: tx.upload_sessions.lease(repository, "s1", creator, owner, 30))


async def _take(metadata: Metadata, owner: str = _OWNER) -> UploadLease:
    lease = await _lease(metadata, owner)
    assert isinstance(lease, UploadLease)
    return lease


async def _record(metadata: Metadata, progress: UploadProgress) -> bool:
    return await metadata.write(lambda tx: tx.upload_sessions.record(progress))


def _progress(lease: UploadLease, offset: int, state: bytes = b"state") -> UploadProgress:
    return UploadProgress("s1", lease.fence, lease.offset, offset, "sha512", "ab", state, 60)


async def test_a_new_session_stands_at_nothing(metadata: Metadata) -> None:
    await _create(metadata)

    assert await metadata.upload_sessions.find(REPOSITORY, "s1", ALICE) == UploadSession("s1", 0)
    lease = await _take(metadata)
    assert (lease.fence, lease.offset, lease.algorithm, lease.digest_so_far, lease.state) == (
        1,
        0,
        "sha256",
        None,
        b"",
    )


async def test_s5_a_session_is_missing_for_anybody_else(metadata: Metadata) -> None:
    await _create(metadata)
    await push_manifest(metadata, repository="team/other")

    assert await metadata.upload_sessions.find(REPOSITORY, "s1", BOB) is Missing.CONTENT
    assert await metadata.upload_sessions.find("team/other", "s1", ALICE) is Missing.CONTENT
    assert await metadata.upload_sessions.find("team/none", "s1", ALICE) is Missing.REPOSITORY
    assert await metadata.upload_sessions.find(REPOSITORY, "s2", ALICE) is Missing.CONTENT
    assert await _lease(metadata, creator=BOB) is Missing.CONTENT
    assert await _lease(metadata, repository="team/other") is Missing.CONTENT
    assert await _lease(metadata, repository="team/none") is Missing.REPOSITORY


async def test_a_session_past_its_time_is_missing(metadata: Metadata, database: RawDatabase) -> None:
    await _create(metadata)
    await database.fetch(_EXPIRE)

    assert await metadata.upload_sessions.find(REPOSITORY, "s1", ALICE) is Missing.CONTENT
    assert await _lease(metadata) is Missing.CONTENT


@pytest.mark.parametrize("owner", [_OWNER, _OTHER])
async def test_a_leased_session_is_busy_for_everybody(metadata: Metadata, owner: str) -> None:
    await _create(metadata)
    await _take(metadata)

    assert await _lease(metadata, owner) is None


async def test_f30_an_expired_lease_is_taken_over_and_its_holder_changes_nothing(
    metadata: Metadata, database: RawDatabase
) -> None:
    await _create(metadata)
    first = await _take(metadata)
    await database.fetch(_EXPIRE_LEASE)
    second = await _take(metadata, _OTHER)

    assert second.fence == first.fence + 1
    assert await _record(metadata, _progress(first, 10)) is False
    assert await metadata.write(lambda tx: tx.upload_sessions.renew("s1", first.fence, 30)) is False
    assert await metadata.write(lambda tx: tx.upload_sessions.remove("s1", first.fence)) is False
    await metadata.write(lambda tx: tx.upload_sessions.release("s1", first.fence))
    assert await _lease(metadata) is None
    assert await _record(metadata, _progress(second, 20)) is True
    assert await metadata.upload_sessions.find(REPOSITORY, "s1", ALICE) == UploadSession("s1", 20)


async def test_a_record_moves_the_session_and_gives_the_lease_back(metadata: Metadata) -> None:
    await _create(metadata)
    lease = await _take(metadata)

    assert await _record(metadata, _progress(lease, 10, b"s10")) is True
    following = await _take(metadata, _OTHER)
    assert following == UploadLease("s1", lease.repository_id, lease.fence + 1, 10, "sha512", "ab", b"s10")


async def test_a_record_from_another_offset_changes_nothing(metadata: Metadata) -> None:
    await _create(metadata)
    lease = await _take(metadata)
    wrong = UploadProgress("s1", lease.fence, 5, 10, "sha256", None, b"", 60)

    assert await _record(metadata, wrong) is False
    assert await metadata.upload_sessions.find(REPOSITORY, "s1", ALICE) == UploadSession("s1", 0)


async def test_i7_a_record_done_twice_converges(metadata: Metadata) -> None:
    await _create(metadata)
    lease = await _take(metadata)

    assert await _record(metadata, _progress(lease, 10)) is True
    assert await _record(metadata, _progress(lease, 10)) is True
    assert await _record(metadata, _progress(lease, 11)) is False
    assert await metadata.upload_sessions.find(REPOSITORY, "s1", ALICE) == UploadSession("s1", 10)


async def test_i7_creating_twice_converges(metadata: Metadata, database: RawDatabase) -> None:
    await _create(metadata)
    await _take(metadata)
    await _create(metadata)

    assert await database.fetch("SELECT fence, lease_owner FROM upload_sessions") == [(1, _OWNER)]


async def test_a_renewed_lease_lasts_longer(metadata: Metadata, database: RawDatabase) -> None:
    await _create(metadata)
    lease = await _take(metadata)
    await database.fetch(_EXPIRE_LEASE)

    assert await metadata.write(lambda tx: tx.upload_sessions.renew("s1", lease.fence, 30)) is True
    assert await _lease(metadata, _OTHER) is None


async def test_a_released_lease_is_free_and_can_not_be_renewed(metadata: Metadata) -> None:
    await _create(metadata)
    lease = await _take(metadata)
    await metadata.write(lambda tx: tx.upload_sessions.release("s1", lease.fence))

    assert await metadata.write(lambda tx: tx.upload_sessions.renew("s1", lease.fence, 30)) is False
    assert isinstance(await _lease(metadata, _OTHER), UploadLease)


async def test_a_removed_session_is_missing(metadata: Metadata) -> None:
    await _create(metadata)
    lease = await _take(metadata)

    assert await metadata.write(lambda tx: tx.upload_sessions.remove("s1", lease.fence)) is True
    assert await metadata.upload_sessions.find(REPOSITORY, "s1", ALICE) is Missing.CONTENT


async def test_the_leases_of_a_dead_process_are_given_back_at_once(metadata: Metadata) -> None:
    async def unit(tx: Transaction) -> None:
        row = await tx.repositories.ensure(REPOSITORY, "team", ALICE)
        for name, owner in (("s1", _OWNER), ("s2", _OWNER), ("s3", _OTHER)):
            await tx.upload_sessions.create(new_session(row.id, name))
            await tx.upload_sessions.lease(REPOSITORY, name, ALICE, owner, 30)

    await metadata.write(unit)

    assert await metadata.write(lambda tx: tx.upload_sessions.release_owner(_OWNER)) == 2
    assert isinstance(await _lease(metadata, _OTHER), UploadLease)
    busy = await metadata.write(lambda tx: tx.upload_sessions.lease(REPOSITORY, "s3", ALICE, _OWNER, 30))
    assert busy is None


async def test_f30_a_process_given_up_for_dead_changes_nothing(metadata: Metadata) -> None:
    await _create(metadata)
    lease = await _take(metadata)
    await metadata.write(lambda tx: tx.upload_sessions.release_owner(_OWNER))

    assert await _record(metadata, _progress(lease, 10)) is False
    assert await metadata.write(lambda tx: tx.upload_sessions.remove("s1", lease.fence)) is False


async def test_who_holds_leases_is_known_by_the_beginning_of_the_name(metadata: Metadata) -> None:
    async def unit(tx: Transaction) -> None:
        row = await tx.repositories.ensure(REPOSITORY, "team", ALICE)
        for number, owner in enumerate(("n1/b", "n1/a", "n1/a", "n2/a", "n10/a")):
            await tx.upload_sessions.create(new_session(row.id, f"s{number}"))
            await tx.upload_sessions.lease(REPOSITORY, f"s{number}", ALICE, owner, 30)

    await metadata.write(unit)

    assert list(await metadata.upload_sessions.lease_owners("n1/")) == ["n1/a", "n1/b"]
    assert list(await metadata.upload_sessions.lease_owners("n3/")) == []


async def test_recorded_bytes_prolong_the_life_of_a_session(
    metadata: Metadata, database: RawDatabase
) -> None:
    await _create(metadata)
    lease = await _take(metadata)
    await database.fetch(_EXPIRE)

    assert await _record(metadata, _progress(lease, 10)) is True
    assert await metadata.upload_sessions.find(REPOSITORY, "s1", ALICE) == UploadSession("s1", 10)


async def test_expired_sessions_are_removed_oldest_first_unless_they_are_held(
    metadata: Metadata, database: RawDatabase
) -> None:
    async def unit(tx: Transaction) -> None:
        row = await tx.repositories.ensure(REPOSITORY, "team", ALICE)
        for name in ("alive", "held", "old", "older", "given-up"):
            await tx.upload_sessions.create(new_session(row.id, name))
        for name in ("held", "given-up"):
            await tx.upload_sessions.lease(REPOSITORY, name, ALICE, _OWNER, 30)

    await metadata.write(unit)
    await database.fetch("UPDATE upload_sessions SET expires_at = 2 WHERE public_id <> 'alive'")
    await database.fetch("UPDATE upload_sessions SET expires_at = 1 WHERE public_id = 'older'")
    await database.fetch("UPDATE upload_sessions SET lease_until = 1 WHERE public_id = 'given-up'")

    first = await metadata.write(lambda tx: tx.upload_sessions.remove_expired(1))
    rest = await metadata.write(lambda tx: tx.upload_sessions.remove_expired(10))

    assert list(first) == [ExpiredUpload("older", 0, 0, b"")]
    assert {one.public_id: one.fence for one in rest} == {"old": 0, "given-up": 1}
    assert await metadata.write(lambda tx: tx.upload_sessions.remove("given-up", 1)) is False
    assert sorted(await database.fetch("SELECT public_id FROM upload_sessions")) == [("alive",), ("held",)]
