"""Reads that wait for no disk: what is in memory comes, and nothing else does."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from entrepot.kernel.cached_reads import CachedReads

if TYPE_CHECKING:
    from pathlib import Path

_CONTENT = bytes(range(256)) * 64


def _read(
    path: str | Path, offset: int, size: int, flags: int = os.O_RDONLY
) -> tuple[bytearray | None, bool]:
    reads = CachedReads()
    descriptor = os.open(path, flags)
    try:
        return reads.read(descriptor, offset, size), reads.are_possible
    finally:
        os.close(descriptor)


def test_what_was_just_written_comes(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(_CONTENT)

    assert _read(tmp_path / "file", 0, len(_CONTENT)) == (bytearray(_CONTENT), True)
    assert _read(tmp_path / "file", 100, 10) == (bytearray(_CONTENT[100:110]), True)


def test_there_is_no_more_than_the_file_has(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(_CONTENT)

    assert _read(tmp_path / "file", len(_CONTENT) - 3, 10) == (bytearray(_CONTENT[-3:]), True)
    assert _read(tmp_path / "file", len(_CONTENT), 10) == (None, True)


def test_a_read_that_fails_brings_nothing_and_says_nothing_of_others(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(_CONTENT)

    assert _read(tmp_path / "file", 0, 10, os.O_WRONLY) == (None, True)


def test_a_file_system_that_does_not_know_such_reads_is_not_asked_again() -> None:
    """Files of the kernel's own are such ones (proc(5))."""
    assert _read("/proc/self/status", 0, 10) == (None, False)
