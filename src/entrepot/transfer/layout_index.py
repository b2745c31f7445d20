"""The entries of a layout's `index.json`, as other tools read them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

from entrepot.oci.media_types import OCI_IMAGE_INDEX
from entrepot.transfer.errors import ExportError
from entrepot.transfer.oci_layout import CONTAINERD_NAME, REF_NAME, REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from entrepot.oci.digest import Digest
    from entrepot.transfer.source import BlobOrigin

__all__ = ["LAYOUT_TEXT", "LayoutEntry", "LayoutWriter", "encode_index"]

LAYOUT_TEXT: Final = b'{"imageLayoutVersion":"1.0.0"}'


@dataclass(frozen=True, slots=True)
class LayoutEntry:
    """A manifest that the index of a layout lists, under a tag or under none."""

    digest: Digest
    media_type: str
    size: int
    tag: str | None = None


class LayoutWriter(Protocol):
    """One layout of one repository that is being written."""

    async def has(self, digest: Digest, size: int) -> bool:
        """Whether the layout has this content already."""
        ...

    async def add(self, digest: Digest, size: int, origin: BlobOrigin) -> None:
        """Add content, which is verified on the way. May be called from several tasks.

        Raises:
            SourceDamagedError: it hashes to something else, or has another size; nothing was added.
            ExportError: it can't be written.
        """

    async def finish(self, repository: str, entries: Sequence[LayoutEntry]) -> None:
        """Write the index; from then on the layout has these images.

        Raises:
            ExportError: it can't be written.
        """

    async def abandon(self) -> None:
        """Give up what is not finished. May be called after `finish`, too."""


def encode_index(repository: str, entries: Sequence[LayoutEntry], previous: bytes | None = None) -> bytes:
    """Return the text of an index: the entries, and those of the `previous` one whose tag is not written anew.

    An entry's name is the bare tag, which is what skopeo, podman and oras ask for, and the whole name in the key that
    containerd and docker look at.

    Raises:
        ExportError: the previous one is unreadable.
    """
    kept = _kept(previous, entries) if previous is not None else []
    listed = [_describe(entry, repository) for entry in entries]
    unique = {json.dumps(entry, sort_keys=True): entry for entry in (*kept, *listed)}
    document = {
        "schemaVersion": 2,
        "mediaType": OCI_IMAGE_INDEX,
        "manifests": list(unique.values()),
        "annotations": {REPOSITORY: repository},
    }
    return json.dumps(document, indent=1).encode()


def _describe(entry: LayoutEntry, repository: str) -> dict[str, Any]:
    described: dict[str, Any] = {
        "mediaType": entry.media_type,
        "digest": str(entry.digest),
        "size": entry.size,
    }
    if entry.tag is not None:
        described["annotations"] = {
            REF_NAME: entry.tag,
            CONTAINERD_NAME: f"{repository}:{entry.tag}",
        }
    return described


def _tag_of(entry: dict[str, Any]) -> object:
    annotations: dict[str, Any] | None = entry.get("annotations")
    return annotations.get(REF_NAME) if annotations is not None else None


def _kept(previous: bytes, entries: Sequence[LayoutEntry]) -> list[dict[str, Any]]:
    try:
        listed = cast("list[dict[str, Any]]", json.loads(previous)["manifests"] or [])
        tags = {entry.tag for entry in entries} - {None}
        return [one for one in listed if _tag_of(one) not in tags]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ExportError(f"the index that is there already is unreadable: {error}") from None
