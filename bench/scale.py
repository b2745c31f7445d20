"""How much a run measures: the full benchmark, and a small one that ends within two minutes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["FULL", "QUICK", "Scale"]

_MEBIBYTE: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Scale:
    """Sizes, counts and times of one run.

    `tag_count` manifests and `small_blob_count` blobs of 16 KiB are loaded into every server. Each measurement is
    taken `rounds` times per server, the servers taking turns; copies of images, which are over in a second and differ
    the more, `image_rounds` times, pulls of large blobs and pushes of one, which are over in a part of it,
    `brief_rounds` times. A round of small requests lasts `load_seconds`. The lists have `listed_tags` tags in one
    repository, `listed_others` repositories and as many referrers of one manifest. `pushed_blob_bytes` is the size of
    the blobs that are pushed while memory is watched. Whether `memory_is_filled` beforehand: it takes a minute.
    """

    name: str
    tag_count: int
    small_blob_count: int
    rounds: int
    load_seconds: float
    image_rounds: int
    brief_rounds: int
    large_blob_bytes: int
    image_layer_count: int
    image_layer_bytes: int
    connections: int = 16
    small_blob_bytes: int = 16 * 1024
    start_rounds: int = 3
    listed_tags: int = 100_000
    listed_others: int = 10_000
    pushed_blob_bytes: int = 2 * 1024 * _MEBIBYTE
    memory_is_filled: bool = True


FULL: Final = Scale(
    name="full",
    tag_count=10_000,
    small_blob_count=10_000,
    rounds=7,
    load_seconds=5,
    image_rounds=15,
    brief_rounds=45,
    large_blob_bytes=256 * _MEBIBYTE,
    image_layer_count=10,
    image_layer_bytes=30_000_000,
)

QUICK: Final = Scale(
    name="quick",
    tag_count=200,
    small_blob_count=200,
    rounds=2,
    load_seconds=1,
    image_rounds=2,
    brief_rounds=2,
    large_blob_bytes=32 * _MEBIBYTE,
    image_layer_count=10,
    image_layer_bytes=2_000_000,
    start_rounds=2,
    listed_tags=2_000,
    listed_others=1_000,
    pushed_blob_bytes=64 * _MEBIBYTE,
    memory_is_filled=False,
)
