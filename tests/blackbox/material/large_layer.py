"""One image with a layer of many hundred megabytes, written straight into a layout rather than held in memory."""

from __future__ import annotations

import hashlib
import random
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tests.blackbox.material.images import IMAGE_MANIFEST, digest_of, to_json

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["LargeImage", "write_large_layout"]

_CHUNK_BYTES: Final = 4 * 1024 * 1024
_LAYER: Final = "application/vnd.oci.image.layer.v1.tar"
_CONFIG: Final = "application/vnd.oci.image.config.v1+json"


@dataclass(frozen=True, slots=True)
class LargeImage:
    """Where the image lies and what it is called by."""

    layout: Path
    """OCI layout with the tag `large`."""
    manifest: bytes
    layer_digest: str
    layer_bytes: int

    @property
    def layer_file(self) -> Path:
        """The layer inside the layout."""
        return self.layout / "blobs" / "sha256" / self.layer_digest.removeprefix("sha256:")


def write_large_layout(directory: Path, size_bytes: int) -> LargeImage:
    """Write an image of one uncompressed layer: a tar archive of one file of `size_bytes` (a multiple of 4 MiB)."""
    blobs = directory / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    hashing = hashlib.sha256()
    layer_bytes = 0
    unfinished = directory / "layer"
    with unfinished.open("wb") as file:
        for part in _tar_of_one_file(size_bytes):
            hashing.update(part)
            layer_bytes += file.write(part)
    layer_digest = f"sha256:{hashing.hexdigest()}"
    unfinished.rename(blobs / hashing.hexdigest())

    config = to_json(
        {"architecture": "amd64", "os": "linux", "rootfs": {"diff_ids": [layer_digest], "type": "layers"}}
    )
    manifest = to_json(
        {
            "config": {"digest": digest_of(config), "mediaType": _CONFIG, "size": len(config)},
            "layers": [{"digest": layer_digest, "mediaType": _LAYER, "size": layer_bytes}],
            "mediaType": IMAGE_MANIFEST,
            "schemaVersion": 2,
        }
    )
    for blob in (config, manifest):
        (blobs / digest_of(blob).removeprefix("sha256:")).write_bytes(blob)
    entry = {
        "annotations": {"org.opencontainers.image.ref.name": "large"},
        "digest": digest_of(manifest),
        "mediaType": IMAGE_MANIFEST,
        "size": len(manifest),
    }
    (directory / "oci-layout").write_bytes(to_json({"imageLayoutVersion": "1.0.0"}))
    (directory / "index.json").write_bytes(to_json({"manifests": [entry], "schemaVersion": 2}))
    return LargeImage(directory, manifest, layer_digest, layer_bytes)


def _tar_of_one_file(size_bytes: int) -> Iterator[bytes]:
    header = tarfile.TarInfo("large")
    header.size = size_bytes
    yield header.tobuf(tarfile.USTAR_FORMAT)
    # Random once, then numbered: no two chunks are alike, and making them costs less than hashing them.
    chunk = bytearray(random.Random(7).randbytes(_CHUNK_BYTES))
    for number in range(size_bytes // _CHUNK_BYTES):
        chunk[:8] = number.to_bytes(8, "big")
        yield bytes(chunk)
    yield bytes(2 * tarfile.BLOCKSIZE)
