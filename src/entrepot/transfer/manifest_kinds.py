"""Tells the media type of manifest bytes that come without one, as from a file (image-spec, manifest.md, mediaType)."""

from __future__ import annotations

from typing import cast

from entrepot.oci.digest import Digest
from entrepot.oci.manifest import MAX_MANIFEST_BYTES
from entrepot.oci.media_types import DOCKER_MANIFEST_SCHEMA1_SIGNED, OCI_IMAGE_INDEX, OCI_IMAGE_MANIFEST
from entrepot.oci.strict_json import InvalidJsonError, parse_strict_json
from entrepot.transfer.errors import SourceDamagedError
from entrepot.transfer.source import SourceManifest

__all__ = ["describe_manifest"]


def describe_manifest(body: bytes, digest: Digest, media_type: str | None = None) -> SourceManifest:
    """Return manifest bytes, verified, with their media type: theirs, else `media_type`, else what their shape says.

    Raises:
        SourceDamagedError: they are too many, hash to something else, or are no manifest.
    """
    if len(body) > MAX_MANIFEST_BYTES:
        raise SourceDamagedError(f"the manifest {digest} has more than {MAX_MANIFEST_BYTES} bytes")
    actual = Digest.of_bytes(body, digest.algorithm)
    if actual != digest:
        raise SourceDamagedError(f"the bytes of the manifest {digest} hash to {actual}")
    return SourceManifest(body, _written_type(body, digest) or media_type or _type_of_shape(body, digest))


def _written_type(body: bytes, digest: Digest) -> str | None:
    written = _members(body, digest).get("mediaType")
    return written if isinstance(written, str) and written else None


def _type_of_shape(body: bytes, digest: Digest) -> str:
    members = _members(body, digest)
    if "fsLayers" in members:
        return DOCKER_MANIFEST_SCHEMA1_SIGNED
    if "manifests" in members:
        return OCI_IMAGE_INDEX
    return OCI_IMAGE_MANIFEST  # Docker's own types must say what they are


def _members(body: bytes, digest: Digest) -> dict[str, object]:
    try:
        document = parse_strict_json(body)
    except InvalidJsonError as error:
        raise SourceDamagedError(f"the manifest {digest} is unreadable: {error.reason}") from None
    if not isinstance(document, dict):
        raise SourceDamagedError(f"the manifest {digest} is no JSON object")
    return cast("dict[str, object]", document)
