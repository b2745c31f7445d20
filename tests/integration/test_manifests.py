"""Pushing and pulling manifests over the real embedded stores: all of a push, or nothing."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from entrepot.oci.digest import Digest
from entrepot.settings import metadata_path, storage_root
from tests.asgi.services import InProcessRegistry, in_process_registry, scratch_settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.asgi.client import AsgiClient, AsgiReply

_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_INDEX = "application/vnd.oci.image.index.v1+json"
_CONFIG = b'{"architecture":"amd64","os":"linux"}'
_LAYER = b"layer" * 100


@pytest.fixture
async def registry(tmp_path: Path) -> AsyncIterator[InProcessRegistry]:
    """A node on an empty directory."""
    async with in_process_registry(scratch_settings(tmp_path / "data")) as registry:
        yield registry


def _descriptor(content: bytes, media_type: str) -> dict[str, object]:
    return {"mediaType": media_type, "digest": str(Digest.of_bytes(content)), "size": len(content)}


def _image(**more: object) -> bytes:
    manifest: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": _MANIFEST,
        "config": _descriptor(_CONFIG, "application/vnd.oci.image.config.v1+json"),
        "layers": [_descriptor(_LAYER, "application/vnd.oci.image.layer.v1.tar")],
    }
    return json.dumps(manifest | more).encode()


async def _push_blobs(client: AsgiClient, name: str = "team/app") -> None:
    for blob in (_CONFIG, _LAYER):
        digest = Digest.of_bytes(blob)
        reply = await client.request("POST", f"/v2/{name}/blobs/uploads/?digest={digest}", {}, [blob])
        assert reply.status == 201


async def _put(
    client: AsgiClient, reference: str, body: bytes, media_type: str = _MANIFEST, name: str = "team/app"
) -> AsgiReply:
    target = f"/v2/{name}/manifests/{reference}"
    return await client.request("PUT", target, {"Content-Type": media_type}, [body])


async def test_i3_bytes_type_and_digest_are_kept(registry: InProcessRegistry) -> None:
    """By tag and by digest, GET returns exactly what was put and HEAD its properties (I3)."""
    client = registry.client
    await _push_blobs(client)
    body = _image(annotations={"spaces": "kept"}).replace(b", ", b",   ")
    digest = str(Digest.of_bytes(body))
    reply = await _put(client, "v1", body)
    assert (reply.status, reply.headers["docker-content-digest"]) == (201, digest)
    assert reply.headers["location"] == f"/v2/team/app/manifests/{digest}"

    for reference in ("v1", digest):
        pulled = await client.request("GET", f"/v2/team/app/manifests/{reference}")
        assert (pulled.status, pulled.body) == (200, body)
        head = await client.request("HEAD", f"/v2/team/app/manifests/{reference}")
        assert (head.status, head.body) == (200, b"")
        for reply in (pulled, head):
            assert reply.headers["content-type"] == _MANIFEST
            assert reply.headers["docker-content-digest"] == digest
            assert reply.headers["content-length"] == str(len(body))


async def test_i7_a_manifest_with_missing_blobs_changes_nothing(registry: InProcessRegistry) -> None:
    """404 MANIFEST_BLOB_UNKNOWN names what is missing; neither manifest nor tag nor stored bytes remain (I7)."""
    reply = await _put(registry.client, "v1", _image())

    assert (reply.status, reply.error_code()) == (404, "MANIFEST_BLOB_UNKNOWN")
    missing = {entry["digest"] for entry in msgspec.json.decode(reply.body)["errors"][0]["detail"]}
    assert missing == {str(Digest.of_bytes(_CONFIG)), str(Digest.of_bytes(_LAYER))}
    assert (await registry.client.request("GET", "/v2/team/app/manifests/v1")).status == 404
    assert [path for path in storage_root(registry.settings).rglob("*") if path.is_file()] == []


async def test_s3_blobs_of_another_repository_do_not_count(registry: InProcessRegistry) -> None:
    """What only another repository has is missing here (S3)."""
    await _push_blobs(registry.client, "team/other")

    assert (await _put(registry.client, "v1", _image())).status == 404


async def test_an_index_needs_its_children(registry: InProcessRegistry) -> None:
    """An index is refused until its manifests are there, and then served."""
    client = registry.client
    await _push_blobs(client)
    child = _image()
    index = json.dumps(
        {"schemaVersion": 2, "mediaType": _INDEX, "manifests": [_descriptor(child, _MANIFEST)]}
    ).encode()
    assert (await _put(client, "multi", index, _INDEX)).status == 404

    assert (await _put(client, str(Digest.of_bytes(child)), child)).status == 201
    assert (await _put(client, "multi", index, _INDEX)).status == 201
    assert (await client.request("GET", "/v2/team/app/manifests/multi")).body == index


async def test_a_wrong_digest_is_refused(registry: InProcessRegistry) -> None:
    """PUT by digest verifies the digest, in either algorithm."""
    client = registry.client
    await _push_blobs(client)
    reply = await _put(client, str(Digest.of_bytes(b"other")), _image())
    assert (reply.status, reply.error_code()) == (400, "DIGEST_INVALID")

    digest = Digest.of_bytes(_image(), "sha512")
    assert (await _put(client, str(digest), _image())).status == 201
    pulled = await client.request("GET", f"/v2/team/app/manifests/{digest}")
    assert (pulled.body, pulled.headers["docker-content-digest"]) == (_image(), str(digest))


async def test_a_subject_is_acknowledged(registry: InProcessRegistry) -> None:
    """`OCI-Subject` is returned, though the subject does not exist (distribution-spec, "Pushing Manifests")."""
    await _push_blobs(registry.client)
    subject = _descriptor(b"absent", _MANIFEST)
    reply = await _put(registry.client, "v1", _image(subject=subject))

    assert (reply.status, reply.headers["oci-subject"]) == (201, subject["digest"])


async def test_i4_a_tag_moves(registry: InProcessRegistry) -> None:
    """After a PUT every GET by tag sees the new manifest; the old one stays under its digest (I4)."""
    client = registry.client
    await _push_blobs(client)
    first, second = _image(annotations={"n": "1"}), _image(annotations={"n": "2"})
    for body in (first, second, first):
        assert (await _put(client, "latest", body)).status == 201
        assert (await client.request("GET", "/v2/team/app/manifests/latest")).body == body

    assert (await client.request("GET", f"/v2/team/app/manifests/{Digest.of_bytes(second)}")).body == second
    with closing(sqlite3.connect(metadata_path(registry.settings))) as database, database:
        assert database.execute("SELECT count(*) FROM tag_history").fetchone() == (3,)


@pytest.mark.parametrize(
    ("target", "code"),
    [
        ("/v2/Team/app/manifests/v1", "NAME_INVALID"),
        ("/v2/team/app/manifests/-v1", "TAG_INVALID"),
        ("/v2/team/app/manifests/sha256:short", "DIGEST_INVALID"),
        ("/v2/team/app/manifests/md5:d41d8cd98f00b204e9800998ecf8427e", "DIGEST_INVALID"),
        ("/v2/team/app/blobs/latest", "DIGEST_INVALID"),
    ],
)
async def test_s33_a_bad_reference_is_400(registry: InProcessRegistry, target: str, code: str) -> None:
    """Names, tags and digests are parsed before anything else happens (S33)."""
    reply = await registry.client.request("GET", target)

    assert (reply.status, reply.error_code()) == (400, code)


async def test_unknown_things_are_told_apart(registry: InProcessRegistry) -> None:
    """An unknown repository is NAME_UNKNOWN, an unknown manifest or blob in a known one has its own code."""
    client = registry.client
    assert (await client.request("GET", "/v2/no/such/manifests/v1")).error_code() == "NAME_UNKNOWN"
    assert (await client.request("GET", "/v2/no/such/tags/list")).error_code() == "NAME_UNKNOWN"
    await _push_blobs(client)
    assert (await client.request("GET", "/v2/team/app/manifests/v1")).error_code() == "MANIFEST_UNKNOWN"
    digest = Digest.of_bytes(b"absent")
    assert (await client.request("GET", f"/v2/team/app/blobs/{digest}")).error_code() == "BLOB_UNKNOWN"


async def test_s36_a_manifest_over_4_mib_is_413(registry: InProcessRegistry) -> None:
    """The limit holds with and without a Content-Length (S36)."""
    body = b" " * (4 * 1024 * 1024 + 1)
    announced = await registry.client.request(
        "PUT", "/v2/a/b/manifests/v1", {"Content-Length": str(len(body)), "Content-Type": _MANIFEST}, [body]
    )
    chunked = await _put(registry.client, "v1", body)

    assert (announced.status, chunked.status) == (413, 413)


async def test_f11_a_damaged_manifest_is_not_served(registry: InProcessRegistry) -> None:
    """Bytes that rotted in the database are never a 200 (F11, I3)."""
    await _push_blobs(registry.client)
    await _put(registry.client, "v1", _image())
    _damage_bodies(registry)

    assert (await registry.client.request("GET", "/v2/team/app/manifests/v1")).status == 500


async def test_bytes_that_were_hashed_are_served_while_their_row_is_damaged(
    registry: InProcessRegistry,
) -> None:
    """They are kept in memory, so that later pulls read no body: who pulled before the damage still gets them (I3)."""
    await _push_blobs(registry.client)
    await _put(registry.client, "v1", _image())
    digest = Digest.of_bytes(_image())
    before = await registry.client.request("GET", "/v2/team/app/manifests/v1")
    _damage_bodies(registry)

    by_tag = await registry.client.request("GET", "/v2/team/app/manifests/v1")
    by_digest = await registry.client.request("GET", f"/v2/team/app/manifests/{digest}")

    assert (before.body, by_tag.body, by_digest.body) == (_image(), _image(), _image())
    assert by_tag.headers == {**before.headers, "x-request-id": by_tag.headers["x-request-id"]}


async def test_without_memory_for_them_bytes_are_read_and_hashed_at_every_pull_i3(tmp_path: Path) -> None:
    settings = scratch_settings(tmp_path / "data")
    settings = msgspec.structs.replace(
        settings, cache=msgspec.structs.replace(settings.cache, small_blob_bytes=0)
    )
    async with in_process_registry(settings) as registry:
        await _push_blobs(registry.client)
        await _put(registry.client, "v1", _image())
        before = await registry.client.request("GET", "/v2/team/app/manifests/v1")
        _damage_bodies(registry)

        after = await registry.client.request("GET", "/v2/team/app/manifests/v1")

    assert (before.status, after.status) == (200, 500)


async def test_a_tag_that_moves_is_followed_at_once_i4(registry: InProcessRegistry) -> None:
    """What is remembered of a tag is a guess: the database says where it points."""
    client = registry.client
    await _push_blobs(client)
    first, second = _image(annotations={"n": "1"}), _image(annotations={"n": "2"})
    pulled: list[bytes] = []
    for body in (first, second, first):
        assert (await _put(client, "v1", body)).status == 201
        pulled.extend([(await client.request("GET", "/v2/team/app/manifests/v1")).body for _ in range(2)])

    assert pulled == [first, first, second, second, first, first]


async def test_a_deleted_manifest_is_gone_from_memory_too_i5(registry: InProcessRegistry) -> None:
    client = registry.client
    await _push_blobs(client)
    await _put(client, "v1", _image())
    digest = Digest.of_bytes(_image())
    targets = ("/v2/team/app/manifests/v1", f"/v2/team/app/manifests/{digest}")
    before = [(await client.request("GET", target)).status for target in targets]

    await client.request("DELETE", targets[1])

    assert before == [200, 200]
    assert [(await client.request("GET", target)).status for target in targets] == [404, 404]


async def test_s3_bytes_in_memory_are_no_way_into_another_repository(registry: InProcessRegistry) -> None:
    client = registry.client
    digest = Digest.of_bytes(_image())
    for name in ("team/app", "team/other"):
        await _push_blobs(client, name)
    await _put(client, "v1", _image())
    assert (await client.request("GET", f"/v2/team/app/manifests/{digest}")).status == 200

    assert (await client.request("GET", f"/v2/team/other/manifests/{digest}")).status == 404


def _damage_bodies(registry: InProcessRegistry) -> None:
    with closing(sqlite3.connect(metadata_path(registry.settings))) as database, database:
        database.execute("UPDATE manifest_bodies SET body = CAST(replace(body, 'layers', 'slayer') AS BLOB)")


async def test_tags_are_listed_in_pages(registry: InProcessRegistry) -> None:
    """Byte order, `n`, `last`, Link, `n=0` and clamping (distribution-spec, "Listing Tags"; S36)."""
    client = registry.client
    await _push_blobs(client)
    for tag in ("b", "a", "B", "_", "a.1", "a-1"):
        assert (await _put(client, tag, _image())).status == 201
    expected = sorted(["b", "a", "B", "_", "a.1", "a-1"])

    async def page(query: str) -> tuple[list[str], str | None]:
        reply = await client.request("GET", f"/v2/team/app/tags/list{query}")
        assert reply.status == 200
        document = msgspec.json.decode(reply.body)
        assert document["name"] == "team/app"
        return document["tags"], reply.headers.get("link")

    assert await page("") == (expected, None)
    assert await page("?n=0") == ([], None)
    assert await page("?n=1000000000000") == (expected, None)
    assert await page("?last=a") == (expected[expected.index("a") + 1 :], None)
    walked: list[str] = []
    link: str | None = "</v2/team/app/tags/list?n=4>"
    while link is not None:
        query = link[link.index("?") : link.index(">")]
        names, link = await page(query)
        walked += names
    assert walked == expected
    for bad in ("?n=-1", "?n=x"):
        assert (await client.request("GET", f"/v2/team/app/tags/list{bad}")).status == 400


async def test_the_journal_tells_of_every_push(registry: InProcessRegistry) -> None:
    """Each manifest PUT that changed something has an entry in the store before it is answered."""
    client = registry.client
    await _push_blobs(client)
    for tag in ("v1", "v2", "v2"):
        await _put(client, tag, _image())

    incarnation = await registry.stores.metadata.instance.incarnation()
    entries = sorted((storage_root(registry.settings) / "journal" / incarnation / "entries").iterdir())
    lines = [msgspec.json.decode(entry.read_bytes()) for entry in entries]
    assert [(line["kind"], line["repository"], line["payload"]["tags"]) for line in lines] == [
        ("manifest.put", "team/app", ["v1"]),
        ("manifest.put", "team/app", ["v2"]),
    ]
    stored = storage_root(registry.settings) / lines[0]["payload"]["key"]
    assert stored.read_bytes() == _image()
