"""Looks into a registry's blob store from behind, to count what no client can see: copies of the same bytes."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from botocore import session as sdk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

__all__ = ["StoredBlobs", "count_on_disk", "counting_in_bucket"]


@dataclass(frozen=True, slots=True)
class StoredBlobs:
    """The finished blobs of one registry. `count` returns how many copies of a digest the store holds now."""

    count: Callable[[str], int]

    def wait_for_copies(self, digest: str, expected: int, timeout_seconds: float = 60) -> int:
        """Return the number of copies once it is `expected`, else what it is at the end.

        A loser of a race deletes its copy after the winner was acknowledged, so the number may need a moment.
        """
        give_up_at = time.monotonic() + timeout_seconds
        while (found := self.count(digest)) != expected and time.monotonic() < give_up_at:
            time.sleep(0.05)
        return found


def count_on_disk(root: Path) -> Callable[[str], int]:
    """Return a counter for the file system store below `root`."""

    def count(digest: str) -> int:
        algorithm, _, encoded = digest.partition(":")
        directory = root / "blobs" / algorithm / encoded[:2] / encoded
        return len(list(directory.iterdir())) if directory.exists() else 0

    return count


@contextlib.contextmanager
def counting_in_bucket(settings: dict[str, Any]) -> Iterator[Callable[[str], int]]:
    """Yield a counter for the S3 store with these `storage.s3` settings: markers whose blob is there too."""
    client = (
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
    bucket, root = settings["bucket"], settings["prefix"]

    def names(below: str) -> list[str]:
        prefix = root + below
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return [entry["Key"].removeprefix(prefix) for page in pages for entry in page.get("Contents", [])]

    def count(digest: str) -> int:
        suffix = "." + digest.replace(":", ".")
        marked = {name.removesuffix(suffix) for name in names("index/") if name.endswith(suffix)}
        return len(marked & set(names("blobs/")))

    try:
        yield count
    finally:
        client.close()
