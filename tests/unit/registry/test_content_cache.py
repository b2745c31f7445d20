"""Bytes by digest in a bounded amount of memory."""

from __future__ import annotations

import pytest

from entrepot.oci.digest import Digest
from entrepot.registry.pulls.content_cache import MOST_BYTES, ContentCache

_ROOM = 1024 * 1024


def _put(cache: ContentCache, content: bytes) -> Digest:
    digest = Digest.of_bytes(content)
    cache.put(digest, content)
    return digest


@pytest.mark.parametrize(("size", "is_kept"), [(0, True), (MOST_BYTES, True), (MOST_BYTES + 1, False)])
def test_what_is_too_long_is_not_kept_and_drives_nothing_out(size: int, is_kept: bool) -> None:
    cache = ContentCache(_ROOM)
    first = _put(cache, b"first")
    digest = _put(cache, b"x" * size)
    assert (cache.get(digest) == b"x" * size) is is_kept
    assert cache.get(first) == b"first"


def test_what_was_not_asked_for_longest_goes_first_and_memory_has_its_bound() -> None:
    cache = ContentCache(8 * MOST_BYTES)
    first, second = _put(cache, b"first"), _put(cache, b"second")
    for number in range(7):
        assert cache.get(first) == b"first"
        _put(cache, bytes([number]) * MOST_BYTES)
        assert cache.used_bytes <= 8 * MOST_BYTES
    assert cache.get(second) == b"second"
    for number in range(7, 15):
        assert cache.get(first) == b"first"
        _put(cache, bytes([number]) * MOST_BYTES)
        assert cache.used_bytes <= 8 * MOST_BYTES
    assert cache.get(second) is None
    assert cache.get(first) == b"first"


def test_the_same_content_counts_once() -> None:
    cache = ContentCache(_ROOM)
    _put(cache, b"content")
    used_bytes = cache.used_bytes
    _put(cache, b"content")
    assert cache.used_bytes == used_bytes


def test_a_cache_without_room_keeps_nothing() -> None:
    cache = ContentCache(0)
    assert cache.get(_put(cache, b"")) is None
    assert cache.used_bytes == 0
