"""Exports to OCI layouts: what is written, that it can be added to, and that damage is never passed on."""

from __future__ import annotations

import json
import tarfile
from typing import TYPE_CHECKING

import pytest

from entrepot.oci.digest import Digest
from entrepot.oci.names import RepositoryName, TagName
from entrepot.transfer.exporting import Exporter, ExportServices
from entrepot.transfer.layout_collection import open_layouts
from entrepot.transfer.layout_directory import DirectoryLayout
from entrepot.transfer.layout_tar import TarLayout
from tests.asgi.services import in_process_registry, scratch_settings
from tests.asgi.small_images import (
    CONFIG,
    INDEX_TYPE,
    LAYER,
    MANIFEST_TYPE,
    NAME,
    descriptor,
    image,
    index,
    push_blobs,
    put,
)
from tests.integration.importing import import_from

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from entrepot.transfer.exporting import ExportReport
    from entrepot.transfer.layout_index import LayoutWriter
    from tests.asgi.services import InProcessRegistry

SIGNATURE = image(subject=descriptor(image(), MANIFEST_TYPE), artifactType="test/signature")


@pytest.fixture
async def registry(tmp_path: Path) -> AsyncIterator[InProcessRegistry]:
    """A registry with an image, an index of it, and something attached to it."""
    async with in_process_registry(scratch_settings(tmp_path / "data")) as opened:
        await push_blobs(opened.client)
        await put(opened.client, "v1", image())
        await put(opened.client, "multi", index(image()), INDEX_TYPE)
        await put(opened.client, str(Digest.of_bytes(SIGNATURE)), SIGNATURE)
        yield opened


async def export(
    registry: InProcessRegistry, layout: LayoutWriter, *tags: str, referrers: bool = False
) -> ExportReport:
    """Export tags of the repository."""
    services = registry.services
    reading = ExportServices(services.manifests, services.blobs, services.referrers, registry.stores.blobs)
    exporter = Exporter(reading, 4, lambda _size, _note: None, referrers=referrers)
    try:
        await exporter.export(RepositoryName.parse(NAME), [TagName(tag) for tag in tags], layout)
    finally:
        await layout.abandon()
    return exporter.report


def files_of(directory: Path) -> set[str]:
    """Return the files below a directory."""
    return {str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file()}


def blob_file(content: bytes) -> str:
    """Return where a layout keeps content."""
    return f"blobs/sha256/{Digest.of_bytes(content).hex}"


def names_in(directory: Path) -> dict[str, str]:
    """Return the digests that an index lists, by tag."""
    entries: list[dict[str, dict[str, str]]] = json.loads((directory / "index.json").read_bytes())[
        "manifests"
    ]
    ref_name = "org.opencontainers.image.ref.name"
    return {one.get("annotations", {}).get(ref_name, ""): str(one["digest"]) for one in entries}


async def test_an_image_is_written_whole(tmp_path: Path, registry: InProcessRegistry) -> None:
    """An index brings its children; nothing else is in the directory, and every file hashes to its name."""
    report = await export(registry, DirectoryLayout(tmp_path / "out", {}, link=False), "multi")

    body = index(image())
    contents = (CONFIG, LAYER, image(), body)
    assert (report.images, report.problems) == (1, [])
    assert files_of(tmp_path / "out") == {"index.json", "oci-layout", *map(blob_file, contents)}
    assert [(tmp_path / "out" / blob_file(one)).read_bytes() for one in contents] == list(contents)
    assert names_in(tmp_path / "out") == {"multi": str(Digest.of_bytes(body))}


async def test_a_layout_is_added_to(tmp_path: Path, registry: InProcessRegistry) -> None:
    """A second export writes only what is new; a tag that moved is replaced, the others stay."""
    out = tmp_path / "out"
    await export(registry, DirectoryLayout(out, {}, link=False), "v1")
    other = image(annotations={"n": "2"})
    await put(registry.client, "v2", other)
    await put(registry.client, "v1", other)

    report = await export(registry, DirectoryLayout(out, {}, link=False), "v2", "multi")
    assert names_in(out)["v1"] == str(Digest.of_bytes(image()))
    await export(registry, DirectoryLayout(out, {}, link=False), "v1")

    assert report.present.count == 5  # config and layer twice, and the image that is in the index
    assert names_in(out) == {
        "v1": str(Digest.of_bytes(other)),
        "v2": str(Digest.of_bytes(other)),
        "multi": str(Digest.of_bytes(index(image()))),
    }


async def test_referrers_are_written_when_they_are_asked_for(
    tmp_path: Path, registry: InProcessRegistry
) -> None:
    """As entries without a name, which is how oras writes them."""
    without, attached = tmp_path / "without", tmp_path / "with"
    await export(registry, DirectoryLayout(without, {}, link=False), "v1")
    await export(registry, DirectoryLayout(attached, {}, link=False), "v1", referrers=True)

    assert blob_file(SIGNATURE) not in files_of(without)
    assert names_in(attached) == {"v1": str(Digest.of_bytes(image())), "": str(Digest.of_bytes(SIGNATURE))}


async def test_files_are_shared_only_when_that_is_asked_for(
    tmp_path: Path, registry: InProcessRegistry
) -> None:
    """A link to the registry's own file is the operator's word; between layouts of one export it is safe."""
    written: dict[Digest, Path] = {}
    for name in ("one", "two"):
        await export(registry, DirectoryLayout(tmp_path / name, written, link=False), "v1")
    await export(registry, DirectoryLayout(tmp_path / "linked", {}, link=True), "v1")

    counts = {name: (tmp_path / name / blob_file(LAYER)).stat().st_nlink for name in ("one", "two", "linked")}
    assert counts == {"one": 2, "two": 2, "linked": 2}
    assert not (tmp_path / "one" / blob_file(LAYER)).samefile(tmp_path / "linked" / blob_file(LAYER))


@pytest.mark.parametrize("damage", ["other bytes", "missing", "short"])
@pytest.mark.parametrize("kind", ["copy", "link", "tar"])
async def test_damage_is_reported_and_not_passed_on(
    tmp_path: Path, registry: InProcessRegistry, damage: str, kind: str
) -> None:
    """The image is left out of the index, its damaged layer is in no file; another image arrives."""
    layer = b"other" * 100
    manifest = image(layers=[descriptor(layer, "t/t")])
    digest = Digest.of_bytes(layer)
    await registry.client.request("POST", f"/v2/{NAME}/blobs/uploads/?digest={digest}", {}, [layer])
    await put(registry.client, "bad", manifest)
    stored = registry.settings.data.directory / "storage" / "blobs" / "sha256" / digest.hex[:2] / digest.hex
    (file,) = stored.iterdir()
    match damage:
        case "missing":
            file.unlink()
        case "short":
            file.write_bytes(layer[:-1])
        case _:
            file.write_bytes(layer[:-1] + b"!")
    out = tmp_path / "out"
    layout = (
        TarLayout(tmp_path / "out.tar") if kind == "tar" else DirectoryLayout(out, {}, link=kind == "link")
    )

    report = await export(registry, layout, "bad", "v1")

    assert [(one.repository, one.reference) for one in report.problems] == [(NAME, "bad")]
    if kind == "tar":
        with tarfile.open(tmp_path / "out.tar") as archive:
            archive.extractall(out, filter="data")
    assert set(names_in(out)) == {"v1"}
    assert blob_file(layer) not in files_of(out)
    assert [name for name in files_of(out) if "partial" in name] == []


@pytest.mark.parametrize("kind", ["directory", "tar"])
async def test_what_was_exported_can_be_imported(
    tmp_path: Path, registry: InProcessRegistry, kind: str
) -> None:
    """Elsewhere, under the names it had, with the digests it had."""
    place = tmp_path / f"out.{kind}"
    layout = TarLayout(place) if kind == "tar" else DirectoryLayout(place, {}, link=False)
    await export(registry, layout, "v1", "multi", referrers=True)

    async with in_process_registry(scratch_settings(tmp_path / "elsewhere")) as other:
        report = await import_from(await open_layouts(place, None), other)

        assert report.is_complete
        for path in ("manifests/v1", "manifests/multi", f"referrers/{Digest.of_bytes(image())}"):
            there = await registry.client.request("GET", f"/v2/{NAME}/{path}")
            here = await other.client.request("GET", f"/v2/{NAME}/{path}")
            assert (here.status, here.body) == (200, there.body)


async def test_an_archive_that_is_not_finished_has_no_name(
    tmp_path: Path, registry: InProcessRegistry
) -> None:
    """A tag that does not exist: no file appears, the one that was there stays."""
    (tmp_path / "out.tar").write_bytes(b"as it was")

    report = await export(registry, TarLayout(tmp_path / "out.tar"), "absent")

    assert [one.reference for one in report.problems] == ["absent"]
    assert files_of(tmp_path) >= {"out.tar"}
    assert (tmp_path / "out.tar").read_bytes() == b"as it was"
    assert [name for name in files_of(tmp_path) if name.startswith(".out")] == []
