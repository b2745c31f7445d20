"""What a pull finds: manifests by tag and digest, blobs through a repository that links to them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from entrepot.metadata.records import Missing, NewBlob, StoredBlob, StoredManifest
from tests.drivers.metadata.material import (
    ALICE,
    MEDIA_TYPE,
    REPOSITORY,
    TAG,
    digest_of,
    project_number,
    push_blob,
    push_manifest,
)

if TYPE_CHECKING:
    from entrepot.metadata.store import Metadata, Transaction
    from tests.drivers.metadata.counting import CountingObserver
    from tests.drivers.metadata.raw_database import RawDatabase


async def test_a_tag_leads_to_the_manifest_with_its_body(metadata: Metadata) -> None:
    digest = await push_manifest(metadata, '{"a":1}')

    found = await metadata.manifests.find_by_tag(REPOSITORY, TAG)

    assert found == StoredManifest(digest, MEDIA_TYPE, 7, b'{"a":1}', await project_number(metadata))


async def test_a_digest_leads_to_the_manifest_with_its_body(metadata: Metadata) -> None:
    digest = await push_manifest(metadata, '{"a":1}', tag=None)

    found = await metadata.manifests.find_by_digest(REPOSITORY, digest)

    assert found == StoredManifest(digest, MEDIA_TYPE, 7, b'{"a":1}', await project_number(metadata))


async def test_a_body_that_is_known_is_left_out(metadata: Metadata) -> None:
    digest = await push_manifest(metadata, '{"a":1}')

    expected = StoredManifest(digest, MEDIA_TYPE, 7, b"", await project_number(metadata))
    assert await metadata.manifests.find_by_tag(REPOSITORY, TAG, digest) == expected
    assert await metadata.manifests.find_by_digest(REPOSITORY, digest, digest) == expected


async def test_a_body_is_read_where_another_one_is_known(metadata: Metadata) -> None:
    digest = await push_manifest(metadata, '{"a":1}')
    other = await push_manifest(metadata, '{"b":1}', tag=None)

    expected = StoredManifest(digest, MEDIA_TYPE, 7, b'{"a":1}', await project_number(metadata))
    assert await metadata.manifests.find_by_tag(REPOSITORY, TAG, other) == expected
    assert await metadata.manifests.find_by_digest(REPOSITORY, digest, other) == expected


async def test_knowing_a_body_finds_nothing_that_is_missing(metadata: Metadata) -> None:
    """Whether a repository has a manifest is told by its rows, whatever bytes the caller holds (S3)."""
    digest = await push_manifest(metadata, '{"a":1}', repository="team/other")
    await push_manifest(metadata, '{"b":1}')

    assert await metadata.manifests.find_by_digest(REPOSITORY, digest, digest) is Missing.CONTENT
    assert await metadata.manifests.find_by_tag(REPOSITORY, "none", digest) is Missing.CONTENT


async def test_a_description_leaves_the_body_out(metadata: Metadata) -> None:
    digest = await push_manifest(metadata, '{"a":1}')

    expected = StoredManifest(digest, MEDIA_TYPE, 7, b"")
    assert await metadata.manifests.describe_by_tag(REPOSITORY, TAG) == expected
    assert await metadata.manifests.describe_by_digest(REPOSITORY, digest) == expected


async def test_an_unknown_repository_is_told_from_unknown_content(metadata: Metadata) -> None:
    await push_manifest(metadata, '{"a":1}')
    other = digest_of("other")

    for repository, expected in (("team/none", Missing.REPOSITORY), (REPOSITORY, Missing.CONTENT)):
        assert await metadata.manifests.find_by_tag(repository, "none") is expected
        assert await metadata.manifests.find_by_digest(repository, other) is expected
        assert await metadata.manifests.describe_by_tag(repository, "none") is expected
        assert await metadata.manifests.describe_by_digest(repository, other) is expected
        assert await metadata.blobs.find(repository, other) is expected


async def test_a_manifest_of_another_repository_is_missing(metadata: Metadata) -> None:
    digest = await push_manifest(metadata, '{"a":1}', repository="team/other")
    await push_manifest(metadata, '{"b":1}')

    assert await metadata.manifests.find_by_digest(REPOSITORY, digest) is Missing.CONTENT


async def test_a_blob_is_found_through_a_link(metadata: Metadata) -> None:
    key = await push_blob(metadata, "blob")

    expected = StoredBlob(digest_of("blob"), 4, key, await project_number(metadata))
    assert await metadata.blobs.find(REPOSITORY, digest_of("blob")) == expected


async def test_s3_a_blob_linked_only_elsewhere_is_missing(metadata: Metadata) -> None:
    await push_blob(metadata, "secret", "team/other")
    await push_blob(metadata, "own")

    assert await metadata.blobs.find(REPOSITORY, digest_of("secret")) is Missing.CONTENT


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE blobs SET state = 'condemned', condemned_at = 1",
        "UPDATE blobs SET state = 'trash', trashed_at = 1",
    ],
)
async def test_a_blob_that_is_not_live_is_missing(
    metadata: Metadata, database: RawDatabase, change: str
) -> None:
    await push_blob(metadata, "blob")
    await database.fetch(change)

    assert await metadata.blobs.find(REPOSITORY, digest_of("blob")) is Missing.CONTENT


async def test_a_manifest_that_is_not_live_is_missing(metadata: Metadata, database: RawDatabase) -> None:
    digest = await push_manifest(metadata, '{"a":1}', tag=None)
    await database.fetch("UPDATE manifests SET state = 'condemned', condemned_at = 1")

    assert await metadata.manifests.find_by_digest(REPOSITORY, digest) is Missing.CONTENT
    assert await metadata.manifests.describe_by_digest(REPOSITORY, digest) is Missing.CONTENT


async def test_a_deleted_repository_is_missing_with_all_its_content(
    metadata: Metadata, database: RawDatabase
) -> None:
    digest = await push_manifest(metadata, '{"a":1}')
    await push_blob(metadata, "blob")
    await database.fetch("UPDATE repositories SET deleted_at = 1")

    assert await metadata.manifests.find_by_tag(REPOSITORY, TAG) is Missing.REPOSITORY
    assert await metadata.manifests.find_by_digest(REPOSITORY, digest) is Missing.REPOSITORY
    assert await metadata.blobs.find(REPOSITORY, digest_of("blob")) is Missing.REPOSITORY


async def test_each_lookup_is_one_statement_and_no_commit(
    metadata: Metadata, counts: CountingObserver
) -> None:
    digest = await push_manifest(metadata)
    await push_blob(metadata, "blob")
    for lookup in (
        metadata.manifests.find_by_tag(REPOSITORY, TAG),
        metadata.manifests.find_by_digest(REPOSITORY, digest),
        metadata.manifests.describe_by_tag(REPOSITORY, TAG),
        metadata.manifests.describe_by_digest(REPOSITORY, digest),
        metadata.blobs.find(REPOSITORY, digest_of("blob")),
        metadata.tags.list_names(REPOSITORY, "", 10),
        metadata.upload_sessions.find(REPOSITORY, "none", "alice"),
    ):
        counts.reset()
        await lookup
        assert (counts.statements.total(), counts.commits) == (1, 0)


async def test_sha512_digests_are_as_good_as_sha256(metadata: Metadata) -> None:
    digest = digest_of("long", "sha512")

    async def unit(tx: Transaction) -> None:
        row = await tx.repositories.ensure(REPOSITORY, "team", ALICE)
        adopted = await tx.blobs.adopt(NewBlob(digest, 4, "blobs/long", ALICE))
        await tx.blobs.link(row.id, adopted.id, ALICE)

    await metadata.write(unit)

    expected = StoredBlob(digest, 4, "blobs/long", await project_number(metadata))
    assert await metadata.blobs.find(REPOSITORY, digest) == expected


async def test_the_incarnation_identifies_the_database(metadata: Metadata, database: RawDatabase) -> None:
    incarnation = await metadata.instance.incarnation()

    assert len(incarnation) == 32
    assert int(incarnation, 16) > 0
    assert incarnation == await database.value("SELECT incarnation FROM instance")


async def test_a_reachable_database_answers_a_ping(metadata: Metadata) -> None:
    await metadata.instance.ping()
