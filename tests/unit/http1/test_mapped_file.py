"""A part of a file as memory: what can be sent of it, and that no socket is locked while the disk is waited for."""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING, Final

import pytest

from entrepot.http1.mapped_file import mapped_file
from entrepot.kernel.cached_reads import CachedReads

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_SIZE: Final = 3 * 1024 * 1024 + 17
_CONTENT: Final = random.Random(1).randbytes(_SIZE)


@pytest.fixture
def descriptor(tmp_path: Path) -> Iterator[int]:
    """A file on the disk, which the kernel has no part of in memory where it can forget it (it can't on tmpfs)."""
    path = tmp_path / "file"
    path.write_bytes(_CONTENT)
    number = os.open(path, os.O_RDONLY)
    os.fsync(number)
    os.posix_fadvise(number, 0, 0, os.POSIX_FADV_DONTNEED)
    yield number
    os.close(number)


@pytest.mark.parametrize(
    ("offset", "size"), [(0, 1), (4095, 2), (4096, 4096), (1_000_001, 2_000_000), (0, _SIZE)]
)
def test_any_part_of_a_file_can_be_held(descriptor: int, offset: int, size: int) -> None:
    with mapped_file(descriptor, offset, size) as held:
        assert held.raw == _CONTENT[offset : offset + size]


def test_all_of_it_is_in_memory_before_a_socket_is_locked_f8(descriptor: int) -> None:
    """The kernel copies with the socket's lock held: for which the event loop would wait, and so for the disk."""
    with mapped_file(descriptor, 0, _SIZE) as held:
        assert bytes(CachedReads().read(descriptor, 0, _SIZE) or b"") == _CONTENT
        assert len(held) == _SIZE


@pytest.mark.parametrize(("offset", "size"), [(0, _SIZE + 1), (_SIZE, 1), (_SIZE - 1, 2)])
def test_what_is_not_there_is_an_error_and_no_zeros(descriptor: int, offset: int, size: int) -> None:
    with pytest.raises(OSError, match="ends before"), mapped_file(descriptor, offset, size):
        pass
