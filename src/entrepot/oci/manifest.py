"""Reads pushed manifests and indexes (OCI image-spec; Docker schema 2) so that every client agrees.

The bytes themselves are stored and served as they came and never encoded again; this is only what they mean
to a registry. Which of the two shapes a document has, and so which blobs it keeps alive, must not depend on
who reads it (S32, CVE-2021-41190): whatever two readers could understand differently is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

from entrepot.kernel.errors import EntrepotError
from entrepot.oci import manifest_document
from entrepot.oci.manifest_document import DocumentError, ImageDocument, IndexDocument
from entrepot.oci.media_types import (
    ACCEPTED_MANIFEST_TYPES,
    DOCKER_TYPES,
    INDEX_TYPES,
    MANIFEST_TYPES,
    SCHEMA1_TYPES,
)
from entrepot.oci.strict_json import InvalidJsonError, parse_strict_json, quote_untrusted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from entrepot.oci.descriptor import Descriptor

__all__ = [
    "MAX_MANIFEST_BYTES",
    "InvalidManifestError",
    "ManifestTooLargeError",
    "ParsedManifest",
    "UnsupportedManifestError",
    "parse_manifest",
]

MAX_MANIFEST_BYTES: Final = 4 * 1024 * 1024
"""The distribution-spec asks registries to take this much; larger manifests are refused (S36)."""

_SCHEMA_VERSION: Final = 2


class InvalidManifestError(EntrepotError):
    """A manifest that breaks its own format, at `path` (`$`: the whole document; `$.layers[0].size`)."""

    def __init__(self, reason: str, path: str = "$") -> None:
        super().__init__(f"{reason} (at {path})")
        self.reason = reason
        self.path = path


class UnsupportedManifestError(EntrepotError):
    """A manifest of a kind this registry does not store; `media_type` is what it claims to be, if known."""

    def __init__(self, reason: str, media_type: str | None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.media_type = media_type


class ManifestTooLargeError(EntrepotError):
    """A manifest of more than `limit` bytes."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"a manifest has {limit} bytes at most")
        self.limit = limit


@dataclass(frozen=True, slots=True)
class ParsedManifest:
    """What a registry needs to know of a manifest: its kind, what it refers to and what it says about itself.

    `config` and `layers` belong to image manifests, `manifests` to indexes. `subject` is the manifest this
    one is attached to. `artifact_type` is what the referrers API lists: an image manifest without one takes
    the media type of its config, an index without one has none (distribution-spec, "Listing Referrers").
    """

    media_type: str
    artifact_type: str | None
    config: Descriptor | None
    layers: tuple[Descriptor, ...]
    manifests: tuple[Descriptor, ...]
    subject: Descriptor | None
    annotations: Mapping[str, str]

    @property
    def is_index(self) -> bool:
        """Whether this lists other manifests instead of describing one image."""
        return self.media_type in INDEX_TYPES

    @property
    def blob_references(self) -> tuple[Descriptor, ...]:
        """The blobs that must exist for this to be pulled whole, each digest once: config, then layers.

        Non-distributable layers are left out. Of an index these are the entries that are no manifests:
        BuildKit writes its cache that way.
        """
        if self.config is None:
            blobs = tuple(entry for entry in self.manifests if not entry.names_manifest)
        else:
            blobs = (self.config, *self.layers)
        return _unique_by_digest(blob for blob in blobs if blob.is_distributable)

    @property
    def non_distributable_layers(self) -> tuple[Descriptor, ...]:
        """The layers whose bytes may lie elsewhere, each digest once; a client may still have pushed them."""
        return _unique_by_digest(layer for layer in self.layers if not layer.is_distributable)

    @property
    def children(self) -> tuple[Descriptor, ...]:
        """The manifests and indexes that an index lists, each digest once, in order."""
        return _unique_by_digest(entry for entry in self.manifests if entry.names_manifest)


def parse_manifest(body: bytes, content_type: str | None) -> ParsedManifest:
    """Read a pushed manifest; `content_type` is the request's header as it came, None without one.

    Without a header the body's own `mediaType` decides. Unknown members are ignored, as both formats ask.

    Raises:
        ManifestTooLargeError: when the body has more than :data:`MAX_MANIFEST_BYTES`.
        UnsupportedManifestError: for Docker schema 1, and for any media type that is no accepted manifest
            type.
        InvalidManifestError: for a document that is malformed or that two readers could understand
            differently.
    """
    if len(body) > MAX_MANIFEST_BYTES:
        raise ManifestTooLargeError(MAX_MANIFEST_BYTES)
    declared = _bare_media_type(content_type)
    if content_type is not None and declared is not None:
        _refuse_unaccepted_type(declared, content_type)
    try:
        document = parse_strict_json(body)
    except InvalidJsonError as error:
        raise InvalidManifestError(error.reason) from None
    if not isinstance(document, dict):
        raise InvalidManifestError("a manifest is a JSON object")
    members = cast("dict[str, object]", document)
    media_type = _agreed_media_type(declared, members)
    _refuse_other_schema(members, media_type)
    try:
        return _interpret(members, media_type)
    except DocumentError as error:
        raise InvalidManifestError(error.reason, error.path) from None


def _bare_media_type(content_type: str | None) -> str | None:
    """Return the header's type in lower case, without parameters such as `; charset=utf-8`."""
    if content_type is None:
        return None
    return content_type.partition(";")[0].strip(" \t").lower() or None


def _refuse_unaccepted_type(media_type: str, sent: str) -> None:
    """Refuse a type that manifests do not have, quoted as it was sent: nobody masks a secret in lower case (S27).

    Raises:
        UnsupportedManifestError: it is none.
    """
    if media_type in SCHEMA1_TYPES:
        raise _schema1_error(media_type)
    if media_type not in ACCEPTED_MANIFEST_TYPES:
        accepted = ", ".join(sorted(ACCEPTED_MANIFEST_TYPES))
        reason = f"{quote_untrusted(sent)} is no media type of a manifest; accepted are {accepted}"
        raise UnsupportedManifestError(reason, media_type)


def _schema1_error(media_type: str | None) -> UnsupportedManifestError:
    reason = "Docker image manifest schema 1 is not accepted: push the image again with Docker 1.10 or newer"
    return UnsupportedManifestError(reason, media_type)


def _agreed_media_type(declared: str | None, members: dict[str, object]) -> str:
    """Return the media type that header and body agree on."""
    written = members.get("mediaType")
    if "mediaType" in members and not isinstance(written, str):
        raise InvalidManifestError("mediaType is a text", "$.mediaType")
    if declared is None:
        return _media_type_of_body(members)
    if written is None:
        if declared in DOCKER_TYPES and not _is_schema1(members):
            raise InvalidManifestError(f"a body of type {declared} must repeat it as mediaType")
        return declared
    if written != declared:
        reason = f"the body is of type {quote_untrusted(str(written))}, but Content-Type says {declared}"
        raise InvalidManifestError(reason, "$.mediaType")
    return declared


def _media_type_of_body(members: dict[str, object]) -> str:
    written = members.get("mediaType")
    if isinstance(written, str):
        _refuse_unaccepted_type(written, written)
        return written
    if _is_schema1(members):
        raise _schema1_error(None)
    raise InvalidManifestError("neither a Content-Type header nor mediaType in the body says what this is")


def _is_schema1(members: dict[str, object]) -> bool:
    version = members.get("schemaVersion")
    return (version == 1 and not isinstance(version, bool)) or "fsLayers" in members


def _refuse_other_schema(members: dict[str, object], media_type: str) -> None:
    if _is_schema1(members):
        raise _schema1_error(media_type)
    version = members.get("schemaVersion")
    if version != _SCHEMA_VERSION or not isinstance(version, int):
        raise InvalidManifestError(f"schemaVersion must be {_SCHEMA_VERSION}", "$.schemaVersion")


def _interpret(members: dict[str, object], media_type: str) -> ParsedManifest:
    manifest_document.refuse_ambiguous_members(members)
    if media_type in MANIFEST_TYPES:
        return _interpret_image(manifest_document.decode_image(members), media_type)
    return _interpret_index(manifest_document.decode_index(members), media_type)


def _interpret_image(image: ImageDocument, media_type: str) -> ParsedManifest:
    # Docker's formats know neither subject nor artifact type, so clients ignore them there.
    is_docker = media_type in DOCKER_TYPES
    return ParsedManifest(
        media_type=media_type,
        artifact_type=(None if is_docker else image.artifact_type) or image.config.media_type,
        config=image.config,
        layers=image.layers,
        manifests=(),
        subject=None if is_docker else image.subject,
        annotations=image.annotations,
    )


def _interpret_index(index: IndexDocument, media_type: str) -> ParsedManifest:
    is_docker = media_type in DOCKER_TYPES
    return ParsedManifest(
        media_type=media_type,
        artifact_type=None if is_docker else index.artifact_type,
        config=None,
        layers=(),
        manifests=index.manifests,
        subject=None if is_docker else index.subject,
        annotations=index.annotations,
    )


def _unique_by_digest(descriptors: Iterable[Descriptor]) -> tuple[Descriptor, ...]:
    unique: dict[object, Descriptor] = {}
    for descriptor in descriptors:
        unique.setdefault(descriptor.digest, descriptor)
    return tuple(unique.values())
