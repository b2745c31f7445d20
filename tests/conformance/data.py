"""What is pushed: one value per kind of content the specification and the image-spec speak of.

Contents depend on the kind's name only, so that collecting the tests twice gives the same cases; within one kind no
two blobs are equal unless the kind is about that.
"""

from __future__ import annotations

import gzip
import io
import json
import random
import tarfile
from dataclasses import dataclass, field
from enum import Enum, unique
from typing import TYPE_CHECKING, Any, Final

from tests.conformance.digests import Algorithm, digest_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "ARTIFACT",
    "DOCKER_LIST",
    "DOCKER_MANIFEST",
    "EMPTY",
    "IMAGE_CONFIG",
    "IMAGE_MANIFEST",
    "INDEX",
    "OTHER_ARTIFACT",
    "Blob",
    "Builder",
    "Kind",
    "Manifest",
    "Naming",
]

IMAGE_MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
INDEX: Final = "application/vnd.oci.image.index.v1+json"
IMAGE_CONFIG: Final = "application/vnd.oci.image.config.v1+json"
LAYER: Final = "application/vnd.oci.image.layer.v1.tar"
GZIP_LAYER: Final = f"{LAYER}+gzip"
EMPTY: Final = "application/vnd.oci.empty.v1+json"
DOCKER_MANIFEST: Final = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST: Final = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_CONFIG: Final = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER: Final = "application/vnd.docker.image.rootfs.diff.tar.gzip"
ARTIFACT: Final = "application/vnd.example.bill-of-materials.v1"
OTHER_ARTIFACT: Final = "application/vnd.example.signature.v1"

Descriptor = dict[str, Any]


@unique
class Naming(Enum):
    """How a manifest is given its tags."""

    BY_TAG = "one PUT per tag"
    BY_PARAMETER = "one PUT of the digest with `tag` parameters"


@dataclass(frozen=True, slots=True)
class Blob:
    """Bytes, and the digest under which they are pushed."""

    digest: str
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest or index: exact bytes, what it is, and what a registry must know of it."""

    digest: str
    media_type: str
    body: bytes = field(repr=False)
    tags: tuple[str, ...] = ()
    subject: str | None = None
    listed_artifact_type: str | None = None
    """What the referrers API says: the artifact type, of an image without one the type of its config."""
    annotations: Mapping[str, str] = field(default_factory=dict[str, str])

    def descriptor(self, **more: Any) -> Descriptor:
        """Return a descriptor of it; `more` members are added."""
        return {"mediaType": self.media_type, "digest": self.digest, "size": len(self.body), **more}


@dataclass(frozen=True, slots=True)
class Kind:
    """Content of one kind, in the order in which a client pushes it."""

    name: str
    blobs: tuple[Blob, ...]
    manifests: tuple[Manifest, ...]
    naming: Naming = Naming.BY_TAG

    def __str__(self) -> str:
        return self.name

    @property
    def tags(self) -> dict[str, Manifest]:
        """All tags and what they point at."""
        return {tag: manifest for manifest in self.manifests for tag in manifest.tags}

    @property
    def subjects(self) -> list[str]:
        """The digests that its manifests name as their subject, each once."""
        return list(dict.fromkeys(one.subject for one in self.manifests if one.subject is not None))


class Builder:
    """Collects the blobs and manifests of one kind."""

    def __init__(self, name: str, algorithm: Algorithm = "sha256") -> None:
        self._name = name
        self._algorithm: Algorithm = algorithm
        self._random = random.Random(name)
        self._blobs: dict[str, Blob] = {}
        self._manifests: list[Manifest] = []

    def finish(self, naming: Naming = Naming.BY_TAG) -> Kind:
        """Return what was collected."""
        return Kind(self._name, tuple(self._blobs.values()), tuple(self._manifests), naming)

    def absent(self, media_type: str, **more: Any) -> Descriptor:
        """Return a descriptor of bytes that nobody pushes."""
        content = self._random.randbytes(64)
        return {
            "mediaType": media_type,
            "digest": digest_of(content, self._algorithm),
            "size": len(content),
            **more,
        }

    def blob(self, media_type: str, content: bytes, **more: Any) -> Descriptor:
        """Add a blob and return its descriptor."""
        digest = digest_of(content, self._algorithm)
        self._blobs[digest] = Blob(digest, content)
        return {"mediaType": media_type, "digest": digest, "size": len(content), **more}

    def layer(self, media_type: str = GZIP_LAYER) -> Descriptor:
        """Add a layer of one file."""
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            data = self._random.randbytes(700)
            member = tarfile.TarInfo(f"file-{len(self._blobs)}")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
        content = archive.getvalue()
        return self.blob(
            media_type, gzip.compress(content, mtime=0) if media_type.endswith("gzip") else content
        )

    def config(self, architecture: str, layers: Sequence[Descriptor], **more: Any) -> Descriptor:
        """Add an image configuration."""
        document = {
            "architecture": architecture,
            "os": "linux",
            "created": "2026-01-01T00:00:00Z",
            "author": self._name,
            "rootfs": {"type": "layers", "diff_ids": [layer["digest"] for layer in layers]},
            **more,
        }
        return self.blob(IMAGE_CONFIG, json.dumps(document).encode())

    def image(
        self,
        *tags: str,
        architecture: str = "amd64",
        layer_types: Sequence[str] = (GZIP_LAYER, GZIP_LAYER),
        **more: Any,
    ) -> Manifest:
        """Add an image with its layers and configuration."""
        layers = [self.layer(media_type) for media_type in layer_types]
        return self.image_of(self.config(architecture, layers), layers, *tags, **more)

    def image_of(self, config: Descriptor, layers: Sequence[Descriptor], *tags: str, **more: Any) -> Manifest:
        """Add an image manifest of these descriptors; `more` members are added to it."""
        members = {"config": config, "layers": list(layers), **more}
        return self.manifest(IMAGE_MANIFEST, members, tags, config["mediaType"])

    def artifact(self, artifact_type: str, *tags: str, **more: Any) -> Manifest:
        """Add an artifact: empty configuration, a type, one blob (image-spec, "Guidelines for Artifact Usage")."""
        payload = self.blob(artifact_type, self._random.randbytes(300))
        return self.image_of(self.empty(), [payload], *tags, artifactType=artifact_type, **more)

    def empty(self) -> Descriptor:
        """Add the empty descriptor's two bytes."""
        return self.blob(EMPTY, b"{}")

    def index(self, manifests: Sequence[Descriptor], *tags: str, **more: Any) -> Manifest:
        """Add an index of these descriptors; `more` members are added to it."""
        return self.manifest(INDEX, {"manifests": list(manifests), **more}, tags, None)

    def platforms(self, *tags: str, **more: Any) -> Manifest:
        """Add an index of one image for each of two platforms."""
        images = [
            self.image(architecture=architecture, layer_types=(GZIP_LAYER,)).descriptor(
                platform={"os": "linux", "architecture": architecture}
            )
            for architecture in ("amd64", "arm64")
        ]
        return self.index(images, *tags, **more)

    def manifest(
        self, media_type: str, members: dict[str, Any], tags: Sequence[str], listed_type: str | None
    ) -> Manifest:
        """Add a manifest whose bytes no program would write again the same way."""
        document = {"schemaVersion": 2, "mediaType": media_type, **members}
        body = json.dumps(document, indent=1).encode() + b"\n \n"
        subject: Descriptor | None = members.get("subject")
        made = Manifest(
            digest=digest_of(body, self._algorithm),
            media_type=media_type,
            body=body,
            tags=tuple(tags),
            subject=subject["digest"] if subject is not None else None,
            listed_artifact_type=members.get("artifactType") or listed_type,
            annotations=members.get("annotations", {}),
        )
        self._manifests.append(made)
        return made
