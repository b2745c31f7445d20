"""Lists of referrers: who is on them, in which order, in pages of how many and of how many bytes."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from entrepot.metadata.records import ImageReference, Referrer, ReferrerPage, ReferrerQuery
from entrepot.oci.media_types import OCI_IMAGE_INDEX, OCI_IMAGE_MANIFEST
from tests.drivers.metadata.material import ALICE, REPOSITORY, digest_of, new_manifest, project_number

if TYPE_CHECKING:
    from entrepot.metadata.store import Metadata, Transaction
    from entrepot.oci.digest import Digest
    from tests.drivers.metadata.counting import CountingObserver
    from tests.drivers.metadata.raw_database import RawDatabase

_SUBJECT = digest_of("subject")
_OTHER_SUBJECT = digest_of("another subject")
_LIST_TAG = f"sha256-{_SUBJECT.hex}"
_SIGNATURE = "application/vnd.tests.signature"
_REPORT = "application/vnd.tests.report"
_ALL = 1000
_ROOM = 4 * 1024 * 1024


async def _put(
    metadata: Metadata,
    body: str,
    subject: Digest | None = _SUBJECT,
    artifact_type: str | None = _SIGNATURE,
    annotations: bytes = b"{}",
    repository: str = REPOSITORY,
) -> Digest:
    async def unit(tx: Transaction) -> Digest:
        row = await tx.repositories.ensure(repository, "team", ALICE)
        manifest = new_manifest(row.id, body, subject=subject)
        await tx.manifests.put(replace(manifest, artifact_type=artifact_type, annotations_json=annotations))
        return manifest.digest

    return await metadata.write(unit)


async def _put_list(metadata: Metadata, *digests: Digest, tag: str = _LIST_TAG) -> Digest:
    """Push an index of these manifests under a tag, as clients do that know no referrers API."""

    async def unit(tx: Transaction) -> Digest:
        row = await tx.repositories.ensure(REPOSITORY, "team", ALICE)
        body = json.dumps(["list", *map(str, digests)])
        references = tuple(ImageReference("manifest", one, 2, OCI_IMAGE_MANIFEST) for one in digests)
        index = replace(
            new_manifest(row.id, body, references), media_type=OCI_IMAGE_INDEX, artifact_type=None
        )
        await tx.manifests.put(index)
        await tx.tags.put(row.id, tag, index.digest, ALICE)
        return index.digest

    return await metadata.write(unit)


def _query(
    artifact_type: str | None = None, after: str = "", limit: int = _ALL, max_bytes: int = _ROOM
) -> ReferrerQuery:
    return ReferrerQuery(REPOSITORY, _SUBJECT, _LIST_TAG, artifact_type, after, limit, max_bytes)


async def _digests(metadata: Metadata, artifact_type: str | None = None) -> list[Digest]:
    page = await metadata.referrers.list_page(_query(artifact_type))
    assert page.more is False
    return [referrer.digest for referrer in page.referrers]


async def _walk(
    metadata: Metadata, limit: int, max_bytes: int = _ROOM, artifact_type: str | None = None
) -> list[list[Digest]]:
    """Return the digests of each page."""
    pages: list[list[Digest]] = []
    after = ""
    while True:
        page = await metadata.referrers.list_page(_query(artifact_type, after, limit, max_bytes))
        pages.append([referrer.digest for referrer in page.referrers])
        if not page.more:
            return pages
        after = str(pages[-1][-1])


async def test_a_referrer_is_listed_with_all_that_its_descriptor_says(metadata: Metadata) -> None:
    digest = await _put(metadata, '{"n":1}', annotations=b'{"made.by":"\xc3\xa4 test"}')

    assert await metadata.referrers.list_page(_query()) == ReferrerPage(
        (Referrer(digest, OCI_IMAGE_MANIFEST, 7, _SIGNATURE, b'{"made.by":"\xc3\xa4 test"}'),),
        more=False,
        project_id=await project_number(metadata),
    )


async def test_an_index_without_a_type_has_none(metadata: Metadata) -> None:
    await _put(metadata, '{"n":1}', artifact_type=None)

    (referrer,) = (await metadata.referrers.list_page(_query())).referrers
    assert referrer.artifact_type is None
    assert await _digests(metadata, _SIGNATURE) == []


async def test_referrers_come_in_the_order_of_their_digests(metadata: Metadata) -> None:
    put = [await _put(metadata, f'{{"n":{number}}}') for number in range(20)]
    await _put(metadata, '{"n":"other"}', subject=_OTHER_SUBJECT)
    await _put(metadata, '{"n":"none"}', subject=None)

    assert await _digests(metadata) == sorted(put)


async def test_only_referrers_of_a_type_are_listed_when_one_is_named(metadata: Metadata) -> None:
    signatures = [await _put(metadata, f'{{"s":{number}}}') for number in range(5)]
    reports = [await _put(metadata, f'{{"r":{number}}}', artifact_type=_REPORT) for number in range(5)]
    listed = await _put(metadata, '{"l":1}', subject=None, artifact_type=_REPORT)
    await _put_list(metadata, *signatures, listed)

    assert await _digests(metadata, _SIGNATURE) == sorted(signatures)
    assert await _digests(metadata, _REPORT) == sorted([*reports, listed])
    assert await _digests(metadata, "application/vnd.tests.none") == []


async def test_a_sha512_referrer_is_listed_behind_those_of_sha256(metadata: Metadata) -> None:
    async def unit(tx: Transaction) -> None:
        row = await tx.repositories.ensure(REPOSITORY, "team", ALICE)
        await tx.manifests.put(
            replace(new_manifest(row.id, '{"n":1}', subject=_SUBJECT), digest=digest_of('{"n":1}', "sha512"))
        )

    await metadata.write(unit)
    first = await _put(metadata, '{"n":2}')

    assert await _walk(metadata, 1) == [[first], [digest_of('{"n":1}', "sha512")]]


async def test_s3_referrers_of_other_repositories_are_not_listed(metadata: Metadata) -> None:
    await _put(metadata, '{"n":1}', repository="team/other")
    own = await _put(metadata, '{"n":2}')

    assert await _digests(metadata) == [own]


async def test_an_unknown_repository_and_an_empty_one_answer_alike(metadata: Metadata) -> None:
    """But for the number of the project, which clients do not get."""
    unknown = await metadata.referrers.list_page(_query())
    await _put(metadata, '{"n":1}', subject=None)
    empty = await metadata.referrers.list_page(_query())

    assert unknown == ReferrerPage((), more=False)
    assert empty == ReferrerPage((), more=False, project_id=await project_number(metadata))


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE manifests SET state = 'condemned', condemned_at = 1 WHERE artifact_type IS NOT NULL",
        "UPDATE manifests SET state = 'trash' WHERE artifact_type IS NOT NULL",
        "UPDATE repositories SET deleted_at = 1",
    ],
)
async def test_what_was_deleted_is_not_listed(metadata: Metadata, database: RawDatabase, change: str) -> None:
    await _put(metadata, '{"n":1}')
    await _put_list(metadata, await _put(metadata, '{"n":2}', subject=None))
    await database.fetch(change)

    assert await _digests(metadata) == []
    assert await _digests(metadata, _SIGNATURE) == []


async def test_a_list_under_the_tag_counts_and_each_referrer_comes_once(metadata: Metadata) -> None:
    attached = [await _put(metadata, f'{{"n":{number}}}') for number in range(3)]
    silent = [await _put(metadata, f'{{"l":{number}}}', subject=None) for number in range(3)]
    index = await _put_list(metadata, attached[0], *silent)

    assert await _digests(metadata) == sorted([*attached, *silent])
    assert index not in await _digests(metadata)


async def test_a_list_can_not_attach_what_names_another_subject(metadata: Metadata) -> None:
    elsewhere = await _put(metadata, '{"n":1}', subject=_OTHER_SUBJECT)
    await _put_list(metadata, elsewhere)

    assert await _digests(metadata) == []


async def test_an_entry_that_is_pushed_after_its_list_is_listed_then(metadata: Metadata) -> None:
    late = digest_of('{"late":1}')
    await _put_list(metadata, late)
    before = await _digests(metadata)

    await _put(metadata, '{"late":1}', subject=None)

    assert (before, await _digests(metadata)) == ([], [late])


async def test_the_tag_decides_which_list_counts(metadata: Metadata, database: RawDatabase) -> None:
    first, second = [await _put(metadata, f'{{"n":{number}}}', subject=None) for number in range(2)]
    old = await _put_list(metadata, first)
    await _put_list(metadata, second)
    await _put_list(metadata, first, tag="sha256-somebody-else")
    assert await _digests(metadata) == [second]

    await database.fetch(
        f"UPDATE manifests SET state = 'condemned' WHERE digest <> '{old}' AND artifact_type IS NULL"
    )
    assert await _digests(metadata) == []


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 11, 12, 13])
async def test_pages_of_any_size_have_every_referrer_once(metadata: Metadata, limit: int) -> None:
    attached = [await _put(metadata, f'{{"n":{number}}}') for number in range(6)]
    silent = [await _put(metadata, f'{{"l":{number}}}', subject=None) for number in range(6)]
    await _put_list(metadata, *attached[3:], *silent)
    expected = sorted([*attached, *silent])

    for artifact_type in (None, _SIGNATURE):
        pages = await _walk(metadata, limit, artifact_type=artifact_type)
        assert [digest for page in pages for digest in page] == expected
        assert [len(page) for page in pages[:-1]] == [limit] * (len(pages) - 1)
        assert len(pages) == -(-len(expected) // limit)


async def test_s37_a_page_ends_where_its_bytes_do(metadata: Metadata) -> None:
    """Three of these fit; what does not is on the next page, and nothing is left out or comes twice."""
    annotations = json.dumps({"note": "x" * 10_000}).encode()
    attached = [await _put(metadata, f'{{"n":{number}}}', annotations=annotations) for number in range(5)]
    silent = [
        await _put(metadata, f'{{"l":{number}}}', subject=None, annotations=annotations)
        for number in range(5)
    ]
    await _put_list(metadata, *attached[:2], *silent)

    pages = await _walk(metadata, _ALL, max_bytes=40_000)

    assert [digest for page in pages for digest in page] == sorted([*attached, *silent])
    assert max(len(page) for page in pages) == 3
    found = await metadata.referrers.list_page(_query(max_bytes=40_000))
    assert sum(len(referrer.annotations_json) for referrer in found.referrers) <= 40_000


async def test_s37_one_that_is_larger_than_a_page_comes_alone(metadata: Metadata) -> None:
    large = json.dumps({"note": "x" * 50_000}).encode()
    digests = [await _put(metadata, f'{{"n":{number}}}', annotations=large) for number in range(3)]
    await _put_list(metadata, *digests)

    assert await _walk(metadata, _ALL, max_bytes=40_000) == [[digest] for digest in sorted(digests)]


async def test_a_page_costs_one_statement(metadata: Metadata, counts: CountingObserver) -> None:
    await _put(metadata, '{"n":1}')
    for query in (_query(), _query(_SIGNATURE), _query(after="sha256:f")):
        counts.reset()
        await metadata.referrers.list_page(query)
        assert (counts.statements.total(), counts.commits) == (1, 0)


async def test_any_text_may_be_what_a_page_begins_behind(metadata: Metadata) -> None:
    digest = await _put(metadata, '{"n":1}')
    for after, expected in (("", [digest]), ("A", [digest]), ("sha256", [digest]), ("ü", []), ("t", [])):
        page = await metadata.referrers.list_page(_query(after=after))
        assert [referrer.digest for referrer in page.referrers] == expected
