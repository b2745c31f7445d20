"""Damaged content is set aside, comes back by a push, and gives way to sound bytes, on each engine."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from entrepot.metadata.records import Missing, StoredBlob, StoredManifest
from tests.drivers.metadata.material import (
    ALICE,
    REPOSITORY,
    TAG,
    digest_of,
    layer,
    new_blob,
    new_manifest,
    push_blob,
    push_manifest,
)

if TYPE_CHECKING:
    from entrepot.metadata.inventory import InventoryBlob
    from entrepot.metadata.store import Metadata, Transaction
    from tests.drivers.metadata.raw_database import RawDatabase


async def _only_blob(metadata: Metadata) -> InventoryBlob:
    (blob,) = await metadata.inventory.blobs(0, 10)
    return blob


async def test_a_blob_set_aside_is_not_served_and_comes_back_by_a_push(metadata: Metadata) -> None:
    """F12: the link stays, so one push heals every repository."""
    key = await push_blob(metadata, "layer")
    await push_blob(metadata, "layer", "team/other")
    blob = await _only_blob(metadata)

    assert await metadata.write(lambda tx: tx.quarantine.isolate_blob(blob.id, key, "corrupt"))

    assert await metadata.blobs.find(REPOSITORY, blob.digest) is Missing.CONTENT
    assert (await _only_blob(metadata)).quarantined
    new_key = await push_blob(metadata, "layer")
    assert new_key != key
    found = await metadata.blobs.find("team/other", blob.digest)
    assert isinstance(found, StoredBlob)
    assert found.storage_key == new_key
    assert not (await _only_blob(metadata)).quarantined


async def test_nothing_is_set_aside_whose_row_has_other_bytes_by_now(metadata: Metadata) -> None:
    """Whoever looked at the bytes of one key says nothing about those of another."""
    key = await push_blob(metadata, "layer")
    blob = await _only_blob(metadata)
    await metadata.write(lambda tx: tx.quarantine.repoint_blob(blob.id, key, "blobs/new"))

    assert not await metadata.write(lambda tx: tx.quarantine.isolate_blob(blob.id, key, "corrupt"))
    assert not await metadata.write(lambda tx: tx.quarantine.repoint_blob(blob.id, key, "blobs/newer"))
    assert not await metadata.write(lambda tx: tx.quarantine.restore_blob(blob.id, "blobs/new"))

    assert (await _only_blob(metadata)).storage_key == "blobs/new"
    assert (await _only_blob(metadata)).state == "live"


async def test_a_unit_that_runs_again_finds_its_own_key_in_its_place(metadata: Metadata) -> None:
    """When the first COMMIT was lost on the way, the bytes that the row names must not be taken for superfluous."""
    key = await push_blob(metadata, "layer")
    blob = await _only_blob(metadata)

    for _ in range(2):
        assert await metadata.write(lambda tx: tx.quarantine.repoint_blob(blob.id, key, "blobs/new"))
        assert await metadata.write(lambda tx: tx.quarantine.isolate_blob(blob.id, "blobs/new", "again"))


async def test_a_condemned_blob_is_restored_as_condemned(metadata: Metadata, database: RawDatabase) -> None:
    """I5: what was on its way out is not served again because it was damaged in between."""
    key = await push_blob(metadata, "layer")
    blob = await _only_blob(metadata)
    await database.fetch("UPDATE blobs SET state = 'condemned', condemned_at = 5")
    await metadata.write(lambda tx: tx.quarantine.isolate_blob(blob.id, key, "corrupt"))

    assert await metadata.write(lambda tx: tx.quarantine.restore_blob(blob.id, key))

    assert await database.value("SELECT state FROM blobs") == "condemned"
    assert await database.value("SELECT trashed_at FROM blobs") is None
    assert await database.value("SELECT quarantine_reason FROM blobs") is None


async def _damage_body(database: RawDatabase, digest: object, body: str) -> None:
    literal = f"x'{body.encode().hex()}'" if database.is_sqlite else f"'{body}'::bytea"
    await database.fetch(f"UPDATE manifest_bodies SET body = {literal} WHERE digest = '{digest}'")


async def test_a_manifest_set_aside_comes_back_by_a_push_with_its_body(
    metadata: Metadata, database: RawDatabase
) -> None:
    """F11: the damaged body is replaced; tags that pointed at the manifest still do."""
    digest = await push_manifest(metadata, '{"a":1}')
    await _damage_body(database, digest, '{"a":2}')
    isolated = await metadata.write(lambda tx: tx.quarantine.isolate_manifests(digest, b'{"a":2}', "corrupt"))
    assert isolated == 1
    assert await metadata.manifests.find_by_tag(REPOSITORY, TAG) is Missing.CONTENT

    async def push_again(tx: Transaction) -> str | None:
        row = await tx.repositories.ensure(REPOSITORY, "team", ALICE)
        manifest = new_manifest(row.id, '{"a":1}')
        known = await tx.manifests.body_key(digest, manifest.body)
        assert await tx.manifests.put(replace(manifest, fresh_copy=True))
        return known

    assert await metadata.write(push_again) is None
    found = await metadata.manifests.find_by_tag(REPOSITORY, TAG)
    assert isinstance(found, StoredManifest)
    assert found.body == b'{"a":1}'


async def test_only_the_body_that_was_looked_at_is_set_aside(metadata: Metadata) -> None:
    """A push may have healed it meanwhile."""
    digest = await push_manifest(metadata, '{"a":1}')

    assert await metadata.write(lambda tx: tx.quarantine.isolate_manifests(digest, b"other", "corrupt")) == 0
    assert isinstance(await metadata.manifests.find_by_tag(REPOSITORY, TAG), StoredManifest)


async def test_a_body_is_replaced_once_and_its_manifests_are_restored(
    metadata: Metadata, database: RawDatabase
) -> None:
    """Those of all repositories come back with it."""
    digest = await push_manifest(metadata, '{"a":1}')
    await push_manifest(metadata, '{"a":1}', repository="team/other")
    await _damage_body(database, digest, "x")
    await metadata.write(lambda tx: tx.quarantine.isolate_manifests(digest, b"x", "corrupt"))
    assert await metadata.verification.quarantined([digest]) == {digest}

    assert await metadata.write(lambda tx: tx.quarantine.replace_body(digest, b'{"a":1}'))
    assert not await metadata.write(lambda tx: tx.quarantine.replace_body(digest, b'{"a":1}'))
    assert await metadata.write(lambda tx: tx.quarantine.restore_manifests(digest)) == 2

    assert await metadata.verification.quarantined([digest]) == frozenset()
    found = await metadata.manifests.find_by_tag("team/other", TAG)
    assert isinstance(found, StoredManifest)
    assert (found.body, found.size_bytes) == (b'{"a":1}', 7)


async def test_a_manifest_set_aside_can_be_deleted_for_good(
    metadata: Metadata, database: RawDatabase
) -> None:
    """I5: it does not come back when the bytes are sound again."""
    digest = await push_manifest(metadata, '{"a":1}')
    await metadata.write(lambda tx: tx.quarantine.isolate_manifests(digest, b'{"a":1}', "corrupt"))

    async def delete(tx: Transaction) -> None:
        row = await tx.repositories.find(REPOSITORY)
        assert row is not None
        manifest_id = await tx.manifests.hold(row.id, digest)
        assert manifest_id is not None
        await tx.manifests.condemn(manifest_id)

    await metadata.write(delete)

    assert await metadata.write(lambda tx: tx.quarantine.restore_manifests(digest)) == 0
    assert await database.value("SELECT state FROM manifests") == "condemned"


async def test_who_needs_a_blob_is_found_upwards(metadata: Metadata) -> None:
    """Links, manifests, indexes and tags, each by one statement."""
    await push_blob(metadata, "layer")
    image = await push_manifest(metadata, '{"a":1}', (layer("layer"),), tag=None)
    index_entry = type(layer("x"))("manifest", image, 7, "m")
    index = await push_manifest(metadata, '{"i":1}', (index_entry,), tag="multi")
    blob = await _only_blob(metadata)
    verification = metadata.verification

    assert await verification.repositories_of_blob(blob.id, 10) == [REPOSITORY]
    (manifest,) = await verification.manifests_of_blob(blob.id, 10)
    assert (manifest.repository, manifest.digest) == (REPOSITORY, image)
    (above,) = await verification.indexes_above([manifest.id], 10)
    assert above.digest == index
    assert await verification.tags_of([manifest.id, above.id], 10) == [(REPOSITORY, "multi")]
    assert [held.digest for held in await verification.manifests_of_body(index, 10)] == [index]
    assert await verification.bodies([image, index]) == {image: b'{"a":1}', index: b'{"i":1}'}


async def test_references_tell_what_became_of_their_targets(
    metadata: Metadata, database: RawDatabase
) -> None:
    """Live, set aside, unlinked: all seen by one statement; a manifest without references has a row, too."""
    for content in ("kept", "aside", "unlinked"):
        await push_blob(metadata, content)
    await push_manifest(
        metadata, '{"a":1}', tuple(layer(one) for one in ("kept", "aside", "unlinked", "never"))
    )
    await push_manifest(metadata, '{"b":1}', tag=None)
    await database.fetch("UPDATE blobs SET state = 'trash', quarantined_at = 1 WHERE size_bytes = 5")
    await database.fetch(
        "DELETE FROM repository_blobs WHERE blob_id = (SELECT id FROM blobs WHERE size_bytes = 8)"
    )
    manifests = await metadata.inventory.manifests(0, 10)

    found = await metadata.verification.references_of([manifest.id for manifest in manifests])

    states = {str(one.digest): (one.resolved, one.target) for one in found if one.kind is not None}
    assert states == {
        str(digest_of("kept")): (True, "live"),
        str(digest_of("aside")): (True, "quarantined"),
        str(digest_of("unlinked")): (True, "missing"),
        str(digest_of("never")): (False, "missing"),
    }
    assert [one.manifest_id for one in found if one.kind is None] == [manifests[1].id]


async def test_a_tag_of_a_manifest_that_is_gone_is_found(metadata: Metadata, database: RawDatabase) -> None:
    """Unless the manifest was set aside, which is told elsewhere."""
    digest = await push_manifest(metadata)
    (manifest,) = await metadata.inventory.manifests(0, 10)
    await database.fetch("UPDATE manifests SET state = 'condemned'")

    (broken,) = await metadata.verification.broken_tags(0, manifest.id)
    assert (broken.repository, broken.name, broken.digest, broken.state) == (
        REPOSITORY,
        TAG,
        digest,
        "condemned",
    )
    assert await metadata.verification.broken_tags(manifest.id, 1 << 60) == []
    await database.fetch("UPDATE manifests SET state = 'trash', quarantined_at = 1")
    assert await metadata.verification.broken_tags(0, manifest.id) == []


async def test_totals_count_what_is_to_be_examined(metadata: Metadata) -> None:
    """Of the registry, and of what one repository links to."""
    await push_blob(metadata, "12345")
    await push_blob(metadata, "123", "team/other")

    whole = await metadata.verification.totals()
    part = await metadata.verification.totals_of("team/other")

    assert (whole.blobs, whole.blob_bytes) == (2, 8)
    assert (part.blobs, part.blob_bytes) == (1, 3)
    assert new_blob("12345").digest == digest_of("12345")
