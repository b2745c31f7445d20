"""The address of another blob store: a directory or a part of a bucket."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

__all__ = ["BucketAddress", "DirectoryAddress", "StoreAddress", "parse_store_address"]


@dataclass(frozen=True, slots=True)
class DirectoryAddress:
    """An absolute path."""

    path: Path


@dataclass(frozen=True, slots=True)
class BucketAddress:
    """A bucket, and what its keys begin with: nothing, or a text that ends with a slash."""

    bucket: str
    prefix: str


StoreAddress = DirectoryAddress | BucketAddress


def parse_store_address(text: str) -> StoreAddress:
    """Read `file:///path` or `s3://bucket/prefix`.

    Raises:
        ValueError: saying what is accepted.
    """
    parts = urlsplit(text)
    if parts.scheme == "file" and not parts.netloc and parts.path.startswith("/"):
        return DirectoryAddress(Path(unquote(parts.path)))
    if parts.scheme == "s3" and parts.netloc and "@" not in parts.netloc:
        prefix = parts.path.strip("/")
        return BucketAddress(parts.netloc, f"{prefix}/" if prefix else "")
    message = f"{text!r} is no blob store; write file:///absolute/path or s3://bucket/prefix"
    raise ValueError(message)
