"""Deleting tags, manifests and blobs on both engines: what is in use stays, what is deleted stays deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
import pytest

from entrepot.oci.digest import Digest
from entrepot.settings import metadata_url, storage_root
from tests.asgi.services import InProcessRegistry, in_process_registry, scratch_settings
from tests.asgi.small_images import (
    CONFIG,
    INDEX_TYPE,
    LAYER,
    NAME,
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

    from entrepot.settings import Settings
    from tests.asgi.client import AsgiReply
    from tests.drivers.postgres_server import PostgresServer


@pytest.fixture(params=["sqlite", "postgresql"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """An empty registry on either engine."""
    if request.param == "sqlite":
        return scratch_settings(tmp_path / "data")
    server: PostgresServer = request.getfixturevalue("postgres_server")
    return scratch_settings(tmp_path / "data", metadata__url=server.create_database())


@pytest.fixture
async def registry(settings: Settings) -> AsyncIterator[InProcessRegistry]:
    """A node with the blobs of an image."""
    async with in_process_registry(settings) as registry:
        await push_blobs(registry.client)
        yield registry


async def _delete(registry: InProcessRegistry, path: str, name: str = NAME) -> AsgiReply:
    return await registry.client.request("DELETE", f"/v2/{name}/{path}")


async def _status(registry: InProcessRegistry, path: str, name: str = NAME) -> int:
    return (await registry.client.request("GET", f"/v2/{name}/{path}")).status


async def test_a_deleted_tag_is_gone_and_its_manifest_stays(registry: InProcessRegistry) -> None:
    """202 without a body; then 404, also for the second DELETE; digest and other tags go on (I5)."""
    digest = Digest.of_bytes(image())
    for tag in ("v1", "v2"):
        await put(registry.client, tag, image())

    reply = await _delete(registry, "manifests/v1")

    assert (reply.status, reply.body, reply.headers["content-length"]) == (202, b"", "0")
    assert await _status(registry, "manifests/v1") == 404
    again = await _delete(registry, "manifests/v1")
    assert (again.status, again.error_code()) == (404, "MANIFEST_UNKNOWN")
    assert [await _status(registry, f"manifests/{one}") for one in ("v2", digest)] == [200, 200]
    listed = await registry.client.request("GET", f"/v2/{NAME}/tags/list")
    assert msgspec.json.decode(listed.body)["tags"] == ["v2"]


async def test_a_deleted_manifest_takes_all_its_tags_with_it(registry: InProcessRegistry) -> None:
    """By digest: 202, then neither digest nor tags are found, and tags of other manifests stay."""
    digest, other = Digest.of_bytes(image()), image(annotations={"other": "one"})
    for tag in ("v1", "v2"):
        await put(registry.client, tag, image())
    await put(registry.client, "v3", other)

    assert (await _delete(registry, f"manifests/{digest}")).status == 202

    for reference in (str(digest), "v1", "v2"):
        reply = await registry.client.request("GET", f"/v2/{NAME}/manifests/{reference}")
        assert (reply.status, reply.error_code()) == (404, "MANIFEST_UNKNOWN")
    assert await _status(registry, "manifests/v3") == 200
    assert (await _delete(registry, f"manifests/{digest}")).status == 404


async def test_a_deleted_manifest_comes_back_by_being_pushed(registry: InProcessRegistry) -> None:
    """A push revives it under its digest, without the tags it had; the journal tells of all three."""
    digest = Digest.of_bytes(image())
    await put(registry.client, "v1", image())
    await _delete(registry, f"manifests/{digest}")

    assert (await put(registry.client, str(digest), image())).status == 201

    assert (await registry.client.request("GET", f"/v2/{NAME}/manifests/{digest}")).body == image()
    assert await _status(registry, "manifests/v1") == 404
    assert await _journalled(registry) == [
        ("manifest.put", {"digest": str(digest), "tags": ["v1"]}),
        ("manifest.delete", {"digest": str(digest), "tags": ["v1"]}),
        ("manifest.put", {"digest": str(digest), "tags": []}),
    ]


async def test_i5_an_index_does_not_bring_back_what_it_mentions(registry: InProcessRegistry) -> None:
    """A deleted manifest is missing for an index that lists it, and is still deleted afterwards (I5)."""
    child = image()
    await put(registry.client, "v1", child)
    await _delete(registry, f"manifests/{Digest.of_bytes(child)}")

    reply = await put(registry.client, "multi", index(child), INDEX_TYPE)

    assert (reply.status, reply.error_code()) == (404, "MANIFEST_BLOB_UNKNOWN")
    assert await _status(registry, f"manifests/{Digest.of_bytes(child)}") == 404


async def test_i2_a_manifest_that_an_index_lists_stays(registry: InProcessRegistry) -> None:
    """409 DENIED names the index; once that is deleted, so can the image be (I2)."""
    child, both = image(), index(image())
    await put(registry.client, "amd64", child)
    await put(registry.client, "multi", both, INDEX_TYPE)
    target = f"manifests/{Digest.of_bytes(child)}"

    refused = await _delete(registry, target)

    assert (refused.status, refused.error_code()) == (409, "DENIED")
    assert str(Digest.of_bytes(both)) in refused.body.decode()
    assert "retry-after" not in refused.headers
    assert [await _status(registry, one) for one in (target, "manifests/amd64")] == [200, 200]
    assert (await _delete(registry, "manifests/multi")).status == 202, "a tag is not what the index lists"
    assert (await _delete(registry, target)).status == 409, "the index is still there under its digest"
    assert (await _delete(registry, f"manifests/{Digest.of_bytes(both)}")).status == 202
    assert (await _delete(registry, target)).status == 202


async def test_i2_a_blob_that_a_manifest_refers_to_stays(registry: InProcessRegistry) -> None:
    """409 DENIED names the manifest, for config and layer; once that is deleted, both go (I2)."""
    await put(registry.client, "v1", image())
    targets = [f"blobs/{Digest.of_bytes(blob)}" for blob in (CONFIG, LAYER)]

    for target in targets:
        refused = await _delete(registry, target)
        assert (refused.status, refused.error_code()) == (409, "DENIED")
        assert str(Digest.of_bytes(image())) in refused.body.decode()
        assert await _status(registry, target) == 200
    await _delete(registry, f"manifests/{Digest.of_bytes(image())}")
    for target in targets:
        assert (await _delete(registry, target)).status == 202
        gone = await _delete(registry, target)
        assert (gone.status, gone.error_code()) == (404, "BLOB_UNKNOWN")
    assert (await put(registry.client, "v1", image())).status == 404, "nothing it needs is there any more"


async def test_s4_a_deleted_blob_is_gone_here_and_stays_elsewhere(
    registry: InProcessRegistry, settings: Settings
) -> None:
    """GET and HEAD are 404 at once, on another node too and with warm caches; repository B keeps it (S4)."""
    digest = await push_blob(registry.client, CONFIG, "team/b")
    async with in_process_registry(settings) as second_node:
        nodes = (registry, second_node)
        for node in nodes:
            assert await _status(node, f"blobs/{digest}") == 200
            assert await _status(node, f"blobs/{digest}", "team/b") == 200

        assert (await _delete(registry, f"blobs/{digest}")).status == 202

        for node in nodes:
            assert await _status(node, f"blobs/{digest}", "team/b") == 200
            assert await _status(node, f"blobs/{digest}") == 404
            assert (await node.client.request("HEAD", f"/v2/{NAME}/blobs/{digest}")).status == 404
    assert await push_blob(registry.client, CONFIG) == digest
    assert await _status(registry, f"blobs/{digest}") == 200


async def test_another_repository_neither_keeps_nor_loses_anything(registry: InProcessRegistry) -> None:
    """References of other repositories do not hold a blob here, and deletes here do not touch them."""
    await push_blobs(registry.client, "team/b")
    for name in (NAME, "team/b"):
        await put(registry.client, "v1", image(), name=name)
    digest = Digest.of_bytes(image())

    assert (await _delete(registry, f"manifests/{digest}")).status == 202
    assert (await _delete(registry, f"blobs/{Digest.of_bytes(LAYER)}")).status == 202

    for path in ("manifests/v1", f"manifests/{digest}", f"blobs/{Digest.of_bytes(LAYER)}"):
        assert (await _status(registry, path), await _status(registry, path, "team/b")) == (404, 200)


async def test_a_subject_may_go_while_its_referrers_stay(registry: InProcessRegistry) -> None:
    """A missing subject is allowed (distribution-spec), so it holds nothing."""
    subject = image()
    await put(registry.client, "v1", subject)
    attached = image(
        subject={
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "digest": str(Digest.of_bytes(subject)),
            "size": len(subject),
        }
    )
    await put(registry.client, str(Digest.of_bytes(attached)), attached)

    assert (await _delete(registry, f"manifests/{Digest.of_bytes(subject)}")).status == 202
    assert await _status(registry, f"manifests/{Digest.of_bytes(attached)}") == 200


_NOT_DELETED: Final = {
    "no/such/manifests/v1": (404, "NAME_UNKNOWN"),
    f"no/such/manifests/sha256:{'0' * 64}": (404, "NAME_UNKNOWN"),
    f"no/such/blobs/sha256:{'0' * 64}": (404, "NAME_UNKNOWN"),
    f"{NAME}/manifests/absent": (404, "MANIFEST_UNKNOWN"),
    f"{NAME}/manifests/sha256:{'0' * 64}": (404, "MANIFEST_UNKNOWN"),
    f"{NAME}/blobs/sha512:{'0' * 128}": (404, "BLOB_UNKNOWN"),
    f"{NAME}/manifests/-v1": (400, "TAG_INVALID"),
    f"{NAME}/manifests/sha256:short": (400, "DIGEST_INVALID"),
    f"{NAME}/manifests/sha256:{'A' * 64}": (400, "DIGEST_INVALID"),
    f"{NAME}/blobs/latest": (400, "DIGEST_INVALID"),
    f"{NAME}/blobs/md5:{'0' * 32}": (400, "DIGEST_INVALID"),
    "Team/App/manifests/v1": (400, "NAME_INVALID"),
}


async def test_s33_what_can_not_be_deleted_is_told_apart_and_changes_nothing(
    registry: InProcessRegistry,
) -> None:
    """Unknown and malformed names have the codes of the specification, and no row changes (S33)."""
    await put(registry.client, "v1", image())
    before = await _all_rows(registry)

    replies = {path: await registry.client.request("DELETE", f"/v2/{path}") for path in _NOT_DELETED}

    assert {path: (reply.status, reply.error_code()) for path, reply in replies.items()} == _NOT_DELETED
    assert await _all_rows(registry) == before


async def test_a_refused_delete_changes_nothing(registry: InProcessRegistry) -> None:
    """After 409 every row is as it was (I7)."""
    await put(registry.client, "amd64", image())
    await put(registry.client, "multi", index(image()), INDEX_TYPE)
    before = await _all_rows(registry)

    for path in (f"manifests/{Digest.of_bytes(image())}", f"blobs/{Digest.of_bytes(LAYER)}"):
        assert (await _delete(registry, path)).status == 409
    assert await _all_rows(registry) == before


async def test_every_delete_leaves_history_facts_and_journal(registry: InProcessRegistry) -> None:
    """Tag history ends with no digest; entries of tag and manifest deletes lie in the store before the reply."""
    digest, loose = Digest.of_bytes(image()), await push_blob(registry.client, b"loose")
    for tag in ("v1", "v2"):
        await put(registry.client, tag, image())
    await _delete(registry, "manifests/v1")
    await _delete(registry, f"manifests/{digest}")
    await _delete(registry, f"blobs/{loose}")

    database = RawDatabase(metadata_url(registry.settings))
    history = await database.fetch("SELECT name, digest, previous_digest FROM tag_history ORDER BY id")
    assert history[2:] == [("v1", None, str(digest)), ("v2", None, str(digest))]
    facts = await database.fetch("SELECT kind, payload, journalled FROM outbox ORDER BY id")
    assert [(kind, msgspec.json.decode(payload), journalled) for kind, payload, journalled in facts[-3:]] == [
        ("tag.delete", {"tag": "v1", "digest": str(digest)}, 1),
        ("manifest.delete", {"digest": str(digest), "tags": ["v2"]}, 1),
        ("blob.unlinked", {"digest": loose}, 1),
    ]
    assert [kind for kind, _ in await _journalled(registry)] == [
        "manifest.put",
        "manifest.put",
        "tag.delete",
        "manifest.delete",
    ]


async def test_a_delete_costs_one_commit_and_no_more_than_the_entry(registry: InProcessRegistry) -> None:
    """Tag and manifest: 1 commit and 1 data fsync (the journal entry); blob: 1 commit, no fsync of data."""
    loose = await push_blob(registry.client, b"loose")
    for tag in ("v1", "v2"):
        await put(registry.client, tag, image())
    for path, syncs in (
        ("manifests/v1", 1),
        (f"manifests/{Digest.of_bytes(image())}", 1),
        (f"blobs/{loose}", 0),
    ):
        registry.counts.reset()
        assert (await _delete(registry, path)).status == 202
        assert (registry.counts.commits, registry.counts.data_syncs) == (1, syncs)


async def _journalled(registry: InProcessRegistry) -> list[tuple[str, dict[str, object]]]:
    """Return kind, digest and tags of every journal entry, in order."""
    incarnation = await registry.stores.metadata.instance.incarnation()
    entries = sorted((storage_root(registry.settings) / "journal" / incarnation / "entries").iterdir())
    lines = [msgspec.json.decode(entry.read_bytes()) for entry in entries]
    return [
        (line["kind"], {key: line["payload"][key] for key in ("digest", "tags") if key in line["payload"]})
        for line in lines
    ]


async def _all_rows(registry: InProcessRegistry) -> dict[str, list[tuple[object, ...]]]:
    database = RawDatabase(metadata_url(registry.settings))
    tables: tuple[str, ...] = (
        "repositories",
        "blobs",
        "repository_blobs",
        "manifests",
        "manifest_references",
    )
    tables += ("tags", "tag_history", "outbox")
    return {table: sorted(await database.fetch(f"SELECT * FROM {table}"), key=repr) for table in tables}
