"""Values to fill a store with: each call makes things that no other call makes, unless told their content."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Final

from entrepot.metadata.records import (
    ImageReference,
    NewBlob,
    NewManifest,
    NewUploadSession,
    OutboxFact,
    StoredManifest,
)
from entrepot.metadata.sql.opening import open_metadata
from entrepot.oci.digest import Digest

if TYPE_CHECKING:
    from entrepot.metadata.store import Metadata, Transaction
    from entrepot.oci.digest import Algorithm

__all__ = [
    "ALICE",
    "BOB",
    "MEDIA_TYPE",
    "REPOSITORY",
    "TAG",
    "digest_of",
    "fact",
    "finds_pushed_manifest",
    "layer",
    "new_blob",
    "new_manifest",
    "new_session",
    "project_number",
    "push_blob",
    "push_manifest",
    "tag_manifest",
]

ALICE: Final = "alice"
BOB: Final = "bob"
REPOSITORY: Final = "team/app"
TAG: Final = "v1"
MEDIA_TYPE: Final = "application/vnd.oci.image.manifest.v1+json"

_numbers = itertools.count()


def digest_of(content: str, algorithm: Algorithm = "sha256") -> Digest:
    """Return the digest of a text."""
    return Digest.of_bytes(content.encode(), algorithm)


def new_blob(content: str, key: str | None = None, creator: str = ALICE) -> NewBlob:
    """Return a blob of this content under a key of its own."""
    return NewBlob(digest_of(content), len(content), key or f"blobs/{next(_numbers)}", creator)


def layer(content: str) -> ImageReference:
    """Return a reference to a layer of this content."""
    return ImageReference("layer", digest_of(content), len(content), "application/vnd.oci.image.layer.v1.tar")


def new_manifest(
    repository_id: int,
    body: str = "{}",
    references: tuple[ImageReference, ...] = (),
    subject: Digest | None = None,
) -> NewManifest:
    """Return a manifest with this body."""
    return NewManifest(
        repository_id=repository_id,
        digest=digest_of(body),
        media_type=MEDIA_TYPE,
        artifact_type=None,
        body=body.encode(),
        storage_key=f"manifests/{next(_numbers)}",
        config_media_type="application/vnd.oci.image.config.v1+json",
        subject=subject,
        annotations_json=b"{}",
        references=references,
        creator=ALICE,
    )


def new_session(
    repository_id: int, public_id: str = "s1", time_to_live_seconds: int = 60
) -> NewUploadSession:
    """Return a session of Alice."""
    return NewUploadSession(public_id, repository_id, ALICE, "sha256", time_to_live_seconds)


def fact(kind: str = "tag.set", *, journalled: bool = True) -> OutboxFact:
    """Return a fact."""
    return OutboxFact(kind, REPOSITORY, ALICE, b'{"n":1}', journalled)


async def push_blob(metadata: Metadata, content: str, repository: str = REPOSITORY) -> str:
    """Adopt and link a blob; return the key that won."""

    async def unit(tx: Transaction) -> str:
        row = await tx.repositories.ensure(repository, repository.partition("/")[0], ALICE)
        adopted = await tx.blobs.adopt(new_blob(content))
        await tx.blobs.link(row.id, adopted.id, ALICE)
        return adopted.storage_key

    return await metadata.write(unit)


async def finds_pushed_manifest(url: str) -> bool:
    """Whether a store that is opened anew has what :func:`push_manifest` pushed under its tag."""
    reopened = await open_metadata(url, 1, 5.0)
    try:
        return isinstance(await reopened.manifests.find_by_tag(REPOSITORY, TAG), StoredManifest)
    finally:
        await reopened.aclose()


async def push_manifest(
    metadata: Metadata,
    body: str = "{}",
    references: tuple[ImageReference, ...] = (),
    repository: str = REPOSITORY,
    tag: str | None = TAG,
) -> Digest:
    """Put a manifest, and point a tag at it when one is given."""

    async def unit(tx: Transaction) -> Digest:
        row = await tx.repositories.ensure(repository, repository.partition("/")[0], ALICE)
        manifest = new_manifest(row.id, body, references)
        await tx.manifests.put(manifest)
        if tag is not None:
            await tx.tags.put(row.id, tag, manifest.digest, ALICE)
        return manifest.digest

    return await metadata.write(unit)


async def tag_manifest(
    metadata: Metadata, tag: str, digest: Digest, repository: str = REPOSITORY, actor: str = ALICE
) -> Digest | None:
    """Point a tag at a manifest that is there."""

    async def unit(tx: Transaction) -> Digest | None:
        row = await tx.repositories.ensure(repository, repository.partition("/")[0], ALICE)
        return await tx.tags.put(row.id, tag, digest, actor)

    return await metadata.write(unit)


async def project_number(metadata: Metadata) -> int | None:
    """Return the number of the project of :data:`REPOSITORY`."""
    return await metadata.projects.number_of("team")
