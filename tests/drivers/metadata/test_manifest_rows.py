"""How a push makes a manifest known, and what that manifest then keeps alive."""

from __future__ import annotations

from typing import TYPE_CHECKING

from entrepot.metadata.records import ImageReference, StoredManifest
from tests.drivers.metadata.material import (
    ALICE,
    REPOSITORY,
    digest_of,
    layer,
    new_manifest,
    push_blob,
    push_manifest,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from entrepot.metadata.store import Metadata, Transaction
    from entrepot.oci.digest import Digest
    from tests.drivers.metadata.raw_database import RawDatabase

_REFERENCES = """
SELECT x.position, x.kind, x.digest, x.size_bytes, b.digest, c.digest FROM manifest_references x
LEFT JOIN blobs b ON b.id = x.blob_id LEFT JOIN manifests c ON c.id = x.child_id
ORDER BY x.manifest_id, x.position
"""


async def _put(metadata: Metadata, body: str, references: tuple[ImageReference, ...] = ()) -> bool:
    async def unit(tx: Transaction) -> bool:
        row = await tx.repositories.ensure(REPOSITORY, "team", ALICE)
        return await tx.manifests.put(new_manifest(row.id, body, references))

    return await metadata.write(unit)


async def _absent(metadata: Metadata, digests: Sequence[Digest]) -> list[Digest]:
    async def unit(tx: Transaction) -> Sequence[Digest]:
        row = await tx.repositories.ensure(REPOSITORY, "team", ALICE)
        return await tx.manifests.absent_from(row.id, digests)

    return list(await metadata.write(unit))


async def test_i7_putting_twice_tells_new_once_and_leaves_one_set_of_rows(
    metadata: Metadata, database: RawDatabase
) -> None:
    assert await _put(metadata, "{}", (layer("a"), layer("a"))) is True
    assert await _put(metadata, "{}", (layer("a"), layer("a"))) is False

    assert await database.value("SELECT count(*) FROM manifests") == 1
    assert await database.value("SELECT count(*) FROM manifest_references") == 2


async def test_references_are_resolved_within_the_repository(
    metadata: Metadata, database: RawDatabase
) -> None:
    await push_blob(metadata, "here")
    await push_blob(metadata, "elsewhere", "team/other")
    child = await push_manifest(metadata, '{"child":1}', tag=None)
    foreign_child = await push_manifest(metadata, '{"child":2}', repository="team/other", tag=None)

    await _put(
        metadata,
        '{"index":1}',
        (
            layer("here"),
            layer("elsewhere"),
            ImageReference("manifest", child, 11, "application/x"),
            ImageReference("manifest", foreign_child, 12, "application/x"),
        ),
    )

    here, elsewhere = str(digest_of("here")), str(digest_of("elsewhere"))
    assert await database.fetch(_REFERENCES) == [
        (0, "layer", here, 4, here, None),
        (1, "layer", elsewhere, 9, None, None),
        (2, "manifest", str(child), 11, None, str(child)),
        (3, "manifest", str(foreign_child), 12, None, None),
    ]


async def test_equal_manifests_of_two_repositories_share_one_body(
    metadata: Metadata, database: RawDatabase
) -> None:
    digest = await push_manifest(metadata, '{"a":1}')
    await push_manifest(metadata, '{"a":1}', repository="team/other")

    assert await database.value("SELECT count(*) FROM manifest_bodies") == 1
    found = await metadata.manifests.find_by_digest("team/other", digest)
    assert isinstance(found, StoredManifest)
    assert found.body == b'{"a":1}'


async def test_the_key_of_a_body_is_known_as_soon_as_one_repository_has_it(metadata: Metadata) -> None:
    async def unit(tx: Transaction) -> tuple[str | None, str | None, str]:
        row = await tx.repositories.ensure(REPOSITORY, "team", ALICE)
        manifest = new_manifest(row.id, '{"a":1}')
        before = await tx.manifests.body_key(manifest.digest, manifest.body)
        await tx.manifests.put(manifest)
        return before, await tx.manifests.body_key(manifest.digest, manifest.body), manifest.storage_key

    before, after, expected = await metadata.write(unit)

    assert before is None
    assert after == expected


async def test_a_condemned_manifest_is_revived_by_a_put(metadata: Metadata, database: RawDatabase) -> None:
    await _put(metadata, "{}")
    await database.fetch("UPDATE manifests SET state = 'condemned', condemned_at = 5")

    assert await _put(metadata, "{}") is True
    assert await _put(metadata, "{}") is False
    assert await database.fetch("SELECT state, condemned_at FROM manifests") == [("live", None)]


async def test_i5_absent_are_foreign_unknown_and_condemned_manifests_and_nothing_is_revived(
    metadata: Metadata, database: RawDatabase
) -> None:
    live = await push_manifest(metadata, '{"a":1}', tag=None)
    foreign = await push_manifest(metadata, '{"b":1}', repository="team/other", tag=None)
    condemned = await push_manifest(metadata, '{"c":1}', tag=None)
    await database.fetch(
        f"UPDATE manifests SET state = 'condemned', condemned_at = 5 WHERE digest = '{condemned}'"
    )

    absent = await _absent(metadata, [foreign, condemned, live, digest_of("none")])
    assert absent == [foreign, condemned, digest_of("none")]
    assert await _absent(metadata, []) == []
    states = await database.fetch("SELECT digest, state FROM manifests")
    assert sorted(states) == sorted(
        [(str(live), "live"), (str(foreign), "live"), (str(condemned), "condemned")]
    )


async def test_all_properties_are_stored(metadata: Metadata, database: RawDatabase) -> None:
    async def unit(tx: Transaction) -> None:
        row = await tx.repositories.ensure(REPOSITORY, "team", ALICE)
        await tx.manifests.put(new_manifest(row.id, "{}", subject=digest_of("subject")))

    await metadata.write(unit)

    ((media_type, artifact, config, subject, annotations, size, creator),) = await database.fetch(
        "SELECT media_type, artifact_type, config_media_type, subject_digest, annotations, size_bytes, creator "
        "FROM manifests"
    )
    assert (artifact, subject, bytes(annotations), size, creator) == (
        None,
        str(digest_of("subject")),
        b"{}",
        2,
        ALICE,
    )
    assert media_type.endswith("manifest.v1+json")
    assert config.endswith("config.v1+json")
