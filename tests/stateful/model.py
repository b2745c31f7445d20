"""What a registry should hold after a sequence of requests, in plain dictionaries, and what it should answer."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.stateful.material import digest_of

__all__ = ["ManifestModel", "RepositoryModel", "SessionModel"]


@dataclass(frozen=True, slots=True)
class ManifestModel:
    """A manifest as it was pushed."""

    body: bytes
    media_type: str
    blobs: frozenset[str]
    children: frozenset[str] = frozenset()
    subject: str | None = None
    artifact_type: str | None = None

    @property
    def digest(self) -> str:
        """What its bytes hash to."""
        return digest_of(self.body)


@dataclass(slots=True)
class SessionModel:
    """An upload under way."""

    repository: str
    content: bytes = b""


@dataclass(slots=True)
class RepositoryModel:
    """One repository. `exists` once something was accepted for it, and for ever after."""

    exists: bool = False
    blobs: dict[str, bytes] = field(default_factory=dict[str, bytes])
    manifests: dict[str, ManifestModel] = field(default_factory=dict[str, ManifestModel])
    tags: dict[str, str] = field(default_factory=dict[str, str])

    def add_blob(self, content: bytes) -> None:
        """Link a blob."""
        self.exists = True
        self.blobs[digest_of(content)] = content

    def lacks(self, manifest: ManifestModel) -> bool:
        """Whether something that the manifest needs is not here."""
        return not (manifest.blobs <= self.blobs.keys() and manifest.children <= self.manifests.keys())

    def put(self, manifest: ManifestModel, tags: tuple[str, ...]) -> None:
        """Take a manifest and point tags at it."""
        self.exists = True
        self.manifests[manifest.digest] = manifest
        self.tags.update(dict.fromkeys(tags, manifest.digest))

    def blob_delete_status(self, digest: str) -> int:
        """Delete a blob if that is allowed, and return the status of the answer."""
        if digest not in self.blobs:
            return 404
        if any(digest in manifest.blobs for manifest in self.manifests.values()):
            return 409
        del self.blobs[digest]
        return 202

    def manifest_delete_status(self, digest: str) -> int:
        """Delete a manifest with its tags if that is allowed, and return the status of the answer."""
        if digest not in self.manifests:
            return 404
        if any(digest in manifest.children for manifest in self.manifests.values()):
            return 409
        del self.manifests[digest]
        self.tags = {tag: target for tag, target in self.tags.items() if target != digest}
        return 202

    def tag_delete_status(self, tag: str) -> int:
        """Delete a tag, and return the status of the answer."""
        return 404 if self.tags.pop(tag, None) is None else 202

    def referrers(self, subject: str, artifact_type: str | None = None) -> set[str]:
        """The digests of the manifests that are attached to `subject`."""
        return {
            digest
            for digest, manifest in self.manifests.items()
            if manifest.subject == subject and artifact_type in (None, manifest.artifact_type)
        }
