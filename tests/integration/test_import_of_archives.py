"""Imports of OCI layouts and of archives of `docker save`, whole and damaged."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from typing import TYPE_CHECKING, Any

import pytest

from entrepot.oci.digest import Digest
from entrepot.transfer.errors import SourceUnusableError
from entrepot.transfer.layout_collection import open_docker_archive, open_layouts
from tests.asgi.services import in_process_registry, scratch_settings
from tests.asgi.small_images import CONFIG, INDEX_TYPE, LAYER, MANIFEST_TYPE, descriptor, image, index
from tests.integration.importing import import_from

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from tests.asgi.services import InProcessRegistry

REF_NAME = "org.opencontainers.image.ref.name"
LAYERS = (b"first layer" * 100, b"second layer" * 100)


@pytest.fixture
async def registry(tmp_path: Path) -> AsyncIterator[InProcessRegistry]:
    """An empty registry."""
    async with in_process_registry(scratch_settings(tmp_path / "data")) as opened:
        yield opened


async def status(registry: InProcessRegistry, path: str) -> int:
    """Return the status of a GET."""
    return (await registry.client.request("GET", f"/v2/{path}")).status


def entry(body: bytes, media_type: str, **annotations: str) -> dict[str, Any]:
    """Return an entry of an index; underscores stand for the rest of the usual key."""
    return {**descriptor(body, media_type), "annotations": annotations}


def write_layout(directory: Path, entries: list[dict[str, Any]], *contents: bytes) -> Path:
    """Write an OCI layout."""
    blobs = directory / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    for content in contents:
        (blobs / Digest.of_bytes(content).hex).write_bytes(content)
    (directory / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    (directory / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": entries}))
    return directory


def write_tar(path: Path, members: Mapping[str, bytes | str]) -> Path:
    """Write an archive of members; a text is the target of a symbolic link."""
    with tarfile.open(path, "w") as archive:
        for name, content in members.items():
            header = tarfile.TarInfo(name)
            if isinstance(content, str):
                header.type, header.linkname = tarfile.SYMTYPE, content
                archive.addfile(header)
            else:
                header.size = len(content)
                archive.addfile(header, io.BytesIO(content))
    return path


def tar_of(directory: Path, path: Path) -> Path:
    """Write an archive of a directory's files."""
    names = sorted(str(file.relative_to(directory)) for file in directory.rglob("*") if file.is_file())
    return write_tar(path, {f"./{name}": (directory / name).read_bytes() for name in names})


@pytest.mark.parametrize("as_tar", [False, True], ids=["directory", "tar"])
async def test_a_layout_with_names_of_every_spelling(
    tmp_path: Path, registry: InProcessRegistry, as_tar: bool
) -> None:
    """Bare tags go where --into says; an index, its child and a nameless referrer arrive too."""
    body = index(image())
    signature = image(subject=descriptor(image(), MANIFEST_TYPE), artifactType="test/signature")
    entries = [
        entry(image(), MANIFEST_TYPE, **{REF_NAME: "v1"}),
        entry(
            body, INDEX_TYPE, **{"io.containerd.image.name": "docker.io/team/app:multi", REF_NAME: "multi"}
        ),
        entry(signature, MANIFEST_TYPE),
    ]
    place = write_layout(tmp_path / "layout", entries, CONFIG, LAYER, image(), body, signature)
    if as_tar:
        place = tar_of(place, tmp_path / "layout.tar")

    report = await import_from(await open_layouts(place, "team/app"), registry)

    assert report.is_complete
    for reference in ("v1", "multi", Digest.of_bytes(signature)):
        assert await status(registry, f"team/app/manifests/{reference}") == 200
    assert set(report.blobs) <= ({"received"} if as_tar else {"copied", "cloned"})


async def test_names_of_a_layout_lead_to_their_repositories(
    tmp_path: Path, registry: InProcessRegistry
) -> None:
    """Full names need no --into, and one is refused that has only a tag."""
    named = [
        entry(image(), MANIFEST_TYPE, **{REF_NAME: "quay.io/team/app:v1"}),
        entry(image(), MANIFEST_TYPE, **{REF_NAME: "other:v2"}),
    ]
    place = write_layout(tmp_path / "named", named, CONFIG, LAYER, image())
    tagged = write_layout(tmp_path / "tagged", [entry(image(), MANIFEST_TYPE, **{REF_NAME: "v1"})])

    await import_from(await open_layouts(place, None), registry)

    assert await status(registry, "team/app/manifests/v1") == 200
    assert await status(registry, "other/manifests/v2") == 200
    with pytest.raises(SourceUnusableError, match="--into"):
        await open_layouts(tagged, None)


async def test_damage_in_a_layout_costs_only_what_it_hits(
    tmp_path: Path, registry: InProcessRegistry
) -> None:
    """Other bytes, missing bytes, a manifest that is none."""
    good, bad, lost = (
        image(),
        image(layers=[descriptor(b"bad", "t/t")]),
        image(layers=[descriptor(b"lost", "t/t")]),
    )
    entries = [
        entry(body, MANIFEST_TYPE, **{REF_NAME: name})
        for name, body in (
            ("good", good),
            ("bad", bad),
            ("lost", lost),
            ("absent", b"{}"),
            ("nonsense", b"[]"),
        )
    ]
    place = write_layout(tmp_path / "layout", entries, CONFIG, LAYER, good, bad, lost, b"bad", b"[]")
    (place / "blobs" / "sha256" / Digest.of_bytes(b"bad").hex).write_bytes(b"BAD")

    report = await import_from(await open_layouts(place, "app"), registry)

    assert {one.reference for one in report.problems} == {"bad", "lost", "absent", "nonsense"}
    assert await status(registry, "app/manifests/good") == 200


@pytest.mark.parametrize("text", ["", "{", '{"manifests":[{"digest":"sha256:../../x"}]}', '{"manifests":3}'])
async def test_s33_an_unusable_index_is_refused(tmp_path: Path, text: str) -> None:
    """As a whole, before anything is imported; a digest is parsed before it is used (S33)."""
    place = write_layout(tmp_path / "layout", [])
    (place / "index.json").write_text(text)

    with pytest.raises(SourceUnusableError):
        await open_layouts(place, "app")


def config_of(*layers: bytes, **more: object) -> bytes:
    """Return the config of an image of these layers."""
    diffs = [str(Digest.of_bytes(layer)) for layer in layers]
    return json.dumps(
        {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": diffs}, **more}
    ).encode()


def contents(config: str, layers: list[str], *names: str) -> bytes:
    """Return a manifest.json."""
    return json.dumps([{"Config": config, "RepoTags": list(names) or None, "Layers": layers}]).encode()


async def test_a_docker_archive_becomes_a_schema_2_image(tmp_path: Path, registry: InProcessRegistry) -> None:
    """Config and layers are as they lie there; a layer that is only a link to another one's is that layer."""
    config = config_of(*LAYERS, LAYERS[0])
    members: dict[str, bytes | str] = {
        "c.json": config,
        "one/layer.tar": LAYERS[0],
        "two/layer.tar": LAYERS[1],
        "three/layer.tar": "../one/layer.tar",
        "manifest.json": contents(
            "c.json",
            ["one/layer.tar", "two/layer.tar", "three/layer.tar"],
            "reg.example/team/app:v1",
            "localhost/app:v2",
        ),
    }
    place = write_tar(tmp_path / "image.tar", members)

    report = await import_from(await open_docker_archive(place, None), registry)

    assert report.is_complete
    reply = await registry.client.request("GET", "/v2/team/app/manifests/v1")
    manifest = json.loads(reply.body)
    assert reply.headers["content-type"] == "application/vnd.docker.distribution.manifest.v2+json"
    assert manifest["config"]["digest"] == str(Digest.of_bytes(config))
    assert [one["digest"] for one in manifest["layers"]] == [
        str(Digest.of_bytes(layer)) for layer in (*LAYERS, LAYERS[0])
    ]
    assert {one["mediaType"] for one in manifest["layers"]} == {
        "application/vnd.docker.image.rootfs.diff.tar"
    }
    assert (await registry.client.request("GET", "/v2/app/manifests/v2")).body == reply.body
    layer = await registry.client.request("GET", f"/v2/app/blobs/{Digest.of_bytes(LAYERS[1])}")
    assert layer.body == LAYERS[1]


async def test_a_compressed_layer_is_named_as_what_it_is(tmp_path: Path, registry: InProcessRegistry) -> None:
    """Crane writes such archives: the digest is that of the bytes, the type says gzip."""
    packed = gzip.compress(LAYERS[0], mtime=0)
    members = {
        "manifest.json": contents("c.json", ["l.tar.gz"], "app:v1"),
        "l.tar.gz": packed,
        "c.json": config_of(LAYERS[0]),
    }
    place = write_tar(tmp_path / "image.tar", members)

    assert (await import_from(await open_docker_archive(place, None), registry)).is_complete

    manifest = json.loads((await registry.client.request("GET", "/v2/app/manifests/v1")).body)
    (layer,) = manifest["layers"]
    assert (layer["digest"], layer["size"]) == (str(Digest.of_bytes(packed)), len(packed))
    assert layer["mediaType"].endswith(".tar.gzip")


async def test_a_layer_with_other_bytes_than_its_config_says_is_refused(
    tmp_path: Path, registry: InProcessRegistry
) -> None:
    """The archive has no digests of its own; the image has."""
    members = {
        "manifest.json": contents("c.json", ["l.tar"], "app:v1"),
        "l.tar": LAYERS[0] + b"!",
        "c.json": config_of(LAYERS[0]),
    }
    place = write_tar(tmp_path / "image.tar", members)

    report = await import_from(await open_docker_archive(place, None), registry)

    assert "hashes to" in report.problems[0].reason
    assert await status(registry, "app/manifests/v1") == 404


@pytest.mark.parametrize(
    ("names", "layers", "config", "reason"),
    [
        (("app:v1",), ["gone.tar"], config_of(LAYERS[0]), "gone.tar"),
        (("app:v1",), [], config_of(LAYERS[0]), "1 layers"),
        (("app:v1",), ["l.tar"], b"{}", "no config"),
        (("Not Valid:v1",), ["l.tar"], config_of(LAYERS[0]), "lower-case"),
    ],
    ids=["missing layer", "wrong number", "no config", "no name"],
)
async def test_an_image_that_makes_no_sense_is_reported(
    tmp_path: Path,
    registry: InProcessRegistry,
    names: tuple[str, ...],
    layers: list[str],
    config: bytes,
    reason: str,
) -> None:
    """With what is wrong with it."""
    members = {"manifest.json": contents("c.json", layers, *names), "l.tar": LAYERS[0], "c.json": config}
    place = write_tar(tmp_path / "image.tar", members)

    report = await import_from(await open_docker_archive(place, None), registry)

    assert reason in report.problems[0].reason


async def test_an_image_without_a_name_needs_one(tmp_path: Path, registry: InProcessRegistry) -> None:
    """`docker save <id>` writes no names: --into says where the image goes, and it is found by its digest."""
    members = {
        "manifest.json": contents("c.json", ["l.tar"]),
        "l.tar": LAYERS[0],
        "c.json": config_of(LAYERS[0]),
    }
    place = write_tar(tmp_path / "image.tar", members)
    with pytest.raises(SourceUnusableError, match="--into"):
        await open_docker_archive(place, None)

    report = await import_from(await open_docker_archive(place, "app"), registry)

    ((_, digest),) = report.expected
    assert report.is_complete
    assert await status(registry, f"app/manifests/{digest}") == 200


async def test_an_archive_with_a_layout_inside_keeps_its_digests(
    tmp_path: Path, registry: InProcessRegistry
) -> None:
    """Newer docker writes both; the layout is what docker itself knows the image by."""
    entries = [entry(image(), MANIFEST_TYPE, **{"io.containerd.image.name": "docker.io/library/app:v1"})]
    layout = write_layout(tmp_path / "layout", entries, CONFIG, LAYER, image())
    (layout / "manifest.json").write_bytes(contents("none", []))

    await import_from(await open_docker_archive(tar_of(layout, tmp_path / "a.tar"), None), registry)

    assert (await registry.client.request("GET", "/v2/app/manifests/v1")).body == image()
