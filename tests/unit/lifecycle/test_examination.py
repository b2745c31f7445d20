"""What is seen of an object, and what is said of one that can't be read."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from entrepot.blobstore.errors import StorageUnavailableError
from entrepot.blobstore.memory import MemoryBlobStore
from entrepot.kernel.pace import Pace
from entrepot.lifecycle.scrub import examination
from entrepot.lifecycle.scrub.examination import Condition, Examination
from entrepot.lifecycle.scrub.findings import Kind
from entrepot.oci.digest import Digest
from entrepot.registry.hashing import HashingPool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_CONTENT = b"bytes" * 1000
_DIGEST = Digest.of_bytes(_CONTENT, "sha512")


class _FailingStore(MemoryBlobStore):
    """Fails to read a number of times, as a disk with a loose cable does (F6)."""

    def __init__(self, failures: int) -> None:
        super().__init__()
        self.failures = failures

    async def read(self, key: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """Break off after the first bytes."""
        yield _CONTENT[:10]
        if self.failures:
            self.failures -= 1
            raise StorageUnavailableError("EIO")
        yield _CONTENT[10:]


async def _examine(store: MemoryBlobStore, *, fast: bool = False) -> tuple[Condition, int]:
    seen: list[int] = []
    with ThreadPoolExecutor(1) as executor:
        examiner = Examination(store, HashingPool(executor), Pace(0), seen.append, fast=fast)
        return await examiner.examine("k", _DIGEST, len(_CONTENT)), sum(seen)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (_CONTENT, None),
        (None, Kind.MISSING),
        (b"", Kind.TRUNCATED),
        (_CONTENT[:-1], Kind.TRUNCATED),
        (_CONTENT + b"x", Kind.OVERLONG),
        (b"x" + _CONTENT[1:], Kind.CORRUPT),
    ],
)
async def test_f11_f12_each_kind_of_damage_is_told_apart(content: bytes | None, kind: Kind | None) -> None:
    """By presence, length and hash, in the digest's own algorithm."""
    store = MemoryBlobStore()
    if content is not None:
        await store.put("k", content)

    condition, read = await _examine(store)

    assert condition.kind is kind
    assert condition.found_bytes == (None if content is None else len(content))
    assert read == condition.read_bytes == (len(_CONTENT) if kind in {None, Kind.CORRUPT} else 0)


async def test_fast_believes_the_length() -> None:
    """Nothing is read."""
    store = MemoryBlobStore()
    await store.put("k", b"x" + _CONTENT[1:])

    assert await _examine(store, fast=True) == (Condition(None, len(_CONTENT)), 0)


async def test_f13_a_store_that_is_away_breaks_the_verification_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """One object after the other can't be read: that says nothing about the objects."""
    monkeypatch.setattr(examination, "_PAUSE_SECONDS", 0)
    store = _FailingStore(1000)
    await store.put("k", _CONTENT)
    with ThreadPoolExecutor(1) as executor:
        examiner = Examination(store, HashingPool(executor), Pace(0), lambda _: None, fast=False)
        for _ in range(19):
            assert (await examiner.examine("k", _DIGEST, len(_CONTENT))).kind is Kind.UNREADABLE
        with pytest.raises(StorageUnavailableError):
            await examiner.examine("k", _DIGEST, len(_CONTENT))
        store.failures = 0

        assert (await examiner.examine("k", _DIGEST, len(_CONTENT))).kind is None


@pytest.mark.parametrize(("failures", "kind"), [(2, None), (3, Kind.UNREADABLE)])
async def test_f6_a_read_error_is_tried_again_and_is_no_corruption(
    monkeypatch: pytest.MonkeyPatch, failures: int, kind: Kind | None
) -> None:
    """The third failure is the last word, and that word is not `corrupt`."""
    monkeypatch.setattr(examination, "_PAUSE_SECONDS", 0)
    store = _FailingStore(failures)
    await store.put("k", _CONTENT)

    condition, _ = await _examine(store)

    assert condition.kind is kind
