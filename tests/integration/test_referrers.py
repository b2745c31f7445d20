"""The list of referrers over the embedded stores: shape, filter, pages, and what is never told."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import pytest

from entrepot.oci.digest import Digest
from entrepot.registry.pulls.referrers import MAX_PAGE_BYTES, list_tag
from tests.asgi.services import InProcessRegistry, in_process_registry, scratch_settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.asgi.client import AsgiClient, AsgiReply

_MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
_INDEX: Final = "application/vnd.oci.image.index.v1+json"
_DOCKER: Final = "application/vnd.docker.distribution.manifest.v2+json"
_EMPTY_TYPE: Final = "application/vnd.oci.empty.v1+json"
_EMPTY: Final = b"{}"
_SIGNATURE: Final = "application/vnd.tests.signature.v1+json"
_SUBJECT: Final = b'{"a":"subject that nobody pushed"}'
_SUBJECT_DIGEST: Final = Digest.of_bytes(_SUBJECT)
_PATH: Final = f"/v2/team/app/referrers/{_SUBJECT_DIGEST}"


@pytest.fixture
async def registry(tmp_path: Path) -> AsyncIterator[InProcessRegistry]:
    """A node whose repository has the empty blob."""
    async with in_process_registry(scratch_settings(tmp_path / "data")) as registry:
        target = f"/v2/team/app/blobs/uploads/?digest={Digest.of_bytes(_EMPTY)}"
        assert (await registry.client.request("POST", target, {}, [_EMPTY])).status == 201
        yield registry


def _descriptor(content: bytes, media_type: str) -> dict[str, object]:
    return {"mediaType": media_type, "digest": str(Digest.of_bytes(content)), "size": len(content)}


def _artifact(config_type: str = _EMPTY_TYPE, **more: object) -> bytes:
    manifest: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": _MANIFEST,
        "config": _descriptor(_EMPTY, config_type),
        "layers": [],
        "subject": _descriptor(_SUBJECT, _MANIFEST),
    }
    return json.dumps(manifest | more).encode()


def _index(entries: list[bytes], **more: object) -> bytes:
    document = {
        "schemaVersion": 2,
        "mediaType": _INDEX,
        "manifests": [_descriptor(one, _MANIFEST) for one in entries],
    }
    return json.dumps(document | more).encode()


async def _push(client: AsgiClient, body: bytes, media_type: str = _MANIFEST, tag: str | None = None) -> str:
    digest = str(Digest.of_bytes(body))
    reply = await client.request(
        "PUT", f"/v2/team/app/manifests/{tag or digest}", {"Content-Type": media_type}, [body]
    )
    assert reply.status == 201, reply.body
    return digest


def _next(reply: AsgiReply) -> str | None:
    link = reply.headers.get("link")
    if link is None:
        return None
    found = re.fullmatch(r'<([^>]+)>; rel="next"', link)
    assert found is not None, link
    return found[1]


async def _walk(client: AsgiClient, target: str) -> list[list[dict[str, Any]]]:
    pages: list[list[dict[str, Any]]] = []
    following: str | None = target
    while following is not None:
        reply = await client.request("GET", following)
        assert (reply.status, reply.headers["content-type"]) == (200, _INDEX)
        document = json.loads(reply.body)
        assert (document["schemaVersion"], document["mediaType"]) == (2, _INDEX)
        pages.append(document["manifests"])
        following = _next(reply)
    return pages


async def test_a_referrer_is_described_as_its_manifest_says(registry: InProcessRegistry) -> None:
    """Media type, digest, size, artifact type and annotations; nothing else."""
    annotations = {"made.by": "ä test", "quoted": '"\\\n'}
    body = _artifact(artifactType=_SIGNATURE, annotations=annotations)
    digest = await _push(registry.client, body)

    reply = await registry.client.request("GET", _PATH)

    assert (reply.status, reply.headers["content-type"]) == (200, _INDEX)
    assert reply.headers["content-length"] == str(len(reply.body))
    assert "oci-filters-applied" not in reply.headers
    assert "link" not in reply.headers
    assert json.loads(reply.body) == {
        "schemaVersion": 2,
        "mediaType": _INDEX,
        "manifests": [
            {
                "mediaType": _MANIFEST,
                "digest": digest,
                "size": len(body),
                "artifactType": _SIGNATURE,
                "annotations": annotations,
            }
        ],
    }


async def test_an_image_without_a_type_shows_that_of_its_config(registry: InProcessRegistry) -> None:
    """An index without one has none, and neither has annotations it did not get."""
    await _push(registry.client, _artifact("application/vnd.tests.config"))
    await _push(registry.client, _index([], subject=_descriptor(_SUBJECT, _MANIFEST)), _INDEX)

    ((first, second),) = await _walk(registry.client, _PATH)
    image, index = sorted((first, second), key=lambda entry: str(entry["mediaType"]), reverse=True)
    assert image["artifactType"] == "application/vnd.tests.config"
    assert index["mediaType"] == _INDEX
    assert set(index) == {"mediaType", "digest", "size"}


async def test_a_filter_is_applied_and_says_so(registry: InProcessRegistry) -> None:
    """By artifact type, and by the config's media type where there is none."""
    signature = await _push(registry.client, _artifact(artifactType=_SIGNATURE))
    plain = await _push(registry.client, _artifact("application/vnd.tests.config"))

    for wanted, expected in (
        (_SIGNATURE, [signature]),
        ("application/vnd.tests.config", [plain]),
        ("application/vnd.tests.none", []),
        (_SIGNATURE.upper(), []),
    ):
        reply = await registry.client.request("GET", f"{_PATH}?artifactType={quote(wanted, safe='')}")
        assert (reply.status, reply.headers["oci-filters-applied"]) == (200, "artifactType")
        assert [entry["digest"] for entry in json.loads(reply.body)["manifests"]] == expected


async def test_an_empty_filter_is_none(registry: InProcessRegistry) -> None:
    """Clients that always send the field send it empty."""
    digest = await _push(registry.client, _artifact(artifactType=_SIGNATURE))

    reply = await registry.client.request("GET", f"{_PATH}?artifactType=")

    assert "oci-filters-applied" not in reply.headers
    assert [entry["digest"] for entry in json.loads(reply.body)["manifests"]] == [digest]


async def test_an_impossible_filter_is_refused(registry: InProcessRegistry) -> None:
    """A text that no manifest can have."""
    assert (await registry.client.request("GET", f"{_PATH}?artifactType=a%00b")).status == 400


@pytest.mark.parametrize("name", ["team/app", "team/none"])
async def test_no_referrers_is_an_empty_index_whether_the_repository_exists_or_not(
    registry: InProcessRegistry, name: str
) -> None:
    """Never 404, which clients take for a registry without this endpoint; one statement, and no difference."""
    registry.counts.reset()
    reply = await registry.client.request("GET", f"/v2/{name}/referrers/{_SUBJECT_DIGEST}")

    assert (reply.status, reply.headers["content-type"]) == (200, _INDEX)
    assert json.loads(reply.body) == {"schemaVersion": 2, "mediaType": _INDEX, "manifests": []}
    assert registry.counts.statements == ["referrers.list"]


@pytest.mark.parametrize(
    ("reference", "code"),
    [
        ("latest", "DIGEST_INVALID"),
        ("sha256:abc", "DIGEST_INVALID"),
        ("sha256:" + "A" * 64, "DIGEST_INVALID"),
        ("md5:" + "0" * 32, "DIGEST_INVALID"),
    ],
)
async def test_what_is_no_digest_is_refused(registry: InProcessRegistry, reference: str, code: str) -> None:
    """400 before anything is looked up."""
    registry.counts.reset()
    reply = await registry.client.request("GET", f"/v2/team/app/referrers/{reference}")

    assert (reply.status, reply.error_code()) == (400, code)
    assert registry.counts.statements == []


async def test_a_bad_name_is_refused(registry: InProcessRegistry) -> None:
    """400 NAME_INVALID."""
    reply = await registry.client.request("GET", f"/v2/Team/App/referrers/{_SUBJECT_DIGEST}")

    assert (reply.status, reply.error_code()) == (400, "NAME_INVALID")


async def test_link_leads_through_all_pages_and_keeps_the_filter(registry: InProcessRegistry) -> None:
    """Each referrer once, in the order of digests, `n` to a page."""
    digests = [
        await _push(registry.client, _artifact(artifactType=_SIGNATURE, annotations={"n": str(number)}))
        for number in range(7)
    ]
    await _push(registry.client, _artifact(artifactType="application/vnd.tests.other+json"))

    pages = await _walk(registry.client, f"{_PATH}?n=3&artifactType={quote(_SIGNATURE, safe='')}")

    assert [len(page) for page in pages] == [3, 3, 1]
    assert [entry["digest"] for page in pages for entry in page] == sorted(digests)


async def test_n_of_zero_is_an_empty_list_without_link(registry: InProcessRegistry) -> None:
    """As for the other lists."""
    await _push(registry.client, _artifact())
    reply = await registry.client.request("GET", f"{_PATH}?n=0")

    assert (json.loads(reply.body)["manifests"], _next(reply)) == ([], None)


async def test_s36_a_page_size_that_is_no_number_is_refused(registry: InProcessRegistry) -> None:
    """400 PAGINATION_NUMBER_INVALID; a huge one is clamped."""
    for size in ("-1", "x", "1.5", ""):
        reply = await registry.client.request("GET", f"{_PATH}?n={size}")
        assert (reply.status, reply.error_code()) == (400, "PAGINATION_NUMBER_INVALID")
    assert (await registry.client.request("GET", f"{_PATH}?n=1000000000")).status == 200


async def test_s37_large_annotations_are_paged_by_their_bytes(registry: InProcessRegistry) -> None:
    """No page is larger than a manifest may be, and all of them together are the whole list."""
    digests = [
        await _push(registry.client, _artifact(annotations={"n": str(number), "note": "x" * 1_300_000}))
        for number in range(7)
    ]
    found: list[str] = []
    following: str | None = _PATH
    while following is not None:
        reply = await registry.client.request("GET", following)
        assert len(reply.body) <= MAX_PAGE_BYTES
        page = [str(entry["digest"]) for entry in json.loads(reply.body)["manifests"]]
        assert 1 <= len(page) <= 3
        found += page
        following = _next(reply)

    assert found == sorted(digests)


async def test_a_list_under_the_tag_is_part_of_the_answer(registry: InProcessRegistry) -> None:
    """What a client without this endpoint attached is found by one that uses it, once."""
    client = registry.client
    attached = _artifact(artifactType=_SIGNATURE)
    silent = json.dumps(
        {name: value for name, value in json.loads(_artifact()).items() if name != "subject"}
        | {"mediaType": _DOCKER}
    ).encode()
    digests = [await _push(client, attached), await _push(client, silent, _DOCKER)]
    listed = json.loads(_index([attached]))
    listed["manifests"].append(_descriptor(silent, _DOCKER))
    await _push(client, json.dumps(listed).encode(), _INDEX, list_tag(_SUBJECT_DIGEST))

    ((*entries,),) = await _walk(client, _PATH)

    assert [entry["digest"] for entry in entries] == sorted(digests)
    assert {entry["mediaType"] for entry in entries} == {_MANIFEST, _DOCKER}


async def test_the_tag_of_a_sha512_subject_is_shortened(registry: InProcessRegistry) -> None:
    """64 hexadecimal digits of it (distribution-spec, "Referrers Tag Schema")."""
    subject = Digest.of_bytes(_SUBJECT, "sha512")
    silent = json.dumps(
        {name: value for name, value in json.loads(_artifact()).items() if name != "subject"}
    ).encode()
    digest = await _push(registry.client, silent)
    await _push(registry.client, _index([silent]), _INDEX, f"sha512-{subject.hex[:64]}")

    ((entry,),) = await _walk(registry.client, f"/v2/team/app/referrers/{subject}")
    assert entry["digest"] == digest


async def test_a_deleted_referrer_is_not_listed(registry: InProcessRegistry) -> None:
    """At once, and again when it was pushed once more."""
    body = _artifact()
    digest = await _push(registry.client, body)
    assert (await registry.client.request("DELETE", f"/v2/team/app/manifests/{digest}")).status == 202
    assert await _walk(registry.client, _PATH) == [[]]

    await _push(registry.client, body)
    ((entry,),) = await _walk(registry.client, _PATH)
    assert entry["digest"] == digest


async def test_a_page_costs_one_statement(registry: InProcessRegistry) -> None:
    """However it is asked for."""
    await _push(registry.client, _artifact(artifactType=_SIGNATURE))
    for query, statement in (
        ("", "referrers.list"),
        (f"?artifactType={quote(_SIGNATURE, safe='')}", "referrers.list_of_type"),
    ):
        registry.counts.reset()
        await registry.client.request("GET", _PATH + query)
        assert registry.counts.statements == [statement]
