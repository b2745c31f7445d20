"""The typed shape of manifest documents: which members a registry reads, and which it cannot tolerate."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Final, TypeVar, cast

import msgspec

from entrepot.kernel.errors import EntrepotError
from entrepot.oci.descriptor import Descriptor
from entrepot.oci.digest import Digest, InvalidDigestError
from entrepot.oci.strict_json import quote_untrusted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = [
    "DocumentError",
    "ImageDocument",
    "IndexDocument",
    "decode_image",
    "decode_index",
    "refuse_ambiguous_members",
]

_MEMBERS: Final = frozenset(
    {
        "annotations",
        "artifactType",
        "config",
        "fsLayers",
        "layers",
        "manifests",
        "mediaType",
        "schemaVersion",
        "subject",
    }
)
_DESCRIPTOR_MEMBERS: Final = frozenset(
    {"annotations", "artifactType", "data", "digest", "mediaType", "platform", "size", "urls"}
)
_FOLDED_MEMBERS: Final = frozenset(name.casefold() for name in _MEMBERS)
_FOLDED_DESCRIPTOR_MEMBERS: Final = frozenset(name.casefold() for name in _DESCRIPTOR_MEMBERS)

# RFC 6838, section 4.2: 127 characters, a slash, 127 characters.
_MediaType = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
_ArtifactType = Annotated[str, msgspec.Meta(max_length=255)]
_Size = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class DocumentError(EntrepotError):
    """A member that is missing, of the wrong type, or ambiguous, at `path`."""

    def __init__(self, reason: str, path: str) -> None:
        super().__init__(f"{reason} (at {path})")
        self.reason = reason
        self.path = path


class _RawDescriptor(msgspec.Struct, frozen=True, rename="camel"):
    media_type: _MediaType
    digest: str
    size: _Size
    artifact_type: _ArtifactType | None = None
    urls: list[str] | None = None
    annotations: dict[str, str] | None = None
    data: str | None = None


class _RawImage(msgspec.Struct, frozen=True, rename="camel"):
    config: _RawDescriptor
    layers: list[_RawDescriptor] | None  # Go writes null for an empty list that was never filled.
    artifact_type: _ArtifactType | None = None
    subject: _RawDescriptor | None = None
    annotations: dict[str, str] | None = None


class _RawIndex(msgspec.Struct, frozen=True, rename="camel"):
    manifests: list[_RawDescriptor] | None
    artifact_type: _ArtifactType | None = None
    subject: _RawDescriptor | None = None
    annotations: dict[str, str] | None = None


class ImageDocument(msgspec.Struct, frozen=True):
    """The members of an image manifest."""

    config: Descriptor
    layers: tuple[Descriptor, ...]
    artifact_type: str | None
    subject: Descriptor | None
    annotations: Mapping[str, str]


class IndexDocument(msgspec.Struct, frozen=True):
    """The members of an index."""

    manifests: tuple[Descriptor, ...]
    artifact_type: str | None
    subject: Descriptor | None
    annotations: Mapping[str, str]


def decode_image(members: Mapping[str, object]) -> ImageDocument:
    """Read an image manifest; empty and absent texts are both None.

    Raises:
        DocumentError: for a member that is missing or of the wrong type, or a digest with two sizes.
    """
    raw = _convert(members, _RawImage)
    config, layers = _descriptor(raw.config, "$.config"), _descriptors(raw.layers, "$.layers")
    _refuse_contradictory_sizes((raw.config, *(raw.layers or ())))
    subject = _descriptor(raw.subject, "$.subject") if raw.subject is not None else None
    return ImageDocument(config, layers, raw.artifact_type or None, subject, raw.annotations or {})


def decode_index(members: Mapping[str, object]) -> IndexDocument:
    """Read an index; empty and absent texts are both None.

    Raises:
        DocumentError: for a member that is missing or of the wrong type, or a digest with two sizes.
    """
    raw = _convert(members, _RawIndex)
    manifests = _descriptors(raw.manifests, "$.manifests")
    _refuse_contradictory_sizes(raw.manifests or ())
    subject = _descriptor(raw.subject, "$.subject") if raw.subject is not None else None
    return IndexDocument(manifests, raw.artifact_type or None, subject, raw.annotations or {})


def refuse_ambiguous_members(members: Mapping[str, object]) -> None:
    """Refuse what makes two readers see two documents in one.

    These are: the members of an image and of an index at once; and a known member spelled in other case,
    since readers written in Go match names without regard to case and take the last one.

    Raises:
        DocumentError: for both.
    """
    if "manifests" in members and ("layers" in members or "config" in members):
        raise DocumentError("a document has either manifests, or config and layers, never both", "$")
    _refuse_other_spellings(members, _MEMBERS, _FOLDED_MEMBERS, "$")
    for path, descriptor in _descriptor_members(members):
        _refuse_other_spellings(descriptor, _DESCRIPTOR_MEMBERS, _FOLDED_DESCRIPTOR_MEMBERS, path)


def _descriptor_members(members: Mapping[str, object]) -> Iterator[tuple[str, Mapping[str, object]]]:
    """Yield every object that stands where a descriptor belongs, whatever its type will prove to be."""
    for name in ("config", "subject"):
        value = members.get(name)
        if isinstance(value, dict):
            yield f"$.{name}", cast("dict[str, object]", value)
    for name in ("layers", "manifests"):
        values = members.get(name)
        if isinstance(values, list):
            for position, value in enumerate(cast("list[object]", values)):
                if isinstance(value, dict):
                    yield f"$.{name}[{position}]", cast("dict[str, object]", value)


def _refuse_other_spellings(
    members: Mapping[str, object], known: frozenset[str], folded: frozenset[str], path: str
) -> None:
    if known.issuperset(members):  # Nearly always, and much cheaper than folding each name.
        return
    for name in members:
        if name not in known and name.casefold() in folded:
            raise DocumentError(
                f"{quote_untrusted(name)} differs from a known member only in upper and lower case", path
            )


_Raw = TypeVar("_Raw", _RawImage, _RawIndex)


def _convert(members: Mapping[str, object], shape: type[_Raw]) -> _Raw:
    try:
        return msgspec.convert(members, shape)
    except msgspec.ValidationError as error:
        reason, _, path = str(error).partition(" - at ")
        raise DocumentError(reason, path.strip("`") or "$") from None


def _descriptors(raw: Iterable[_RawDescriptor] | None, path: str) -> tuple[Descriptor, ...]:
    return tuple(_descriptor(entry, f"{path}[{position}]") for position, entry in enumerate(raw or ()))


def _descriptor(raw: _RawDescriptor, path: str) -> Descriptor:
    try:
        digest = Digest.parse(raw.digest)
    except InvalidDigestError as error:
        raise DocumentError(str(error), f"{path}.digest") from None
    if raw.data is not None:
        _refuse_other_data(raw.data, digest, raw.size, f"{path}.data")
    return Descriptor(
        media_type=raw.media_type,
        digest=digest,
        size=raw.size,
        artifact_type=raw.artifact_type or None,
        urls=tuple(raw.urls or ()),
        annotations=raw.annotations or {},
    )


def _refuse_other_data(text: str, digest: Digest, size: int, path: str) -> None:
    """Embedded content must be the content that is named (image-spec, descriptor.md).

    Who reads it and who pulls the blob would otherwise see two different things under one digest (S32).
    """
    try:
        content = base64.b64decode(text, validate=True)
    except ValueError:
        raise DocumentError("data is not Base64 (RFC 4648, section 4)", path) from None
    if len(content) != size or Digest.of_bytes(content, digest.algorithm) != digest:
        raise DocumentError("data is other content than digest and size name", path)


def _refuse_contradictory_sizes(descriptors: Iterable[_RawDescriptor]) -> None:
    """One digest names one content: two sizes for it let a check of the first pass the second unseen."""
    sizes: dict[str, int] = {}
    for descriptor in descriptors:
        if sizes.setdefault(descriptor.digest, descriptor.size) != descriptor.size:
            raise DocumentError(f"{quote_untrusted(descriptor.digest)} is given two different sizes", "$")
