"""What of the storage is missing or damaged is left out of a rebuilt registry and named; the rest comes back (I2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from entrepot.oci.digest import Digest
from entrepot.settings import storage_root
from tests.asgi.history import live_through_everything
from tests.asgi.services import in_process_registry, scratch_settings
from tests.asgi.small_images import CONFIG, INDEX_TYPE, LAYER, NAME, image, index, push_blobs, put
from tests.integration.rebuilding import (
    compact,
    database_of,
    lose_database,
    rebuild,
    segments_of,
    unsealed,
)

if TYPE_CHECKING:
    from pathlib import Path

    from entrepot.settings import Settings

_OTHER = "team/other"


@pytest.fixture
async def settings(tmp_path: Path) -> Settings:
    """A registry whose database is lost: two images, an index of both, and one image elsewhere."""
    settings = scratch_settings(tmp_path / "data")
    async with in_process_registry(settings) as registry:
        await push_blobs(registry.client)
        await push_blobs(registry.client, _OTHER)
        for tag in ("1", "2"):
            await put(registry.client, tag, _image(tag))
        await put(registry.client, "multi", index(_image("1"), _image("2")), INDEX_TYPE)
        await put(registry.client, "moved", _image("1"))
        await put(registry.client, "moved", _image("2"))
        await put(registry.client, "3", image(), name=_OTHER)
        await compact(registry.stores)
    lose_database(settings)
    return settings


def _image(tag: str) -> bytes:
    return image(annotations={"n": tag})


def _stored(settings: Settings, area: str, content: bytes) -> Path:
    """Return the only file that holds a content."""
    (file,) = (storage_root(settings) / area).glob(f"sha256/*/{Digest.of_bytes(content).hex}/*")
    return file


def _named(report: dict[str, Any]) -> set[str]:
    return {f"{one['repository']}:{one['tag']}" for one in report["lost_tags"]} | {
        f"{one['repository']}@{one['digest']}" for one in report["losses"]
    }


async def _statuses(settings: Settings, *paths: str) -> list[int]:
    async with in_process_registry(settings) as registry:
        return [(await registry.client.request("GET", f"/v2/{path}")).status for path in paths]


@pytest.mark.parametrize("fault", ["gone", "other bytes", "longer"])
async def test_a_damaged_manifest_is_left_out_with_its_tags(settings: Settings, fault: str) -> None:
    """So is the index that lists it; a tag that was moved to it does not point at the old image again (I2, I3)."""
    file = _stored(settings, "manifests", _image("2"))
    if fault == "gone":
        file.unlink()
    else:
        file.write_bytes(bytes(len(_image("2"))) if fault == "other bytes" else _image("2") + b" ")

    code, report = await rebuild(settings)

    digests = [Digest.of_bytes(body) for body in (_image("2"), index(_image("1"), _image("2")))]
    assert code == 1
    assert _named(report) == {f"{NAME}:2", f"{NAME}:moved", f"{NAME}:multi"} | {
        f"{NAME}@{digest}" for digest in digests
    }
    paths = [f"{NAME}/manifests/{tag}" for tag in ("1", "2", "moved", "multi")]
    assert await _statuses(settings, *paths, f"{_OTHER}/manifests/3") == [200, 404, 404, 404, 200]


@pytest.mark.parametrize("fault", ["gone", "shorter"])
async def test_manifests_whose_blob_is_damaged_are_left_out(settings: Settings, fault: str) -> None:
    """Every image with the layer is named, in every repository; nothing that can be pulled lacks anything (I2)."""
    file = _stored(settings, "blobs", LAYER)
    if fault == "gone":
        file.unlink()
    else:
        file.write_bytes(LAYER[:-1])

    code, report = await rebuild(settings)

    assert code == 1
    assert {f"{NAME}:{tag}" for tag in ("1", "2", "moved", "multi")} | {f"{_OTHER}:3"} <= _named(report)
    assert f"{NAME}@{Digest.of_bytes(LAYER)}" in _named(report)
    assert report["totals"]["manifests"] == 0
    config, layer = (f"{NAME}/blobs/{Digest.of_bytes(blob)}" for blob in (CONFIG, LAYER))
    assert await _statuses(settings, config, layer) == [200, 404]


async def test_a_push_heals_what_was_left_out(settings: Settings) -> None:
    """The lost layer and the manifests can be pushed again, and a further rebuild has nothing to complain of."""
    _stored(settings, "blobs", LAYER).write_bytes(LAYER[:-1])
    await rebuild(settings)
    async with in_process_registry(settings) as registry:
        for name in (NAME, _OTHER):
            await push_blobs(registry.client, name)
        for tag in ("1", "2", "moved"):
            assert (await put(registry.client, tag, _image(tag))).status == 201
        multi = index(_image("1"), _image("2"))
        assert (await put(registry.client, "multi", multi, INDEX_TYPE)).status == 201
        assert (await put(registry.client, "3", image(), name=_OTHER)).status == 201
        await compact(registry.stores)
    lose_database(settings)

    code, report = await rebuild(settings)

    assert code == 0, report
    assert report["leftovers"]["blobs"] == 1  # the damaged copy


@pytest.mark.parametrize("verify", [False, True])
async def test_rot_of_equal_length_is_found_by_verifying(settings: Settings, verify: bool) -> None:
    """Sizes are always compared, bytes when asked for: then nothing that refers to rotten ones comes back (I3)."""
    _stored(settings, "blobs", LAYER).write_bytes(bytes(len(LAYER)))

    code, report = await rebuild(settings, *(["--verify"] if verify else []))

    assert code == int(verify)
    assert (f"{_OTHER}:3" in _named(report)) == verify


async def test_another_copy_of_the_bytes_stands_in(settings: Settings) -> None:
    """Where a fact's own object is gone, any object that holds the same bytes is as good."""
    for area, content in (("blobs", LAYER), ("manifests", _image("2"))):
        file = _stored(settings, area, content)
        file.rename(file.with_name("f" * 32))

    code, report = await rebuild(settings, "--verify")

    assert code == 0, report
    assert await _statuses(settings, f"{NAME}/manifests/2", f"{NAME}/blobs/{Digest.of_bytes(LAYER)}") == [
        200,
        200,
    ]


async def test_of_several_copies_a_sound_one_is_taken(settings: Settings) -> None:
    """After damage was healed the damaged bytes lie there for a while, under the key that the facts name (I3)."""
    file = _stored(settings, "blobs", LAYER)
    file.with_name("f" * 32).write_bytes(LAYER)
    file.write_bytes(bytes(len(LAYER)))

    code, report = await rebuild(settings)

    assert code == 0, report
    async with in_process_registry(settings) as registry:
        pulled = await registry.client.request("GET", f"/v2/{NAME}/blobs/{Digest.of_bytes(LAYER)}")
        assert (pulled.status, pulled.body) == (200, LAYER)


async def test_what_was_deleted_later_is_not_mourned(tmp_path: Path) -> None:
    """Bytes that a collector took after everything that needed them was deleted are no loss."""
    settings = scratch_settings(tmp_path / "deleted")
    async with in_process_registry(settings) as registry:
        await live_through_everything(registry.client)
        body = image(annotations={"gone": "False"})
        await compact(registry.stores)
    lose_database(settings)
    _stored(settings, "manifests", body).unlink()
    _stored(settings, "blobs", b"unused").unlink()

    code, report = await rebuild(settings)

    assert (code, _named(report)) == (0, set())


async def test_a_damaged_journal_costs_what_its_lines_told(settings: Settings) -> None:
    """Other lines count, the damage is named, and the numbers of what was lost are not given again."""
    (segment,) = segments_of(settings)
    lines = segment.read_bytes().splitlines(keepends=True)
    segment.write_bytes(b"".join(lines[:-1]) + lines[-1][:20] + b"\n")

    code, report = await rebuild(settings)

    assert code == 1
    assert {spot["key"].rpartition("/")[2] for spot in report["spots"]} == {segment.name}
    reason = f"it holds facts 1 to {len(lines) - 1} instead of facts 1 to {len(lines)}"
    assert reason in [spot["reason"] for spot in report["spots"]]
    assert await _statuses(settings, f"{NAME}/manifests/multi", f"{_OTHER}/manifests/3") == [200, 404]
    async with in_process_registry(settings) as registry:
        assert (await put(registry.client, "3", image(), name=_OTHER)).status == 201
    numbers = await database_of(settings).fetch("SELECT id FROM outbox ORDER BY id DESC LIMIT 2")
    assert [number for (number,) in numbers] == [len(lines) + 2, len(lines) + 1]


async def test_a_fact_of_a_newer_program_is_named(settings: Settings) -> None:
    """What this program does not understand it does not guess; everything else comes back."""
    (segment,) = segments_of(settings)
    segment.write_bytes(unsealed(segment.read_bytes()).replace(b'"manifest.put"', b'"manifest.sealed"', 1))

    code, report = await rebuild(settings)

    assert code == 1
    assert "manifest.sealed" in report["spots"][0]["reason"]
    assert f"{NAME}:multi" in _named(report)
