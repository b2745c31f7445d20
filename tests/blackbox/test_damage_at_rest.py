"""Bit rot and lost files (F11, F12), from the operator's alarm to the client that pushes again and pulls the same."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.blackbox.material.images import Image, build_image, build_random_layer, digest_of
from tests.blackbox.material.layouts import read_layout, write_layout
from tests.running.stored_bytes import BytesInBucket, BytesOnDisk, StoredBytes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.blackbox.clients.program import Program
    from tests.blackbox.http_client import RegistryClient
    from tests.running.entrepot import RunningEntrepot

pytestmark = pytest.mark.real_client

_MIB = 1024 * 1024


@pytest.fixture
def stored_bytes(
    registry: RunningEntrepot, registry_settings: dict[str, dict[str, Any]]
) -> Iterator[StoredBytes]:
    """Reach behind the running registry."""
    if "storage.s3" in registry_settings:
        bucket = BytesInBucket(registry_settings["storage.s3"])
        yield bucket
        bucket.close()
    else:
        yield BytesOnDisk(registry.data_directory / "storage")


def _image(seed: int, tmp_path: Path) -> Image:
    image = build_image([build_random_layer("part", 2 * _MIB, seed), build_random_layer("more", 1000, seed)])
    write_layout(tmp_path / "in", "it", image)
    return image


def _push(skopeo: Program, tmp_path: Path, remote: str) -> None:
    skopeo.run("copy", "--preserve-digests", "--dest-tls-verify=false", f"oci:{tmp_path}/in:it", remote)


def _pull(skopeo: Program, tmp_path: Path, remote: str) -> tuple[str, dict[str, bytes]]:
    skopeo.run("copy", "--preserve-digests", "--src-tls-verify=false", remote, f"oci:{tmp_path}/out:it")
    return read_layout(tmp_path / "out")


def _verify(registry: RunningEntrepot, repository: str, *options: str) -> tuple[int, dict[str, Any]]:
    """Run `entrepot verify` beside the registry; return its exit code and report."""
    command = [sys.executable, "-m", "entrepot", "verify", "--config", str(registry._settings_file)]
    done = subprocess.run(
        [*command, "--repository", repository, "-o", "json", "--rate", "0", *options],
        capture_output=True,
        check=False,
        timeout=100,
    )
    assert done.stdout, done.stderr.decode()
    return done.returncode, json.loads(done.stdout)


def test_f11_a_flipped_byte_is_found_set_aside_and_healed_by_a_push(
    skopeo: Program,
    registry: RunningEntrepot,
    repository: str,
    http: RegistryClient,
    stored_bytes: StoredBytes,
    tmp_path: Path,
) -> None:
    """A large blob of the right length is served until it was read; then it is 404, and a push brings it back."""
    image = _image(11, tmp_path)
    remote = f"docker://{registry.host}/{repository}:v1"
    _push(skopeo, tmp_path, remote)
    layer = image.layers[0].compressed
    digest = digest_of(layer)
    rotten = bytes([layer[0] ^ 1]) + layer[1:]
    stored_bytes.replace(digest, rotten)
    assert http.get_blob(digest).content == rotten

    code, report = _verify(registry, repository)
    (finding,) = report["findings"]
    assert (code, report["result"], finding["kind"], finding["name"]) == (1, "damaged", "corrupt", digest)
    assert finding["tags"] == [f"{repository}:v1"]
    code, report = _verify(registry, repository, "--repair")
    assert (code, report["findings"][0]["outcome"]) == (1, "quarantined")
    assert http.get_blob(digest).status_code == 404
    assert not http.has_blob(digest)

    _push(skopeo, tmp_path, remote)

    assert _pull(skopeo, tmp_path, remote) == read_layout(tmp_path / "in")
    assert _verify(registry, repository)[0] == 0


def test_f12_a_second_store_heals_what_was_lost(
    skopeo: Program,
    registry: RunningEntrepot,
    repository: str,
    http: RegistryClient,
    stored_bytes: StoredBytes,
    tmp_path: Path,
) -> None:
    """One blob is gone, one is cut short: 5xx, never a whole answer; after the repair everything is as it was."""
    image = _image(12, tmp_path)
    remote = f"docker://{registry.host}/{repository}:v1"
    _push(skopeo, tmp_path, remote)
    first, second = (layer.compressed for layer in image.layers)
    address = stored_bytes.copy(repository.replace("/", "-"), digest_of(first), digest_of(second))
    stored_bytes.remove(digest_of(first))
    stored_bytes.replace(digest_of(second), second[:-1])
    assert http.get_blob(digest_of(first)).status_code == 500

    code, report = _verify(registry, repository, "--repair", "--heal-from", address)

    assert code == 0, report
    assert {finding["outcome"] for finding in report["findings"]} == {"healed"}
    assert {finding["kind"] for finding in report["findings"]} == {"missing", "truncated"}
    assert _pull(skopeo, tmp_path, remote) == read_layout(tmp_path / "in")


def test_f12_a_push_brings_back_what_a_pull_found_missing(
    skopeo: Program,
    registry: RunningEntrepot,
    repository: str,
    http: RegistryClient,
    stored_bytes: StoredBytes,
    tmp_path: Path,
) -> None:
    """Nobody verified anything: on a disk the client is told that the blob is not there, and sends it."""
    if not isinstance(stored_bytes, BytesOnDisk):
        _verify_instead_of_head(registry, repository, stored_bytes, _image(13, tmp_path), skopeo, tmp_path)
        return
    image = _image(13, tmp_path)
    remote = f"docker://{registry.host}/{repository}:v1"
    _push(skopeo, tmp_path, remote)
    digest = digest_of(image.layers[0].compressed)
    stored_bytes.remove(digest)
    assert http.get_blob(digest).status_code == 500

    _push(skopeo, tmp_path, remote)

    assert _pull(skopeo, tmp_path, remote) == read_layout(tmp_path / "in")


def _verify_instead_of_head(
    registry: RunningEntrepot,
    repository: str,
    stored_bytes: StoredBytes,
    image: Image,
    skopeo: Program,
    tmp_path: Path,
) -> None:
    """An object store is not asked at each HEAD, so there a quick verification comes first."""
    remote = f"docker://{registry.host}/{repository}:v1"
    _push(skopeo, tmp_path, remote)
    stored_bytes.remove(digest_of(image.layers[0].compressed))
    assert _verify(registry, repository, "--fast", "--repair")[0] == 1
    _push(skopeo, tmp_path, remote)
    assert _pull(skopeo, tmp_path, remote) == read_layout(tmp_path / "in")
