"""Copies a real image by skopeo: to a registry, from it, and between directories as the floor of both."""

from __future__ import annotations

import gzip
import hashlib
import json
import secrets
import shutil
import subprocess
import tarfile
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bench.material import MANIFEST_TYPE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bench.cores import Cores
    from bench.scale import Scale

__all__ = ["ImageSource", "copy_image"]

_CONFIG_TYPE: Final = "application/vnd.oci.image.config.v1+json"
_LAYER_TYPE: Final = "application/vnd.oci.image.layer.v1.tar+gzip"
_BLOCK_BYTES: Final = 512


@dataclass(frozen=True)
class ImageSource:
    """Makes images as OCI layouts. Each has layers no registry has seen: skopeo would skip or mount them otherwise."""

    scale: Scale

    def write_layout(self, directory: Path) -> str:
        """Write a new image below `directory`; return its name for skopeo."""
        shutil.rmtree(directory, ignore_errors=True)
        blobs = directory / "blobs" / "sha256"
        blobs.mkdir(parents=True)
        rest = secrets.token_bytes(self.scale.image_layer_bytes)
        layers = [self._write_layer(blobs, rest) for _ in range(self.scale.image_layer_count)]
        config = {
            "architecture": "amd64",
            "os": "linux",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": [diff_id for _, diff_id in layers]},
        }
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": _store(blobs, _CONFIG_TYPE, json.dumps(config).encode()),
            "layers": [descriptor for descriptor, _ in layers],
        }
        index = {
            "schemaVersion": 2,
            "manifests": [_store(blobs, MANIFEST_TYPE, json.dumps(manifest).encode())],
        }
        (directory / "index.json").write_text(json.dumps(index))
        (directory / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
        return f"oci:{directory}"

    @staticmethod
    def _write_layer(blobs: Path, rest: bytes) -> tuple[dict[str, object], str]:
        """Write a layer of two files, the first of which is unlike any other; return descriptor and diff id."""
        stamp = _tar_entry("stamp", secrets.token_bytes(64))
        tar = b"".join((*stamp, *_tar_entry("content", rest), bytes(2 * _BLOCK_BYTES)))
        # Random bytes don't shrink: stored, not deflated, they make a layer of known size without costing a minute.
        packed = gzip.compress(tar, compresslevel=0)
        return _store(blobs, _LAYER_TYPE, packed), f"sha256:{hashlib.sha256(tar).hexdigest()}"


def copy_image(source: str, target: str, cores: Cores, credentials: Sequence[str] = ()) -> float:
    """Copy by skopeo and return the seconds it took; `credentials` are options that say who copies."""
    command = cores.pin_client(
        "skopeo", "copy", "--quiet", "--insecure-policy", "--src-tls-verify=false", "--dest-tls-verify=false"
    )
    if target.startswith("dir:"):
        shutil.rmtree(target.removeprefix("dir:"), ignore_errors=True)
    began = time.perf_counter()
    subprocess.run([*command, *credentials, source, target], check=True)
    return time.perf_counter() - began


def _tar_entry(name: str, content: bytes) -> Sequence[bytes]:
    header = tarfile.TarInfo(name)
    header.size = len(content)
    padding = -len(content) % _BLOCK_BYTES
    return (header.tobuf(tarfile.USTAR_FORMAT), content, bytes(padding))


def _store(blobs: Path, media_type: str, content: bytes) -> dict[str, object]:
    digest = hashlib.sha256(content).hexdigest()
    (blobs / digest).write_bytes(content)
    return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(content)}
