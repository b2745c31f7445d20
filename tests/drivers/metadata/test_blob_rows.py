"""How a push makes a blob known: adopted once for the whole registry, linked once per repository."""

from __future__ import annotations

from typing import TYPE_CHECKING

from entrepot.metadata.records import Missing, StoredBlob
from tests.drivers.metadata.material import (
    ALICE,
    BOB,
    REPOSITORY,
    digest_of,
    new_blob,
    project_number,
    push_blob,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from entrepot.metadata.records import AdoptedBlob, NewBlob
    from entrepot.metadata.store import Metadata, Transaction
    from entrepot.oci.digest import Digest
    from tests.drivers.metadata.raw_database import RawDatabase

_LIFE = "SELECT state, condemned_at, trashed_at FROM blobs"


async def _adopt(metadata: Metadata, blob: NewBlob) -> AdoptedBlob:
    return await metadata.write(lambda tx: tx.blobs.adopt(blob))


async def _absent(metadata: Metadata, digests: Sequence[Digest]) -> Sequence[Digest]:
    async def unit(tx: Transaction) -> Sequence[Digest]:
        row = await tx.repositories.ensure(REPOSITORY, "team", ALICE)
        return await tx.blobs.absent_from(row.id, digests)

    return await metadata.write(unit)


async def test_the_first_push_keeps_its_own_bytes(metadata: Metadata) -> None:
    blob = new_blob("blob")

    assert (await _adopt(metadata, blob)).storage_key == blob.storage_key


async def test_a_live_blob_wins_over_a_second_push(metadata: Metadata) -> None:
    first, second = new_blob("blob"), new_blob("blob", creator=BOB)
    winner = await _adopt(metadata, first)

    assert await _adopt(metadata, second) == winner
    assert winner.storage_key == first.storage_key


async def test_adopting_twice_converges(metadata: Metadata, database: RawDatabase) -> None:
    blob = new_blob("blob")

    assert await _adopt(metadata, blob) == await _adopt(metadata, blob)
    assert await database.value("SELECT count(*) FROM blobs") == 1


async def test_a_condemned_blob_is_revived_and_wins(metadata: Metadata, database: RawDatabase) -> None:
    first = new_blob("blob")
    winner = await _adopt(metadata, first)
    await database.fetch("UPDATE blobs SET state = 'condemned', condemned_at = 5")

    assert await _adopt(metadata, new_blob("blob")) == winner
    assert await database.fetch(_LIFE) == [("live", None, None)]


async def test_a_blob_in_the_trash_takes_the_new_key(metadata: Metadata, database: RawDatabase) -> None:
    await push_blob(metadata, "blob")
    await database.fetch("UPDATE blobs SET state = 'trash', condemned_at = 5, trashed_at = 6")
    second = new_blob("blob")

    assert (await _adopt(metadata, second)).storage_key == second.storage_key
    assert await database.fetch(_LIFE) == [("live", None, None)]
    found = await metadata.blobs.find(REPOSITORY, second.digest)
    assert found == StoredBlob(second.digest, 4, second.storage_key, await project_number(metadata))


async def test_linking_tells_whether_it_was_new(metadata: Metadata) -> None:
    async def unit(tx: Transaction) -> tuple[bool, bool]:
        row = await tx.repositories.ensure(REPOSITORY, "team", ALICE)
        adopted = await tx.blobs.adopt(new_blob("blob"))
        first = await tx.blobs.link(row.id, adopted.id, ALICE)
        return first, await tx.blobs.link(row.id, adopted.id, BOB)

    assert await metadata.write(unit) == (True, False)
    assert await metadata.write(unit) == (False, False)


async def test_absent_are_those_without_a_link_in_the_order_asked(metadata: Metadata) -> None:
    await push_blob(metadata, "here")
    await push_blob(metadata, "elsewhere", "team/other")
    digests = [digest_of("elsewhere"), digest_of("here"), digest_of("nowhere")]

    assert list(await _absent(metadata, digests)) == [digest_of("elsewhere"), digest_of("nowhere")]
    assert list(await _absent(metadata, [])) == []


async def test_a_condemned_blob_that_is_linked_is_revived_and_not_absent(
    metadata: Metadata, database: RawDatabase
) -> None:
    await push_blob(metadata, "here")
    await push_blob(metadata, "elsewhere", "team/other")
    await database.fetch("UPDATE blobs SET state = 'condemned', condemned_at = 5")

    assert list(await _absent(metadata, [digest_of("here"), digest_of("elsewhere")])) == [
        digest_of("elsewhere")
    ]
    states = await database.fetch("SELECT digest, state, condemned_at FROM blobs ORDER BY creator")
    assert sorted(states) == sorted(
        [(str(digest_of("here")), "live", None), (str(digest_of("elsewhere")), "condemned", 5)]
    )


async def test_a_blob_in_the_trash_is_absent(metadata: Metadata, database: RawDatabase) -> None:
    await push_blob(metadata, "here")
    await database.fetch("UPDATE blobs SET state = 'trash', trashed_at = 5")

    assert list(await _absent(metadata, [digest_of("here")])) == [digest_of("here")]


async def test_a_link_is_held_and_removed_here_only(metadata: Metadata) -> None:
    for repository in (REPOSITORY, "team/other"):
        await push_blob(metadata, "blob", repository)

    async def unit(tx: Transaction) -> int | None:
        row = await tx.repositories.ensure(REPOSITORY, "team", ALICE)
        held = await tx.blobs.hold_link(row.id, digest_of("blob"))
        assert held is not None
        await tx.blobs.unlink(row.id, held)
        assert await tx.blobs.hold_link(row.id, digest_of("none")) is None
        return await tx.blobs.hold_link(row.id, digest_of("blob"))

    assert await metadata.write(unit) is None
    assert await metadata.blobs.find(REPOSITORY, digest_of("blob")) is Missing.CONTENT
    assert isinstance(await metadata.blobs.find("team/other", digest_of("blob")), StoredBlob)


async def test_a_link_to_a_condemned_blob_is_not_held(metadata: Metadata, database: RawDatabase) -> None:
    await push_blob(metadata, "blob")
    await database.fetch("UPDATE blobs SET state = 'condemned', condemned_at = 5")

    async def unit(tx: Transaction) -> int | None:
        row = await tx.repositories.ensure(REPOSITORY, "team", ALICE)
        return await tx.blobs.hold_link(row.id, digest_of("blob"))

    assert await metadata.write(unit) is None
