"""Damages the bytes in a registry's blob store from behind, the way disks, people and object stores do."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, cast

from botocore import session as sdk

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["BytesInBucket", "BytesOnDisk", "StoredBytes"]


class StoredBytes(Protocol):
    """Access to blobs by digest; each must have one copy."""

    def replace(self, digest: str, content: bytes) -> None:
        """Let the store hold other bytes."""

    def remove(self, digest: str) -> None:
        """Let the store lose them."""

    def copy(self, name: str, *digests: str) -> str:
        """Copy some blobs to a second store, and return its address for `--heal-from`."""
        ...


@dataclass(frozen=True, slots=True)
class BytesOnDisk:
    """A directory."""

    root: Path

    def replace(self, digest: str, content: bytes) -> None:
        """See :class:`StoredBytes`."""
        self._file(digest).write_bytes(content)

    def remove(self, digest: str) -> None:
        """See :class:`StoredBytes`."""
        self._file(digest).unlink()

    def copy(self, name: str, *digests: str) -> str:
        """See :class:`StoredBytes`."""
        target = self.root.parent / name
        for digest in digests:
            source = self._file(digest).parent
            shutil.copytree(source, target / source.relative_to(self.root))
        return f"file://{target}"

    def _file(self, digest: str) -> Path:
        algorithm, _, encoded = digest.partition(":")
        (file,) = (self.root / "blobs" / algorithm / encoded[:2] / encoded).iterdir()
        return file


class BytesInBucket:
    """A part of a bucket, with the registry's `storage.s3` settings."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self._client = (
            cast("Any", sdk)
            .get_session()
            .create_client(
                "s3",
                endpoint_url=settings["endpoint"],
                region_name="us-east-1",
                aws_access_key_id=settings["access_key"],
                aws_secret_access_key=settings["secret_key"],
            )
        )
        self._bucket: str = settings["bucket"]
        self._prefix: str = settings["prefix"]

    def replace(self, digest: str, content: bytes) -> None:
        """See :class:`StoredBytes`."""
        self._client.put_object(Bucket=self._bucket, Key=self._key(digest), Body=content)

    def remove(self, digest: str) -> None:
        """See :class:`StoredBytes`."""
        self._client.delete_object(Bucket=self._bucket, Key=self._key(digest))

    def copy(self, name: str, *digests: str) -> str:
        """See :class:`StoredBytes`."""
        for digest in digests:
            blob = self._key(digest).removeprefix(self._prefix)
            marker = f"{blob.replace('blobs/', 'index/')}.{digest.replace(':', '.')}"
            for key in (blob, marker):
                source = {"Bucket": self._bucket, "Key": self._prefix + key}
                self._client.copy_object(Bucket=self._bucket, Key=f"{name}/{key}", CopySource=source)
        return f"s3://{self._bucket}/{name}"

    def close(self) -> None:
        """Close its connections."""
        self._client.close()

    def _key(self, digest: str) -> str:
        suffix = "." + digest.replace(":", ".")
        (marker,) = [key for key in self._keys("index/") if key.endswith(suffix)]
        return f"{self._prefix}blobs/{marker.removeprefix('index/').removesuffix(suffix)}"

    def _keys(self, below: str) -> list[str]:
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=self._prefix + below
        )
        found = [entry["Key"] for page in pages for entry in page.get("Contents", [])]
        return [key.removeprefix(self._prefix) for key in found]
