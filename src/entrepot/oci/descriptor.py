"""Descriptors (OCI image-spec, descriptor.md): how one piece of content names another."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from entrepot.oci.digest import Digest
from entrepot.oci.media_types import (
    ACCEPTED_MANIFEST_TYPES,
    NON_DISTRIBUTABLE_LAYER_TYPES,
    UNACCEPTED_MANIFEST_TYPES,
)

__all__ = ["Descriptor"]


class Descriptor(msgspec.Struct, frozen=True):
    """What is named (`digest`, `size` in bytes), of which kind, and what else its author said about it.

    A struct rather than a dataclass: a manifest makes dozens of them, and structs are built several times
    faster.
    """

    media_type: str
    digest: Digest
    size: int
    artifact_type: str | None = None
    urls: tuple[str, ...] = ()
    annotations: Mapping[str, str] = msgspec.field(default_factory=dict[str, str])

    @property
    def is_distributable(self) -> bool:
        """Whether a registry that serves the manifest must hold these bytes."""
        return self.media_type not in NON_DISTRIBUTABLE_LAYER_TYPES

    @property
    def names_manifest(self) -> bool:
        """Whether the content is a manifest or index; an entry of an index may also be a plain blob."""
        return self.media_type in ACCEPTED_MANIFEST_TYPES or self.media_type in UNACCEPTED_MANIFEST_TYPES
