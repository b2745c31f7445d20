"""Reads the names that tools write beside images in layouts and archives.

Names of a registry's host are dropped: an image saved as `quay.io/team/app:1` is `team/app:1` wherever it goes next.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["ImageName", "parse_image_name"]

_DEFAULT_TAG: Final = "latest"
_DOCKER_HUB: Final = frozenset({"docker.io", "index.docker.io"})


@dataclass(frozen=True, slots=True)
class ImageName:
    """What a text names: a tag alone, a repository alone (of an image pinned by digest), or both."""

    repository: str | None
    tag: str | None


def parse_image_name(text: str) -> ImageName:
    """Return what `text` names: `1.0` (skopeo, oras), `app:1.0` (podman), `docker.io/library/app:1.0` (docker)."""
    name, at, _digest = text.partition("@")
    if "/" not in name and ":" not in name and not at:
        return ImageName(None, name)
    path, colon, tag = name.rpartition(":")
    if not colon or "/" in tag:
        path, tag = name, ""
    return ImageName(_without_host(path), tag or (None if at else _DEFAULT_TAG))


def _without_host(path: str) -> str:
    host, slash, rest = path.partition("/")
    if not slash or not ("." in host or ":" in host or host == "localhost"):
        return path
    return rest.removeprefix("library/") if host in _DOCKER_HUB else rest
