"""F11 and F12: what is stored is not what was pushed, in the store, in the database or in the journal."""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from entrepot.oci.digest import Digest
from tests.faults.machine.content import push_blob
from tests.faults.machine.product import Product, running_product
from tests.faults.machine.promises import check_complete
from tests.faults.pushing import AcknowledgementLog
from tests.plumbing.patience import PATIENCE_SECONDS
from tests.processes.running import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.faults.machine.content import Content
    from tests.faults.machine.findings import Findings


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """One registry for all kinds of damage: each hurts content of its own.

    Without the scheduled verification, which would set aside what is damaged before anybody asks for it.
    """
    directory = tmp_path_factory.mktemp("damage") / "registry"
    with running_product(directory, verify={"period_seconds": 0}) as running:
        yield running


def _flip(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        byte = file.read(1)[0]
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte ^ 1]))


def _truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def _empty(path: Path) -> None:
    os.truncate(path, 0)


def _lengthen(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"x")


def _stored(product: Product, kind: str, digest: str) -> Path:
    algorithm, _, encoded = digest.partition(":")
    folder = product.registry.data_directory / "storage" / kind / algorithm / encoded[:2] / encoded
    (path,) = folder.iterdir()
    return path


async def _require_alarm(product: Product, content: Content, path: str) -> None:
    """500 without a byte of the content, one line in the log that names it, and the counter goes up by one."""
    log_size = product.registry.log_size()
    before = product.metric("registry_damaged_content_total")
    reply = await product.get(content, path)
    assert (reply.status, reply.error_code()) == (500, "UNKNOWN")
    (line,) = product.faults_logged(log_size)
    assert (line["event"], line["error"]) == ("request.failed", "ContentDamagedError")
    assert "sha256:" in line["reason"]
    wait_for(
        lambda: product.metric("registry_damaged_content_total") == before + 1,
        PATIENCE_SECONDS,
        lambda: "it was not counted",
    )


@pytest.mark.parametrize("damage", [Path.unlink, _truncate, _empty, _lengthen, _flip])
async def test_f12_a_damaged_small_blob_is_refused(
    product: Product, damage: Callable[[Path], None], findings: Findings
) -> None:
    """Missing, short, empty, long or other bytes: 500 and the alarm; the other blobs of the image are served."""
    content = await product.push(product.new_content())
    layer, config = content.blobs
    damage(_stored(product, "blobs", str(Digest.of_bytes(config))))

    await _require_alarm(product, content, f"blobs/{Digest.of_bytes(config)}")
    assert (await product.get(content, f"blobs/{Digest.of_bytes(layer)}")).body == layer
    assert (await product.get(content, "manifests/latest")).status == 200
    findings.note("F12", f"small blob, {damage.__name__.strip('_')}", statuses=[500])


@pytest.mark.parametrize("damage", [Path.unlink, _truncate, _empty, _lengthen])
async def test_f12_a_damaged_large_blob_is_refused(
    product: Product, damage: Callable[[Path], None], findings: Findings
) -> None:
    """What its length tells is noticed before the first byte: 500 and the alarm, for a part of it too."""
    content = await product.push(product.new_content())
    layer, config = content.blobs
    damage(_stored(product, "blobs", str(Digest.of_bytes(layer))))

    await _require_alarm(product, content, f"blobs/{Digest.of_bytes(layer)}")
    target = f"/v2/{content.repository}/blobs/{Digest.of_bytes(layer)}"
    assert (await product.client.request("GET", target, {"Range": "bytes=0-9"})).status == 500
    assert (await product.get(content, f"blobs/{Digest.of_bytes(config)}")).body == config
    findings.note("F12", f"large blob, {damage.__name__.strip('_')}", statuses=[500])


async def test_f11_one_flipped_bit_of_a_large_blob_is_bounded_as_documented(
    product: Product, findings: Findings
) -> None:
    """Of equal length, it is sent as it lies there: clients find out by the digest, the keeper by `entrepot verify`."""
    content = await product.push(product.new_content())
    layer = content.blobs[0]
    _flip(_stored(product, "blobs", str(Digest.of_bytes(layer))))

    reply = await product.get(content, f"blobs/{Digest.of_bytes(layer)}")

    assert (reply.status, len(reply.body)) == (200, len(layer))
    assert reply.headers["docker-content-digest"] == str(Digest.of_bytes(layer))
    assert reply.body != layer
    findings.note("F11", "large blob, a bit flipped", statuses=[200])


async def test_f11_a_manifest_damaged_in_the_database_is_refused(
    product: Product, findings: Findings
) -> None:
    """Its bytes are hashed for each pull: by tag and by digest 500 and the alarm, nothing else is hurt."""
    content, kept = await product.push(product.new_content()), await product.push(product.new_content())
    manifest = content.manifests[0]
    body = bytearray(manifest.body)
    body[len(body) // 2] ^= 1
    database = product.registry.data_directory / "metadata" / "entrepot.db"
    with closing(sqlite3.connect(database, timeout=60)) as connection, connection:
        changed = connection.execute(
            "UPDATE manifest_bodies SET body = ? WHERE digest = ?", (bytes(body), manifest.digest)
        )
        assert changed.rowcount == 1

    for reference in manifest.references:
        await _require_alarm(product, content, f"manifests/{reference}")
    findings.note("F11", "manifest in the database, a bit flipped", statuses=[500])
    await check_complete(product.client, kept)


async def test_f11_the_copies_for_a_rebuild_are_not_what_is_served(
    product: Product, findings: Findings
) -> None:
    """Damage to a manifest's copy in the store, or to the journal, hurts no pull and no push; `verify` reads them."""
    content = await product.push(product.new_content())
    _flip(_stored(product, "manifests", content.manifests[0].digest))
    journal = product.registry.data_directory / "storage" / "journal"
    segments = wait_for(
        lambda: sorted(journal.glob("*/segments/*")), PATIENCE_SECONDS, lambda: "no segment was written"
    )
    for path in segments:
        _flip(path)

    await check_complete(product.client, content)
    findings.note("F11", "manifest's copy and journal, a bit flipped", statuses=[200])
    await product.push(product.new_content())


async def test_f12_damage_of_one_repository_leaves_pushes_to_others_alone(
    product: Product, tmp_path: Path, findings: Findings
) -> None:
    """While a blob is missing, everybody else pushes and pulls as before, in no more time."""
    content = await product.push(product.new_content())
    _stored(product, "blobs", str(Digest.of_bytes(content.blobs[0]))).unlink()
    started = time.monotonic()
    await push_blob(
        product.client, "machine/others", os.urandom(100_000), AcknowledgementLog.open(tmp_path / "log")
    )
    await check_complete(product.client, await product.push(product.new_content("index")))
    seconds = time.monotonic() - started
    assert seconds < 60
    findings.note("F12", "others while a blob is missing", pushes_seconds=seconds)
