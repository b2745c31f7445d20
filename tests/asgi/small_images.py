"""Images of a few bytes and the requests that push them, for tests that run the application in their own process."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from entrepot.oci.digest import Digest

if TYPE_CHECKING:
    from entrepot.oci.digest import Algorithm
    from tests.asgi.client import AsgiClient, AsgiReply

__all__ = [
    "CONFIG",
    "FOREIGN_LAYER_TYPE",
    "INDEX_TYPE",
    "LAYER",
    "LAYER_TYPE",
    "MANIFEST_TYPE",
    "NAME",
    "descriptor",
    "image",
    "index",
    "push_blob",
    "push_blobs",
    "put",
]

NAME: Final = "team/app"
MANIFEST_TYPE: Final = "application/vnd.oci.image.manifest.v1+json"
INDEX_TYPE: Final = "application/vnd.oci.image.index.v1+json"
LAYER_TYPE: Final = "application/vnd.oci.image.layer.v1.tar"
FOREIGN_LAYER_TYPE: Final = "application/vnd.oci.image.layer.nondistributable.v1.tar"
CONFIG: Final = b'{"architecture":"amd64","os":"linux"}'
LAYER: Final = b"layer" * 100


def descriptor(content: bytes, media_type: str, algorithm: Algorithm = "sha256") -> dict[str, object]:
    """Return a descriptor of `content`."""
    digest = Digest.of_bytes(content, algorithm)
    return {"mediaType": media_type, "digest": str(digest), "size": len(content)}


def image(**members: object) -> bytes:
    """Return an image manifest of `CONFIG` and `LAYER`; `members` are added or replace what is there."""
    manifest: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": descriptor(CONFIG, "application/vnd.oci.image.config.v1+json"),
        "layers": [descriptor(LAYER, LAYER_TYPE)],
    }
    return json.dumps(manifest | members).encode()


def index(*children: bytes, **members: object) -> bytes:
    """Return an index of image manifests."""
    listed = [descriptor(child, MANIFEST_TYPE) for child in children]
    document: dict[str, Any] = {"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": listed}
    return json.dumps(document | members).encode()


async def push_blob(
    client: AsgiClient, content: bytes, name: str = NAME, algorithm: Algorithm = "sha256"
) -> str:
    """Push a blob with one request and return its digest."""
    digest = str(Digest.of_bytes(content, algorithm))
    reply = await client.request("POST", f"/v2/{name}/blobs/uploads/?digest={digest}", {}, [content])
    assert reply.status == 201, reply
    return digest


async def push_blobs(client: AsgiClient, name: str = NAME) -> None:
    """Push what :func:`image` refers to."""
    for blob in (CONFIG, LAYER):
        await push_blob(client, blob, name)


async def put(
    client: AsgiClient,
    reference: str,
    body: bytes,
    media_type: str = MANIFEST_TYPE,
    name: str = NAME,
    **headers: str,
) -> AsgiReply:
    """PUT a manifest; `reference` may have a query, `headers` are written with underscores."""
    named = {key.replace("_", "-"): value for key, value in headers.items()}
    target = f"/v2/{name}/manifests/{reference}"
    return await client.request("PUT", target, {"Content-Type": media_type, **named}, [body])
