"""What manifests may refer to, what that keeps alive, and what is refused without a trace."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import pytest

from entrepot.oci.digest import Digest
from entrepot.settings import metadata_url, storage_root
from tests.asgi.services import InProcessRegistry, in_process_registry, scratch_settings
from tests.asgi.small_images import (
    CONFIG,
    FOREIGN_LAYER_TYPE,
    INDEX_TYPE,
    LAYER,
    LAYER_TYPE,
    MANIFEST_TYPE,
    NAME,
    descriptor,
    image,
    index,
    push_blob,
    push_blobs,
    put,
)
from tests.drivers.metadata.raw_database import RawDatabase

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

_TABLES: Final = (
    "repositories", "blobs", "repository_blobs", "manifest_bodies", "manifests", "manifest_references",
    "tags", "tag_history", "outbox",
)  # fmt: skip
_FOREIGN: Final = b"bytes that lie elsewhere"
_EXTRA: Final = b"extra"


@pytest.fixture
async def registry(tmp_path: Path) -> AsyncIterator[InProcessRegistry]:
    """A node with the blobs of an image."""
    async with in_process_registry(scratch_settings(tmp_path / "data")) as registry:
        await push_blobs(registry.client)
        yield registry


@pytest.fixture
async def sparse_registry(tmp_path: Path) -> AsyncIterator[InProcessRegistry]:
    """The same, where indexes may list what is not there."""
    settings = scratch_settings(tmp_path / "data", registry__sparse_indexes="accept")
    async with in_process_registry(settings) as registry:
        await push_blobs(registry.client)
        yield registry


async def _everything(registry: InProcessRegistry) -> dict[str, object]:
    """Return all rows and all stored objects."""
    database = RawDatabase(metadata_url(registry.settings))
    rows: dict[str, object] = {
        table: sorted(await database.fetch(f"SELECT * FROM {table}"), key=repr) for table in _TABLES
    }
    root = storage_root(registry.settings)
    return rows | {"files": sorted(str(path) for path in root.rglob("*") if path.is_file())}


async def _delete(registry: InProcessRegistry, path: str) -> int:
    return (await registry.client.request("DELETE", f"/v2/{NAME}/{path}")).status


async def _resolved(registry: InProcessRegistry, digest: object) -> list[tuple[str, bool]]:
    """Return kind and whether it is connected of each reference to a digest."""
    rows = await RawDatabase(metadata_url(registry.settings)).fetch(
        "SELECT kind, blob_id IS NOT NULL OR child_id IS NOT NULL FROM manifest_references "
        f"WHERE digest = '{digest}' ORDER BY manifest_id"
    )
    return [(kind, bool(found)) for kind, found in rows]


def _edited(document: bytes, before: str, after: str) -> bytes:
    text = document.decode()
    assert before in text
    return text.replace(before, after, 1).encode()


_DIGEST: Final = str(Digest.of_bytes(LAYER))
_REFUSED: Final[dict[str, tuple[bytes, str, int, str]]] = {
    "duplicate key": (
        _edited(image(), '"schemaVersion": 2', '"layers": [], "schemaVersion": 2'),
        MANIFEST_TYPE, 400, "MANIFEST_INVALID",
    ),
    "duplicate key in a descriptor": (
        _edited(image(), '"size"', '"size": 1, "size"'), MANIFEST_TYPE, 400, "MANIFEST_INVALID",
    ),
    "key in another case": (
        _edited(image(), '"layers"', '"Layers": [], "layers"'), MANIFEST_TYPE, 400, "MANIFEST_INVALID",
    ),
    "layers and manifests": (image(manifests=[]), MANIFEST_TYPE, 400, "MANIFEST_INVALID"),
    "manifests and config": (index(config={}), INDEX_TYPE, 400, "MANIFEST_INVALID"),
    "an image sent as an index": (image(), INDEX_TYPE, 400, "MANIFEST_INVALID"),
    "an index sent as an image": (index(), MANIFEST_TYPE, 400, "MANIFEST_INVALID"),
    "an OCI image sent as Docker's": (
        image(), "application/vnd.docker.distribution.manifest.v2+json", 400, "MANIFEST_INVALID",
    ),
    "no manifest type": (image(), "application/json", 400, "MANIFEST_INVALID"),
    "schema 1": (
        b'{"schemaVersion": 1, "name": "a", "tag": "b", "fsLayers": [], "history": []}',
        "application/vnd.docker.distribution.manifest.v1+prettyjws", 400, "MANIFEST_INVALID",
    ),
    "absent layer": (
        image(layers=[descriptor(b"absent", LAYER_TYPE)]), MANIFEST_TYPE, 404, "MANIFEST_BLOB_UNKNOWN",
    ),
    "absent config": (
        image(config=descriptor(b"absent", "application/x")), MANIFEST_TYPE, 404, "MANIFEST_BLOB_UNKNOWN",
    ),
    "absent child": (index(b"absent"), INDEX_TYPE, 404, "MANIFEST_BLOB_UNKNOWN"),
    "a layer under a short digest": (
        _edited(image(), _DIGEST, "sha256:abc"), MANIFEST_TYPE, 400, "MANIFEST_INVALID",
    ),
    "a layer under an upper-case digest": (
        _edited(image(), _DIGEST, _DIGEST.upper()), MANIFEST_TYPE, 400, "MANIFEST_INVALID",
    ),
    "a layer under a path": (
        _edited(image(), _DIGEST, "sha256:../../etc/passwd"), MANIFEST_TYPE, 400, "MANIFEST_INVALID",
    ),
    "embedded data of another content": (
        image(layers=[descriptor(LAYER, LAYER_TYPE) | {"data": "bGF5ZXI="}]),
        MANIFEST_TYPE, 400, "MANIFEST_INVALID",
    ),
    "embedded data that is no Base64": (
        image(config=descriptor(CONFIG, "application/x") | {"data": "*"}), MANIFEST_TYPE, 400, "MANIFEST_INVALID",
    ),
    "more than 4 MiB": (image(annotations={"a": "x" * (4 << 20)}), MANIFEST_TYPE, 413, "SIZE_INVALID"),
}  # fmt: skip


@pytest.mark.parametrize("case", _REFUSED)
async def test_s32_a_manifest_that_is_refused_leaves_no_trace(registry: InProcessRegistry, case: str) -> None:
    """By tag, by digest and by digest with `?tag=`: the right code, no row and no object more (S32, S33, I7)."""
    body, media_type, status, code = _REFUSED[case]
    digest = Digest.of_bytes(body)
    before = await _everything(registry)

    for reference in ("v1", str(digest), f"{digest}?tag=a&tag=b"):
        reply = await put(registry.client, reference, body, media_type)
        assert (reply.status, reply.error_code()) == (status, code), reference

    assert await _everything(registry) == before


@pytest.mark.parametrize(
    ("target", "code"),
    [
        ("Team/app/manifests/v1", "NAME_INVALID"),
        (f"{'a/' * 200}a/manifests/v1", "NAME_INVALID"),
        (f"{NAME}/manifests/-v1", "TAG_INVALID"),
        (f"{NAME}/manifests/{'x' * 129}", "TAG_INVALID"),
        (f"{NAME}/manifests/sha256:{'A' * 64}", "DIGEST_INVALID"),
        (f"{NAME}/manifests/sha256:{'0' * 63}", "DIGEST_INVALID"),
        (f"{NAME}/manifests/sha1:{'0' * 40}", "DIGEST_INVALID"),
        (f"{NAME}/manifests/sha256:{'0' * 64}", "DIGEST_INVALID"),
        (f"{NAME}/manifests/sha512:{'0' * 128}?tag=v1", "DIGEST_INVALID"),
    ],
)
async def test_s33_a_push_to_a_bad_reference_leaves_no_trace(
    registry: InProcessRegistry, target: str, code: str
) -> None:
    """400 with the code of what is wrong (S33, I7)."""
    before = await _everything(registry)

    reply = await registry.client.request("PUT", f"/v2/{target}", {"Content-Type": MANIFEST_TYPE}, [image()])

    assert (reply.status, reply.error_code()) == (400, code)
    assert await _everything(registry) == before


async def test_s36_a_manifest_that_arrives_in_chunks_is_cut_off_at_the_limit(
    registry: InProcessRegistry,
) -> None:
    """413 without a Content-Length, before all of it was read (S36)."""
    chunks = [b" " * (1 << 20)] * 64
    before = await _everything(registry)

    reply = await registry.client.request(
        "PUT", f"/v2/{NAME}/manifests/v1", {"Content-Type": MANIFEST_TYPE}, chunks
    )

    assert (reply.status, reply.error_code()) == (413, "SIZE_INVALID")
    assert await _everything(registry) == before


async def test_schema_1_is_refused_with_what_to_do(registry: InProcessRegistry) -> None:
    """The message names the format and the remedy."""
    body, media_type, _, _ = _REFUSED["schema 1"]

    reply = await put(registry.client, "v1", body, media_type)

    assert b"schema 1 is not accepted" in reply.body
    assert b"push the image again" in reply.body


async def test_embedded_data_of_the_named_content_is_accepted(registry: InProcessRegistry) -> None:
    """Descriptors may carry their content (image-spec, descriptor.md); the blob is needed all the same."""
    empty = {"mediaType": "application/vnd.oci.empty.v1+json", "size": 2, "data": "e30="}
    empty["digest"] = str(Digest.of_bytes(b"{}"))

    assert (await put(registry.client, "v1", image(config=empty))).status == 404
    await push_blob(registry.client, b"{}")
    assert (await put(registry.client, "v1", image(config=empty))).status == 201


async def test_a_foreign_layer_need_not_be_there_but_is_kept_when_it_is(registry: InProcessRegistry) -> None:
    """Absent: accepted. Present at the push, or come since, or at a second push: not to be deleted any more."""
    body = image(layers=[descriptor(LAYER, LAYER_TYPE), descriptor(_FOREIGN, FOREIGN_LAYER_TYPE)])
    digest = Digest.of_bytes(_FOREIGN)
    assert (await put(registry.client, "v1", body)).status == 201
    assert await _resolved(registry, digest) == [("layer", False)]

    await push_blob(registry.client, _FOREIGN)
    assert await _delete(registry, f"blobs/{digest}") == 409
    assert (await put(registry.client, "v1", body)).status == 201
    assert await _resolved(registry, digest) == [("layer", True)]
    assert await _delete(registry, f"blobs/{digest}") == 409
    second = image(layers=[descriptor(_FOREIGN, FOREIGN_LAYER_TYPE)])
    assert (await put(registry.client, "v2", second)).status == 201
    assert await _resolved(registry, digest) == [("layer", True), ("layer", True)]
    for manifest in (body, second):
        assert await _delete(registry, f"manifests/{Digest.of_bytes(manifest)}") == 202
    assert await _delete(registry, f"blobs/{digest}") == 202


async def test_one_digest_may_be_layer_and_foreign_layer(registry: InProcessRegistry) -> None:
    """It is one reference, and then it is needed."""
    both = [descriptor(_EXTRA, FOREIGN_LAYER_TYPE), descriptor(_EXTRA, LAYER_TYPE)]
    body = image(layers=both)

    assert (await put(registry.client, "v1", body)).status == 404
    digest = await push_blob(registry.client, _EXTRA)
    assert (await put(registry.client, "v1", body)).status == 201
    assert await _resolved(registry, digest) == [("layer", True)]


async def test_a_sparse_index_is_accepted_by_setting(sparse_registry: InProcessRegistry) -> None:
    """What it lists and is there is kept; what comes later is kept too, and connected when it is pushed again."""
    registry = sparse_registry
    here, later = image(), image(annotations={"n": "later"})
    both = index(here, later)
    await put(registry.client, str(Digest.of_bytes(here)), here)
    assert (await put(registry.client, "multi", both, INDEX_TYPE)).status == 201
    assert await _resolved(registry, Digest.of_bytes(here)) == [("manifest", True)]
    assert await _resolved(registry, Digest.of_bytes(later)) == [("manifest", False)]
    assert (await registry.client.request("GET", f"/v2/{NAME}/manifests/multi")).body == both

    await put(registry.client, str(Digest.of_bytes(later)), later)
    for child in (here, later):
        assert await _delete(registry, f"manifests/{Digest.of_bytes(child)}") == 409
    await put(registry.client, "multi", both, INDEX_TYPE)
    assert await _resolved(registry, Digest.of_bytes(later)) == [("manifest", True)]


async def test_a_sparse_setting_does_not_excuse_an_image(sparse_registry: InProcessRegistry) -> None:
    """Only indexes may be sparse."""
    body = image(layers=[descriptor(b"absent", LAYER_TYPE)])

    assert (await put(sparse_registry.client, "v1", body)).status == 404


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
async def test_a_subject_is_acknowledged_whatever_it_names(
    registry: InProcessRegistry, algorithm: str
) -> None:
    """`OCI-Subject` by tag and digest: of a missing manifest, of one's own layer, of the image it is attached to."""
    chosen: Any = algorithm
    await put(registry.client, "v1", image())
    for content in (b"missing", LAYER, image()):
        subject = descriptor(content, MANIFEST_TYPE, chosen)
        attached = image(subject=subject)
        for reference in ("attached", str(Digest.of_bytes(attached))):
            reply = await put(registry.client, reference, attached)
            assert (reply.status, reply.headers["oci-subject"]) == (201, subject["digest"])


async def test_an_index_may_have_a_subject_that_it_lists(registry: InProcessRegistry) -> None:
    """The subject is a child at the same time: accepted, and the child is kept by the index."""
    child = image()
    await put(registry.client, "v1", child)
    both = index(child, subject=descriptor(child, MANIFEST_TYPE))

    reply = await put(registry.client, "multi", both, INDEX_TYPE)

    assert (reply.status, reply.headers["oci-subject"]) == (201, str(Digest.of_bytes(child)))
    assert await _delete(registry, f"manifests/{Digest.of_bytes(child)}") == 409


async def test_nested_indexes_hold_one_another(registry: InProcessRegistry) -> None:
    """An index of indexes keeps the inner one, and that one its images (I2)."""
    child = image()
    inner = index(child)
    outer = json.dumps(
        {"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": [descriptor(inner, INDEX_TYPE)]}
    ).encode()
    await put(registry.client, str(Digest.of_bytes(child)), child)
    assert (await put(registry.client, "outer", outer, INDEX_TYPE)).status == 404
    await put(registry.client, str(Digest.of_bytes(inner)), inner, INDEX_TYPE)
    assert (await put(registry.client, "outer", outer, INDEX_TYPE)).status == 201

    order = [Digest.of_bytes(one) for one in (child, inner, outer)]
    assert [await _delete(registry, f"manifests/{one}") for one in order] == [409, 409, 202]
    assert [await _delete(registry, f"manifests/{one}") for one in order] == [409, 202, 404]
    assert await _delete(registry, f"manifests/{order[0]}") == 202
