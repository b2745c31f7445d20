"""Small well-formed manifests for cases that are not about their content."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from tests.conformance.data import EMPTY, IMAGE_MANIFEST
from tests.conformance.digests import digest_of
from tests.conformance.wire import describe

if TYPE_CHECKING:
    from tests.conformance.digests import Algorithm
    from tests.conformance.wire import Repository

__all__ = ["EMPTY_DESCRIPTOR", "descriptor_of", "encode", "push_artifact", "small_manifest"]

EMPTY_DESCRIPTOR: Final[dict[str, Any]] = {"mediaType": EMPTY, "digest": digest_of(b"{}"), "size": 2}


def encode(document: object) -> bytes:
    """Return a document as JSON."""
    return json.dumps(document).encode()


def small_manifest(name: str, **more: Any) -> bytes:
    """Return an artifact without content, told apart from others by `name`; `more` members are added or replaced."""
    document = {
        "schemaVersion": 2,
        "mediaType": IMAGE_MANIFEST,
        "artifactType": "application/vnd.example.small",
        "config": EMPTY_DESCRIPTOR,
        "layers": [EMPTY_DESCRIPTOR],
        "annotations": {"org.example.name": name},
    }
    return encode({**document, **more})


def descriptor_of(
    body: bytes, media_type: str = IMAGE_MANIFEST, algorithm: Algorithm = "sha256"
) -> dict[str, Any]:
    """Return a descriptor of a manifest."""
    return {"mediaType": media_type, "digest": digest_of(body, algorithm), "size": len(body)}


def push_artifact(repository: Repository, reference: str | None, body: bytes) -> str:
    """Push what small manifests refer to, and one of them by tag or, without one, by digest; return its digest."""
    assert repository.push_blob(b"{}", digest_of(b"{}")).status_code == 201
    digest = digest_of(body)
    response = repository.put_manifest(reference or digest, body, IMAGE_MANIFEST)
    assert response.status_code == 201, describe(response)
    return digest
