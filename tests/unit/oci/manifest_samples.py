"""Well-formed manifests to start from: each test changes the one member it is about."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from entrepot.oci.media_types import (
    DOCKER_IMAGE_CONFIG,
    DOCKER_MANIFEST,
    DOCKER_MANIFEST_LIST,
    OCI_IMAGE_CONFIG,
    OCI_IMAGE_INDEX,
    OCI_IMAGE_MANIFEST,
)

OCI_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"


def digest_of(name: str) -> str:
    """Return the sha256 digest of `name`."""
    return f"sha256:{hashlib.sha256(name.encode()).hexdigest()}"


def descriptor(name: str, media_type: str = OCI_LAYER, **members: Any) -> dict[str, Any]:
    """Return a descriptor of the content `name`; `members` are added or replace what is there."""
    return {"mediaType": media_type, "digest": digest_of(name), "size": len(name), **members}


def oci_image(**members: Any) -> dict[str, Any]:
    """Return an OCI image manifest of two layers; a member given as `...` is left out."""
    return _with(
        {
            "schemaVersion": 2,
            "mediaType": OCI_IMAGE_MANIFEST,
            "config": descriptor("config", OCI_IMAGE_CONFIG),
            "layers": [descriptor("lower"), descriptor("upper")],
        },
        members,
    )


def oci_index(**members: Any) -> dict[str, Any]:
    """Return an OCI index of two images; a member given as `...` is left out."""
    manifests = [descriptor("amd64", OCI_IMAGE_MANIFEST), descriptor("arm64", OCI_IMAGE_MANIFEST)]
    return _with({"schemaVersion": 2, "mediaType": OCI_IMAGE_INDEX, "manifests": manifests}, members)


def docker_image(**members: Any) -> dict[str, Any]:
    """Return a Docker image manifest of one layer; a member given as `...` is left out."""
    return _with(
        {
            "schemaVersion": 2,
            "mediaType": DOCKER_MANIFEST,
            "config": descriptor("config", DOCKER_IMAGE_CONFIG),
            "layers": [descriptor("layer", DOCKER_LAYER)],
        },
        members,
    )


def docker_list(**members: Any) -> dict[str, Any]:
    """Return a Docker manifest list of one image; a member given as `...` is left out."""
    manifests = [descriptor("amd64", DOCKER_MANIFEST, platform={"architecture": "amd64", "os": "linux"})]
    return _with({"schemaVersion": 2, "mediaType": DOCKER_MANIFEST_LIST, "manifests": manifests}, members)


def encode(document: Any) -> bytes:
    """Return `document` as a client would send it."""
    return json.dumps(document, indent=3).encode()


def _with(document: dict[str, Any], members: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in {**document, **members}.items() if value is not ...}
