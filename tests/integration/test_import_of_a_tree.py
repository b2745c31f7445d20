"""Imports from a Distribution storage directory: what arrives, what is left, and what is said about damage."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from entrepot.oci.digest import Digest
from entrepot.transfer.distribution_tree import DistributionTree
from entrepot.transfer.errors import SourceUnusableError, TagConflictError
from entrepot.transfer.importing import Importer, ImportOptions
from entrepot.transfer.selection import Renaming, Selection
from entrepot.transfer.target import RegistryTarget
from tests.asgi.services import in_process_registry, scratch_settings
from tests.asgi.small_images import (
    CONFIG,
    INDEX_TYPE,
    LAYER,
    MANIFEST_TYPE,
    descriptor,
    image,
    index,
    push_blobs,
    put,
)
from tests.integration.importing import TreeWriter, import_from, services_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.asgi.services import InProcessRegistry


@pytest.fixture
def tree(tmp_path: Path) -> TreeWriter:
    """An empty tree."""
    return TreeWriter(tmp_path / "tree")


@pytest.fixture
async def registry(tmp_path: Path) -> AsyncIterator[InProcessRegistry]:
    """An empty registry."""
    async with in_process_registry(scratch_settings(tmp_path / "data")) as opened:
        yield opened


async def get(registry: InProcessRegistry, path: str) -> tuple[int, bytes]:
    """Return status and body."""
    reply = await registry.client.request("GET", f"/v2/{path}")
    return reply.status, reply.body


async def test_images_arrive_with_their_bytes_and_types(
    tree: TreeWriter, registry: InProcessRegistry
) -> None:
    """Nested names, an index and its child, a manifest that lost its tag: all can be pulled as before."""
    child = tree.add_image("team/app")
    body = index(image())
    tree.add_manifest("team/app", body, "multi")
    tree.add_image("team/app/nested", "v1", "v2")

    report = await import_from(DistributionTree(tree.root), registry)

    assert report.is_complete
    assert (report.repositories, report.tags_set, report.manifests_stored) == (2, 3, 3)
    assert await get(registry, "team/app/manifests/multi") == (200, body)
    assert await get(registry, f"team/app/manifests/{child}") == (200, image())
    for tag in ("v1", "v2"):
        assert await get(registry, f"team/app/nested/manifests/{tag}") == (200, image())
    assert await get(registry, f"team/app/blobs/{Digest.of_bytes(LAYER)}") == (200, LAYER)


async def test_files_are_linked_and_bytes_stored_once(tree: TreeWriter, registry: InProcessRegistry) -> None:
    """The same blob in two repositories is linked once on disk, and once more in rows; `never` shares no file."""
    tree.add_image("one", "v1")
    tree.add_image("two", "v1")

    report = await import_from(DistributionTree(tree.root), registry)

    assert {kind: amount.count for kind, amount in report.blobs.items()} == {"linked": 2, "mounted": 2}
    assert report.stored_bytes == len(CONFIG) + len(LAYER)
    assert tree.data(LAYER).stat().st_nlink == 2


async def test_without_links_files_are_copied(tree: TreeWriter, registry: InProcessRegistry) -> None:
    """`never` leaves the source with one name."""
    tree.add_image("one", "v1")

    report = await import_from(DistributionTree(tree.root), registry, links="never")

    assert set(report.blobs) <= {"copied", "cloned"}
    assert tree.data(LAYER).stat().st_nlink == 1
    assert await get(registry, f"one/blobs/{Digest.of_bytes(LAYER)}") == (200, LAYER)


async def test_a_second_import_copies_nothing(tree: TreeWriter, registry: InProcessRegistry) -> None:
    """No byte, no commit: everything is found."""
    tree.add_image("one", "v1")
    tree.add_manifest("one", index(image()), "multi")
    await import_from(DistributionTree(tree.root), registry)
    registry.counts.reset()

    report = await import_from(DistributionTree(tree.root), registry)

    assert report.is_complete
    assert (report.stored_bytes, report.tags_set, report.tags_present, report.blobs) == (0, 0, 2, {})
    assert (registry.counts.commits, registry.counts.data_syncs) == (0, 0)


async def test_a_rehearsal_says_the_same_and_changes_nothing(
    tree: TreeWriter, registry: InProcessRegistry
) -> None:
    """Counts and bytes are those of the import that follows."""
    tree.add_image("one", "v1", "v2")
    tree.add_image("two", "v1")

    rehearsed = await import_from(DistributionTree(tree.root), registry, rehearse=True)
    assert registry.counts.commits == 0
    assert (await get(registry, "one/manifests/v1"))[0] == 404
    real = await import_from(DistributionTree(tree.root), registry)

    assert (rehearsed.tags_set, rehearsed.manifests_stored, rehearsed.stored_bytes) == (
        real.tags_set,
        real.manifests_stored,
        real.stored_bytes,
    )


@pytest.mark.parametrize("damage", ["missing", "short", "other bytes", "unlinked"])
async def test_a_damaged_blob_costs_its_images_and_nothing_else(
    tree: TreeWriter, registry: InProcessRegistry, damage: str
) -> None:
    """I2: the manifest is not imported, its tags are listed with the reason, and the other images arrive."""
    layer = b"damaged" * 50
    broken = image(layers=[descriptor(layer, "application/vnd.oci.image.layer.v1.tar")])
    tree.add_image("good", "v1")
    tree.add_blob("bad", CONFIG)
    tree.add_blob("bad", layer)
    tree.add_manifest("bad", broken, "v1")
    tree.add_manifest("bad", index(broken), "multi")
    match damage:
        case "missing":
            tree.data(layer).unlink()
        case "short":
            tree.data(layer).write_bytes(layer[:-1])
        case "other bytes":
            tree.data(layer).write_bytes(layer[:-1] + b"X")
        case _:
            (tree.repository("bad") / "_layers" / "sha256" / Digest.of_bytes(layer).hex / "link").unlink()

    report = await import_from(DistributionTree(tree.root), registry)

    named = {(problem.repository, problem.reference) for problem in report.problems}
    assert {("bad", "v1"), ("bad", "multi")} <= named
    assert all(str(Digest.of_bytes(layer)) in problem.reason for problem in report.problems)
    assert (await get(registry, "good/manifests/v1"))[0] == 200
    assert (await get(registry, "bad/manifests/v1"))[0] == 404
    assert [found async for found in registry.stores.blobs.list_objects("uploads/")] == []


async def test_what_can_not_be_imported_is_listed_with_its_reason(
    tree: TreeWriter, registry: InProcessRegistry
) -> None:
    """Schema 1, a dangling tag, an emptied link, a deleted revision."""
    tree.add_manifest("old", json.dumps({"schemaVersion": 1, "fsLayers": []}).encode(), "v1")
    gone = tree.add_image("app", "deleted", "emptied", "kept")
    tags = tree.repository("app") / "_manifests" / "tags"
    (tags / "emptied" / "current" / "link").write_bytes(b"")
    (tags / "dangling").mkdir()
    other = image(annotations={"n": "2"})
    tree.add_manifest("app", other, "gone")
    revision = tree.repository("app") / "_manifests" / "revisions" / "sha256" / Digest.of_bytes(other).hex
    (revision / "link").unlink()

    report = await import_from(DistributionTree(tree.root), registry)

    reasons = {f"{one.repository}:{one.reference}": one.reason for one in report.problems}
    assert "schema 1" in reasons["old:v1"]
    assert "no digest" in reasons["app:emptied"]
    assert "points nowhere" in reasons["app:dangling"]
    assert "was deleted" in reasons["app:gone"]
    assert await get(registry, "app/manifests/kept") == (200, image())
    assert report.expected
    assert gone == Digest.of_bytes(image())


async def test_a_choice_and_new_names(tree: TreeWriter, registry: InProcessRegistry) -> None:
    """Only what is chosen comes, under its new name; a choice of tags leaves untagged manifests behind."""
    tree.add_image("legacy/app", "v1", "dev")
    tree.add_image("other", "v1")
    extra = tree.add_manifest("legacy/app", image(annotations={"n": "2"}))
    selection = Selection(
        repositories=("legacy/*",), tags=("v*",), renamings=(Renaming("legacy", "archive"),), prefix="in"
    )

    report = await import_from(DistributionTree(tree.root), registry, selection)

    assert (report.is_complete, report.repositories, report.tags_set) == (True, 1, 1)
    assert (await get(registry, "in/archive/app/manifests/v1"))[0] == 200
    assert (await get(registry, f"in/archive/app/manifests/{extra}"))[0] == 404
    assert (await get(registry, "other/manifests/v1"))[0] == 404


async def test_referrers_come_along_when_only_tags_are_wanted(
    tree: TreeWriter, registry: InProcessRegistry
) -> None:
    """What is attached to a chosen image, and to that in turn; other untagged manifests do not."""
    subject = tree.add_image("app", "v1")
    signature = image(subject=descriptor(image(), MANIFEST_TYPE), artifactType="test/signature")
    second = image(subject=descriptor(signature, MANIFEST_TYPE), artifactType="test/second")
    tree.add_manifest("app", signature)
    tree.add_manifest("app", second)
    stray = tree.add_manifest("app", image(annotations={"n": "2"}))

    report = await import_from(DistributionTree(tree.root), registry, options=ImportOptions(untagged=False))

    assert report.is_complete
    listed = json.loads((await get(registry, f"app/referrers/{subject}"))[1])["manifests"]
    assert [one["digest"] for one in listed] == [str(Digest.of_bytes(signature))]
    assert (await get(registry, f"app/manifests/{Digest.of_bytes(second)}"))[0] == 200
    assert (await get(registry, f"app/manifests/{stray}"))[0] == 404


@pytest.mark.parametrize(("policy", "wins"), [("keep", "here"), ("overwrite", "source")])
async def test_a_tag_that_points_elsewhere_here(
    tree: TreeWriter, registry: InProcessRegistry, policy: str, wins: str
) -> None:
    """It stays and is listed, or it moves, as was asked for; both are no failure."""
    here = image(annotations={"from": "here"})
    await push_blobs(registry.client, "app")
    await put(registry.client, "v1", here, name="app")
    tree.add_image("app", "v1", "v2")

    report = await import_from(
        DistributionTree(tree.root),
        registry,
        options=ImportOptions(conflicts=policy),  # type: ignore[arg-type]  # a parameter
    )

    assert report.is_complete
    assert [one.tag for one in report.kept] == (["v1"] if policy == "keep" else [])
    assert await get(registry, "app/manifests/v1") == (200, here if wins == "here" else image())
    assert (await get(registry, "app/manifests/v2"))[0] == 200


async def test_a_tag_that_points_elsewhere_can_end_the_import(
    tree: TreeWriter, registry: InProcessRegistry
) -> None:
    """`fail` says which tag, and changes it not."""
    here = image(annotations={"from": "here"})
    await push_blobs(registry.client, "app")
    await put(registry.client, "v1", here, name="app")
    tree.add_image("app", "v1")

    with pytest.raises(TagConflictError, match="app:v1"):
        await import_from(DistributionTree(tree.root), registry, options=ImportOptions(conflicts="fail"))

    assert await get(registry, "app/manifests/v1") == (200, here)


async def test_s3_a_blob_of_another_repository_does_not_stand_in(
    tree: TreeWriter, registry: InProcessRegistry
) -> None:
    """A manifest names a blob that its own repository at the source lacks: that another one here has it is no help."""
    await push_blobs(registry.client, "private/app")
    tree.add_manifest("public", image(), "v1")

    report = await import_from(DistributionTree(tree.root), registry)

    assert [one.repository for one in report.problems] == ["public", "public"]
    assert (await get(registry, f"public/blobs/{Digest.of_bytes(LAYER)}"))[0] == 404


async def test_an_index_without_all_its_children_is_refused_or_taken_as_the_registry_is_set(
    tree: TreeWriter, tmp_path: Path
) -> None:
    """As for a push: `registry.sparse_indexes` decides."""
    absent = image(annotations={"n": "absent"})
    tree.add_image("app")
    tree.add_manifest("app", index(image(), absent), "multi")

    outcomes = {}
    for mode in ("refuse", "accept"):
        settings = scratch_settings(tmp_path / mode, registry__sparse_indexes=mode)
        async with in_process_registry(settings) as registry:
            report = await import_from(DistributionTree(tree.root), registry)
            reply = await registry.client.request("GET", "/v2/app/manifests/multi")
            outcomes[mode] = (report.is_complete, reply.status, reply.headers.get("content-type"))

    assert outcomes["refuse"][:2] == (False, 404)
    assert outcomes["accept"] == (True, 200, INDEX_TYPE)


async def test_the_final_comparison_finds_what_is_not_as_at_the_source(
    tree: TreeWriter, registry: InProcessRegistry
) -> None:
    """A tag that was moved and one that was deleted behind the import's back are named; the rest is counted."""
    digest = tree.add_image("app", "moved", "deleted", "kept")
    other = image(annotations={"n": "2"})
    target = RegistryTarget(services_of(registry.services), "never", os.geteuid())
    importer = Importer(
        DistributionTree(tree.root), target, Selection(), ImportOptions(), lambda _size, _note: None
    )
    report = await importer.run()
    await put(registry.client, "moved", other, name="app")
    await registry.client.request("DELETE", "/v2/app/manifests/deleted")

    await importer.compare()

    assert not report.is_complete
    assert report.compared == 4
    assert {one.reference: (one.expected, one.found) for one in report.differences} == {
        "moved": (digest, Digest.of_bytes(other)),
        "deleted": (digest, None),
    }


def test_a_directory_that_is_no_tree_is_refused(tmp_path: Path) -> None:
    """With where to find one."""
    with pytest.raises(SourceUnusableError, match="rootdirectory"):
        DistributionTree(tmp_path)
