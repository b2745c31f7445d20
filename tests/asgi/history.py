"""A registry with a past: one of everything that pushes and deletes can leave behind, and a picture of what is left."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from entrepot.oci.digest import Digest
from tests.asgi.small_images import (
    CONFIG,
    FOREIGN_LAYER_TYPE,
    INDEX_TYPE,
    LAYER,
    LAYER_TYPE,
    NAME,
    descriptor,
    image,
    index,
    push_blob,
    push_blobs,
    put,
)

if TYPE_CHECKING:
    from tests.asgi.client import AsgiClient
    from tests.drivers.metadata.raw_database import RawDatabase

__all__ = ["DELETED_TAG", "MOUNTED", "live_through_everything", "picture_of", "times_of"]

DELETED_TAG: Final = "deleted"
MOUNTED: Final = "other/mounted"

_PICTURES: Final = {
    "repositories": "SELECT r.name, p.name, r.creator FROM repositories r JOIN projects p ON p.id = r.project_id",
    "blobs": "SELECT digest, size_bytes, state, storage_key, creator FROM blobs",
    "links": """
        SELECT r.name, b.digest, l.creator FROM repository_blobs l
        JOIN repositories r ON r.id = l.repository_id JOIN blobs b ON b.id = l.blob_id
    """,
    "bodies": "SELECT digest, size_bytes, storage_key FROM manifest_bodies",
    "manifests": """
        SELECT r.name, m.digest, m.media_type, coalesce(m.artifact_type, ''), coalesce(m.config_media_type, ''),
            coalesce(m.subject_digest, ''), m.annotations, m.state, m.creator
        FROM manifests m JOIN repositories r ON r.id = m.repository_id
    """,
    "references": """
        SELECT r.name, m.digest, x.position, x.kind, x.digest, x.size_bytes, x.media_type,
            coalesce(b.digest, ''), coalesce(c.digest, '')
        FROM manifest_references x JOIN manifests m ON m.id = x.manifest_id
        JOIN repositories r ON r.id = m.repository_id
        LEFT JOIN blobs b ON b.id = x.blob_id LEFT JOIN manifests c ON c.id = x.child_id
    """,
    "tags": """
        SELECT r.name, t.name, m.digest, t.updated_by FROM tags t
        JOIN repositories r ON r.id = t.repository_id JOIN manifests m ON m.id = t.manifest_id
    """,
    "history": """
        SELECT r.name, h.name, coalesce(h.digest, ''), coalesce(h.previous_digest, ''), h.actor
        FROM tag_history h JOIN repositories r ON r.id = h.repository_id
    """,
    "facts": "SELECT id, kind, repository, actor, payload FROM outbox WHERE kind <> 'database.rebuilt'",
    "incarnation": "SELECT incarnation FROM instance",
}
_TIMES: Final = """
SELECT min(a), max(a) FROM (
    SELECT created_at AS a FROM projects WHERE deleted_at IS NULL UNION ALL SELECT created_at FROM repositories
    UNION ALL SELECT created_at FROM blobs UNION ALL SELECT linked_at FROM repository_blobs
    UNION ALL SELECT created_at FROM manifests UNION ALL SELECT created_at FROM tags
    UNION ALL SELECT updated_at FROM tags UNION ALL SELECT at FROM tag_history
    UNION ALL SELECT at FROM outbox WHERE kind <> 'database.rebuilt'
) AS times
"""


async def live_through_everything(client: AsgiClient, salt: str = "") -> None:
    """Push and delete; `salt` makes the contents those of no other call."""
    await push_blobs(client)
    first, second = image(annotations={"n": f"1{salt}"}), image(annotations={"n": f"2{salt}"})
    await _put(client, "v1", first)
    await _put(client, "latest", first)
    await _put(client, "latest", second)
    await _put(client, f"multi{salt}", index(first, second), INDEX_TYPE)
    subject: dict[str, Any] = descriptor(first, "application/vnd.oci.image.manifest.v1+json")
    await _put(client, None, image(subject=subject, artifactType=f"application/vnd.tests.sbom{salt}"))
    await _put(client, "foreign", _with_foreign_layer(salt))
    await _put_sha512(client, salt)
    await _delete(client, image(annotations={"n": f"3{salt}"}), salt)
    source = f"/v2/{MOUNTED}/blobs/uploads/?mount={Digest.of_bytes(LAYER)}&from={NAME}"
    assert (await client.request("POST", source)).status == 201
    await push_blob(client, CONFIG, MOUNTED)
    await _put(client, "copy", first, name=MOUNTED)
    unused = await push_blob(client, f"unused{salt}".encode())
    assert (await client.request("DELETE", f"/v2/{NAME}/blobs/{unused}")).status == 202
    begun = await client.request("POST", f"/v2/{NAME}/blobs/uploads/")
    await client.request("PATCH", begun.headers["location"], {}, [b"half an upload"])


async def _put(
    client: AsgiClient, tag: str | None, body: bytes, media_type: str = "", name: str = NAME
) -> None:
    kinds = {"media_type": media_type} if media_type else {}
    reply = await put(client, tag or str(Digest.of_bytes(body)), body, name=name, **kinds)
    assert reply.status == 201, reply


def _with_foreign_layer(salt: str) -> bytes:
    """Return an image with a layer that need not be anywhere."""
    elsewhere = descriptor(f"elsewhere{salt}".encode(), FOREIGN_LAYER_TYPE)
    return image(layers=[descriptor(LAYER, LAYER_TYPE), elsewhere])


async def _put_sha512(client: AsgiClient, salt: str) -> None:
    """Push an image by a digest of the other algorithm, with a layer of it."""
    layer = f"a layer by sha512{salt}".encode()
    await push_blob(client, layer, algorithm="sha512")
    body = image(layers=[descriptor(layer, LAYER_TYPE, "sha512")])
    assert (await put(client, str(Digest.of_bytes(body, "sha512")), body)).status == 201


async def _delete(client: AsgiClient, body: bytes, salt: str) -> None:
    """Push an image under three tags; delete one tag, then another manifest with its tag; bring that one back."""
    await _put(client, DELETED_TAG, body)
    assert (await client.request("DELETE", f"/v2/{NAME}/manifests/{DELETED_TAG}")).status == 202
    for revived in (False, True):
        gone = image(annotations={"gone": f"{revived}{salt}"})
        await _put(client, f"gone-{revived}", gone)
        reply = await client.request("DELETE", f"/v2/{NAME}/manifests/{Digest.of_bytes(gone)}")
        assert reply.status == 202
        if revived:
            await _put(client, "back", gone)


async def picture_of(database: RawDatabase) -> dict[str, list[tuple[Any, ...]]]:
    """Return all that is known of contents, names in place of internal numbers, times left out."""
    return {name: sorted(await database.fetch(query)) for name, query in _PICTURES.items()}


async def times_of(database: RawDatabase) -> tuple[int, int]:
    """Return the first and the last moment that anything is said to have happened at, in milliseconds since 1970."""
    ((first, last),) = await database.fetch(_TIMES)
    return int(first), int(last)
